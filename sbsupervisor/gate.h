/* SPDX-License-Identifier: MIT */
/*
 * The gate: what sbportal may have of the host (docs/PROTOCOL.gate.md).
 *
 * sbportal has no session bus.  It speaks D-Bus to this end of a socketpair, and what is
 * not in the portal table, on the portal's path or on a request it opened here, does not
 * pass.  Every body is written anew from the table's row, in both directions.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "common/limits.h"
#include "sbsupervisor/crowd.h"
#include "sbsupervisor/documents.h"
#include "sbsupervisor/host.h"
#include "sbsupervisor/host_version.h"
#include "sbsupervisor/inlet.h"
#include "sbsupervisor/journal.h"
#include "sbsupervisor/notification.h"
#include "sbsupervisor/spool.h"

struct asks;
struct policy;
struct request;
struct session;

struct gate {
        sd_bus *bus;        /* our end of sbportal's socketpair: we are the server */
        struct inlet inlet; /* what it reads of sbportal comes through this */
        struct host *host;
        struct documents *documents;
        const struct config *config;
        const struct policy *policy;
        struct asks *asks;
        struct request *requests[LIMIT_REQUESTS_VM];
        struct session *sessions[LIMIT_SESSIONS_VM];
        struct host_versions versions;
        struct crowd crowd;
        struct notifications notifications;
        struct spool spool;
        unsigned n_forwarded;              /* calls under way that are no requests */
        struct log_budget budget;          /* of lines that sbportal, so the guest, can cause */
        void (*on_breach)(void *userdata, bool said); /* sbportal is gone, or does not keep to the gate; said: that is in the log */
        void *userdata;
};

/* What the gate stands on: borrowed, all of it. */
struct gate_world {
        struct host *host;
        struct documents *documents;
        const struct config *config;
        const struct policy *policy;
        struct asks *asks;
};

/* take_fd: our end of the socketpair.  g's on_breach is set; everything else is made here. */
int gate_open(struct gate *g, sd_event *event, int take_fd, const struct gate_world *world);

/* The host portal is gone: what waits for it is answered, what it held has ended. */
void gate_portal_lost(struct gate *g);
/* A signal of the host portal to us alone, or to all. */
void gate_host_signal(struct gate *g, sd_bus_message *m);
void gate_host_broadcast(struct gate *g, sd_bus_message *m);

/* Closes what is open on the host. */
void gate_done(struct gate *g);
