/* SPDX-License-Identifier: MIT */
/*
 * What the bus's driver, org.freedesktop.DBus, says to its clients.  driver_write.c
 * writes the messages.  All return 0 or a negative errno; a client that does not read what
 * it is told is closed.
 */
#pragma once

#include <stdint.h>

struct connection;
struct driver_words;
struct router;

/* Completes words (sender, destination, serial) and queues what driver_write() makes of them. */
int driver_send_words(struct router *r, struct connection *c, struct driver_words *words);

/* An error as the answer to c's call with that serial. */
int driver_error(struct router *r, struct connection *c, uint32_t serial, const char *error,
                 const char *text);

int driver_name_lost(struct router *r, struct connection *c, const char *name);
int driver_name_acquired(struct router *r, struct connection *c, const char *name);
/* To everybody who subscribed; before and after: the owners, or NULL for none. */
int driver_name_owner_changed(struct router *r, const char *name, const struct connection *before,
                              const struct connection *after);
/* What ListActivatableNames answers is another list now. */
int driver_activatable_changed(struct router *r);
