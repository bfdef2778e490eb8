/* SPDX-License-Identifier: MIT */
/*
 * What only a person who debugs may ask of the bus: to see all messages, and
 * statistics.  The driver takes these from a debug socket only.
 */
#include "sbrouter/driver.h"

#include <errno.h>
#include <string.h>

#include "common/limits.h"
#include "sbrouter/driver_send.h"
#include "sbrouter/listener.h"
#include "sbrouter/match.h"
#include "sbrouter/name.h"
#include "sbrouter/router.h"

/* --- BecomeMonitor ------------------------------------------------------------------------------
 */

struct rules {
        char **texts;
        int n;
        struct match_rule **rules; /* n of them; NULL: not parsed, or handed over */
};

static void rules_done(struct rules *x) {
        for (int i = 0; x->rules && i < x->n; i++)
                match_rule_free(x->rules[i]);
        free(x->rules);
        dbus_free_string_array(x->texts);
}

/* All of them, before anything is changed. */
static int parse_rules(struct driver_call *call, struct rules *x) {
        uint32_t flags;

        if (!dbus_message_get_args(call->request, NULL, DBUS_TYPE_ARRAY, DBUS_TYPE_STRING,
                                   &x->texts, &x->n, DBUS_TYPE_UINT32, &flags, DBUS_TYPE_INVALID))
                return -ENOMEM; /* the row's signature was checked */
        if (flags != 0)
                return driver_fail(call, DRIVER_E_INVALID_ARGS, "flags of BecomeMonitor must be 0");
        if ((unsigned)x->n > LIMIT_MATCHES_SURE)
                return driver_fail(call, DRIVER_E_LIMITS_EXCEEDED, "a monitor has at most %u rules",
                                   LIMIT_MATCHES_SURE);
        x->rules = calloc((size_t)x->n + 1, sizeof(struct match_rule *));
        if (!x->rules)
                return -ENOMEM;
        for (int i = 0; i < x->n; i++) {
                int v = match_rule_parse(x->texts[i], strlen(x->texts[i]), &x->rules[i]);

                if (v < 0)
                        return v;
                if (v > 0)
                        return driver_fail(call, DRIVER_E_MATCH_RULE_INVALID, "match rule: %s",
                                           match_rule_strerror(v));
        }
        return 0;
}

int driver_become_monitor(struct driver_call *call) {
        _cleanup_(rules_done) struct rules x = {0};
        struct connection *c = call->c;
        int v = parse_rules(call, &x);

        if (v == 0)
                v = driver_return(call); /* while it still has the name that this is sent to */
        if (v == 0)
                v = router_unregister(call->r, c);
        if (v != 0)
                return v;
        driver_forget(c);
        c->is_monitor = true;
        if (list_empty(&c->watching))
                list_append(&call->r->watchers, &c->watching);
        for (int i = 0; i < x.n && v == 0; i++)
                v = match_add(call->r, c, TAKE_PTR(x.rules[i]));
        return v;
}

/* --- statistics, under the names that dbus-daemon gives them --------------------------------- */

struct number {
        const char *key;
        size_t value;
};

static bool append_key(DBusMessageIter *dict, DBusMessageIter *entry, const char *key) {
        return dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, entry) &&
               dbus_message_iter_append_basic(entry, DBUS_TYPE_STRING, &key);
}

static bool append_variant(DBusMessageIter *dict, const char *key, int type, const void *value) {
        const char signature[] = {(char)type, 0};
        DBusMessageIter entry, variant;

        return append_key(dict, &entry, key) &&
               dbus_message_iter_open_container(&entry, DBUS_TYPE_VARIANT, signature, &variant) &&
               dbus_message_iter_append_basic(&variant, type, value) &&
               dbus_message_iter_close_container(&entry, &variant) &&
               dbus_message_iter_close_container(dict, &entry);
}

static bool append_numbers(DBusMessageIter *dict, const struct number *numbers, size_t n) {
        for (size_t i = 0; i < n; i++) {
                uint32_t value =
                        numbers[i].value < UINT32_MAX ? (uint32_t)numbers[i].value : UINT32_MAX;

                if (!append_variant(dict, numbers[i].key, DBUS_TYPE_UINT32, &value))
                        return false;
        }
        return true;
}

