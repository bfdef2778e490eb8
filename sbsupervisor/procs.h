/* SPDX-License-Identifier: MIT */
/*
 * The processes of one instance: a row says what each is, what must be ready before it,
 * how it becomes ready, and what its death means.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "ipc/ipc.h"
#include "sbsupervisor/child_log.h"
#include "sbsupervisor/privops.h"

enum proc_id {
        PROC_PRIVATE_ROUTER,
        PROC_PERMISSION_STORE,
        PROC_DOCUMENT_PORTAL,
        PROC_VIRTIOFSD,
        PROC_VM_ROUTER,
        PROC_PORTAL,
        PROC_N
};

enum proc_ready {
        PROC_READY_IPC,  /* it says so on its channel */
        PROC_READY_BUS,  /* our own connection to it listens */
        PROC_READY_NAME, /* it owns bus_name on the private bus; and answers, where asked */
        PROC_READY_EXEC, /* it runs: what it serves was opened for it */
};

enum proc_death {
        PROC_DEATH_STOP,    /* ends the instance; the unit starts it anew */
        PROC_DEATH_RESTART, /* ends when its user does, and is started for the next one */
};

struct supervisor;

/* What a row's prepare() fills in, and lets go of in launch_done(). */
#define LAUNCH_MAX_STRINGS 24
struct launch {
        const char *argv[LAUNCH_MAX_STRINGS];
        const char *envp[LAUNCH_MAX_STRINGS];
        unsigned n_argv, n_envp;
        char *owned[LAUNCH_MAX_STRINGS];
        unsigned n_owned;
        int fds[PRIVOP_MAX_FDS];
        unsigned n_fds; /* all are the launch's to close */
};

struct proc_row {
        const char *name;        /* in logs */
        const char *program;     /* in LIBEXECDIR, or an absolute path */
        const char *path_env;    /* overrides program; NULL: only LIBEXECDIR does */
        const char *package;     /* where Debian has it; NULL: ours */
        enum ipc_role role;      /* ours: which end of the channel; else IPC_SUPERVISOR */
        enum proc_id after;      /* PROC_N: nothing */
        enum proc_ready ready;
        const char *bus_name;    /* PROC_READY_NAME */
        enum proc_death on_death;
        bool in_documents_ns;    /* ours are each in namespaces of their own */
        uint64_t capabilities;   /* PRIVOP_CAPABILITY() of the namespace it lives in */
        bool optional;           /* runs without, when it is not installed */
        int (*prepare)(struct supervisor *s, struct launch *l);
        int (*started)(struct supervisor *s); /* the process runs; NULL: nothing to do */
        int (*named)(struct supervisor *s);   /* it owns its name; NULL: that makes it ready */
};

extern const struct proc_row proc_rows[PROC_N];

struct proc {
        bool breached; /* it is killed for what has been said */
        struct supervisor *supervisor;
        enum proc_id id;
        pid_t pid; /* 0: not running */
        int pidfd;
        bool said_ready;    /* on its channel */
        bool ready, absent; /* absent: optional and not there; counts as ready */
        struct ipc_chan chan; /* .fd -1: none */
        struct child_log log;
        sd_event_source *exit_source, *ipc_source, *restart;
        uint64_t started_usec; /* CLOCK_MONOTONIC */
        uint64_t restart_usec; /* the last delay before a restart; doubles while it does not live */
        unsigned short_services; /* lives in a row that were short and ended with status 0 */
};

/* Starts it; its death and its channel are watched from here on.  0 or a negative errno, logged. */
int proc_start(struct supervisor *s, enum proc_id id);

/*
 * Ends it: its channel is closed (ours take that as the order to exit) or it gets SIGTERM;
 * after grace_ms it is killed.  Blocks until it is gone.
 */
void proc_stop(struct proc *p, int grace_ms);

/*
 * What it talks to us on is at an end, or it broke the protocol there: it is killed, and its exit ends
 * the instance.  said: the log has what it is killed for, or why is that line; a kill is no news then.
 * Else its exit tells: who hung up by dying keeps the cause of its death, whatever is sent after it.
 */
void proc_breach(struct proc *p, const char *why, bool said);

/* Reaps it and forgets everything about the running process. */
void proc_forget(struct proc *p);
