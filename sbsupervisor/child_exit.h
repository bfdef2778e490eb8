/* SPDX-License-Identifier: MIT */
/* A child's end, as the event loop hears of it. */
#pragma once

#include <systemd/sd-event.h>

/*
 * Calls on_exit when the child behind pidfd (borrowed) has ended and can be reaped, which sd-event
 * then does; a debugger may delay that, no more.  on_exit disables *ret, the caller's.  0 or a
 * negative errno.
 */
int child_exit_watch(sd_event *event, int pidfd, sd_event_child_handler_t on_exit, void *userdata,
                     sd_event_source **ret);
