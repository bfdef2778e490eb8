/* SPDX-License-Identifier: MIT */
/*
 * The layers of a sandbox that a kernel may lack: their names, as the configuration waives them,
 * and what a person is told who has not.
 */
#pragma once

#include <stddef.h>

enum {
        SANDBOX_NAMESPACES = 1,
        SANDBOX_LANDLOCK = 2,
        SANDBOX_SECCOMP = 4,
        SANDBOX_ALL = 7,
};

enum {
        SANDBOX_LAYER_E_NAME = 1, /* there is no such layer, or too much text */
};

#define SANDBOX_LAYER_CHOICE "write some of namespaces, landlock and seccomp, with spaces between"

/* Where namespaces are refused: what to do, to end such a line. */
#define SANDBOX_NAMESPACES_REMEDY                                                                  \
        "allow them (sysctl user.max_*_namespaces, kernel.unprivileged_userns_clone=1, or "        \
        "kernel.apparmor_restrict_unprivileged_userns=0)"

/* What of a user namespace's own may be had with it; CLONE_NEWPID is for who starts another. */
#define SANDBOX_CLONE_FLAGS                                                                        \
        (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

/* Adds the layers of a list of names, with spaces between.  0, or SANDBOX_LAYER_E_NAME. */
int sandbox_layer_parse(const char *list, unsigned *layers);

const char *sandbox_layer_name(unsigned layer);

/* The names of layers, with ", " between them. */
const char *sandbox_layer_names(unsigned layers, char *buf, size_t size);

/*
 * Whether this kernel has each of layers; the namespaces show when they are made.  0, or a negative
 * errno after a line that names the first one it lacks.
 */
int sandbox_layer_check(unsigned layers);

/*
 * The one line about a layer that cannot be had: for whom, what to change, and how to do without.
 * error: an errno.  Returns -|error|.
 */
int sandbox_layer_refuse(const char *program, unsigned layer, int error);
