/* SPDX-License-Identifier: MIT */
/*
 * One program of the guest, from its connect() to its end.
 *
 *   SILENT ─▶ WAITING ─▶ CONNECTING ─▶ GREETING ─▶ RELAYING
 *                ▲            │            │
 *                └── failed ──┴────────────┤ refused, or waited too long
 *                                          ▼
 *                                      REFUSING ─▶ LINGERING
 *
 * The host hears of a client when its first byte is there: one that says nothing costs
 * the host nothing, and is the first to go when there is no more room.
 * Nothing is read from the client before the host has said OK, so when it does not,
 * the refusal (refusal.h) sees the client's stream from its first byte.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "common/limits.h"
#include "sbagent/flow.h"

struct agent;
struct refusal;

enum client_state {
        CLIENT_SILENT,     /* has not said anything yet */
        CLIENT_WAITING,    /* for the time of the next try */
        CLIENT_CONNECTING, /* for the end of connect() */
        CLIENT_GREETING,   /* for the host's answer to our line */
        CLIENT_RELAYING,
        CLIENT_REFUSING,  /* we play the bus */
        CLIENT_LINGERING, /* it was told; until it closes, or a little later */
        N_CLIENT_STATES,
};

struct client_end {
        int fd;
        sd_event_source *io;
        bool gone; /* hung up: it takes nothing any more */
};

struct client {
        struct agent *agent;
        size_t index; /* in agent->clients */
        enum client_state state;
        struct ucred credentials;
        struct client_end guest, host;
        struct flow up, down; /* guest to host, host to guest */
        bool probe;           /* this attempt is the one all others wait for */
        uint64_t deadline;    /* of its first byte, then of what comes before relaying; us */
        uint64_t progress;    /* when a byte was last moved */
        sd_event_source *timer;
        struct refusal *refusal;
        uint8_t answer[LIMIT_GREETING_LINE];
        size_t n_answer;
};

/* Takes the socket, also when it fails.  0 or a negative errno. */
int client_new(struct client **ret, struct agent *agent, int take_fd,
               const struct ucred *credentials);
/* Also takes it off the agent's list. */
void client_free(struct client *c);
/* If it waits and the host may be tried now, tries.  May free c. */
void client_try(struct client *c);
