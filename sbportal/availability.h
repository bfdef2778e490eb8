/* SPDX-License-Identifier: MIT */
/*
 * Which interfaces of the table the host's portal has, and of which version: learnt from
 * the gate when somebody first wants to see them all, and again after the host's portal
 * has restarted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

struct translator;

struct availability {
        struct availability_row {
                struct translator *t;
                sd_bus_slot *slot; /* set while the gate has not answered */
                uint32_t version;  /* what a guest is to see; 0: the host has none */
        } *rows; /* of portal_interfaces */
        unsigned pending;
        bool known;  /* all of it */
        bool failed; /* something was not answered: seen as absent, and asked again next time */
};

/* Local interfaces are known at once. */
int availability_init(struct availability *a, struct translator *t);
void availability_done(struct availability *a);

/* Asks the gate, unless that is under way; introspect_answer() follows.  0 or a negative errno. */
int availability_learn(struct translator *t);

/* The host's portal is another one: forgets, and asks again for those who wait. */
int availability_forget(struct translator *t);

/* The version of interface as a guest is to see it; 0: absent. */
uint32_t availability_version(const struct availability *a, const char *interface);
