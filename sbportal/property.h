/* SPDX-License-Identifier: MIT */
/*
 * org.freedesktop.DBus.Properties of the portal object: the table says which there are,
 * the gate what they are.
 *
 * m: of the signature its member has.  0, or a negative errno: our own failure.
 */
#pragma once

#include "sbportal/translator.h"

int property_get(struct translator *t, sd_bus_message *m);
int property_get_all(struct translator *t, sd_bus_message *m);
int property_set(struct translator *t, sd_bus_message *m);

/* Get, GetAll and Set of a request object: it has one interface and no properties. */
int property_of_request(struct translator *t, sd_bus_message *m);
