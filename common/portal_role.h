/* SPDX-License-Identifier: MIT */
/* What happens to a value, by its role: one table of functions. */
#pragma once

#include "common/portal_wire.h"

/*
 * Rebuilds the value that in stands at into p, by v's role, or steps over it and leaves p
 * unopened.  A key whose type is "v": in stands at the entry's own variant.
 */
int portal_role_rebuild(struct portal_rebuild *rb, const struct portal_value *v,
                        sd_bus_message *in, struct wire_place *p);

/* Remembers what an error is about: the innermost value that has it.  Returns e. */
int portal_role_fail(struct portal_rebuild *rb, const struct portal_value *v, int e);

/* Asks for s in the other world, and writes what comes back to p if it is anything. */
int portal_role_translate(struct portal_rebuild *rb, const struct portal_value *v, const char *s,
                          struct wire_place *p);

/* Reads a descriptor and has another made of it; *ret_fd stays -1 to leave it out. */
int portal_role_fd(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                   int *ret_fd);

/* Appends a copy of fd, if the other side takes descriptors. */
int portal_role_append_fd(sd_bus_message *out, int fd);
