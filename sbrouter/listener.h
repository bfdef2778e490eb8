/* SPDX-License-Identifier: MIT */
/*
 * A listening socket: who may connect through it, and how many at a time may be
 * half way through authentication: one more ends the oldest.  The count is per
 * listener, so that a guest's flood does not end the person's own tools.
 */
#pragma once

#include <stdint.h>

#include "sbrouter/list.h"
#include "sbrouter/loop.h"

struct router;

struct listener {
        struct loop_source source;
        struct router *router;
        struct list link;
        uint32_t flags; /* IPC_LISTEN_* */
        uint32_t cid;
        unsigned n_half_open;
        unsigned n_accepts;   /* how many of those that wait are taken in a turn */
        uint64_t ready_turn;  /* the loop's, when somebody last waited */
        unsigned n_refused;   /* and not logged */
        uint64_t quiet_until; /* ms: no line about those before */
};

/*
 * Takes fd, also on failure; the router owns the listener.  0 or a negative errno:
 * -EINVAL when fd would block, for one accept4() too many would then stop the bus.
 */
int listener_new(struct router *r, int take_fd, uint32_t flags, uint32_t cid);
struct listener *listener_free(struct listener *l);
