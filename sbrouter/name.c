/* SPDX-License-Identifier: MIT */
#include "sbrouter/name.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/limits.h"
#include "sbrouter/dbus_name.h"
#include "sbrouter/driver_send.h"
#include "sbrouter/router.h"

#define CLAIM_OF(l) LIST_OWNER(l, struct name_claim, queued)

/*
 * Host programs and guests' toolkits trust whoever has these names with the
 * person's files, so on the VM bus a guest can never be asked in sbportal's place.
 */
static const char *const reserved[] = {
        "org.freedesktop.portal.",
        "org.freedesktop.impl.portal.",
        "org.freedesktop.host.portal.",
};

/* The older interfaces that sbportal serves: here it is the whole name. */
static const char *const reserved_names[] = {
        "org.freedesktop.Notifications",
        "org.freedesktop.ScreenSaver",
};

static bool is_reserved(const char *s) {
        for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                if (strncmp(s, reserved[i], strlen(reserved[i])) == 0)
                        return true;
        for (size_t i = 0; i < ELEMENTSOF(reserved_names); i++)
                if (strcmp(s, reserved_names[i]) == 0)
                        return true;
        return false;
}

struct name *name_find(struct router *r, const char *s, size_t n) {
        TABLE_FOREACH_HASH(node, &r->names, table_hash(&r->key, s, n)) {
                struct name *name = LIST_OWNER(node, struct name, node);

                if (name->n == n && memcmp(name->s, s, n) == 0)
                        return name;
        }
        return NULL;
}

static struct name_claim *first_claim(const struct name *name) {
        return list_empty(&name->claims) ? NULL : CLAIM_OF(name->claims.next);
}

struct connection *name_held_by(const struct name *name) {
        return first_claim(name)->c;
}

struct connection *name_owner(struct router *r, const char *s, size_t n) {
        const struct name *name = name_find(r, s, n);

        return name ? name_held_by(name) : NULL;
}

static struct name *name_new(struct router *r, const char *s) {
        size_t n = strlen(s);
        struct name *name = malloc(sizeof(*name) + n + 1);

        if (!name)
                return NULL;
        list_init(&name->claims);
        name->n = n;
        memcpy(name->s, s, n + 1);
        table_insert(&r->names, &name->node, table_hash(&r->key, s, n));
        return name;
}

static void name_free_if_unused(struct router *r, struct name *name) {
        if (!list_empty(&name->claims))
                return;
        table_remove(&r->names, &name->node);
        free(name);
}

static struct name_claim *find_claim(const struct name *name, const struct connection *c) {
        LIST_FOREACH(l, &name->claims)
                if (CLAIM_OF(l)->c == c)
                        return CLAIM_OF(l);
        return NULL;
}

static struct name_claim *claim_new(struct name *name, struct connection *c, uint32_t flags) {
        struct name_claim *claim = malloc(sizeof(*claim));

        if (!claim)
                return NULL;
        *claim = (struct name_claim){.name = name, .c = c, .flags = flags};
        list_init(&claim->queued);
        list_append(&c->names, &claim->claimed);
        c->n_names++;
        return claim;
}

static void claim_free(struct name_claim *claim) {
        list_remove(&claim->queued);
        list_remove(&claim->claimed);
        claim->c->n_names--;
        free(claim);
}

static bool is_portal(const struct connection *c) {
        return c && c->portal;
}

static int announce(struct router *r, const struct name *name, struct connection *before,
                    struct connection *after) {
        int v = 0;

        if (before && !before->dead)
                v = driver_name_lost(r, before, name->s);
        if (v == 0)
                v = driver_name_owner_changed(r, name->s, before, after);
        if (v == 0 && is_portal(before) != is_portal(after))
                v = driver_activatable_changed(r);
        if (v == 0 && after)
                v = driver_name_acquired(r, after, name->s);
        return v;
}

