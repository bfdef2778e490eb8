/* SPDX-License-Identifier: MIT */
/*
 * A portal session of this VM: what a method of the table made, until either side closes it.
 *
 * As of a request, sbportal and the host's portal each know it by a handle with a token of ours.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "sbsupervisor/token.h"

struct gate;

struct session {
        struct gate *gate;
        const char *interface; /* of the method that made it: the only one that may name it */
        char token[TOKEN_SIZE];
        char *gate_path, *host_path;
        bool open;   /* the host has named it; until then the request that makes it owns it */
        bool closed; /* and has closed it before that */
};

/* -EBUSY when the VM has too many. */
int session_new(struct gate *g, const char *interface, struct session **ret);
/* Does not tell anybody. */
struct session *session_free(struct session *s);

/* The one of this handle, on our side of the gate or on the host's; or NULL. */
struct session *session_find_gate(struct gate *g, const char *path);
struct session *session_find_host(struct gate *g, const char *path);

/* The host says that it has made s, as handle. */
enum {
        SESSION_E_HANDLE = 1, /* that is not what we asked for */
};
int session_opened(struct session *s, const char *handle);

/* Closes it on the host, and frees it: sbportal knows already. */
void session_close(struct session *s);
/* The host has ended the one of this handle: tells sbportal, now or once it knows it. */
void sessions_closed(struct gate *g, const char *host_path);
/* sbportal knows s from here on: its request does not own it any more. */
void session_handed_over(struct session *s);
/* The host's portal went away, and all sessions with it. */
void sessions_lost(struct gate *g);
