/* SPDX-License-Identifier: MIT */
/*
 * Who holds the bus's memory, when it is too much: each connection answers for the
 * message that it has not finished and for the signals that it does not read.  What
 * others sent it is no reason to close it as long as it reads, and cannot fill the bus
 * (LIMIT_UNREAD_BYTES).
 */
#pragma once

#include <stdbool.h>

struct connection;
struct router;

/*
 * The connection that holds most and may be closed for it: never sbportal's or the
 * supervisor's.  If some are late, of those.  NULL: nobody holds anything.  Looks at every
 * connection; for a bus that is over LIMIT_BUS_BYTES.
 */
struct connection *holder_of_most(struct router *r);

/* It began a message LIMIT_UNFINISHED_MS ago, and could have ended it, but has not. */
bool holder_is_late(const struct connection *c);
/*
 * Of those for whom something has waited for LIMIT_STALL_SECONDS the one with most to read; for
 * a bus that has no room for what clients send one another.  Likewise.
 */
struct connection *holder_that_hangs(struct router *r);
/* Of those that have taken no descriptor for so long the one with most of them.  Likewise. */
struct connection *holder_of_fds(struct router *r);
