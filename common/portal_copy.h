/* SPDX-License-Identifier: MIT */
/* Copies values by their type alone: everything within bounds, descriptors never. */
#pragma once

#include "common/portal_rebuild.h"

/*
 * The next value of in, whose type the caller has compared with the row's.  By role:
 * PORTAL_TEXT makes strings fit to be displayed; PORTAL_ANY takes variants, with anything in
 * them; PORTAL_ANY_LIST too, without activation tokens; others are copied as they are.
 */
int portal_copy(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                enum portal_role role);
