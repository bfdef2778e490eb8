/* SPDX-License-Identifier: MIT */
/*
 * Landlock: nothing of any file system, no TCP, and none of the abstract sockets and no signal
 * outside; as much of that as this kernel's version has.
 */
#pragma once

/* 1 or more; or a negative errno: this kernel has none. */
int sandbox_landlock_abi(void);

/* For good, for this process and what comes of it.  0 or a negative errno. */
int sandbox_landlock_deny_all(void);

/*
 * The same, but files below the directory dir (-1: none) can be removed, and abstract sockets be
 * reached: the service manager's may be one.
 */
int sandbox_landlock_deny_but(int dir);
