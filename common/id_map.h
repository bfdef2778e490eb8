/* SPDX-License-Identifier: MIT */
/*
 * The ids of a user namespace that was just made: one user and one group, mapped to themselves.
 * Needs no privilege outside, so no newuidmap(1); and who is asked for its uid, by D-Bus or by a
 * socket's peer, says the same number on both sides.
 */
#pragma once

#include <sys/types.h>

/* uid and gid: our own from before the namespace.  0 or a negative errno. */
int id_map_write(uid_t uid, gid_t gid);