/* Puts claim in front of the owner's, which stays second unless it asked not to queue. */
static int replace_owner(struct router *r, struct name *name, struct name_claim *claim) {
        struct name_claim *old = first_claim(name);
        struct connection *before = old->c;

        list_remove(&claim->queued);
        list_prepend(&name->claims, &claim->queued);
        if (old->flags & NAME_DO_NOT_QUEUE)
                claim_free(old);
        return announce(r, name, before, claim->c);
}

/* The name has an owner, and it is not c. */
static int request_owned(struct router *r, struct name *name, struct connection *c, uint32_t flags,
                         uint32_t *ret_answer) {
        bool replace = (flags & NAME_REPLACE_EXISTING) &&
                       (first_claim(name)->flags & NAME_ALLOW_REPLACEMENT);
        struct name_claim *claim = find_claim(name, c);

        if (!replace && (flags & NAME_DO_NOT_QUEUE)) {
                if (claim)
                        claim_free(claim);
                *ret_answer = NAME_EXISTS;
                return 0;
        }
        if (claim) {
                claim->flags = flags;
        } else {
                if (c->n_names >= LIMIT_NAMES)
                        return NAME_E_LIMIT;
                claim = claim_new(name, c, flags);
                if (!claim)
                        return -ENOMEM;
                list_append(&name->claims, &claim->queued);
        }
        *ret_answer = replace ? NAME_PRIMARY_OWNER : NAME_IN_QUEUE;
        return replace ? replace_owner(r, name, claim) : 0;
}

static int request_free(struct router *r, struct connection *c, const char *s, uint32_t flags,
                        uint32_t *ret_answer) {
        struct name_claim *claim;
        struct name *name;

        if (c->n_names >= LIMIT_NAMES)
                return NAME_E_LIMIT;
        name = name_new(r, s);
        if (!name)
                return -ENOMEM;
        claim = claim_new(name, c, flags);
        if (!claim) {
                name_free_if_unused(r, name);
                return -ENOMEM;
        }
        list_append(&name->claims, &claim->queued);
        *ret_answer = NAME_PRIMARY_OWNER;
        return announce(r, name, NULL, c);
}

static bool is_ownable(const char *s) {
        return dbus_name_is_well_known(s, strlen(s)) && strcmp(s, DRIVER_NAME) != 0;
}

int name_request(struct router *r, struct connection *c, const char *s, uint32_t flags,
                 uint32_t *ret_answer) {
        struct name *name;

        if (!is_ownable(s))
                return NAME_E_INVALID;
        if (r->bus == ROUTER_VM && !c->portal && is_reserved(s))
                return NAME_E_RESERVED;
        name = name_find(r, s, strlen(s));
        if (!name)
                return request_free(r, c, s, flags, ret_answer);
        if (first_claim(name)->c != c)
                return request_owned(r, name, c, flags, ret_answer);
        first_claim(name)->flags = flags;
        *ret_answer = NAME_ALREADY_OWNER;
        return 0;
}

static int drop_claim(struct router *r, struct name_claim *claim) {
        struct name *name = claim->name;
        struct connection *before = claim->c;
        bool owned = first_claim(name) == claim;
        int v = 0;

        claim_free(claim);
        if (owned) {
                struct name_claim *next = first_claim(name);

                v = announce(r, name, before, next ? next->c : NULL);
        }
        name_free_if_unused(r, name);
        return v;
}

int name_release(struct router *r, struct connection *c, const char *s, uint32_t *ret_answer) {
        struct name_claim *claim;
        struct name *name;

        if (!is_ownable(s))
                return NAME_E_INVALID;
        name = name_find(r, s, strlen(s));
        claim = name ? find_claim(name, c) : NULL;
        *ret_answer = !name ? NAME_NON_EXISTENT : !claim ? NAME_NOT_OWNER : NAME_RELEASED;
        return claim ? drop_claim(r, claim) : 0;
}

int name_release_next(struct router *r, struct connection *c) {
        return drop_claim(r, LIST_OWNER(c->names.next, struct name_claim, claimed));
}

int name_release_all(struct router *r, struct connection *c) {
        while (!list_empty(&c->names)) {
                int v = name_release_next(r, c);

                if (v < 0)
                        return v;
        }
        return 0;
}
