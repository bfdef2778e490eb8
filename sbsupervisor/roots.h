/* SPDX-License-Identifier: MIT */
/*
 * Which directories of this person some VM may write into.
 *
 * A guest can plant a symlink in a directory document it may write; so a path the
 * person picks later, in whatever VM's dialog, must not follow one there.  The list is
 * the person's, not the VM's: a file per VM, named by its application id, in
 * $XDG_STATE_HOME/sidebus/.writable-roots/.  A directory is listed before it is granted
 * and stays listed: a symlink outlives the grant that let it be made.
 *
 * A line holds the directory's device and inode beside its path, so the person may rename
 * it, or what is above it.  Not covered: a subdirectory that is moved out of a listed
 * directory; a directory that is renamed and whose device number changes, too (a reboot,
 * with btrfs or removable disks); a copy.  A list that cannot be read or understood stops all
 * exports.
 */
#pragma once

#include "sbsupervisor/privops.h"

struct roots {
        char *dir;
        char *file; /* ours in dir */
};

int roots_open(struct roots *r, const char *app_id);
void roots_done(struct roots *r);

/*
 * Lists the directory path (absolute, real), which is open as fd.  0 also when it is there
 * already; a negative errno, logged, and then the file is as it was.
 */
int roots_add(struct roots *r, const char *path, int fd);

/*
 * The listed directories of all VMs.  It looks at each path: to be called once per export, not
 * per file.  Free ret->v.  A negative errno, logged: nothing may be exported.
 */
int roots_load(const struct roots *r, struct privop_roots *ret);
