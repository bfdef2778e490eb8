/* SPDX-License-Identifier: MIT */
/*
 * The process object: its three channels, its configuration and the calls in flight.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/limits.h"
#include "ipc/ipc.h"
#include "sbportal/availability.h"
#include "sbportal/bus_source.h"
#include "sbportal/flood.h"
#include "sbportal/guest_log.h"
#include "sbportal/notifications.h"

struct call;
struct session;

struct translator {
        sd_event *event;
        struct ipc_chan ipc;
        sd_event_source *ipc_source;

        /* PORTAL_CONFIG */
        bool configured;
        bool pass_windows;
        char machine_id[33];
        char *documents; /* where the guest sees the documents: absolute path */
        int vm_fd, gate_fd;

        struct bus_source vm, gate;
        unsigned names_asked; /* of the names on the VM's bus: so many */
        bool names_settled, ready;

        /* At most so many, so that looking through them all is as fast as an index. */
        struct call *calls[LIMIT_REQUESTS_VM];
        struct session *sessions[LIMIT_SESSIONS_VM];
        struct availability availability;
        struct flood flood;
        struct notifications notifications;
        unsigned presses;     /* of buttons, whose program is not known yet */
        uint32_t last_cookie; /* of org.freedesktop.ScreenSaver */
        struct guest_log log;
};

/* ipc_fd: our end of the supervisor's channel, taken.  t is then fit for translator_done(). */
int translator_init(struct translator *t, int take_ipc_fd);
void translator_done(struct translator *t);

/* Starts both connections and queues the first messages; reads nothing. */
int translator_connect(struct translator *t);
/* Runs until a channel is gone: the exit code, or a negative errno. */
int translator_run(struct translator *t);

/* Ends the process: our own failure r in a handler.  Returns what a filter must return. */
int translator_fail(struct translator *t, int r, const char *what);

/* on_ipc.c: waits for PORTAL_CONFIG.  0, or not (logged). */
int on_ipc_wait_config(struct translator *t);
/* Watches the channel: its end is the end of the process. */
int on_ipc_attach(struct translator *t);

/* on_vm.c, on_gate.c: the filters, and the first messages. */
int on_vm_attach(struct translator *t);
int on_gate_attach(struct translator *t);
