/* SPDX-License-Identifier: MIT */
/*
 * Who we are to the host's portal: the VM's own application id, so that what the person allows or
 * forbids is about this VM, and dialogs can say which one asks.
 *
 * xdg-desktop-portal 1.19.4 and later takes the id from us (Registry.Register), once per connection
 * and before any other call of it.  An older one reads it from the unit of the process that
 * connected: see connector.h.  Where neither can be, the id is empty, and that is said.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "sbsupervisor/connector.h"

struct identity {
        const char *app_id; /* borrowed */
        bool registers;     /* the portal takes the id from us, and forgets it when it ends */
        char *told;         /* the unique name of the portal that has it */
        sd_bus_slot *slot;  /* of the call that tells it */
        struct connector connector;
};

/*
 * Gets the connection to the session bus on which we are app_id.  *bus: the one that found the
 * portal running, and has called nothing there; replaced where another is needed.  No match is
 * on it yet.  Blocks, some seconds at most.  0, also with no id to be had (logged); or a negative
 * errno, logged.
 */
int identity_acquire(struct identity *i, const char *app_id, sd_bus **bus);

/*
 * To be called before each call to the portal, which owner is (NULL: none runs, the call will start
 * one): where it does not know us, it is told first.  It handles Register before whatever comes
 * after it on one connection, so nothing waits for the answer.
 */
void identity_introduce(struct identity *i, sd_bus *bus, const char *owner);

/* That portal has ended. */
void identity_lost(struct identity *i);

void identity_done(struct identity *i);
