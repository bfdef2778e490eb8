/* SPDX-License-Identifier: MIT */
/*
 * Whose bytes wait in a queue: how many each sender has in it, in the order in
 * which they will leave.  PURE.
 *
 * Sender 0 stands for the receiver itself: what it subscribed to, and what the bus
 * tells it.  Everybody else is a connection's id; ids are never used again.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct share {
        uint64_t sender; /* 0: a free place */
        size_t bytes;
};

struct share_mark;

struct shares {
        struct share *of; /* the senders', in no order: a queue has few, and at most LIMIT_CONNECTIONS */
        uint32_t n, cap;
        struct share_mark *marks; /* a ring: runs of bytes of one sender, oldest at first */
        size_t first, n_marks, cap_marks;
        size_t own, lent; /* bytes of sender 0, and of all others */
};

/* n more bytes of sender at the end.  0 or -ENOMEM. */
int shares_add(struct shares *s, uint64_t sender, size_t n);
/* The n oldest bytes have left; that many must have been added. */
void shares_take(struct shares *s, size_t n);
/* Bytes of sender (not 0) that wait. */
size_t shares_of(const struct shares *s, uint64_t sender);
/* Bytes of memory that keeping account takes, beyond what each queue has for that; 0 when nothing waits. */
size_t shares_memory(const struct shares *s);
void shares_done(struct shares *s);
