/* SPDX-License-Identifier: MIT */
/*
 * Introspect: what an object of the VM's bus tells of itself to one client.
 */
#pragma once

#include "sbportal/object.h"
#include "sbportal/translator.h"

/* Answers m, or has it wait for what the gate has.  0 or a negative errno. */
int describe(struct translator *t, sd_bus_message *m, const struct object *o);

/* The gate has said what it has: answers those who wait. */
int describe_waiting(struct translator *t);
