/* SPDX-License-Identifier: MIT */
/*
 * A stream of messages to the bus: however it is cut into reads, and turns, everybody gets as
 * many bytes, and the bus ends in the same state.  The first byte says how the second time is cut.
 *
 * What a large message at the end lacks of what it announces are zeros: many types are valid so.
 */
#include "sbrouter/connection.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "common/log.h"
#include "tests/unit/sbrouter/bus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct outcome {
        bool dead, monitor;
        unsigned names, matches, calls, held;
        size_t replies, queued;
        size_t heard[BUS_CLIENTS]; /* bytes */
};

/* How a stream is played: cut after each so many bytes, and in which turns. */
struct way {
        size_t step;
        bool is_short;      /* a turn ends with the first message that takes memory; */
        unsigned turn_work; /* or after so much work, of the check of a large message too */
};

static void open_turn(struct bus *b, bool is_short) {
        room_open(&b->router);
        if (is_short)
                b->router.room.ceiling = b->router.pool.bytes;
}

/* A turn of the router, without its waiting; and as many as a backlog takes. */
static void turn(struct bus *b, bool is_short) {
        struct connection *c = b->c[0];
        int v;

        open_turn(b, is_short);
        v = c->dead ? 0 : c->source.fn(&c->source, EPOLLIN);
        assert(v == 0);
        while (!list_empty(&c->backlog) && !c->dead) {
                open_turn(b, is_short);
                v = connection_work(c);
                assert(v == 0);
        }
}

static void listen_to(struct bus *b, struct outcome *o) {
        static uint8_t buf[65536];

        for (unsigned i = 0; i < BUS_CLIENTS; i++) {
                do {
                        ssize_t n;
                        int v = connection_flush(b->c[i]);

                        assert(v == 0);
                        while ((n = recv(b->ends[i], buf, sizeof(buf), MSG_DONTWAIT)) > 0)
                                o->heard[i] += (size_t)n;
                } while (b->c[i]->out.bytes > 0 && !b->c[i]->dead);
        }
}

static void say(struct bus *b, const uint8_t *data, size_t n, bool is_short, struct outcome *o) {
        ssize_t k = n > 0 ? send(b->ends[0], data, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

        assert(k == (ssize_t)n);
        /* One read may leave a message that the next turn takes. */
        for (unsigned i = 0; i < 3; i++)
                turn(b, is_short);
        listen_to(b, o);
}

static void play(const uint8_t *data, size_t n, struct way way, struct outcome *o) {
        struct bus b;

        *o = (struct outcome){0};
        bus_init(&b, ROUTER_STANDALONE);
        b.c[0]->may_debug = true;
        b.c[0]->stage = CONNECTION_MESSAGES;
        b.router.turn_work = way.turn_work;
        for (size_t at = 0; at < n && !b.c[0]->dead; at += way.step)
                say(&b, data + at, n - at < way.step ? n - at : way.step, way.is_short, o);
        o->dead = b.c[0]->dead;
        o->monitor = b.c[0]->is_monitor;
        o->names = b.c[0]->n_names;
        o->matches = b.c[0]->n_matches;
        o->calls = b.c[0]->n_calls;
        o->held = b.c[0]->n_held;
        o->replies = b.router.replies.n;
        o->queued = b.router.pool.queued;
        for (unsigned i = 1; i < BUS_CLIENTS; i++)
                bus_leave(&b, i);
        bus_leave(&b, 0);
        bus_done(&b);
}

static void quiet(int priority _unused_, const char *line _unused_) {
}

static void check_same(const struct outcome *a, const struct outcome *b) {
        assert(a->dead == b->dead && a->monitor == b->monitor);
        if (a->dead) /* it may be closed before or after the last that it did */
                return;
        assert(a->names == b->names && a->matches == b->matches && a->calls == b->calls &&
               a->held == b->held && a->replies == b->replies && a->queued == 0 && b->queued == 0);
        for (unsigned i = 0; i < BUS_CLIENTS; i++)
                assert(a->heard[i] == b->heard[i]);
}

#define MOST 65536u

/* How long the stream is with all of its last message, if that is large. */
static size_t completed(const uint8_t *data, size_t n) {
        struct message_frame f;
        size_t at = 0;

        while (at < n && message_frame(data + at, n - at, &f) == 0)
                at += f.n;
        return at > n && f.n > CONNECTION_PART_BYTES && at <= MOST ? at : n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        struct outcome whole, o;
        static uint8_t all[MOST];
        size_t cut;

        if (n < 2 || n > MOST)
                return 0;
        log_set_sink(quiet);
        memset(all, 0, sizeof(all));
        memcpy(all, data + 1, n - 1);
        n = completed(all, n - 1);
        cut = data[0] % 64 ? data[0] % 64u : 1 + data[0] / 64u;
        const struct way ways[] = {
                {cut > n / 256 ? cut : n / 256, false, LIMIT_TURN_WORK},
                {n, true, LIMIT_TURN_WORK},
                {n, false, 1},
                {n / 2 + 1, false, 1 + data[0]}, /* a large message in its place */
                {n / 2 + 1, true, 1 + data[0]},
        };
        play(all, n, (struct way){n, false, LIMIT_TURN_WORK}, &whole);
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                play(all, n, ways[i], &o);
                check_same(&whole, &o);
        }
        return 0;
}
