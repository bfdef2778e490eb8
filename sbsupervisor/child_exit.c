/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/child_exit.h"

#include <sys/wait.h>

int child_exit_watch(sd_event *event, int pidfd, sd_event_child_handler_t on_exit, void *userdata,
                     sd_event_source **ret) {
        int r = sd_event_add_child_pidfd(event, ret, pidfd, WEXITED, on_exit, userdata);

        /*
         * Its default is once; but of a dead child that a debugger holds, a look finds nothing.
         * Off first: from once to on alone, sd-event does not tell the kernel.
         */
        if (r >= 0)
                r = sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_enabled(*ret, SD_EVENT_ON);
        return r < 0 ? r : 0;
}
