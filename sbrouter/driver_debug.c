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
        unsigned n, weight;
        struct match_rule *rules[LIMIT_MATCHES_SURE]; /* n of them; NULL: handed over */
};

static void rules_done(struct rules *x) {
        for (unsigned i = 0; i < x->n; i++)
                match_rule_free(x->rules[i]);
}

/* All of them, before anything is changed. */
static int parse_rules(struct driver_call *call, struct rules *x) {
        const char *text;
        size_t at = 0, n;

        if (driver_arg(call, 1)->n != 0)
                return driver_fail(call, DRIVER_E_INVALID_ARGS, "flags of BecomeMonitor must be 0");
        while ((text = body_args_next_string(&call->args, &at, &n))) {
                struct match_rule *rule;
                int v = match_rule_parse(text, n, &rule);

                if (v < 0)
                        return v;
                if (v > 0)
                        return driver_fail(call, DRIVER_E_MATCH_RULE_INVALID, "match rule: %s",
                                           match_rule_strerror(v));
                x->weight += match_rule_weight(rule);
                if (x->weight > LIMIT_MATCHES_SURE) { /* then adding them does not fail */
                        match_rule_free(rule);
                        return driver_fail(call, DRIVER_E_LIMITS_EXCEEDED,
                                           "a monitor has at most %u rules", LIMIT_MATCHES_SURE);
                }
                x->rules[x->n++] = rule;
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
        for (unsigned i = 0; i < x.n && v == 0; i++)
                v = match_add(call->r, c, TAKE_PTR(x.rules[i]));
        return v;
}

/* --- statistics, under the names that dbus-daemon gives them --------------------------------- */

struct number {
        const char *key;
        size_t value;
};

static void write_numbers(struct body_writer *w, const struct number *numbers, size_t n) {
        for (size_t i = 0; i < n; i++)
                body_write_entry(w, numbers[i].key,
                                 numbers[i].value < UINT32_MAX ? (uint32_t)numbers[i].value
                                                               : UINT32_MAX);
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
        _cleanup_(body_write_done) struct body_writer w = {0};
        struct body_array dict = body_open_array(&w, BODY_ALIGN_ENTRY);

        write_numbers(&w, numbers, ELEMENTSOF(numbers));
        body_close_array(&w, dict);
        return driver_return_body(call, &w);
}

static int return_connection(struct driver_call *call, const struct connection *c) {
        const struct number numbers[] = {
                {"MatchRules", c->n_matches},   {"BusNames", c->n_names + 1},
                {"PendingReplies", c->n_calls}, {"IncomingBytes", c->in ? c->n_in : c->n_part},
                {"IncomingFDs", c->n_fds},      {"OutgoingBytes", c->out.bytes},
                {"OutgoingFDs", c->out.n_fds},
        };
        _cleanup_(body_write_done) struct body_writer w = {0};
        struct body_array dict = body_open_array(&w, BODY_ALIGN_ENTRY);

        body_write_key(&w, "UniqueName");
        body_write_signature(&w, "s");
        body_write_string(&w, c->name);
        write_numbers(&w, numbers, ELEMENTSOF(numbers));
        body_close_array(&w, dict);
        return driver_return_body(call, &w);
}

int driver_get_connection_stats(struct driver_call *call) {
        const struct body_arg *name = driver_arg(call, 0);
        const struct connection *c = router_lookup(call->r, name->s, name->n);

        if (!c)
                return driver_fail(call, DRIVER_E_NAME_HAS_NO_OWNER, "nobody owns the name %s",
                                   name->s);
        return return_connection(call, c);
}

/* Of all texts in one answer, which an array of 64 MiB must hold; what is over is left out. */
#define LISTING_BYTES (16u << 20)

static void write_rule(void *self, const struct match_rule *rule) {
        char text[4 * LIMIT_MATCH_RULE_BYTES + 1];
        struct body_writer *w = self;

        if (w->n + match_rule_format(rule, text, sizeof(text)) <= LISTING_BYTES)
                body_write_string(w, text);
}

static void write_rules(struct body_writer *w, struct connection *c) {
        struct body_array array;

        body_write_key(w, c->name);
        array = body_open_array(w, BODY_ALIGN_STRING);
        match_list(c, write_rule, w);
        body_close_array(w, array);
}

int driver_get_all_match_rules(struct driver_call *call) {
        _cleanup_(body_write_done) struct body_writer w = {0};
        struct body_array dict = body_open_array(&w, BODY_ALIGN_ENTRY);

        LIST_FOREACH(link, &call->r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);

                if (c->id != 0 && !c->dead)
                        write_rules(&w, c);
        }
        body_close_array(&w, dict);
        return driver_return_body(call, &w);
}
