/* SPDX-License-Identifier: MIT */
#include "sbrouter/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "tests/test.h"

/* SipHash-1-3 with the key 0, as CPython 3.11 computes it for bytes(range(n)). */
static void test_hash(void) {
        static const struct {
                size_t n;
                uint64_t hash;
        } rows[] = {
                {1, 0x68a914128e01e473u},  {7, 0x2f098ab0c751325au},  {8, 0xead411e67ebe2eeau},
                {9, 0x75927f9d95124362u},  {15, 0xf30eb725bb91c9eau}, {16, 0x8972188433a5c5b7u},
                {17, 0x4883c49a2c009c1du}, {40, 0x95bc321ab41d8206u},
        };
        static const struct table_key zero, one = {{1, 0}}, other = {{0, 1}};
        uint8_t data[41];

        for (unsigned i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t)i;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                CHECK(table_hash(&zero, data, rows[i].n) == rows[i].hash);
                CHECK(table_hash(&one, data, rows[i].n) != rows[i].hash);
                CHECK(table_hash(&other, data, rows[i].n) != rows[i].hash);
                memmove(data + 1, data, 40); /* from an odd address */
                CHECK(table_hash(&zero, data + 1, rows[i].n) == rows[i].hash);
                memmove(data, data + 1, 40);
        }
}

struct item {
        struct table_node node;
        bool in;
};

static bool holds(const struct table *t, const struct item *item) {
        TABLE_FOREACH_HASH(node, t, item->node.hash)
        if (node == &item->node)
                return true;
        return false;
}

/* 1000 items with few hashes, put in and taken out in an order of their own. */
static void test_model(void) {
        static struct item items[1000];
        size_t n = 0, seen = 0;
        struct table t;

        CHECK_EQ_INT(table_init(&t), 0);
        for (size_t i = 0; i < 20000; i++) {
                struct item *item = &items[i * 7919 % ELEMENTSOF(items)];

                if (item->in && i % 3 == 0) {
                        table_remove(&t, &item->node);
                        item->in = false;
                        n--;
                } else if (!item->in) {
                        table_insert(&t, &item->node, (uint64_t)(item - items) % 100 * 0x1000001);
                        item->in = true;
                        n++;
                }
                CHECK_EQ_INT(t.n, n);
        }
        CHECK(n > 100 && t.mask >= 255); /* it grew */
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                CHECK_EQ_INT(holds(&t, &items[i]), items[i].in);
        TABLE_FOREACH(node, &t) {
                CHECK(((struct item *)node)->in);
                seen++;
        }
        CHECK_EQ_INT(seen, n);
        CHECK(!table_first(&t, 12345));
        table_done(&t);
}

/*
 * Equal keys in one chain, the oldest (at its end) removed first: with a walk this
 * would be some 10^10 steps, so two seconds of processor tell the one from the other.
 */
static void test_long_chain(void) {
        const size_t n = 200000;
        struct item *items = calloc(n, sizeof(*items));
        struct table t;
        clock_t start;

        CHECK(items);
        CHECK_EQ_INT(table_init(&t), 0);
        start = clock();
        for (size_t i = 0; i < n; i++)
                table_insert(&t, &items[i].node, 7);
        for (size_t i = 0; i < n; i++)
                table_remove(&t, &items[i].node);
        CHECK(clock() - start < 2 * CLOCKS_PER_SEC);
        CHECK_EQ_INT(t.n, 0);
        CHECK(!table_first(&t, 7));
        table_done(&t);
        free(items);
}

TEST_MAIN({"SipHash-1-3", test_hash}, {"what was put in and not taken out", test_model},
          {"a long chain is left as fast as a short one", test_long_chain})
