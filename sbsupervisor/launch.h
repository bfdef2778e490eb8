/* SPDX-License-Identifier: MIT */
/*
 * What each process is started with: path, arguments, environment, descriptors.
 * proc_rows' prepare() and started() functions are here.
 */
#pragma once

#include "sbsupervisor/procs.h"

/* The program of row: from its environment variable, SIDEBUS_LIBEXECDIR, or the build.  New. */
char *launch_path(const struct proc_row *row);

void launch_arg(struct launch *l, const char *arg);
int launch_environment(struct supervisor *s, const struct proc_row *row, struct launch *l);
void launch_done(struct launch *l);
