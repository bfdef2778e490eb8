/* SPDX-License-Identifier: MIT */
#include "sbrouter/holder.h"

#include "sbrouter/router.h"

/* Unread bytes in c's queue, to those who answer for them: c, if their sender has left or is ours. */
static void add_queue(struct router *r, struct connection *c) {
        const struct shares *s = &c->out.shares;

        c->held_bytes += s->own;
        for (uint32_t i = 0; i < s->n; i++) {
                struct connection *sender = NULL;

                if (s->of[i].sender != 0)
                        sender = router_by_id(r, s->of[i].sender);
                if (!sender || !sender->listener || sender->dead)
                        sender = c;
                sender->held_bytes += s->of[i].bytes;
        }
}

struct connection *holder_of_most(struct router *r) {
        struct connection *most = NULL;

        LIST_FOREACH(link, &r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);

                c->held_bytes = c->in ? c->in->cap : 0;
        }
        LIST_FOREACH(link, &r->connections)
                add_queue(r, LIST_OWNER(link, struct connection, link));
        LIST_FOREACH(link, &r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);

                if (c->listener && !c->dead && c->held_bytes > (most ? most->held_bytes : 0))
                        most = c;
        }
        return most;
}
