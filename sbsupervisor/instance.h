/* SPDX-License-Identifier: MIT */
/*
 * The places on disk of one running instance: its runtime directory, which is gone
 * after a stop, and its state directory (state.h), which mostly stays.
 *
 * Every path name made outside the runtime directory is recorded in it first, so
 * that the next start, or --cleanup, can remove what a killed instance left.
 */
#pragma once

#include <stdbool.h>

#include "sbsupervisor/config.h"
#include "sbsupervisor/state.h"

#define INSTANCE_MAX_NAMES (CONFIG_MAX_LISTEN + 3) /* listeners, debug sockets, debug link */

struct instance {
        const struct config *config; /* borrowed */
        int lock_fd;                 /* of the runtime directory's "lock"; held while we live */
        struct state state;          /* open only while lock_fd is */
        char *names[INSTANCE_MAX_NAMES]; /* recorded: should the runtime directory vanish */
        unsigned n_names;
        char *private_dir;      /* the private bus's socket, "bus" */
        char *documents_dir;    /* XDG_RUNTIME_DIR of the document portal's daemons */
        char *share_dir;        /* documents_dir/doc/by-app/<app id>: what the guest sees */
};

enum {
        INSTANCE_E_RUNNING = 1, /* another process serves this VM (logged) */
};

/*
 * Makes both directories, takes their locks, sweeps what was left, and reads or makes the VM's
 * ids.  Refuses a directory that others may enter, a runtime directory that holds something and
 * not our lock, and the state of another VM.  0, INSTANCE_E_*, or a negative errno; all logged.
 */
int instance_open(struct instance *i, const struct config *c);

/* To be called before path (absolute; a socket or a symlink) is made. */
int instance_record(struct instance *i, const char *path);

/* Whether path is a symlink as the debug access has: into the root of one of our processes. */
bool instance_is_debug_link(const char *path);

/* Removes the recorded names and the runtime directory, and lets the lock go. */
void instance_close(struct instance *i);

/* --cleanup: what instance_close() does, for an instance that is dead.  As instance_open(). */
int instance_cleanup(const struct config *c);
