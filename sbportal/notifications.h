/* SPDX-License-Identifier: MIT */
/*
 * org.freedesktop.Notifications (Desktop Notifications Specification 1.2), which programs
 * use that know no portal: on the portal of that name.  notifications_service is its table.
 *
 * Numbers are of the VM, as on a desktop they are of the session: a program may replace and
 * close what another of the same VM shows.  What happens to one is told to the client alone
 * that showed it last.  Nobody tells when a notification ends by itself, so that only so many
 * of the last ones are known.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "common/limits.h"

struct translator;

struct notifications {
        uint32_t last; /* number that was given */
        struct notification {
                uint32_t number; /* 0: a free place */
                char *client;    /* whose it is */
        } shown[LIMIT_NOTIFICATIONS_KEPT]; /* that of number n is at n % LIMIT_NOTIFICATIONS_KEPT */
};

void notifications_done(struct notifications *n);

/*
 * The gate's ActionInvoked of one that we made: signal is as a portal's client would get it, not
 * yet sent.  0, PORTAL_REBUILD_E_VALUE: there is none such; or a negative errno.
 */
int notifications_invoked(struct translator *t, sd_bus_message *signal);
