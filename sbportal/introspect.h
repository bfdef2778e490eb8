/* SPDX-License-Identifier: MIT */
/*
 * Introspection data from the portal table.  PURE.
 *
 * D-Bus specification, "Introspection Data Format".  Clients read it to find out
 * which portals there are, so it says what the table says and nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/portal_table.h"
#include "sbportal/service.h"

enum introspect_object {
        INTROSPECT_NODE,    /* no object, at most children */
        INTROSPECT_PORTAL,  /* the interfaces of the table that are of .portal */
        INTROSPECT_SERVICE, /* .service */
        INTROSPECT_REQUEST, /* a request */
        INTROSPECT_SESSION, /* a session */
};

struct introspect {
        enum introspect_object kind;
        enum portal_object portal;
        const struct service *service;
        /* Of portal_interfaces: what is newer is not there; 0: the interface is not. */
        const uint32_t *versions;
};

/*
 * The document for the object at path.  paths[0..n): every object the asking client may
 * see, from which the children are made.  A new string, or NULL when memory is out.
 */
char *introspect_xml(const struct introspect *what, const char *path, const char *const *paths,
                     size_t n);
