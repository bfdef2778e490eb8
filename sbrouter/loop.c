/* SPDX-License-Identifier: MIT */
#include "sbrouter/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

#include "common/cleanup.h"

/* Enough that a busy bus is served in one turn, small enough for the stack. */
#define EVENTS_PER_TURN 64

static uint64_t read_clock(void) {
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int loop_init(struct loop *l) {
        l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (l->epoll_fd < 0)
                return -errno;
        l->now = read_clock();
        l->turn = l->first = 0;
        l->n_events = 0;
        l->stop = false;
        return 0;
}

void loop_done(struct loop *l) {
        l->epoll_fd = fd_close(l->epoll_fd);
}

static int control(struct loop *l, int op, struct loop_source *s, uint32_t events) {
        struct epoll_event ev = {.events = events, .data.ptr = s};

        if (epoll_ctl(l->epoll_fd, op, s->fd, &ev) < 0)
                return -errno;
        s->events = events;
        return 0;
}

int loop_add(struct loop *l, struct loop_source *s, uint32_t events) {
        return control(l, EPOLL_CTL_ADD, s, events);
}

int loop_change(struct loop *l, struct loop_source *s, uint32_t events) {
        return s->events == events ? 0 : control(l, EPOLL_CTL_MOD, s, events);
}

void loop_remove(struct loop *l, struct loop_source *s) {
        if (s->fd >= 0)
                (void)control(l, EPOLL_CTL_DEL, s, 0);
        s->fd = -1;
}

void loop_forget(struct loop_source *s) {
        s->fd = -1;
}

static int hand_out(struct loop *l, struct epoll_event *events, unsigned n) {
        uint64_t first = l->first;
        int r = 0;

        l->n_events = n;
        for (unsigned i = 0; i < n && r >= 0; i++) {
                struct epoll_event *e = &events[(first + i) % n];
                struct loop_source *s = e->data.ptr;

                if (s->fd >= 0) /* an earlier event of this turn may have removed it */
                        r = s->fn(s, e->events);
        }
        l->n_events = 0;
        return r < 0 ? r : 0;
}

int loop_run(struct loop *l, int (*turn)(void *self), void *self) {
        while (!l->stop) {
                struct epoll_event events[EVENTS_PER_TURN] _uninitialized_;
                int n, r, timeout = turn(self);

                if (timeout < -1)
                        return timeout;
                n = epoll_wait(l->epoll_fd, events, EVENTS_PER_TURN, timeout);
                if (n < 0 && errno != EINTR)
                        return -errno;
                l->now = read_clock();
                l->turn++;
                r = hand_out(l, events, n > 0 ? (unsigned)n : 0);
                if (r < 0)
                        return r;
        }
        return 0;
}
