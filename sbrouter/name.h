/* SPDX-License-Identifier: MIT */
/*
 * Well-known names: who owns each, and who waits in its queue.
 *
 * D-Bus specification, "org.freedesktop.DBus.RequestName" and "ReleaseName".  The
 * first claim on a name is its owner's.  Changes are announced (NameLost,
 * NameOwnerChanged, NameAcquired, in that order) before the functions return.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sbrouter/list.h"
#include "sbrouter/table.h"

struct connection;
struct router;

struct name {
        struct table_node node;
        struct list claims;
        size_t n;
        char s[];
};

struct name_claim {
        struct list queued;  /* on name->claims */
        struct list claimed; /* on connection->names */
        struct name *name;
        struct connection *c;
        uint32_t flags;
};

/* The values of the specification: flags, and what the two methods answer. */
enum {
        NAME_ALLOW_REPLACEMENT = 1,
        NAME_REPLACE_EXISTING = 2,
        NAME_DO_NOT_QUEUE = 4,
};

enum {
        NAME_PRIMARY_OWNER = 1,
        NAME_IN_QUEUE,
        NAME_EXISTS,
        NAME_ALREADY_OWNER,
};

enum {
        NAME_RELEASED = 1,
        NAME_NON_EXISTENT,
        NAME_NOT_OWNER,
};

enum {
        NAME_E_INVALID = 1, /* not a well-known name, or the driver's */
        NAME_E_RESERVED,    /* on the VM bus only sbportal's connection may own it */
        NAME_E_LIMIT,       /* LIMIT_NAMES */
};

/* s need not be valid.  *ret_answer is what the method returns.  0, NAME_E_*, negative errno. */
int name_request(struct router *r, struct connection *c, const char *s, uint32_t flags,
                 uint32_t *ret_answer);
int name_release(struct router *r, struct connection *c, const char *s, uint32_t *ret_answer);
/* One of those that c has; 0 or a negative errno. */
int name_release_next(struct router *r, struct connection *c);
/* 0 or a negative errno. */
int name_release_all(struct router *r, struct connection *c);

/* Whose a name is that is in the table. */
struct connection *name_held_by(const struct name *name);
/* NULL: nobody. */
struct name *name_find(struct router *r, const char *s, size_t n);
struct connection *name_owner(struct router *r, const char *s, size_t n);
