/* SPDX-License-Identifier: MIT */
/*
 * One direction of a relayed stream: bytes from one socket to another, unchanged.
 *
 * What was read and could not be written at once is kept, and nothing more is read
 * until it is written: at most LIMIT_AGENT_BUFFER bytes, and none at all while the
 * receiver keeps up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flow {
        uint8_t *data; /* not yet written: data[off..n); NULL when nothing is */
        size_t off, n;
        bool eof;    /* the source ended */
        bool shut;   /* and the receiver was told */
        bool broken; /* the receiver takes nothing any more: what is left is dropped */
};

void flow_done(struct flow *f);

/* Bytes that come before those of the source.  0 or -ENOMEM. */
int flow_put(struct flow *f, const void *data, size_t n);

/*
 * Writes what is kept, else reads once (into scratch) and writes that; tells the
 * receiver when the source has ended.  Never blocks.  ret_moved says whether anything
 * happened.  0 or a negative errno.
 */
int flow_move(struct flow *f, int from, int to, void *scratch, size_t n_scratch, bool *ret_moved);

/* The receiver is gone. */
void flow_break(struct flow *f);

static inline bool flow_wants_read(const struct flow *f) {
        return !f->eof && !f->broken && !f->data;
}

static inline bool flow_wants_write(const struct flow *f) {
        return !f->broken && f->data;
}

static inline bool flow_ended(const struct flow *f) {
        return f->broken || f->shut;
}
