/* SPDX-License-Identifier: MIT */
/*
 * org.freedesktop.DBus.Properties of the portal objects: the table says which there are,
 * the gate what they are, or local.c.
 *
 * m: of the signature its member has.  0, or a negative errno: our own failure.
 */
#pragma once

#include "common/portal_table.h"
#include "sbportal/translator.h"

int property_get(struct translator *t, sd_bus_message *m, enum portal_object object);
int property_get_all(struct translator *t, sd_bus_message *m, enum portal_object object);
int property_set(struct translator *t, sd_bus_message *m, enum portal_object object);

/* Get, GetAll and Set of any other object: one interface with a version, or (0) without. */
int property_of_object(struct translator *t, sd_bus_message *m, const char *interface,
                       uint32_t version);

/* The gate's PropertiesChanged, to all.  Likewise, or PORTAL_REBUILD_E_*: the gate's fault. */
int property_changed(struct translator *t, sd_bus_message *m);
