/* SPDX-License-Identifier: MIT */
/*
 * Room for descriptors on their way: in our queues, where they are open in this process,
 * and sent but not received, where the kernel counts them against our user and in the end
 * takes no more (ETOOMANYREFS).  Who does not read takes the room of his own share only.
 */
#pragma once

#include <stdbool.h>

struct connection;
struct router;

/*
 * Whether n more may be queued for c: below LIMIT_QUEUE_FDS, and within c's share of
 * LIMIT_BUS_FDS.
 */
bool fd_room_for(struct connection *c, unsigned n);
/* At the end of a turn: if there was no room, whoever holds most of it and takes none goes. */
void fd_room_settle(struct router *r);
/*
 * After each read: if too many came with messages that are not finished, or (apart) with those
 * that wait for their turn, who has the most of them goes; never sbportal or the supervisor.
 */
void fd_room_enforce(struct router *r);
