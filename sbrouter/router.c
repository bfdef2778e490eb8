/* SPDX-License-Identifier: MIT */
#include "sbrouter/router.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "common/limits.h"
#include "common/log.h"
#include "sbrouter/driver_send.h"
#include "sbrouter/listener.h"
#include "sbrouter/name.h"
#include "sbrouter/reply.h"

/* A stamped header: LIMIT_HEADER_BYTES with its padding, and our SENDER. */
#define HEADER_ROOM (LIMIT_HEADER_BYTES + 1024u)

static void to_hex(char *out, const uint8_t *data, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void)snprintf(out + 2 * i, 3, "%02x", data[i]);
}

int router_init(struct router *r) {
        uint8_t guid[16];
        int v;

        *r = (struct router){
                .ipc.fd = -1,
                .ipc_source.fd = -1,
                .loop.epoll_fd = -1,
                .limits = {LIMIT_CONNECTIONS, LIMIT_QUEUE_BYTES},
                .recounted = UINT64_MAX,
                .room.ceiling = LIMIT_TURN_BYTES,
                .turn_work = LIMIT_TURN_WORK,
        };
        struct list *lists[] = {&r->listeners, &r->connections, &r->half_open, &r->backlog,
                                &r->dirty,     &r->dying,       &r->watchers};
        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                list_init(lists[i]);
        if (getrandom(&r->key, sizeof(r->key), 0) != (ssize_t)sizeof(r->key) ||
            getrandom(guid, sizeof(guid), 0) != (ssize_t)sizeof(guid))
                return -errno;
        to_hex(r->guid, guid, sizeof(guid));
        r->own_uid = geteuid();
        r->own_pid = (uint32_t)getpid();
        r->scratch = malloc(ROUTER_SCRATCH);
        r->header = malloc(HEADER_ROOM);
        if (!r->scratch || !r->header)
                return -ENOMEM;
        if (table_init(&r->by_id) < 0 || table_init(&r->names) < 0 || table_init(&r->replies) < 0)
                return -ENOMEM;
        v = match_index_init(&r->matches);
        return v < 0 ? v : loop_init(&r->loop);
}

void router_configure(struct router *r, enum router_bus bus, const uint8_t machine_id[16]) {
        r->bus = bus;
        to_hex(r->machine_id, machine_id, 16);
}

/* Of many that have something to say in one turn each has less of it, and goes on in the backlog. */
unsigned router_turn_share(const struct router *r) {
        unsigned n = r->loop.n_events, share = r->turn_work / (n > 0 ? n : 1);
        unsigned least = r->turn_work < LIMIT_TURN_LEAST ? r->turn_work : LIMIT_TURN_LEAST;

        return share > least ? share : least;
}

bool router_is_full(const struct router *r) {
        unsigned n = r->n_accepted;

        LIST_FOREACH(link, &r->listeners)
                n -= LIST_OWNER(link, struct listener, link)->n_half_open;
        return n >= r->limits.connections;
}

void router_register(struct router *r, struct connection *c) {
        c->id = ++r->last_id;
        c->n_name = (uint8_t)snprintf(c->name, sizeof(c->name), ":1.%" PRIu64, c->id);
        table_insert(&r->by_id, &c->by_id, c->id);
        if (c->listener)
                c->listener->n_half_open--;
        list_remove(&c->half_open);
}

struct connection *router_by_id(struct router *r, uint64_t id) {
        TABLE_FOREACH_HASH(node, &r->by_id, id)
                return LIST_OWNER(node, struct connection, by_id);
        return NULL;
}

/* ":1.N" as we wrote it: no sign, no leading zero, nothing behind it. */
static struct connection *lookup_unique(struct router *r, const char *name, size_t n) {
        uint64_t id = 0;

