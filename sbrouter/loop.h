/* SPDX-License-Identifier: MIT */
/*
 * The event loop: level-triggered epoll, one clock reading per turn.
 *
 * A turn is: wait, call each ready source once, then the turn function, which
 * flushes output, releases what ended and says how long the next wait may be.
 * Sources are embedded in their objects; an object may therefore be released only
 * in the turn function, never while the turn's events are being handed out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop_source {
        int fd;          /* borrowed; -1 when not in the loop */
        uint32_t events; /* EPOLL* waited for */
        /* 0, or a negative errno that ends the loop. */
        int (*fn)(struct loop_source *s, uint32_t events);
};

struct loop {
        int epoll_fd;
        uint64_t now;  /* ms of CLOCK_MONOTONIC, read once per turn */
        uint64_t turn; /* this one's number */
        uint64_t first; /* where the next begins, of those that are ready */
        unsigned n_events; /* so many are ready, while they are called; 0 in the turn function */
        bool stop;
};

int loop_init(struct loop *l);
void loop_done(struct loop *l);

/* 0 or a negative errno.  s->fd and s->fn are set by the caller. */
int loop_add(struct loop *l, struct loop_source *s, uint32_t events);
int loop_change(struct loop *l, struct loop_source *s, uint32_t events);
void loop_remove(struct loop *l, struct loop_source *s);
/*
 * The same for a descriptor that is closed next and has no duplicate anywhere: the kernel
 * forgets it then.
 */
void loop_forget(struct loop_source *s);

/*
 * Runs until l->stop or an error.  turn returns the longest next wait in ms, -1
 * for no bound, or less than -1: a negative errno (never -EPERM) that ends the loop.
 */
int loop_run(struct loop *l, int (*turn)(void *self), void *self);
