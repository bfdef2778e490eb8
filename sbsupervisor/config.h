/* SPDX-License-Identifier: MIT */
/*
 * What the person decided about one VM: command line over configuration file over
 * defaults.  A setting is one row of a table, reachable by its option, its key, or both.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/address.h"
#include "sbsupervisor/policy.h"
#include "sbsupervisor/print.h"
#include "sbsupervisor/vm_name.h"

#define CONFIG_MAX_LISTEN 8

struct config {
        char *vm;
        char *label; /* what dialogs call the VM; default: its name */
        char *file;  /* --config, or the default path when that exists */
        char *runtime_dir, *state_dir, *debug_dir;
        char *guest_documents;
        struct address listen[CONFIG_MAX_LISTEN];
        unsigned n_listen;
        uint32_t cid; /* of the VM; 0: not given */
        uint32_t guest_uid, guest_gid; /* who owns the documents in the guest */
        bool disposable; /* nothing of it is kept after a stop */
        bool read_only;  /* [Documents] Open=read */
        bool advertise_tag; /* virtiofsd tells the VMM the share's tag */
        bool pass_windows;
        bool descriptors; /* who connects to a unix: address itself may pass descriptors */
        unsigned dialogs;                /* [Limits]: that may be open at once */
        unsigned dialogs_per_minute, notifications_per_minute;
        unsigned waived; /* [Sandbox] Waive=: SANDBOX_* */
        struct policy policy; /* [Portals]; its answers are for whoever reads them to set */
        const char *source; /* while the file is read: "FILE:LINE: ", for messages */
        bool cleanup;       /* --cleanup: remove what a killed instance left, and exit */
        const struct print_format *print; /* --print: say how the VMM is started, and exit; or NULL */
};

enum {
        CONFIG_E_INVALID = 3, /* beside OPTIONS_E_*: the configuration is wrong, not the command line */
};

void config_done(struct config *c);

/*
 * Fills c from argv and the file.  0; OPTIONS_E_DONE, OPTIONS_E_USAGE, CONFIG_E_INVALID; or a
 * negative errno.
 * Everything wrong is logged: the option, or the file with line and key, and what would be right.
 */
int config_load(struct config *c, int argc, char **argv);
