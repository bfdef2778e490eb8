/* SPDX-License-Identifier: MIT */
/*
 * Interfaces that are no portals, older than they are and still in use: each is a table,
 * and becomes calls of portals here.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "common/portal_table.h"

struct translator;

#define SERVICE_MAX_ARGS 8

struct service_method {
        const char *member; /* NULL ends */
        struct portal_value args[SERVICE_MAX_ARGS + 1]; /* names and types */
        struct portal_value out[SERVICE_MAX_ARGS + 1];
        /* m is of the signature of args, its body perhaps not valid.  0 or a negative errno. */
        int (*fn)(struct translator *t, sd_bus_message *m);
};

struct service_signal {
        const char *member; /* NULL ends */
        struct portal_value args[SERVICE_MAX_ARGS + 1];
};

struct service {
        const char *interface;
        const struct service_method *methods;
        const struct service_signal *signals;
};

extern const struct service notifications_service, screensaver_service;

/* m: a call of an interface of s.  0 or a negative errno. */
int service_call(struct translator *t, sd_bus_message *m, const struct service *s);

/*
 * A message of this row as a guest would have sent it, without a body; sealed it goes to
 * method_send().
 */
int service_new_portal_call(struct translator *t, const struct portal_method *method,
                            sd_bus_message **ret);
