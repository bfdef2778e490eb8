/* SPDX-License-Identifier: MIT */
/*
 * Room for descriptors on their way: in our queues, where they are open in this process,
 * and sent but not received, where the kernel counts them against our user and in the end
 * takes no more (ETOOMANYREFS).  Who does not read takes the room of his own share only.
 */
#pragma once

#include <stdbool.h>

struct connection;

/*
 * Whether n more may be queued for c: below LIMIT_QUEUE_FDS, and within c's share of
 * LIMIT_BUS_FDS.  One who has none unread gets a whole message's as long as there is room.
 */
bool fd_room_for(struct connection *c, unsigned n);
/* Too many came with unfinished messages: who holds the most of them goes. */
void fd_room_enforce(struct connection *c);
