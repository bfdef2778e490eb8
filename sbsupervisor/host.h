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

struct host_listener {
        /* A signal below the portal's path, sent to us alone by the owner of the portal's name. */
        void (*on_signal)(void *userdata, sd_bus_message *m);
        /* The portal went away; another may be there already. */
        void (*on_lost)(void *userdata);
        /* The session bus itself is gone: the session has ended. */
        void (*on_disconnected)(void *userdata);
        void *userdata;
};

struct host {
        sd_bus *bus;
        char *owner; /* unique name; NULL while nobody owns the portal's name */
        struct host_listener listener;
};

/*
 * Connects, and waits until the portal's name is owned (starting it where the bus can).  A
 * failure is logged with the way out.  Blocks for the bus's answers, so only at start, before
 * anything is made that a signal would leave behind.
 */
int host_open(struct host *h);
/* From here on the event loop serves the connection, and signals are passed on. */
int host_listen(struct host *h, sd_event *event, const struct host_listener *l);
/* Whether a reply comes from the portal's owner, or from the bus itself (errors, time-outs). */
bool host_answered(const struct host *h, sd_bus_message *reply);
void host_done(struct host *h);
