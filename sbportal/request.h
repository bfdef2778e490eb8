/* SPDX-License-Identifier: MIT */
/*
 * Request objects: what a guest's portal call answers with.
 *
 * xdg-desktop-portal documentation, org.freedesktop.portal.Request.  The object lives from the
 * call until its Response (one of PORTAL_LASTS: and on), its Close, or its client's leaving; the
 * client sees the reply to its call first, then one Response at most, none after Close.
 */
#pragma once

#include "sbportal/call.h"

/* Sets c->handle.  token: valid, or NULL for the default.  0 or a negative errno. */
int request_choose_handle(struct call *c, const char *token);

/* The gate's reply to a request: for call_send(). */
int request_answered(struct call *c, sd_bus_message *answer);

/* Close by its owner: answers m, tells the gate. */
int request_close(struct call *c, sd_bus_message *m);

/* Ends c before its end, or what is in force: the gate is told, the guest not.  Frees c. */
int request_withdraw(struct call *c);

/* A request that is answered here: reply and Response, at once.  results writes the a{sv}. */
int request_answer_locally(struct call *c, int (*results)(sd_bus_message *response));

/* The gate's signal Response. */
int request_response(struct translator *t, sd_bus_message *signal);

/* client left the VM bus: ends all that it had, on the gate, too. */
int request_client_gone(struct translator *t, const char *client);

/* The host's portal restarted: what was in force there is no more. */
void request_portal_restarted(struct translator *t);

/* The gate is gone: every open request gets Response(2). */
void request_end_all(struct translator *t);
