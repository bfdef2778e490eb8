/* SPDX-License-Identifier: MIT */
/* Rebuilds dictionaries: the keys the rows know, each once and of their type, no others. */
#pragma once

#include "common/portal_wire.h"

/* The a{sv} that in stands at, from rows; keys that rows always write are added. */
int portal_dict(struct portal_rebuild *rb, const struct portal_value *rows, sd_bus_message *in,
                sd_bus_message *out);

/* The role PORTAL_DICT: an a{sv}, or an array that has one in each item. */
int portal_dict_rebuild(struct portal_rebuild *rb, const struct portal_value *v,
                        sd_bus_message *in, struct wire_place *p);

/* The role PORTAL_SETTINGS: an a{sv} of any values for each name that passes. */
int portal_dict_settings(struct portal_rebuild *rb, const struct portal_value *v,
                         sd_bus_message *in, struct wire_place *p);
