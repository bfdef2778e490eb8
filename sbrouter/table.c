/* SPDX-License-Identifier: MIT */
#include "sbrouter/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_START 64

static uint64_t rotate(uint64_t x, unsigned n) {
        return x << n | x >> (64 - n);
}

/* Inlined, v is in registers: a hash of a name takes half the time. */
static inline __attribute__((always_inline)) void sip_round(uint64_t v[4]) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
}

uint64_t table_hash(const struct table_key *key, const void *data, size_t n) {
        uint64_t v[4] = {
                key->k[0] ^ 0x736f6d6570736575u,
                key->k[1] ^ 0x646f72616e646f6du,
                key->k[0] ^ 0x6c7967656e657261u,
                key->k[1] ^ 0x7465646279746573u,
        };
        const uint8_t *p = data;
        uint64_t m, last = (uint64_t)n << 56;
        size_t left = n;

        for (; left >= sizeof(m); p += sizeof(m), left -= sizeof(m)) {
                memcpy(&m, p, sizeof(m));
                v[3] ^= m;
                sip_round(v);
                v[0] ^= m;
        }
        for (size_t i = 0; i < left; i++)
                last |= (uint64_t)p[i] << (8 * i);
        v[3] ^= last;
        sip_round(v);
        v[0] ^= last;
        v[2] ^= 0xff;
        for (unsigned i = 0; i < 3; i++)
                sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int table_init(struct table *t) {
        t->buckets = calloc(TABLE_START, sizeof(*t->buckets));
        if (!t->buckets)
                return -ENOMEM;
        t->mask = TABLE_START - 1;
        t->n = 0;
        return 0;
}

void table_done(struct table *t) {
        free(t->buckets);
        *t = (struct table){0};
}

static void link_node(struct table *t, struct table_node *node) {
        struct table_node **bucket = &t->buckets[node->hash & t->mask];

        node->next = *bucket;
        node->from = bucket;
        if (node->next)
                node->next->from = &node->next;
        *bucket = node;
}

static void grow(struct table *t) {
        size_t n_old = t->mask + 1;
        struct table_node **old = t->buckets;
        struct table_node **buckets = calloc(n_old * 2, sizeof(*buckets));

        if (!buckets)
                return;
        t->buckets = buckets;
        t->mask = n_old * 2 - 1;
        for (size_t i = 0; i < n_old; i++)
                for (struct table_node *node = old[i], *next; node; node = next) {
                        next = node->next;
                        link_node(t, node);
                }
        free(old);
}

void table_insert(struct table *t, struct table_node *node, uint64_t hash) {
        if (t->n > t->mask)
                grow(t);
        node->hash = hash;
        link_node(t, node);
        t->n++;
}

void table_remove(struct table *t, struct table_node *node) {
        assert(*node->from == node); /* else it was in no table */
        *node->from = node->next;
        if (node->next)
                node->next->from = node->from;
        t->n--;
}

static struct table_node *same_hash(struct table_node *node, uint64_t hash) {
        while (node && node->hash != hash)
                node = node->next;
        return node;
}

struct table_node *table_first(const struct table *t, uint64_t hash) {
        return same_hash(t->buckets[hash & t->mask], hash);
}

struct table_node *table_next(const struct table_node *node) {
        return same_hash(node->next, node->hash);
}
