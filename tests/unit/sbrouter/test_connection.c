/* SPDX-License-Identifier: MIT */
#include "sbrouter/connection.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/limits.h"
#include "sbrouter/holder.h"
#include "sbrouter/listener.h"
#include "tests/test.h"
#include "tests/unit/sbrouter/bus.h"
#include "tests/unit/sbrouter/wire.h"

/* What client 0 says: broadcasts that nobody listens to, many turns of them. */
#define N_MESSAGES 2000u

struct rig {
        struct bus bus;
        struct listener listener;
        struct connection *c;
        size_t said;
};

static void rig_init(struct rig *g, bool is_client) {
        static uint8_t data[N_MESSAGES * 128];
        struct wire w = {0};

        bus_init(&g->bus, ROUTER_STANDALONE);
        g->c = g->bus.c[0];
        g->c->stage = CONNECTION_MESSAGES;
        g->c->listener = is_client ? &g->listener : NULL;
        wire_begin(&w, false, MESSAGE_SIGNAL, 0);
        wire_text(&w, 1, "o", "/");
        wire_text(&w, 2, "s", "t.T");
        wire_text(&w, 3, "s", "M");
        wire_end(&w, "", 0);
        g->said = N_MESSAGES * w.n;
        for (unsigned i = 0; i < N_MESSAGES; i++)
                memcpy(data + i * w.n, w.b, w.n);
        CHECK_EQ_INT(send(g->bus.ends[0], data, g->said, MSG_DONTWAIT), g->said);
}

static void rig_done(struct rig *g) {
        g->c->listener = NULL;
        bus_leave(&g->bus, 0);
        bus_done(&g->bus);
        CHECK_EQ_INT(g->bus.router.backlog_bytes, 0);
}

static void read_once(struct rig *g) {
        CHECK_EQ_INT(g->c->source.fn(&g->c->source, EPOLLIN), 0);
}

static void test_backlog_is_counted(void) {
        struct router *r;
        struct rig g;
        size_t held;

        rig_init(&g, true);
        r = &g.bus.router;
        CHECK_EQ_INT(r->pool.bytes, 0);
        read_once(&g);
        held = r->backlog_bytes;
        CHECK(held > g.said / 4 && held <= g.said);
        CHECK_EQ_INT(r->pool.bytes, held);
        read_once(&g); /* nothing is read while some of it waits */
        CHECK_EQ_INT(r->pool.bytes, held);
        CHECK(holder_of_most(r) == g.c);
        while (!list_empty(&g.c->backlog))
                CHECK_EQ_INT(connection_work(g.c), 0);
        CHECK_EQ_INT(r->backlog_bytes, 0);
        CHECK_EQ_INT(r->pool.bytes, 0);
        CHECK(!g.c->dead && !holder_of_most(r));
        rig_done(&g);
}

static void test_backlog_of_the_dead(void) {
        struct rig g;

        rig_init(&g, true);
        read_once(&g);
        CHECK(g.bus.router.backlog_bytes > 0);
        rig_done(&g);
}

/* How much a client's backlog is when the others' are so long. */
static size_t backlog_beside(size_t others, bool is_client) {
        struct rig g;
        size_t n;

        rig_init(&g, is_client);
        g.bus.router.backlog_bytes = others;
        read_once(&g);
        n = g.bus.router.backlog_bytes - others;
        g.bus.router.backlog_bytes -= others;
        rig_done(&g);
        return n;
}

static void test_backlog_of_others(void) {
        size_t whole = backlog_beside(0, true);

        CHECK_EQ_INT(backlog_beside(LIMIT_BACKLOG_BYTES / 2, true), whole);
        CHECK(backlog_beside(LIMIT_BACKLOG_BYTES - LIMIT_BACKLOG_BYTES / 16, true) < whole / 2);
        CHECK_EQ_INT(backlog_beside(LIMIT_BACKLOG_BYTES, true), 0);
        CHECK_EQ_INT(backlog_beside(LIMIT_BACKLOG_BYTES + 1, true), 0);
        /* sbportal and the supervisor are no clients. */
        CHECK_EQ_INT(backlog_beside(LIMIT_BACKLOG_BYTES, false), whole);
}

