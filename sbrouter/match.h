/* SPDX-License-Identifier: MIT */
/*
 * Who subscribed to what.
 *
 * A rule is filed once, under the most selective literal it has: arg0, path,
 * interface and member, member, interface, sender; rules with none of these are in
 * one short list.  A signal looks into each of the files with its own values, so its
 * cost does not grow with the rules that other values are filed under.
 */
#pragma once

#include <stddef.h>

#include "sbrouter/body.h"
#include "sbrouter/list.h"
#include "sbrouter/match_rule.h"
#include "sbrouter/message.h"
#include "sbrouter/table.h"

struct connection;
struct router;

enum match_file {
        MATCH_BY_ARG0,
        MATCH_BY_PATH,
        MATCH_BY_INTERFACE_MEMBER,
        MATCH_BY_MEMBER,
        MATCH_BY_INTERFACE,
        MATCH_BY_SENDER,
        MATCH_BY_NOTHING,
        MATCH_N_FILES
};

struct match_index {
        struct table rules;               /* all files but the last, in one table */
        struct list rest;                 /* MATCH_BY_NOTHING */
        unsigned n_rules[MATCH_N_FILES]; /* an empty file is not looked into */
        unsigned n;                      /* in all files */
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
/* Removes one of c's rules equal to rule (borrowed).  0 or MATCH_E_NOT_FOUND. */
int match_remove(struct router *r, struct connection *c, const struct match_rule *rule);
void match_remove_all(struct router *r, struct connection *c);
/* Each of c's rules, the oldest first. */
void match_list(struct connection *c, void (*fn)(void *self, const struct match_rule *rule),
                void *self);

/*
 * Calls fn once for each connection with a rule that fits m, from sender or (NULL)
 * from the driver; ends with fn's first result that is not 0, and returns it.
 */
int match_each(struct router *r, struct connection *sender, const struct message *m,
               int (*fn)(void *self, struct connection *receiver), void *self);

/*
 * Whether c, one of r->watchers, may see m on its way from sender to receiver.  NULL
 * is the driver as sender; as receiver it is the driver, nobody, or everybody.  Of a
 * monitor's rules all count, and none at all means every message; of others' only
 * those that say eavesdrop='true', and only for what was meant for somebody else.
 */
bool match_watches(struct router *r, struct connection *c, struct connection *sender,
                   struct connection *receiver, const struct message *m);
