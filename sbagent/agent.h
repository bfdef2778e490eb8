/* SPDX-License-Identifier: MIT */
/*
 * The agent: its clients, what is known of the host, and the sockets on which
 * clients arrive.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "common/limits.h"
#include "sbagent/config.h"
#include "sbagent/host.h"
#include "sbagent/listener.h"

struct client;

struct agent {
        const struct config *config; /* borrowed */
        sd_event *event;             /* borrowed */
        struct host host;
        char reason[128]; /* of the last failure: ASCII, for error replies */
        struct client *clients[LIMIT_AGENT_CLIENTS];
        size_t n_clients;
        sd_event_source *accepting[LIMIT_AGENT_LISTENERS];
        size_t n_accepting;
        bool paused;             /* nothing is accepted: too many clients or descriptors */
        sd_event_source *resume; /* when that may be over */
        sd_event_source *retry;  /* when the host may be tried again */
        sd_event_source *report; /* when a change of the host's state may be told */
        enum host_state reported;
        uint64_t next_report;
        uint64_t quiet_until; /* of log lines that clients cause */
        uint64_t unsaid;      /* lines not logged since */
        /* What is read and can be written at once never needs memory of its own. */
        uint8_t scratch[LIMIT_AGENT_BUFFER];
};

/* Starts accepting.  0 or a negative errno; frees nothing of config, event, listeners. */
int agent_new(struct agent **ret, sd_event *event, const struct config *config,
              const struct listeners *listeners);
/* Ends every client. */
struct agent *agent_free(struct agent *a);
static inline void agent_freep(struct agent **a) {
        (void)agent_free(*a);
}

/* --- for client.c -------------------------------------------------------------------------- */
uint64_t agent_now(const struct agent *a); /* microseconds, CLOCK_MONOTONIC */
void agent_forget(struct agent *a, struct client *c);
/* An attempt ended: see host.h.  Waiting clients are told when they may go on. */
void agent_host_succeeded(struct agent *a);
void agent_host_failed(struct agent *a, bool probe, const char *reason);
void agent_host_hung_up(struct agent *a, bool probe, const char *reason);
void agent_host_busy(struct agent *a, bool probe);
void agent_host_abandoned(struct agent *a, bool probe);
/* Somebody waits for the host: makes sure that it is tried again. */
void agent_schedule_retry(struct agent *a);
/* May a line be logged that a client can cause at will?  One in ten seconds. */
bool agent_may_log(struct agent *a);
