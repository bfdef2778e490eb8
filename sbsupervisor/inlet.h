/* SPDX-License-Identifier: MIT */
/*
 * What may come in on a stream of D-Bus messages, before sd-bus reads it.
 *
 * sd-bus takes memory for a whole message, up to 128 MiB, before anybody can look at it, and who
 * holds a call to answer it later holds all of that.  So a peer that is not believed is read here:
 * each message, with its descriptors, goes on to sd-bus when it is complete, and one that
 * announces more than the limit ends the peer before memory is taken for it.  What sd-bus finds no
 * message it drops without a word, and forgets to close its descriptors: so the next one waits
 * until its reader has said that it got this one, and one that is not said ends the peer, too.
 */
#pragma once

#include <systemd/sd-event.h>

#include "common/limits.h"
#include "sbsupervisor/frame.h"

/* The last line of the handshake, as a client says it and as a server that agrees to descriptors.
 */
#define INLET_FROM_CLIENT "\r\nBEGIN\r\n"
#define INLET_FROM_SERVER "\r\nAGREE_UNIX_FD\r\n"

/*
 * The peer broke the form: it has sent why.  Or error, a negative errno, and we cannot go on.
 * Nothing more of it is read.
 */
typedef void (*inlet_breach_t)(void *userdata, int error, const char *why);

/* What has been passed on, and has to arrive before the next is read. */
enum inlet_awaits {
        INLET_AWAITS_NOTHING,
        INLET_AWAITS_HANDSHAKE, /* sd-bus would leave a message lie that it reads with the last line
                                 */
        INLET_AWAITS_MESSAGE,
};

struct inlet {
        int from; /* the peer's stream */
        int to;   /* what sd-bus reads at the other end */
        sd_event_source *readable, *writable;
        sd_event_source *idle; /* sd-bus has done all that it could */
        enum inlet_awaits awaits;
        bool takes_fds, passing_handshake;
        struct handshake handshake;
        uint8_t *data;              /* the message, or piece of the handshake, that is being read */
        uint64_t n, size;           /* what is there of it, and how much it will be */
        uint64_t n_handshake;       /* bytes of it so far */
        uint64_t n_sent;            /* of a complete message */
        int fds[LIMIT_MESSAGE_FDS]; /* that came with it */
        unsigned n_fds;
        inlet_breach_t on_breach;
        void *userdata;
};

/*
 * fd: the peer's stream, borrowed: its writing side stays the caller's.  *ret_fd: the caller's, to
 * be read in its place, from event, with normal priority.  takes_fds: each message that arrives is
 * said to inlet_delivered(); without, a descriptor is a breach.
 */
int inlet_open(struct inlet *i, sd_event *event, int fd, const char *last_line, bool takes_fds,
               inlet_breach_t on_breach, void *userdata, int *ret_fd);
void inlet_delivered(struct inlet *i);
/* Also of one that is zeroed, or could not be opened. */
void inlet_close(struct inlet *i);
