/* SPDX-License-Identifier: MIT */
/*
 * The bus's memory: how much there may be, and what happens when it is used up.
 *
 * How much one receiver has to read is counted in bytes to be sent, and whose they are
 * (share.h); connection_send() looks at that.  How much the whole bus holds is counted in
 * memory as it was allocated, by the pool that all pieces come from (queue.h): what lies
 * beside a message is counted, and what many receivers share is counted once.
 *
 * - A turn ends when it has taken LIMIT_TURN_BYTES more: what it made is sent before
 *   anything else is read, and before the next of the dead is said to be gone.
 * - Over LIMIT_UNREAD_BYTES in queues clients send one another only what is little.  So
 *   that cannot fill the bus, and nobody is closed for it but who lets much wait for long.
 * - Over LIMIT_BUS_BYTES nothing is read from anybody.  If others read so much of what waits
 *   for them that it becomes less, that is all; if not, the largest holder goes, of what a
 *   connection answers for itself (holder.h), once no large message is being checked.  How
 *   much is enough grows each time that it was not enough to make room: who reads just so much
 *   does not hold up the others for long.
 * - Over LIMIT_BUS_BRIM nothing is queued any more.  No client's message leads there: it is
 *   for what this list has forgotten.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct router;

struct room {
        size_t ceiling;    /* of the pool's bytes: above it nothing more is read in this turn */
        uint64_t short_since; /* ms: nothing is read since then; 0: it is not short */
        uint64_t short_at; /* ms: it was found short then, and that is borne so far; 0: it is not */
        size_t sent;       /* bytes that left, since then */
        unsigned n_borne;  /* so often it was, and is so again; */
        uint64_t eased_at; /* ms: until it was not short for a while after this */
        bool paused;       /* some are not listened to because of that */
        size_t peak;       /* of the pool's bytes, since memory was given back */
        uint64_t trim_at;  /* ms: when it is, next; 0: there is too little */
};

/* The next turn, or the next part of this one, may take LIMIT_TURN_BYTES. */
void room_open(struct router *r);
/* Whether this turn may take more memory for what is said on the bus. */
bool room_is_left(const struct router *r);
/* Over LIMIT_BUS_BYTES. */
bool room_is_short(const struct router *r);
/* Over LIMIT_BUS_BRIM: a standalone bus may have more connections, and has more for these. */
bool room_is_over(const struct router *r);
/* Closes whom a bus without room cannot bear.  What can be sent must have been. */
void room_enforce(struct router *r);

/* c has something to say, and no room is left.  0 or a negative errno. */
int room_put_off(struct router *r, struct connection *c);
/* Listens to those again, if room is not short any more.  0 or a negative errno. */
int room_resume(struct router *r);

/* There may be less from here on. */
void room_note_peak(struct router *r);
/* Gives memory that was needed and is not any more back to the host, when it is time. */
void room_trim(struct router *r);
