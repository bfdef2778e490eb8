/* SPDX-License-Identifier: MIT */
/*
 * Landlock: what a process may do to files, and to processes that are not shut in with it; as much
 * of that as this kernel's version has.
 */
#pragma once

/* 1 or more; or a negative errno: this kernel has none. */
int sandbox_landlock_abi(void);

/*
 * In each of them no process outside can be looked into, by ptrace(2) or in /proc; of the last two
 * a kernel before 6.12 has nothing.
 */
enum sandbox_landlock {
        SANDBOX_LANDLOCK_ALL,     /* nothing of any file system, no TCP, and: */
        SANDBOX_LANDLOCK_OUTSIDE, /* no abstract socket, and no signal to outside */
        SANDBOX_LANDLOCK_SIGNALS, /* no signal to outside */
};

/* For good, for this process and what comes of it.  0 or a negative errno. */
int sandbox_landlock_enter(enum sandbox_landlock kind);

/*
 * SANDBOX_LANDLOCK_ALL, but files below the directory dir (-1: none) can be removed, and abstract sockets be
 * reached: the service manager's may be one.
 */
int sandbox_landlock_deny_but(int dir);
