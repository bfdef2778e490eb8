/* SPDX-License-Identifier: MIT */
/*
 * Where a process is alone: in namespaces of its own, with a root that has nothing in it.
 */
#pragma once

#include <stdbool.h>

/*
 * Makes the namespaces of SANDBOX_CLONE_FLAGS, our uid and gid mapped to themselves.  0 or a
 * negative errno.
 */
int sandbox_root_unshare(void);

/*
 * Whether our user namespace is one of a single user, as sandbox_root_unshare() and sbsupervisor
 * make them: nobody's root is emptied by mistake.
 */
bool sandbox_root_is_prepared(void);

/*
 * In a mount namespace of our own: all of it goes, and an empty directory that cannot be written
 * takes its place.  By pivot_root(2): what chroot(2) hides is still there.  0 or a negative errno.
 */
int sandbox_root_empty(void);
