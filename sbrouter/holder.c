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

static bool is_long_ago(const struct router *r, uint64_t ms) {
        return r->loop.now - ms >= LIMIT_STALL_SECONDS * 1000u;
}

bool holder_is_late(const struct connection *c) {
        uint64_t since = c->router->room.short_since;
        uint64_t until = since != 0 ? since : c->router->loop.now;

        return c->in && !c->check && until >= c->in_since + LIMIT_UNFINISHED_MS;
}

static bool is_worse(const struct connection *c, const struct connection *than) {
        if (!than || holder_is_late(c) != holder_is_late(than))
                return held_by(c) > 0 && (!than || holder_is_late(c));
        return held_by(c) > held_by(than);
}

struct connection *holder_of_most(struct router *r) {
        struct connection *worst = NULL;

        LIST_FOREACH(link, &r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);

                if (c->listener && !c->dead && is_worse(c, worst))
                        worst = c;
        }
        return worst;
}

struct connection *holder_of_fds(struct router *r) {
        struct connection *most = NULL;
        unsigned n = 0;

        LIST_FOREACH(link, &r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);
                unsigned unread = c->out.n_fds + c->out.n_sent_fds;

                if (c->listener && !c->dead && unread > n && is_long_ago(r, c->unread_fds_at)) {
                        most = c;
                        n = unread;
                }
        }
        return most;
}

struct connection *holder_that_hangs(struct router *r) {
        struct connection *most = NULL;

        LIST_FOREACH(link, &r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);

                if (c->listener && !c->dead && c->out.memory > (most ? most->out.memory : 0) &&
                    is_long_ago(r, c->waits_at))
                        most = c;
        }
        return most;
}
