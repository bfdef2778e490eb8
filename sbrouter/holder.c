/* SPDX-License-Identifier: MIT */
#include "sbrouter/holder.h"

#include "common/limits.h"
#include "sbrouter/router.h"

/* What closing c gives back at once, and nobody else caused. */
static size_t held_by(const struct connection *c) {
        return c->out.shares.own + (c->in ? c->in->cap : 0) + (c->part ? c->part->cap : 0);
}

struct connection *holder_of_most(struct router *r) {
        struct connection *most = NULL;

        LIST_FOREACH(link, &r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);

                if (c->listener && !c->dead && held_by(c) > (most ? held_by(most) : 0))
                        most = c;
        }
        return most;
}

struct connection *holder_that_hangs(struct router *r) {
        struct connection *most = NULL;

        LIST_FOREACH(link, &r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);
                size_t lent = c->out.shares.lent;

                if (c->listener && !c->dead && lent > (most ? most->out.shares.lent : 0) &&
                    r->loop.now - c->read_at >= LIMIT_STALL_SECONDS * 1000u)
                        most = c;
        }
        return most;
}
