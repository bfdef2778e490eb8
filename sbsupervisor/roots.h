/* SPDX-License-Identifier: MIT */
/*
 * Which directories of this person some VM may write into.
 *
 * A guest can plant a symlink in a directory document it may write; so a path the
 * person picks later, in whatever VM's dialog, must not follow one there.  The list is
 * the person's, not the VM's: a file per VM, named by its application id, in
 * $XDG_STATE_HOME/sidebus/.writable-roots/.  A directory is listed before it is granted
 * and stays listed: a symlink outlives the grant that let it be made.
 */
#pragma once

#include "sbsupervisor/privops.h"

struct roots {
        char *dir;
        char *file; /* ours in dir */
};

int roots_open(struct roots *r, const char *app_id);
void roots_done(struct roots *r);

/* Lists path (absolute, real).  0 also when it is there already. */
int roots_add(struct roots *r, const char *path);

/* The listed directories of all VMs that exist now.  Free ret->v. */
int roots_load(const struct roots *r, struct privop_roots *ret);
