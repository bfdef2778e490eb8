/* SPDX-License-Identifier: MIT */
/*
 * Intrusive chained hash tables and the hash they use.
 *
 * Guests choose many of the keys (names, match rules), so the hash is SipHash-1-3
 * with a key drawn at start: nobody can prepare keys that fall into one chain.
 * Equal keys may be many, and they do: so removal must not walk the chain.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct table_key {
        uint64_t k[2];
};

struct table_node {
        struct table_node *next;
        struct table_node **from; /* what points to this node: a bucket, or the next of another */
        uint64_t hash;
};

struct table {
        struct table_node **buckets;
        size_t mask; /* buckets - 1 */
        size_t n;
};

uint64_t table_hash(const struct table_key *key, const void *data, size_t n);

/* 0 or -ENOMEM. */
int table_init(struct table *t);
/* The nodes are their owners' to release. */
void table_done(struct table *t);

/* A table that cannot grow goes on with longer chains: insertion never fails. */
void table_insert(struct table *t, struct table_node *node, uint64_t hash);
/* In constant time, however long the chain. */
void table_remove(struct table *t, struct table_node *node);

/* First node with that hash, and the one after node: the caller compares the keys. */
struct table_node *table_first(const struct table *t, uint64_t hash);
struct table_node *table_next(const struct table_node *node);

#define TABLE_FOREACH_HASH(node, t, h)                                                             \
        for (struct table_node *node = table_first(t, h); node; node = table_next(node))

/* Every node; the body must not insert or remove. */
#define TABLE_FOREACH(node, t)                                                                     \
        for (size_t node##_i = 0; node##_i <= (t)->mask; node##_i++)                               \
                for (struct table_node *node = (t)->buckets[node##_i]; node; node = node->next)
