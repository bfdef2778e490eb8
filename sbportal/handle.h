/* SPDX-License-Identifier: MIT */
/*
 * Object paths of portal requests and sessions, on the VM bus and on the gate.  PURE.
 *
 * xdg-desktop-portal documentation, org.freedesktop.portal.Request and Session: clients
 * predict the path of their request from their unique name and the token they chose, and
 * listen there before they call; so what we answer must be exactly that path.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
        HANDLE_E_FORM = 1, /* not of the gate's form */
};

/* What a client that gives no handle_token gets. */
#define HANDLE_DEFAULT_TOKEN "t"

/* A handle_token: [A-Za-z0-9_]+, at most LIMIT_TOKEN_BYTES. */
bool handle_token_is_valid(const char *token);

/* A unique name (":1.42") whose characters can stand in an object path once '.' is '_'. */
bool handle_sender_is_valid(const char *sender);

/*
 * PORTAL_REQUEST_PATH "/SENDER/TOKEN", with "/<suffix>" when suffix is not 0.  sender and
 * token must be valid.  A new string, or NULL when memory is out.
 */
char *handle_path(const char *sender, const char *token, uint32_t suffix);

/* PORTAL_SESSION_PATH "/SENDER/TOKEN", likewise. */
char *handle_session_path(const char *sender, const char *token);

/* A handle the gate may issue: PORTAL_GATE_REQUEST_PATH "/<token>", a valid token. */
bool handle_is_gate(const char *path);
/* The same below PORTAL_GATE_SESSION_PATH. */
bool handle_is_gate_session(const char *path);

/*
 * A notification's id on the gate: "<client>/<id>", client a sender without its ':', or "" for
 * what is sbportal's own.  A sender has no '/', so that whose it is cannot be forged.
 */
char *handle_notification(const char *sender, const char *id);
/*
 * Takes it apart.  *ret_sender: a new string, valid by handle_sender_is_valid(), or NULL for our
 * own; *ret_id points into gate_id.  0, HANDLE_E_FORM or -ENOMEM.
 */
int handle_notification_parse(const char *gate_id, char **ret_sender, const char **ret_id);
