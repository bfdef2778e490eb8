/* SPDX-License-Identifier: MIT */
/*
 * Portals answered here, with what is true in a VM: rows of PORTAL_LOCAL, and the
 * properties of interfaces that are .local.  Nothing of them reaches the host.
 */
#pragma once

#include "common/portal_table.h"
#include "sbportal/call.h"

/* Answers c, whose arguments were found to be of its row.  0 or a negative errno. */
int local_answer(struct call *take_c);

/* Appends the property's variant to out.  0 or a negative errno. */
int local_property(const struct portal_property *p, sd_bus_message *out);

/* Whether there is an answer to this row (the tests ask it of all). */
bool local_has_method(const struct portal_method *m);
bool local_has_property(const struct portal_property *p);
