/* SPDX-License-Identifier: MIT */
/*
 * Whether the guest still knows its vsock streams.
 *
 * A guest that is reset, or goes back to a snapshot, forgets its streams and tells nobody.
 * The host's kernel hears of it (a reset) when it next sends something, which on a stream
 * whose client waits for a dialog may be never.  So when a guest connects, a little is sent
 * on each of its other streams: a growing receive buffer, which is a packet of its own and
 * nothing that the guest's programs see.  Nothing is sent to a guest that is silent: packets
 * for one that is suspended would pile up in the kernel.
 */
#pragma once

#include <stdint.h>

struct router;

struct liveness {
        uint64_t last, due; /* ms: the last round; the next, 0: none is needed */
};

/* A stream came by vsock: the others are to be tried, soon. */
void liveness_expect(struct router *r);
/* Tries them when it is time. */
void liveness_work(struct router *r);
