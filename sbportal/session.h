/* SPDX-License-Identifier: MIT */
/*
 * Session objects: what lasts between the calls of a portal.
 *
 * xdg-desktop-portal documentation, org.freedesktop.portal.Session.  A session is reserved
 * when the guest calls the method that makes it, is there once the gate has named it, and
 * ends by its Close, the gate's Closed, or its client's leaving.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "common/cleanup.h"
#include "sbportal/translator.h"

enum {
        SESSION_E_LIMIT = 1, /* LIMIT_SESSIONS_CLIENT or LIMIT_SESSIONS_VM; logged */
        SESSION_E_TAKEN,     /* the client has one of that token */
};

struct session {
        struct translator *t;
        char *client;          /* its owner's unique name */
        const char *interface; /* the portal it is of; borrowed from the table */
        char *handle;          /* the object's path on the VM bus */
        char *gate_handle;     /* on the gate; NULL: not made yet */
};

/* token: valid.  0, SESSION_E_* or a negative errno.  *ret: in the table, still the caller's. */
int session_new(struct translator *t, const char *client, const char *interface, const char *token,
                struct session **ret);
struct session *session_free(struct session *s);
DEFINE_CLEANUP(struct session *, session_free);

/* Of sessions that are there; NULL: none. */
struct session *session_by_handle(struct translator *t, const char *path);
struct session *session_by_gate_handle(struct translator *t, const char *path);

/*
 * The reply to the call that was to make s (may be NULL) is through.  A session that the gate
 * has made stays if keep, else it is closed there; one that it has not made is gone.
 */
int session_settle(struct session *take_s, bool keep);

/* Close by its owner: answers m, tells the gate. */
int session_close(struct session *s, sd_bus_message *m);

/* Closes on the gate what this Response names: its request was closed meanwhile. */
int session_close_unknown(struct translator *t, sd_bus_message *response);

/* The gate's signal Closed. */
int session_closed(struct translator *t, sd_bus_message *signal);

/* client left the VM bus: its sessions are closed on the gate. */
int session_client_gone(struct translator *t, const char *client);

/* The gate is gone: every session gets Closed. */
void session_end_all(struct translator *t);
