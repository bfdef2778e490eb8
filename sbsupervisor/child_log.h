/* SPDX-License-Identifier: MIT */
/*
 * A child's stdout and stderr: a pipe that is read line by line, escaped, limited and
 * filed under the child's name.  A child can neither forge a line of another nor flood
 * the journal.
 */
#pragma once

#include <systemd/sd-event.h>

#include "common/limits.h"
#include "sbsupervisor/journal.h"

struct child_log {
        const char *process; /* borrowed */
        sd_event_source *source;
        struct log_budget budget;
        size_t n;
        char line[LIMIT_LOG_LINE_BYTES];
};

/* *ret_fd is the write end, for the child; the caller closes it. */
int child_log_open(struct child_log *l, sd_event *event, const char *process, int *ret_fd);
/* Files what is still in the pipe, and closes it. */
void child_log_close(struct child_log *l);
