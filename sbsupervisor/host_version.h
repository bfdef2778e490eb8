/* SPDX-License-Identifier: MIT */
/*
 * Which version of each interface the host's portal has, asked when it is first needed: a portal
 * may refuse a whole call over one key that is newer than itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "common/portal_table.h"

#define HOST_VERSION_MAX 64 /* interfaces of the table */

struct host;

struct host_versions {
        struct host_version {
                bool known;
                uint32_t version; /* 0: the host lacks the interface */
        } of[HOST_VERSION_MAX];
};

/* NULL while nobody has asked. */
const struct host_version *host_version_find(const struct host_versions *v, const char *interface);

/* Asks; the reply goes to host_version_reply(). */
int host_version_ask(struct host *h, const char *interface, sd_bus_message_handler_t reply,
                     void *userdata, sd_bus_slot **ret);

/*
 * Whether it is known now, also that there is none; false: the reply is an error of another kind.
 */
bool host_version_reply(struct host_versions *v, const struct host *h, const char *interface,
                        sd_bus_message *m);

/* Another portal may have others. */
void host_versions_forget(struct host_versions *v);

/* A new call to whichever of the host's two services has this interface. */
int host_version_new_call(struct host *h, const struct portal_interface *i, const char *interface,
                          const char *member, sd_bus_message **ret);
/* Whether an error says that there is no such interface, rather than that the call failed. */
bool host_version_is_absent(const sd_bus_error *e);