        if (n < 4 || n > 22 || memcmp(name, ":1.", 3) != 0 || name[3] == '0')
                return NULL;
        for (size_t i = 3; i < n; i++) {
                if (name[i] < '0' || name[i] > '9' || __builtin_mul_overflow(id, 10, &id) ||
                    __builtin_add_overflow(id, (uint64_t)(name[i] - '0'), &id))
                        return NULL;
        }
        return router_by_id(r, id);
}

struct connection *router_lookup(struct router *r, const char *name, size_t n) {
        return n > 0 && name[0] == ':' ? lookup_unique(r, name, n) : name_owner(r, name, n);
}

bool router_peer_lags(struct router *r) {
        if (r->lagging && r->lagging->out.shares.own <= LIMIT_PEER_QUEUE_BYTES / 2)
                r->lagging = NULL;
        return r->lagging;
}

bool router_may_log(struct router *r) {
        uint64_t second = r->loop.now / 1000;

        if (second != r->log_second) {
                if (r->log_dropped > 0)
                        log_warning("%u more lines about connections were dropped", r->log_dropped);
                r->log_second = second;
                r->log_lines = r->log_dropped = 0;
        }
        if (r->log_lines >= LIMIT_LOG_LINES_SECOND) {
                r->log_dropped++;
                return false;
        }
        r->log_lines++;
        return true;
}

/* --- the end of a turn ------------------------------------------------------------------------ */

static int flush_dirty(struct router *r) {
        while (!list_empty(&r->dirty)) {
                int v = connection_flush(LIST_OWNER(r->dirty.next, struct connection, dirty));

                if (v < 0)
                        return v;
        }
        return 0;
}

int router_unregister(struct router *r, struct connection *c) {
        int v;

        match_remove_all(r, c);
        v = name_release_all(r, c);
        if (v == 0)
                v = reply_remove_all(r, c);
        if (v == 0) /* who became a monitor hears it, who is dead does not */
                v = driver_name_lost(r, c, c->name);
        if (v == 0)
                v = driver_name_owner_changed(r, c->name, c, NULL);
        if (v < 0)
                return v;
        table_remove(&r->by_id, &c->by_id);
        return 0;
}

/* What has nothing to do with others goes at once, and makes room for them. */
static void discard_dying(struct router *r) {
        LIST_FOREACH(link, &r->dying) {
                struct connection *c = LIST_OWNER(link, struct connection, dying);

                connection_discard(c);
                match_remove_all(r, c);
                if (c->id == 0)
                        connection_free(c);
        }
}

/*
 * The next step of c's way off the bus, in the order of router_unregister(): hundreds of names,
 * each told to whoever listens, and thousands of calls are no one turn's work.
 */
static int take_off(struct router *r, struct connection *c) {
        int v = 0;

        r->work += LIMIT_TURN_CALL;
        if (!list_empty(&c->names))
                return name_release_next(r, c);
        if (!list_empty(&c->serves))
                return reply_fail_next(r, c);
        if (!c->is_monitor) /* that left when it became one */
                v = router_unregister(r, c);
        if (v == 0)
                connection_free(c);
        return v;
}

/*
 * As much of that as is left of a turn's work; those left over have to wait for room, too.  They
 * take turns: a service that ends does not stay on the bus until hundreds with all their names
 * have left it.
 */
static int reap(struct router *r) {
        int v = 0;

        room_open(r);
        while (v == 0 && r->work < LIMIT_TURN_WORK && room_is_left(r) && !list_empty(&r->dying)) {
                struct connection *c = LIST_OWNER(r->dying.next, struct connection, dying);

                list_remove(&c->dying); /* behind the others */
                list_append(&r->dying, &c->dying);
                v = take_off(r, c);
        }
        return v;
}

static void expire_half_open(struct router *r) {
        LIST_FOREACH(link, &r->half_open) {
                struct connection *c = LIST_OWNER(link, struct connection, half_open);

                if (c->deadline > r->loop.now)
                        return; /* the others came later */
                connection_breach(c, "it did not authenticate in time");
        }
}

