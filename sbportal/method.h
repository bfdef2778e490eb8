/* SPDX-License-Identifier: MIT */
/*
 * A portal method called by a guest: rebuilt for the gate, its answer rebuilt for the
 * guest.  Knows no portal by name; the row says what to do.
 */
#pragma once

#include "common/portal_table.h"
#include "sbportal/call.h"
#include "sbportal/translator.h"

/* m's signature must be method's.  0, or a negative errno: our own failure. */
int method_call(struct translator *t, sd_bus_message *m, const struct portal_method *method);

/*
 * For what is no portal in the guest and becomes one here: in, sealed and of c->method's
 * signature, goes to the gate as if the guest had sent it; answered() gets the gate's reply.
 */
int method_send(struct call *take_c, sd_bus_message *in,
                int (*answered)(struct call *c, sd_bus_message *answer));
