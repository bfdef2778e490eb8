/* SPDX-License-Identifier: MIT */
/*
 * The connection to the person's session bus, and who owns the portal's name there.
 *
 * sd-bus delivers a unicast signal from any client to a match on a well-known name, so
 * "from the portal" is decided here, by the unique name that the bus driver says owns
 * org.freedesktop.portal.Desktop, and by nothing else.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "sbsupervisor/identity.h"

struct host_listener {
        /* A signal below the portal's path, sent to us alone by the owner of the portal's name. */
        void (*on_signal)(void *userdata, sd_bus_message *m);
        /* One sent to all. */
        void (*on_broadcast)(void *userdata, sd_bus_message *m);
        /* The portal went away; another may be there already. */
        void (*on_lost)(void *userdata);
        /* There is one again. */
        void (*on_found)(void *userdata);
        /* The session bus itself is gone, or what we are known by there: the session has ended. */
        void (*on_disconnected)(void *userdata);
        void *userdata;
};

struct host {
        sd_bus *bus;
        char *owner;           /* unique name; NULL while nobody owns the portal's name */
        char *documents_owner; /* likewise, of the person's document portal */
        struct identity identity;
        sd_event_source *connector_exit;
        struct host_listener listener;
};

/*
 * Connects, and waits until the portal's name is owned (starting it where the bus can).  A
 * failure is logged with the way out.  Blocks for the bus's answers, so only at start, before
 * anything is made that a signal would leave behind.
 */
int host_open(struct host *h);
/*
 * Becomes the VM's application (borrowed) to the portal, on a connection of its own if need be,
 * and listens on that one.  Blocks for some seconds at most.
 */
int host_identify(struct host *h, const char *app_id);
/* From here on the event loop serves the connection, and signals are passed on. */
int host_listen(struct host *h, sd_event *event, const struct host_listener *l);
/*
 * A new call to the portal's object: to the owner that we know of, which knows us; to the name, so
 * that the bus starts a portal, when there is none.  The only way to make one.
 */
int host_new_call(struct host *h, const char *interface, const char *member, sd_bus_message **ret);
/* The same to the person's document portal, which the bus starts when there is none. */
int host_new_documents_call(struct host *h, const char *interface, const char *member,
                            sd_bus_message **ret);
/* Whether a reply comes from the owner of either, or from the bus itself (errors, time-outs). */
bool host_answered(const struct host *h, sd_bus_message *reply);
void host_done(struct host *h);
