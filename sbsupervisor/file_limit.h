/* SPDX-License-Identifier: MIT */
/* Room for the descriptors of all that may be held. */
#pragma once

#include <sys/resource.h>

/*
 * Raises the soft limit to LIMIT_SUPERVISOR_FDS, or as far as the hard one lets it, and says so
 * then.  *ret_before: the limits of the programs that are started, of which some use select().
 */
void file_limit_raise(struct rlimit *ret_before);
