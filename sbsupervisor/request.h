/* SPDX-License-Identifier: MIT */
/*
 * One request through the gate, from sbportal's call to the Response.
 *
 *   resolving   guest paths among the options are looked up in the document portal
 *   calling     the call is with the host portal, which will name a handle
 *   open        the handle is known, sbportal has ours; the dialog is up
 *   answering   the Response came; what the person picked is being exported
 *
 * The handle that sbportal knows and the token that the host portal gets are both ours
 * and unguessable; neither side ever sees the other's.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "common/portal_table.h"

struct gate;
struct request;

/* Starts call (a method call of row method).  Everything that goes wrong is answered to sbportal. */
int request_start(struct gate *g, const struct portal_method *method, sd_bus_message *call);

/* The request whose handle path is, on our side of the gate or on the host's; or NULL. */
struct request *request_find_gate(struct gate *g, const char *path);
struct request *request_find_host(struct gate *g, const char *path);

/* The host portal answered: m is Response(u, a{sv}) on this request's handle. */
int request_response(struct request *r, sd_bus_message *m);
/* The host portal went away. */
int request_portal_lost(struct request *r);
/* sbportal wants no answer any more: closes it on the host; it is freed now or when its export ends. */
void request_close(struct request *r);
/* The gate ends: closes it on the host and frees it. */
void request_end(struct request *r);
