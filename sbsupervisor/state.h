/* SPDX-License-Identifier: MIT */
/*
 * What is kept of a VM between two runs: its state directory, with its ids and what the document
 * portal's daemons remember.  Of a disposable VM nothing is kept: the directory goes at a stop, and
 * what a killed instance left of it goes at the next start.
 *
 * Only a directory that was empty becomes one; it is removed file by file, each as what it was
 * made.
 * The lists of writable directories are not in it and stay (roots.h).
 */
#pragma once

#include <stdint.h>

#include "sbsupervisor/config.h"

struct state {
        const struct config *config; /* borrowed */
        int lock_fd;
        char app_id[APP_ID_MAX + 1];
        uint8_t machine_id[16]; /* the VM's, as D-Bus Peer.GetMachineId tells it */
};

enum {
        STATE_E_RUNNING = 1, /* another process has it (logged) */
};

/* Makes or takes it, reads or makes the VM's ids.  0, STATE_E_*, or a negative errno; logged. */
int state_open(struct state *s, const struct config *c);

/* Lets it go; removes that of a disposable VM. */
void state_close(struct state *s);

/* Of a disposable VM: removes what a killed instance left.  As state_open(). */
int state_cleanup(const struct config *c);
