/* SPDX-License-Identifier: MIT */
/*
 * Processes that our children made and left behind.  We are their subreaper, so they become ours,
 * whatever they did to get away.
 */
#pragma once

#include <stdbool.h>

/* Whether we have children: some that we did not start came with the process that became us. */
bool orphans_exist(void);

/* When all our children are gone: waits for the orphans, and kills those that are not soon gone. */
void orphans_end(unsigned grace_ms);
