/* SPDX-License-Identifier: MIT */
/*
 * The objects of the VM's bus, as one client may see them: the portals, what is no portal
 * (service.h), and the client's own requests and sessions.
 */
#pragma once

#include "sbportal/call.h"
#include "sbportal/introspect.h"
#include "sbportal/service.h"
#include "sbportal/session.h"

struct object {
        enum introspect_object kind;
        enum portal_object portal;     /* INTROSPECT_PORTAL */
        const struct service *service; /* INTROSPECT_SERVICE */
        /* INTROSPECT_REQUEST and INTROSPECT_SESSION; of INTROSPECT_NODE: somebody else's */
        struct call *request;
        struct session *session;
};

struct object object_find(struct translator *t, const char *path, const char *client);

/* The paths of all that client may see; at most OBJECT_PATHS. */
#define OBJECT_PATHS (8 + LIMIT_REQUESTS_VM + LIMIT_SESSIONS_VM)
size_t object_paths(struct translator *t, const char *client, const char *paths[OBJECT_PATHS]);
