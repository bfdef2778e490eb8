/* SPDX-License-Identifier: MIT */
/*
 * What the person lets a VM ask of the host's portal.  PURE.
 *
 * The rules come from the configuration, then from the answers that were remembered, then from
 * the portal table.  They are about what goes to the host: PORTAL_LOCAL methods are none of theirs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/portal_table.h"

/* The table's rows and some room; a unit test counts. */
#define POLICY_MAX_INTERFACES 48
#define POLICY_MAX_METHODS    96

/* By the row's place in the table: an enum portal_policy, PORTAL_POLICY_INHERIT for none. */
struct policy_rules {
        uint8_t interfaces[POLICY_MAX_INTERFACES];
        uint8_t methods[POLICY_MAX_METHODS];
};

struct policy {
        struct policy_rules rules;         /* of the configuration */
        const struct policy_rules *answers; /* remembered ones, see remembered.h; NULL: none */
        uint8_t fallback;                  /* Default=, where it is stricter than the table */
        char *schemes, *namespaces;        /* separated by spaces; NULL: the default */
};

#define POLICY_SCHEMES "http https mailto"
/* How things look: colours, fonts, themes.  No names, no paths, nothing that a person typed. */
#define POLICY_NAMESPACES                                                                          \
        "org.freedesktop.appearance org.gnome.desktop.interface org.gnome.desktop.a11y.interface " \
        "org.gnome.fontrendering"

void policy_done(struct policy *p);

/* --- what is allowed ---------------------------------------------------------------------- */

/* PORTAL_ALLOW, PORTAL_DENY or PORTAL_ASK.  Of a method that names a session: there is one. */
enum portal_policy policy_decide(const struct policy *p, const struct portal_method *m);
/* Whether what an interface tells everybody, its broadcasts and properties, reaches the guest. */
bool policy_allows_interface(const struct policy *p, const char *interface);
/* Of an allowed scheme, with nothing in it that is not seen, and no file of the host attached. */
bool policy_uri_allowed(const struct policy *p, const char *uri);
bool policy_scheme_allowed(const struct policy *p, const char *scheme);
bool policy_namespace_allowed(const struct policy *p, const char *ns);

/* --- what a question is about --------------------------------------------------------------- */

/*
 * A portal as the person knows it; or a method of one, where the table gives that a policy of its
 * own: who may pick a colour may not take a picture.  One question, one answer.
 */
struct policy_subject {
        const struct portal_interface *interface;
        const struct portal_method *method; /* NULL: the whole portal */
};

#define POLICY_MAX_NAME 64 /* "Portal.Method" */

struct policy_subject policy_subject(const struct portal_method *m);
/* "Portal" or "Portal.Method", in buf; returns buf. */
const char *policy_subject_name(const struct policy_subject *s, char buf[POLICY_MAX_NAME]);
/* Where rules has its enum portal_policy. */
uint8_t *policy_rule(struct policy_rules *rules, const struct policy_subject *s);

/* --- what the person writes ------------------------------------------------------------------- */

enum {
        POLICY_E_PORTAL = 1, /* there is no such portal */
        POLICY_E_METHOD,     /* the portal has no such method */
        POLICY_E_REFUSED,    /* a portal that no VM gets, see docs/PORTALS.refused.md */
        POLICY_E_LOCAL,      /* answered within sidebus: there is nothing to deny or to ask */
        POLICY_E_NO_CALL,    /* it has properties only: nobody can be asked about these */
        POLICY_E_VALUE,      /* not allow, deny or ask; of a list: a word that cannot be in it */
};

/* "Portal" or "Portal.Method".  0, -ENOMEM or POLICY_E_*; of _METHOD ret->interface is set. */
int policy_parse_name(const char *name, struct policy_subject *ret);
/* "allow", "deny" or "ask".  0 or POLICY_E_VALUE. */
int policy_parse_value(const char *value, uint8_t *ret);

/* A key of [Portals] that is a portal or a method.  As policy_parse_name(). */
int policy_set(struct policy *p, const char *key, const char *value, struct policy_subject *ret);
/* Default=. */
int policy_set_fallback(struct policy *p, const char *value);
/* Lists; each replaces the one before.  0, POLICY_E_VALUE or -ENOMEM. */
int policy_set_schemes(struct policy *p, const char *value);
int policy_set_namespaces(struct policy *p, const char *value);

/* The names a person may write, in buf, for messages: of portals or, with i, of its methods. */
const char *policy_names(const struct portal_interface *i, char *buf, size_t size);
