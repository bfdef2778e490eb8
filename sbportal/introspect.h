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

enum introspect_object {
        INTROSPECT_NODE,    /* no object, at most children */
        INTROSPECT_PORTAL,  /* PORTAL_PATH */
        INTROSPECT_REQUEST, /* a request */
};

/*
 * The document for the object at path.  paths[0..n): every object the asking client may
 * see, from which the children are made.  A new string, or NULL when memory is out.
 */
char *introspect_xml(enum introspect_object kind, const char *path, const char *const *paths,
                     size_t n);
