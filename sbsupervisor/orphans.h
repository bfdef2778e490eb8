/* SPDX-License-Identifier: MIT */
/*
 * Processes that our children made and left behind.  We are their subreaper, so they become ours,
 * whatever they did to get away.
 */
#pragma once

#include <stdbool.h>

/* Whether we have children: some that we did not start came with the process that became us. */
bool orphans_exist(void);

struct supervisor;

/*
 * From here on the event loop reaps those that end, so that a daemon which leaves many does not use
 * up the processes that the person may have.  SIGCHLD is blocked.  0 or a negative errno.
 */
int orphans_watch(struct supervisor *s);

/*
 * When all our children are gone: waits for the orphans, and for so long kills those that are not gone
 * by then.  One line of the log says how many, and who.
 */
void orphans_end(unsigned grace_ms, unsigned kill_ms);
