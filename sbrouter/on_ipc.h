/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's messages: the bus's configuration first, then sockets, peers and
 * the private bus's pid in any order.
 */
#pragma once

struct router;

/*
 * Adds the channel at take_fd to the router's loop.  When the supervisor hangs up
 * the loop stops; a breach of its protocol ends the loop with -EPROTO.  0 or -errno.
 */
int on_ipc_start(struct router *r, int take_fd);
