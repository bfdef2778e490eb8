/* SPDX-License-Identifier: MIT */
/*
 * The calls to the bus that are most of all calls to it, without libdbus.
 *
 * Only what will succeed is done here; a call that is unusual in any way, or that an
 * error answers, is left to driver.c, which begins anew with it.  So this says nothing
 * that driver.c's methods would not say; a test gives both the same calls.
 */
#pragma once

#include "sbrouter/message.h"

struct connection;
struct router;

enum {
        DRIVER_FAST_E_LEFT = 1, /* nothing was done: it is driver.c's */
};

/* m is a valid call to the driver, from c.  0, DRIVER_FAST_E_LEFT, or a negative errno. */
int driver_fast(struct router *r, struct connection *c, const struct message *m);
