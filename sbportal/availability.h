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
        uint32_t *versions; /* of portal_interfaces, as a guest is to see them; 0: absent */
        sd_bus_slot *slot;  /* set while the gate is asked ... */
        size_t asked;       /* ... for this one */
        bool known;         /* all of it */
        bool failed; /* something was not answered: seen as absent, and asked again next time */
};

/* Local interfaces are known at once. */
int availability_init(struct availability *a);
void availability_done(struct availability *a);

/*
 * Asks the gate, unless that is under way; describe_waiting() follows.  One after the other: who
 * waits has a call's place, and no more than that is used.  0 or a negative errno.
 */
int availability_learn(struct translator *t);

/* The host's portal is another one: forgets, and asks again for those who wait. */
int availability_forget(struct translator *t);
