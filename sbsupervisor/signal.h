/* SPDX-License-Identifier: MIT */
/*
 * The signals of the table, from the owner of the portal's name to sbportal: rebuilt, and only what
 * is of this VM, or what everybody may know and the policy lets this VM know.
 */
#pragma once

#include <systemd/sd-bus.h>

struct gate;

/* Whatever is not passed on is dropped.  A negative errno when we are broken. */
int signal_forward(struct gate *g, sd_bus_message *m);