static size_t count_half_open(const struct router *r) {
        size_t n = 0;

        LIST_FOREACH(link, &r->half_open)
                n++;
        return n;
}

int driver_get_stats(struct driver_call *call) {
        const struct router *r = call->r;
        const struct number numbers[] = {
                {"ActiveConnections", r->by_id.n},
                {"IncompleteConnections", count_half_open(r)},
                {"MatchRules", r->matches.n},
                {"BusNames", r->by_id.n + r->names.n},
                {"PendingReplies", r->replies.n},
                {"QueuedBytes",
                 r->pool.bytes}, /* unfinished and unread: what LIMIT_BUS_BYTES bounds */
        };
        DBusMessageIter it, dict;

        dbus_message_iter_init_append(call->reply, &it);
        return dbus_message_iter_open_container(&it, DBUS_TYPE_ARRAY, "{sv}", &dict) &&
                               append_numbers(&dict, numbers, ELEMENTSOF(numbers)) &&
                               dbus_message_iter_close_container(&it, &dict)
                       ? driver_return_reply(call)
                       : -ENOMEM;
}

static int append_connection(struct driver_call *call, const struct connection *c) {
        const char *unique = c->name;
        const struct number numbers[] = {
                {"MatchRules", c->n_matches},   {"BusNames", c->n_names + 1},
                {"PendingReplies", c->n_calls}, {"IncomingBytes", c->in ? c->n_in : c->n_part},
                {"IncomingFDs", c->n_fds},      {"OutgoingBytes", c->out.bytes},
                {"OutgoingFDs", c->out.n_fds},
        };
        DBusMessageIter it, dict;

        dbus_message_iter_init_append(call->reply, &it);
        return dbus_message_iter_open_container(&it, DBUS_TYPE_ARRAY, "{sv}", &dict) &&
                               append_variant(&dict, "UniqueName", DBUS_TYPE_STRING, &unique) &&
                               append_numbers(&dict, numbers, ELEMENTSOF(numbers)) &&
                               dbus_message_iter_close_container(&it, &dict)
                       ? driver_return_reply(call)
                       : -ENOMEM;
}

int driver_get_connection_stats(struct driver_call *call) {
        const struct body_arg *name = driver_arg(call, 0);
        const struct connection *c = router_lookup(call->r, name->s, name->n);

        if (!c)
                return driver_fail(call, DRIVER_E_NAME_HAS_NO_OWNER, "nobody owns the name %s",
                                   name->s);
        return append_connection(call, c);
}

/* Of all texts in one answer, which an array of 64 MiB must hold; what is over is left out. */
#define LISTING_BYTES (16u << 20)

struct listing {
        DBusMessageIter array;
        size_t *left; /* of LISTING_BYTES */
        bool failed;
};

static void list_rule(void *self, const struct match_rule *rule) {
        char text[4 * LIMIT_MATCH_RULE_BYTES + 1], *s = text;
        struct listing *l = self;

        size_t n = match_rule_format(rule, text, sizeof(text));

        if (n > *l->left)
                return;
        *l->left -= n;
        l->failed = l->failed || !dbus_message_iter_append_basic(&l->array, DBUS_TYPE_STRING, &s);
}

static bool append_rules(DBusMessageIter *dict, struct connection *c, size_t *left) {
        struct listing l = {.left = left};
        DBusMessageIter entry;

        if (!append_key(dict, &entry, c->name) ||
            !dbus_message_iter_open_container(&entry, DBUS_TYPE_ARRAY, "s", &l.array))
                return false;
        match_list(c, list_rule, &l);
        return !l.failed && dbus_message_iter_close_container(&entry, &l.array) &&
               dbus_message_iter_close_container(dict, &entry);
}

int driver_get_all_match_rules(struct driver_call *call) {
        size_t left = LISTING_BYTES;
        DBusMessageIter it, dict;

        dbus_message_iter_init_append(call->reply, &it);
        if (!dbus_message_iter_open_container(&it, DBUS_TYPE_ARRAY, "{sas}", &dict))
                return -ENOMEM;
        LIST_FOREACH(link, &call->r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);

                if (c->id != 0 && !c->dead && !append_rules(&dict, c, &left))
                        return -ENOMEM;
        }
        return dbus_message_iter_close_container(&it, &dict) ? driver_return_reply(call) : -ENOMEM;
}