/* With a sanitizer no process is small: it is told what may fail. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
        return "allocator_may_return_null=1:max_allocation_size_mb=8";
}

/* From here on nothing of 8 MiB and more can be allocated. */
static void take_memory_away(struct rlimit *ret) {
        unsigned long pages = 0;
        FILE *f = fopen("/proc/self/statm", "re");
        struct rlimit less;

        CHECK(f && fscanf(f, "%lu", &pages) == 1);
        if (f)
                (void)fclose(f);
        CHECK_EQ_INT(getrlimit(RLIMIT_AS, ret), 0);
        less = *ret;
        less.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (4u << 20);
        if (less.rlim_cur < (rlim_t)1 << 40) /* no sanitizer */
                CHECK_EQ_INT(setrlimit(RLIMIT_AS, &less), 0);
}

static void test_no_memory_to_send(void) {
        struct packet p = {.header = "", .n_header = 32u << 20};
        struct rlimit before;
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        take_memory_away(&before);
        CHECK_EQ_INT(connection_send(b.c[0], &p), 0);
        CHECK_EQ_INT(setrlimit(RLIMIT_AS, &before), 0);
        CHECK(b.c[0]->dead && !b.c[1]->dead);
        CHECK_EQ_INT(b.router.pool.bytes, 0);
        CHECK_EQ_INT(connection_send(b.c[0], &p), 0); /* it is dead: nothing happens */
        bus_leave(&b, 0);
        bus_done(&b);
}

static void test_no_memory_to_read(void) {
        static uint8_t data[65536];
        struct rlimit before;
        struct wire w = {0};
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        b.c[0]->stage = CONNECTION_MESSAGES;
        wire_begin(&w, false, MESSAGE_SIGNAL, 0);
        wire_text(&w, 1, "o", "/");
        wire_text(&w, 2, "s", "t.T");
        wire_text(&w, 3, "s", "M");
        wire_end(&w, "", 0);
        wire_put_u32(w.b + 4, 64u << 20, false); /* a body, which this is the start of */
        CHECK_EQ_INT(send(b.ends[0], w.b, w.n, MSG_DONTWAIT), w.n);
        take_memory_away(&before);
        for (unsigned i = 0; i < 1000 && !b.c[0]->dead; i++) {
                CHECK(send(b.ends[0], data, sizeof(data), MSG_DONTWAIT) > 0);
                CHECK_EQ_INT(b.c[0]->source.fn(&b.c[0]->source, EPOLLIN), 0);
        }
        CHECK_EQ_INT(setrlimit(RLIMIT_AS, &before), 0);
        CHECK(b.c[0]->dead && !b.c[1]->dead);
        bus_leave(&b, 0);
        bus_done(&b);
}

/* --- a large message that is checked in slices ----------------------------------------------- */

#define N_VARIANTS 40000u /* of a signal to client 1: 160,000 bytes */

