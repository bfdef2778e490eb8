/* SPDX-License-Identifier: MIT */
/*
 * Answers to guests.  Errors have the names and the words of GDBus, which is what a
 * portal client meets on a normal desktop.
 *
 * All of them: 0, also when the caller wants no answer or is gone; a negative errno is our own
 * failure.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "common/call_stub.h"
#include "common/cleanup.h"
#include "sbportal/bus_source.h"

int reply_empty(struct bus_source *bus, sd_bus_message *call);
int reply_string(struct bus_source *bus, sd_bus_message *call, char type, const char *s);
int reply_u32(struct bus_source *bus, sd_bus_message *call, uint32_t value);
int reply_error(struct bus_source *bus, sd_bus_message *call, const char *name, const char *fmt,
                ...) _printf_(4, 5);

int reply_no_object(struct bus_source *bus, sd_bus_message *call);
int reply_no_interface(struct bus_source *bus, sd_bus_message *call);
int reply_no_method(struct bus_source *bus, sd_bus_message *call);
/* expected: the signature the method takes. */
int reply_wrong_type(struct bus_source *bus, sd_bus_message *call, const char *expected);
