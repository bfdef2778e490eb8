/* SPDX-License-Identifier: MIT */
/*
 * A listening socket: who may connect through it, and how many at a time may be
 * half way through authentication.  One more ends the oldest, but only once that has had
 * LIMIT_HALF_OPEN_MS; until then nobody is accepted, and those that come wait in the
 * kernel, in their order.  So who waits, and then authenticates at once, is served, however
 * many connect and say nothing.  The count is per listener, so that a guest's flood does
 * not end the person's own tools.
 */
#pragma once

#include <stdbool.h>
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
        uint64_t accept_at;   /* ms: no accept4() before; 0: go on */
        bool crowded;         /* that is because of n_half_open */
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
/* Accepts again if it did not and may now.  0 or a negative errno. */
int listener_resume(struct listener *l);