/* It was read whole, with n_behind signals behind it, and its check has begun. */
static void large_init(struct rig *g, unsigned n_behind) {
        static uint8_t data[4 * N_VARIANTS + 1024];
        struct wire w = {0};
        size_t n;

        bus_init(&g->bus, ROUTER_STANDALONE);
        g->c = g->bus.c[0];
        g->c->stage = CONNECTION_MESSAGES;
        g->bus.router.turn_work = 100;
        wire_begin(&w, false, MESSAGE_SIGNAL, 0);
        wire_text(&w, 1, "o", "/");
        wire_text(&w, 2, "s", "t.T");
        wire_text(&w, 3, "s", "M");
        wire_text(&w, 6, "s", g->bus.c[1]->name);
        wire_text(&w, 8, "g", "av");
        wire_end(&w, "", 0);
        wire_put_u32(w.b + 4, 4 + 4 * N_VARIANTS, false);
        memcpy(data, w.b, w.n);
        wire_put_u32(data + w.n, 4 * N_VARIANTS, false);
        for (unsigned i = 0; i < N_VARIANTS; i++)
                memcpy(data + w.n + 4 + (size_t)4 * i, "\1y\0", 4);
        g->said = w.n + 4 + (size_t)4 * N_VARIANTS;
        wire_begin(&w, false, MESSAGE_SIGNAL, 0);
        wire_text(&w, 1, "o", "/");
        wire_text(&w, 2, "s", "t.T");
        wire_text(&w, 3, "s", "Behind");
        wire_text(&w, 6, "s", g->bus.c[1]->name);
        wire_end(&w, "", 0);
        /* What is read first is less than the message, so it is read in its place. */
        CHECK_EQ_INT(send(g->bus.ends[0], data, 1000, MSG_DONTWAIT), 1000);
        read_once(g);
        n = g->said - 1000;
        for (unsigned i = 0; i < n_behind; i++, n += w.n)
                memcpy(data + 1000 + n, w.b, w.n);
        CHECK_EQ_INT(send(g->bus.ends[0], data + 1000, n, MSG_DONTWAIT), n);
        for (unsigned i = 0; i < 10 && !g->c->check; i++)
                read_once(g);
        CHECK(g->c->check && g->c->in && !list_empty(&g->c->backlog));
        CHECK_EQ_INT(g->bus.router.n_checks, 1);
        CHECK(holder_of_most(&g->bus.router) == NULL); /* a peer of ours; */
        g->c->listener = &g->listener;
        CHECK(holder_of_most(&g->bus.router) == g->c); /* and as a client */
        g->c->listener = NULL;
}

static void large_done(struct rig *g) {
        struct router *r = &g->bus.router;

        rig_done(g);
        CHECK_EQ_INT(r->n_checks, 0);
        CHECK_EQ_INT(r->pool.bytes, 0);
        CHECK_EQ_INT(r->n_partial_fds, 0);
}

static void test_check_in_slices(void) {
        for (unsigned n_behind = 0; n_behind < 3; n_behind++) {
                unsigned n_turns = 0;
                struct rig g;

                large_init(&g, n_behind);
                read_once(&g); /* nothing is read meanwhile */
                CHECK(g.c->check);
                for (; !list_empty(&g.c->backlog); n_turns++) {
                        size_t before = g.bus.c[1]->out.bytes;

                        CHECK_EQ_INT(connection_work(g.c), 0);
                        CHECK(g.bus.router.work <= 2 * g.bus.router.turn_work);
                        CHECK(!g.c->check || g.bus.c[1]->out.bytes == before);
                }
                CHECK(n_turns > 40 && !g.c->check && !g.c->in && !g.c->part && !g.c->dead);
                CHECK(g.bus.c[1]->out.bytes > g.said + 64 * (size_t)n_behind);
                large_done(&g);
        }
}

static void test_check_of_the_dead(void) {
        struct rig g;

        large_init(&g, 1); /* closed with the bus */
        large_done(&g);
        large_init(&g, 1); /* before, but it still has its turn */
        connection_close(g.c);
        CHECK_EQ_INT(connection_work(g.c), 0);
        CHECK(list_empty(&g.c->backlog));
        large_done(&g);
        large_init(&g, 0); /* with all it holds at once */
        connection_close(g.c);
        connection_drop(g.c);
        CHECK(!g.c->check && list_empty(&g.c->backlog));
        CHECK_EQ_INT(g.bus.router.backlog_bytes, 0);
        large_done(&g);
}

TEST_MAIN({"a large message is checked in slices", test_check_in_slices},
          {"a check that has begun goes with its connection", test_check_of_the_dead},
          {"a backlog is counted until it is worked off", test_backlog_is_counted},
          {"a backlog goes with its connection", test_backlog_of_the_dead},
          {"the more others have read, the less a client may", test_backlog_of_others},
          {"no memory for what one is sent: that one is closed", test_no_memory_to_send},
          {"no memory for what one says: that one is closed", test_no_memory_to_read})
