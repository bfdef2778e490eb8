/* SPDX-License-Identifier: MIT */
/*
 * What sbsupervisor says to the programs that it starts, on their command lines.
 */
#pragma once

#include "common/options.h"
#include "common/sandbox.h"

/* Where a program has options of its own, the first member of what its table fills in. */
struct child_options {
        int ipc_fd; /* -1: none was given */
        enum sandbox_place place;
        unsigned waived; /* of SANDBOX_* */
};

/* A descriptor that is open; from here on it is this program's alone. */
int child_options_set_ipc_fd(void *self, const char *value);
int child_options_set_in_namespaces(void *self, const char *value);
int child_options_set_waive(void *self, const char *value);

/* The rows of an option table. */
#define CHILD_OPTION_ROWS                                                                          \
        {"ipc-fd", "N", "descriptor of the supervisor's channel", child_options_set_ipc_fd},       \
        {"in-namespaces", NULL, "the supervisor has made the namespaces to live in",               \
         child_options_set_in_namespaces},                                                         \
        {"waive", "LAYERS", "parts of the sandbox to do without, as in sidebus.conf(5)",           \
         child_options_set_waive}
