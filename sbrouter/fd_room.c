/* SPDX-License-Identifier: MIT */
#include "sbrouter/fd_room.h"

#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "common/limits.h"
#include "sbrouter/holder.h"
#include "sbrouter/router.h"

/* A message in the receiver's socket takes more than this of what SO_MEMINFO tells, however short.
 */
#define LEAST_IN_SOCKET 512u

/* At most so many messages are in c's socket, unread: the kernel tells how much memory they take. */
static unsigned count_unread_messages(const struct connection *c) {
        uint32_t info[SK_MEMINFO_VARS] = {0};
        socklen_t n = sizeof(info);

        if (getsockopt(c->source.fd, SOL_SOCKET, SO_MEMINFO, info, &n) < 0)
                return UINT32_MAX;
        if (info[SK_MEMINFO_WMEM_ALLOC] == 0)
                return 0;
        return info[SK_MEMINFO_WMEM_ALLOC] / LEAST_IN_SOCKET + 1;
}

/* Takes off what c has received by now: no message tells us, the kernel has to be asked. */
static void recount(struct connection *c) {
        unsigned most;

        if (c->out.n_sent_fds == 0)
                return;
        if (__builtin_mul_overflow(count_unread_messages(c), c->out.most_sent_fds, &most))
                return;
        if (most >= c->out.n_sent_fds)
                return;
        queue_received(&c->out, &c->router->pool, most);
        c->unread_fds_at = c->router->loop.now;
}

/* The others of the bus, at most once a turn. */
static void recount_all(struct router *r) {
        if (r->recounted == r->loop.turn)
                return;
        r->recounted = r->loop.turn;
        LIST_FOREACH(link, &r->connections)
                recount(LIST_OWNER(link, struct connection, link));
}

/* Of what is left by all others never all: some is left for whoever comes next. */
static bool has_share(const struct connection *c, unsigned n) {
        unsigned own = c->out.n_fds + c->out.n_sent_fds, others = c->router->pool.n_fds - own;
        unsigned left = others < LIMIT_BUS_FDS ? LIMIT_BUS_FDS - others : 0;

        return own + n <= left / (own == 0 ? 4 : 8);
}

bool fd_room_for(struct connection *c, unsigned n) {
        if (c->out.n_fds + n > LIMIT_QUEUE_FDS)
                return false;
        if (has_share(c, n))
                return true;
        recount(c);
        if (!has_share(c, n))
                recount_all(c->router);
        if (has_share(c, n))
                return true;
        c->router->no_fd_room = true;
        return false;
}

void fd_room_settle(struct router *r) {
        struct connection *c = r->no_fd_room ? holder_of_fds(r) : NULL;

        if (c)
                connection_breach(c, "others have no room for descriptors, and it takes none of its own");
        r->no_fd_room = false;
}

/* Whose have waited for a while, before whose have just come. */
static bool is_worse(const struct connection *c, const struct connection *than) {
        uint64_t now = c->router->loop.now;
        bool waits = now - c->fds_since > LIMIT_CROWD_MS;

        if (!than)
                return true;
        if (waits != (now - than->fds_since > LIMIT_CROWD_MS))
                return waits;
        return c->n_fds > than->n_fds ||
               (c->n_fds == than->n_fds && c->fds_since < than->fds_since);
}

/*
 * Of messages that are not finished, or of those that wait for their turn: who has many of one
 * kind must not have those closed who have few of the other.
 */
static struct connection *find_worst(struct router *r, bool is_waiting, unsigned *ret_n) {
        struct connection *worst = NULL;

        *ret_n = 0;
        LIST_FOREACH(link, &r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);

                if (!c->listener || c->dead || c->n_fds == 0 ||
                    is_waiting != !list_empty(&c->backlog))
                        continue;
                *ret_n += c->n_fds;
                if (is_worse(c, worst))
                        worst = c;
        }
        return worst;
}

static void enforce(struct router *r, bool is_waiting, unsigned most, const char *what) {
        struct connection *worst;
        unsigned n;

        while ((worst = find_worst(r, is_waiting, &n)) && n > most)
                connection_breach(worst, what);
}

void fd_room_enforce(struct router *r) {
        if (r->n_partial_fds <= LIMIT_PARTIAL_FDS)
                return;
        enforce(r, false, LIMIT_PARTIAL_FDS,
                "it holds some of too many descriptors of unfinished messages");
        enforce(r, true, LIMIT_WAITING_FDS,
                "it holds some of too many descriptors of messages that wait for their turn");
}
