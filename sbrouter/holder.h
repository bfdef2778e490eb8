/* SPDX-License-Identifier: MIT */
/*
 * Who holds the bus's memory, when it is too much: each connection answers for the
 * message that it has not finished, for the signals that it does not read, and for
 * what it sent and others have not read yet.
 */
#pragma once

struct connection;
struct router;

/*
 * The connection that holds most and may be closed for it: never sbportal's or the
 * supervisor's, which also answer for nothing they sent.  NULL: nobody holds anything.
 * Takes time (connections and their senders); for a bus that is over LIMIT_BUS_BYTES.
 */
struct connection *holder_of_most(struct router *r);