static int resume_accepting(struct router *r) {
        LIST_FOREACH(link, &r->listeners) {
                int v = listener_resume(LIST_OWNER(link, struct listener, link));

                if (v < 0)
                        return v;
        }
        return 0;
}

/* Of two times; 0: never. */
static uint64_t earlier(uint64_t a, uint64_t b) {
        return a == 0 || (b != 0 && b < a) ? b : a;
}

static int next_wait(const struct router *r) {
        uint64_t until = r->liveness.due;

        LIST_FOREACH(link, &r->listeners)
                until = earlier(until, LIST_OWNER(link, struct listener, link)->accept_at);
        until = earlier(until, r->room.trim_at);
        if (!room_is_short(r) || r->n_checks > 0) {
                if (!list_empty(&r->backlog) || !list_empty(&r->dying))
                        return 0;
        } else if (r->room.short_at != 0) { /* else only what others read can make room */
                until = earlier(until, r->room.short_at + LIMIT_CROWD_MS);
        }
        if (!list_empty(&r->half_open)) {
                const struct connection *c =
                        LIST_OWNER(r->half_open.next, struct connection, half_open);

                until = earlier(until, c->deadline);
        }
        if (until == 0)
                return -1;
        return until > r->loop.now ? (int)(until - r->loop.now) : 0;
}

/* A message that is there is checked though no room is left: that takes none, and may make some. */
static struct connection *next_of_backlog(struct router *r) {
        LIST_FOREACH(link, &r->backlog) {
                struct connection *c = LIST_OWNER(link, struct connection, backlog);

                if (c->check || room_is_left(r))
                        return c;
        }
        return NULL;
}

/*
 * Those whose messages were too much for one turn get the next, one after the other: together
 * they take no more of it than one would.  Who has waited for nothing is served in each turn.
 */
static int work_backlog(struct router *r) {
        struct connection *c;

        for (unsigned spent = 0; spent < LIMIT_TURN_WORK && (c = next_of_backlog(r));
             spent += r->work) {
                int v = connection_work(c);

                if (v < 0)
                        return v;
                if (list_empty(&c->backlog))
                        continue;
                list_remove(&c->backlog); /* behind the others */
                list_append(&r->backlog, &c->backlog);
        }
        return 0;
}

/* A connection that goes makes output for others, and that may end more of them. */
static int settle(struct router *r) {
        int v;

        r->work = 0;
        do {
                v = flush_dirty(r);
                discard_dying(r);
                if (v == 0)
                        v = reap(r);
                if (v == 0)
                        room_enforce(r);
        } while (v == 0 && (!list_empty(&r->dirty) ||
                            (!list_empty(&r->dying) && r->work < LIMIT_TURN_WORK &&
                             !room_is_short(r))));
        return v;
}

static int turn(void *self) {
        struct router *r = self;
        int v = work_backlog(r);

        expire_half_open(r);
        liveness_work(r);
        room_note_peak(r);
        if (v == 0)
                v = settle(r);
        if (v == 0)
                v = room_resume(r);
        if (v == 0) /* some that were half way have gone, perhaps */
                v = resume_accepting(r);
        room_open(r);
        room_trim(r);
        return v < 0 ? v : next_wait(r);
}

int router_run(struct router *r) {
        return loop_run(&r->loop, turn, r);
}

void router_done(struct router *r) {
        LIST_FOREACH(link, &r->connections)
                connection_close(LIST_OWNER(link, struct connection, link));
        while (!list_empty(&r->dying)) { /* tells nobody: they are all dead */
                r->work = 0;
                discard_dying(r);
                (void)reap(r);
        }
        while (!list_empty(&r->listeners))
                listener_free(LIST_OWNER(r->listeners.next, struct listener, link));
        r->ipc.fd = fd_close(r->ipc.fd);
        queue_pool_done(&r->pool);
        match_index_done(&r->matches);
        table_done(&r->by_id);
        table_done(&r->names);
        table_done(&r->replies);
        free(r->scratch);
        free(r->header);
        loop_done(&r->loop);
}
