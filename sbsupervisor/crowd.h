/* SPDX-License-Identifier: MIT */
/*
 * How much of the person's attention a VM may have: windows and notifications, at once and in a
 * minute.  What is said of one too many is a text for its caller, and for the log.
 */
#pragma once

#include "common/bucket.h"

struct gate;
struct portal_method;

struct crowd {
        struct bucket windows, notifications;
};

/* NULL; or of what the VM has so many open that m has to wait. */
const char *crowd_at_once(const struct gate *g, const struct portal_method *m);
/* NULL; or of what it had so many in the last minute. */
const char *crowd_in_a_minute(const struct gate *g, const struct portal_method *m);
/* The person sees it now. */
void crowd_seen(struct gate *g, const struct portal_method *m);
