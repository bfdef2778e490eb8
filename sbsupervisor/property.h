/* SPDX-License-Identifier: MIT */
/*
 * The properties of the host's portal: read only, of the table only, a version never above ours; of
 * an interface that is denied to the VM the version alone.
 */
#pragma once

#include <systemd/sd-bus.h>

struct gate;

/* org.freedesktop.DBus.Properties.Get and .GetAll of sbportal. */
int property_get(struct gate *g, sd_bus_message *m);
int property_get_all(struct gate *g, sd_bus_message *m);

/* org.freedesktop.DBus.Properties.PropertiesChanged of the host's portal. */
int property_changed(struct gate *g, sd_bus_message *m);
