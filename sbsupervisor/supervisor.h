/* SPDX-License-Identifier: MIT */
/*
 * One instance: from nothing to READY=1, and back to nothing.
 */
#pragma once

#include <sys/resource.h>
#include <systemd/sd-event.h>

#include "sbsupervisor/ask.h"
#include "sbsupervisor/cid.h"
#include "sbsupervisor/config.h"
#include "sbsupervisor/documents.h"
#include "sbsupervisor/documents_view.h"
#include "sbsupervisor/gate.h"
#include "sbsupervisor/host.h"
#include "sbsupervisor/instance.h"
#include "sbsupervisor/procs.h"

/* --listen's, and --debug-access's two. */
#define SUPERVISOR_MAX_LISTENERS (CONFIG_MAX_LISTEN + 2)

struct listener {
        int fd;
        enum proc_id router;
        struct ipc_router_listen body;
};

struct supervisor {
        struct config config;
        struct rlimit files; /* RLIMIT_NOFILE of what is started */
        struct instance instance;
        struct cid_claim cid;
        sd_event *event;
        struct host host;
        struct documents documents;
        struct gate gate;
        struct remembered remembered; /* what the person allowed for good */
        struct asks asks;
        struct proc procs[PROC_N];
        struct listener listeners[SUPERVISOR_MAX_LISTENERS];
        unsigned n_listeners;
        int private_listener;            /* where the daemons connect */
        int virtiofs_listener;           /* where the VMM connects; -1: no share */
        struct documents_view view;      /* where the daemons live */
        int portal_bus_fd;               /* sbportal's end of the VM bus, until it has it */
        char *debug_link;                /* DIR/doc */
        sd_event_source *deadline;       /* of the start */
        unsigned told;                   /* the sum that STATUS= last showed */
        bool has_strangers; /* children that were there before any was started */
        bool serving, stopping;
};

/*
 * Runs the instance until it is told to stop.  s->config is loaded.  0 after a clean stop, else a
 * negative errno, logged; nothing is left running or lying about either way.
 */
int supervisor_run(struct supervisor *s);

/*
 * Something became ready: starts what waited for it, and serves once all are.  A failure is
 * logged and ends the instance; the result is for start() alone.
 */
int supervisor_advance(struct supervisor *s);

/* A process that must run does not. */
void supervisor_fail(struct supervisor *s);
