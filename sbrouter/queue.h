/* SPDX-License-Identifier: MIT */
/*
 * What waits to be sent to one connection, and the pieces it is made of.
 *
 * Small messages are copied one behind the other into segments, so that a turn's
 * output for a connection leaves with one system call.  Large bodies are blobs,
 * shared by reference between the receive side and all receivers.  Descriptors
 * ride on the first byte of the segment that their message starts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "sbrouter/share.h"

/* Bytes with a reference count. */
struct blob {
        unsigned ref;
        bool queued; /* some queue has it: counted in the pool's queued */
        size_t cap;
        uint8_t data[];
};

/* Descriptors with a reference count: closed with the last reference. */
struct fd_list {
        unsigned ref, n;
        int fds[];
};

struct segment;

/* Segments come in two sizes: most queues hold a message or two, some hold a hundred. */
enum {
        SEGMENT_SMALL,
        SEGMENT_LARGE,
        SEGMENT_N_SIZES
};

#define SPARE_BLOBS 8u

/* Spare pieces, one pool per router. */
struct queue_pool {
        struct {
                struct segment *first;
                unsigned n;
        } spare[SEGMENT_N_SIZES];
        struct blob *blobs[SPARE_BLOBS]; /* the last one that was used is last */
        unsigned n_blobs;
        size_t spare_bytes; /* of these */
        size_t bytes;       /* of all pieces that are in use, not of spare ones */
        unsigned n_fds;     /* unread: in all queues, and sent from them */
        size_t queued;      /* of those, of what lies in queues; a body that many share counts once */
};

struct queue {
        struct segment *head, *tail;
        size_t bytes;  /* to be sent */
        size_t memory; /* that its pieces and shares take; what others have, too, is counted whole */
        unsigned n_fds;
        unsigned n_sent_fds, most_sent_fds; /* not known to be received; the most with one message */
        struct shares shares; /* whose bytes they are */
};

enum {
        QUEUE_E_AGAIN = 1, /* the socket is full: wait for writability */
        QUEUE_E_GONE,      /* nobody will read this any more */
        QUEUE_E_FDS,       /* the kernel holds too many unread ones of us to take the head's */
};

void queue_pool_done(struct queue_pool *p);
/* Gives what is spare, and all else that malloc() keeps, back to the kernel. */
void queue_pool_trim(struct queue_pool *p);

/*
 * Room for cap bytes now, and for expected (>= cap) in the end.  It may come with
 * more room, but never with more than twice expected: else small bodies that lie
 * in large spares would make a queue's memory many times what it is charged for.
 * NULL: out of memory.
 */
struct blob *blob_new(struct queue_pool *p, size_t cap, size_t expected);
/* Makes room for cap bytes; the content stays.  Only with one reference.  0 or -ENOMEM. */
int blob_grow(struct blob **b, struct queue_pool *p, size_t cap);
struct blob *blob_ref(struct blob *b);
struct blob *blob_unref(struct blob *b, struct queue_pool *p);

/* Takes the descriptors on success; NULL: out of memory, and they are still the caller's. */
struct fd_list *fd_list_new(const int *take_fds, unsigned n);
struct fd_list *fd_list_ref(struct fd_list *l);
struct fd_list *fd_list_unref(struct fd_list *l);
DEFINE_CLEANUP(struct fd_list *, fd_list_unref);

/* Whoever appends n bytes first says whose they are, as share.h has it.  0 or -ENOMEM. */
int queue_charge(struct queue *q, struct queue_pool *p, uint64_t sender, size_t n);
/*
 * n contiguous bytes at the queue's end for the caller to fill; then queue_commit()
 * with what was used of it.  fds (NULL: none) are referenced.  NULL: out of memory.
 */
uint8_t *queue_reserve(struct queue *q, struct queue_pool *p, size_t n, struct fd_list *fds);
void queue_commit(struct queue *q, size_t n);
/* Appends bytes of b by reference.  0 or -ENOMEM. */
int queue_push_blob(struct queue *q, struct queue_pool *p, struct blob *b, size_t off, size_t n);

/*
 * Sends what fd takes now.  0: all of it; QUEUE_E_*; or a negative errno.
 */
int queue_flush(struct queue *q, struct queue_pool *p, int fd);
/* The bytes at the head, which are contiguous up to *ret_n; NULL: there are none. */
const uint8_t *queue_head(const struct queue *q, size_t *ret_n);
/* Throws the first n bytes away, and their descriptors. */
void queue_drop(struct queue *q, struct queue_pool *p, size_t n);
/* Only n of the descriptors that were sent may still be unread. */
void queue_received(struct queue *q, struct queue_pool *p, unsigned n);
void queue_done(struct queue *q, struct queue_pool *p);
