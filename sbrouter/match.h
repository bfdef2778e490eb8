/* SPDX-License-Identifier: MIT */
/*
 * Who subscribed to what.
 *
 * A rule is filed once, under all texts together that the index knows to find again
 * in a signal (enum match_by).  Which these are is the rule's form.  A signal looks,
 * for each form that some rule has, for the rules with its own texts: what it costs
 * grows with the forms in use, of which real clients have about ten, and not with the
 * rules.  Only what no form tells apart is looked at rule by rule: argNpath, arg3 and
 * higher, and namespaces from the ninth component on.
 */
#pragma once

#include <stddef.h>

#include "sbrouter/body.h"
#include "sbrouter/match_rule.h"
#include "sbrouter/message.h"
#include "sbrouter/table.h"

struct connection;
struct router;

/* What a rule may be filed under.  A form is a set of these, each as 1 << MATCH_BY_x. */
enum match_by {
        MATCH_BY_PATH,
        MATCH_BY_INTERFACE,
        MATCH_BY_MEMBER,
        MATCH_BY_ARG0,
        MATCH_BY_ARG1,
        MATCH_BY_ARG2,
        /* A signal has several values of these, which are tried one by one: so they come last. */
        MATCH_BY_ARG0_NAMESPACE,
        MATCH_BY_PATH_NAMESPACE, /* never beside the other namespace */
        MATCH_BY_SENDER,
        MATCH_N_BY
};

#define MATCH_N_FORMS (1u << MATCH_N_BY)

struct match_index {
        struct table rules;
        unsigned n;                      /* of them; */
        unsigned weight;                 /* as how many they count: LIMIT_MATCH_ARGS */
        unsigned n_rules[MATCH_N_FORMS]; /* of each form */
        unsigned n_used;
        uint16_t used[MATCH_N_FORMS]; /* the forms that have rules, n_used of them */
};

enum {
        MATCH_E_LIMIT = 1, /* LIMIT_MATCHES */
        MATCH_E_BUS_LIMIT, /* LIMIT_MATCHES_BUS */
        MATCH_E_NOT_FOUND,
};

/* 0 or -ENOMEM. */
int match_index_init(struct match_index *x);
void match_index_done(struct match_index *x);

/* Takes rule, also on failure.  0, MATCH_E_LIMIT, MATCH_E_BUS_LIMIT or -ENOMEM. */
int match_add(struct router *r, struct connection *c, struct match_rule *take_rule);
/*
 * Removes one of c's rules equal to rule (borrowed).  0 or MATCH_E_NOT_FOUND.  Adds what it
 * looked at to r->work.
 */
int match_remove(struct router *r, struct connection *c, const struct match_rule *rule);
void match_remove_all(struct router *r, struct connection *c);
/* Each of c's rules, the oldest first. */
void match_list(struct connection *c, void (*fn)(void *self, const struct match_rule *rule),
                void *self);

/*
 * Calls fn once for each connection with a rule that fits m, from sender or (NULL)
 * from the driver.  Adds what it looked at, and each receiver, to r->work.
 */
void match_each(struct router *r, struct connection *sender, const struct message *m,
                void (*fn)(void *self, struct connection *receiver), void *self);

/*
 * Whether c, one of r->watchers, may see m on its way from sender to receiver.  NULL
 * is the driver as sender; as receiver it is the driver, nobody, or everybody.  Of a
 * monitor's rules all count, and none at all means every message; of others' only
 * those that say eavesdrop='true', and only for what was meant for somebody else.
 */
bool match_watches(struct router *r, struct connection *c, struct connection *sender,
                   struct connection *receiver, const struct message *m);
