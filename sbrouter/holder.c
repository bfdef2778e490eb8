/* SPDX-License-Identifier: MIT */
#include "sbrouter/holder.h"

#include "common/limits.h"
#include "sbrouter/router.h"

/* Of the memory of its queue the part that is not others' messages to it. */
static size_t unread_by(const struct connection *c) {
        const struct shares *s = &c->out.shares;

        return s->own > 0 ? (uint64_t)c->out.memory * s->own / (s->own + s->lent) : 0;
}

/* What closing c gives back, and nobody else caused. */
static size_t held_by(const struct connection *c) {
        return unread_by(c) + (c->in ? c->in->cap : 0) + (c->part ? c->part->cap : 0);
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

                if (c->listener && !c->dead && c->out.memory > (most ? most->out.memory : 0) &&
                    r->loop.now - c->read_at >= LIMIT_STALL_SECONDS * 1000u)
                        most = c;
        }
        return most;
}
