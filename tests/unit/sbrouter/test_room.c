/* SPDX-License-Identifier: MIT */
/* A bus that is over its limit of memory: how long it bears that, and who goes then. */
#include "sbrouter/room.h"

#include "common/limits.h"
#include "sbrouter/holder.h"
#include "sbrouter/listener.h"
#include "tests/test.h"
#include "tests/unit/sbrouter/bus.h"

/* Clients 0 and 1 hold what waits for its turn, client 1 the most. */
struct crowd {
        struct bus b;
        struct listener listener;
        size_t others; /* of the bus's memory: what is not theirs */
};

static void crowd_init(struct crowd *x) {
        bus_init(&x->b, ROUTER_STANDALONE);
        x->listener = (struct listener){0};
        for (unsigned i = 0; i < 2; i++) {
                x->b.c[i]->listener = &x->listener;
                x->b.c[i]->part = blob_new(&x->b.router.pool, 1000 + i, 1000 + i);
                CHECK(x->b.c[i]->part);
        }
}

static void crowd_done(struct crowd *x) {
        for (unsigned i = 0; i < 2; i++) {
                x->b.c[i]->listener = NULL;
                x->b.c[i]->part = blob_unref(x->b.c[i]->part, &x->b.router.pool);
                x->b.c[i]->in = blob_unref(x->b.c[i]->in, &x->b.router.pool);
        }
        bus_done(&x->b);
}

/* ms later it is still short, or not, and MiB were read meanwhile. */
static void pass(struct crowd *x, unsigned ms, unsigned mib, bool is_short) {
        struct router *r = &x->b.router;

        r->loop.now += ms;
        r->room.sent += (size_t)mib << 20;
        x->others = LIMIT_BUS_BYTES + is_short - r->pool.bytes;
        r->pool.bytes += x->others;
        room_enforce(r);
        r->pool.bytes -= x->others;
}

static bool is_borne(const struct crowd *x) {
        return !x->b.c[1]->dead;
}

static void test_not_over(void) {
        struct crowd x;

        crowd_init(&x);
        for (unsigned i = 0; i < 100; i++)
                pass(&x, LIMIT_CROWD_MS, 0, false);
        CHECK(is_borne(&x));
        crowd_done(&x);
}

static void test_nobody_reads(void) {
        struct crowd x;

        crowd_init(&x);
        pass(&x, 1, 0, true);
        pass(&x, LIMIT_CROWD_MS - 1, 0, true);
        CHECK(is_borne(&x));
        pass(&x, 1, 0, true);
        CHECK(!is_borne(&x));
        crowd_done(&x);
}

/* Who reads as fast as is asked is waited for; it is asked for no more than 16 MiB. */
static void test_more_each_time(void) {
        struct crowd x;

        crowd_init(&x);
        pass(&x, 1, 0, true);
        for (unsigned i = 0; i < 20; i++) {
                unsigned mib = 1u << (i < LIMIT_CROWD_DOUBLINGS ? i : LIMIT_CROWD_DOUBLINGS);

                pass(&x, LIMIT_CROWD_MS, mib, true);
                CHECK(is_borne(&x));
        }
        pass(&x, LIMIT_CROWD_MS, (1u << LIMIT_CROWD_DOUBLINGS) - 1, true);
        CHECK(!is_borne(&x));
        crowd_done(&x);
}

/* A moment of room does not make it ask for less; some seconds of it do. */
static void test_ease(void) {
        for (unsigned calm = 0; calm < 2; calm++) {
                struct crowd x;

                crowd_init(&x);
                pass(&x, 1, 0, true);
                pass(&x, LIMIT_CROWD_MS, 1, true);
                pass(&x, 1, 0, false);
                pass(&x, LIMIT_STALL_SECONDS * 1000 - !calm, 0, false);
                pass(&x, 0, 0, true);
                pass(&x, LIMIT_CROWD_MS, 1, true);
                CHECK(is_borne(&x) == calm);
                crowd_done(&x);
        }
}

/* Who is late with the rest of a message goes at once, though it holds less; but not before. */
static void test_late(void) {
        for (unsigned early = 0; early < 2; early++) {
                struct crowd x;

                crowd_init(&x);
                x.b.c[0]->in = blob_new(&x.b.router.pool, 10, 10);
                CHECK(x.b.c[0]->in);
                x.b.c[0]->in_since = x.b.router.loop.now;
                pass(&x, LIMIT_UNFINISHED_MS - early, 0, true);
                CHECK(x.b.c[0]->dead == !early && is_borne(&x));
                pass(&x, 0, 0, false);
                pass(&x, 1, 0, true);
                CHECK(x.b.c[0]->dead && is_borne(&x));
                crowd_done(&x);
        }
}

/* While nothing is read from anybody nobody gets later. */
static void test_pause(void) {
        struct crowd x;

        crowd_init(&x);
        x.b.c[0]->in = blob_new(&x.b.router.pool, 10, 10);
        CHECK(x.b.c[0]->in);
        x.b.c[0]->in_since = x.b.router.loop.now;
        x.b.router.n_checks = 1; /* which makes room in the end */
        pass(&x, LIMIT_UNFINISHED_MS / 2, 0, true);
        pass(&x, LIMIT_UNFINISHED_MS * 2, 0, true);
        CHECK(!x.b.c[0]->dead);
        x.b.router.n_checks = 0;
        pass(&x, 1, 0, false);
        pass(&x, LIMIT_UNFINISHED_MS / 2 - 2, 0, true);
        CHECK(!x.b.c[0]->dead);
        pass(&x, 0, 0, false);
        pass(&x, 2, 0, true);
        CHECK(x.b.c[0]->dead && is_borne(&x));
        crowd_done(&x);
}

/* While the memory counts as used they all go, the largest first, but for those of the host. */
static void test_until_there_is_room(void) {
        struct crowd x;

        crowd_init(&x);
        x.b.c[1]->listener = NULL;
        pass(&x, 1, 0, true);
        pass(&x, LIMIT_CROWD_MS, 0, true);
        CHECK(x.b.c[0]->dead && is_borne(&x));
        CHECK(!holder_of_most(&x.b.router));
        crowd_done(&x);
}

TEST_MAIN({"a bus that is full to its limit is not over it", test_not_over},
          {"nobody reads: the largest holder goes after half a second", test_nobody_reads},
          {"readers are waited for, for more each time", test_more_each_time},
          {"what was asked for is remembered for some seconds", test_ease},
          {"who is late to finish a message goes first", test_late},
          {"time in which nothing is read makes nobody late", test_pause},
          {"who has no listener is never closed", test_until_there_is_room})
