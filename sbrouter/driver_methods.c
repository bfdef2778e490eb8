/* SPDX-License-Identifier: MIT */
/* The driver's method table, and those of its methods that are about names and rules. */
#include "sbrouter/driver.h"

#include <errno.h>
#include <string.h>

#include "common/limits.h"
#include "sbrouter/dbus_name.h"
#include "sbrouter/driver_send.h"
#include "sbrouter/match.h"
#include "sbrouter/name.h"
#include "sbrouter/router.h"

/* StartServiceByName's answer for a name that has an owner (1 would be: started). */
#define START_ALREADY_RUNNING 2u

/* Each name of a guest's is a signal to sbportal, which must never have more than it can read. */
static int check_lag(struct driver_call *call) {
        if (!call->c->listener || !router_peer_lags(call->r))
                return 0;
        return driver_fail(call, DRIVER_E_LIMITS_EXCEEDED, "names change too fast on this bus");
}

static int hello(struct driver_call *call) {
        int v;

        if (call->c->id != 0)
                return driver_fail(call, DRIVER_E_FAILED, "Hello was said already");
        if (call->c->listener && router_is_full(call->r))
                return driver_fail(call, DRIVER_E_LIMITS_EXCEEDED,
                                   "this bus has %u connections already",
                                   call->r->limits.connections);
        v = check_lag(call);
        if (v != 0)
                return v;
        router_register(call->r, call->c);
        v = driver_return_text(call, call->c->name); /* first: a client learns its name from it */
        if (v == 0)
                v = driver_name_owner_changed(call->r, call->c->name, NULL, call->c);
        return v < 0 ? v : driver_name_acquired(call->r, call->c, call->c->name);
}

static int name_error(struct driver_call *call, int e) {
        static const struct {
                int e;
                const char *text;
        } map[] = {
                [NAME_E_INVALID] = {DRIVER_E_INVALID_ARGS, "not a name that can be owned"},
                [NAME_E_RESERVED] = {DRIVER_E_ACCESS_DENIED, "portal names are not for guests"},
                [NAME_E_LIMIT] = {DRIVER_E_LIMITS_EXCEEDED, "this connection has too many names"},
        };

        return e <= 0 ? e : driver_fail(call, map[e].e, "%s", map[e].text);
}

static int request_name(struct driver_call *call) {
        uint32_t answer;
        int v = check_lag(call);

        if (v != 0)
                return v;
        v = name_request(call->r, call->c, driver_arg(call, 0)->s, driver_arg(call, 1)->n, &answer);
        return v != 0 ? name_error(call, v) : driver_return_number(call, answer);
}

static int release_name(struct driver_call *call) {
        uint32_t answer;
        int v = name_release(call->r, call->c, driver_arg(call, 0)->s, &answer);

        return v != 0 ? name_error(call, v) : driver_return_number(call, answer);
}

static int list_names(struct driver_call *call) {
        struct router *r = call->r;
        size_t n = 0, max = 1 + r->by_id.n + r->names.n;
        _cleanup_free_ const char **names = calloc(max, sizeof(*names));

        if (!names)
                return -ENOMEM;
        names[n++] = DRIVER_NAME;
        TABLE_FOREACH(node, &r->by_id)
                names[n++] = LIST_OWNER(node, struct connection, by_id)->name;
        TABLE_FOREACH(node, &r->names)
                names[n++] = LIST_OWNER(node, struct name, node)->s;
        r->work += (unsigned)(n / LIMIT_TURN_WALK);
        return driver_return_texts(call, names, n);
}

/* Of its names those that it does not only wait for; how many. */
static size_t add_owned_names(const struct connection *portal, const char **names) {
        size_t n = 0;

        LIST_FOREACH(l, &portal->names) {
                const struct name *name = LIST_OWNER(l, struct name_claim, claimed)->name;

                if (name_held_by(name) == portal)
                        names[n++] = name->s;
        }
        return n;
}

/*
 * This bus starts nothing, but toolkits look here for what a session has: they do not use portals
 * that are not in it.  So it lists sbportal's names, which StartServiceByName finds running.
 */
static int list_activatable_names(struct driver_call *call) {
        _cleanup_free_ const char **names = NULL;
        size_t n = 1, walked = 0;

        LIST_FOREACH(link, &call->r->connections) {
                const struct connection *c = LIST_OWNER(link, struct connection, link);

                n += c->portal ? c->n_names : 0;
                walked++;
        }
        names = calloc(n, sizeof(*names));
        if (!names)
                return -ENOMEM;
        names[0] = DRIVER_NAME;
        n = 1;
        LIST_FOREACH(link, &call->r->connections) {
                const struct connection *c = LIST_OWNER(link, struct connection, link);

                n += c->portal ? add_owned_names(c, names + n) : 0;
        }
        call->r->work += (unsigned)(walked / LIMIT_TURN_WALK);
        return driver_return_texts(call, names, n);
}

/* Who owns the name that is the first argument: NULL and *ret_driver, a connection, or neither. */
static struct connection *find_owner(struct driver_call *call, bool *ret_driver) {
        const struct body_arg *name = driver_arg(call, 0);

        *ret_driver = strcmp(name->s, DRIVER_NAME) == 0;
        return *ret_driver ? NULL : router_lookup(call->r, name->s, name->n);
}

static int name_has_owner(struct driver_call *call) {
        bool driver;

        return driver_return_number(call, find_owner(call, &driver) || driver);
}

static int no_owner(struct driver_call *call) {
        return driver_fail(call, DRIVER_E_NAME_HAS_NO_OWNER, "nobody owns the name %s",
                           driver_arg(call, 0)->s);
}

static int get_name_owner(struct driver_call *call) {
        bool driver;
        const struct connection *owner = find_owner(call, &driver);

        if (!owner && !driver)
                return no_owner(call);
        return driver_return_text(call, driver ? DRIVER_NAME : owner->name);
}

static int list_queued_owners(struct driver_call *call) {
        const struct body_arg *arg = driver_arg(call, 0);
        _cleanup_free_ const char **owners = NULL;
        const struct connection *unique;
        const struct name *name;
        bool driver;
        size_t n = 0;

        unique = find_owner(call, &driver);
        if (!unique && !driver)
                return no_owner(call);
        name = name_find(call->r, arg->s, arg->n);
        if (!name) {
                const char *self = driver ? DRIVER_NAME : unique->name;

                return driver_return_texts(call, &self, 1);
        }
        LIST_FOREACH(l, &name->claims)
                n++;
        owners = calloc(n, sizeof(*owners));
        if (!owners)
                return -ENOMEM;
        n = 0;
        LIST_FOREACH(l, &name->claims)
                owners[n++] = LIST_OWNER(l, struct name_claim, queued)->c->name;
        return driver_return_texts(call, owners, n);
}

static int start_service_by_name(struct driver_call *call) {
        bool driver;

        if (!find_owner(call, &driver) && !driver)
                return driver_fail(call, DRIVER_E_SERVICE_UNKNOWN,
                                   "nobody owns the name %s, and this bus starts no services",
                                   driver_arg(call, 0)->s);
        return driver_return_number(call, START_ALREADY_RUNNING);
}

static int parse_rule(struct driver_call *call, struct match_rule **ret) {
        const struct body_arg *text = driver_arg(call, 0);
        int v = match_rule_parse(text->s, text->n, ret);

        if (v <= 0)
                return v;
        return driver_fail(call,
                           v == MATCH_RULE_E_LENGTH ? DRIVER_E_LIMITS_EXCEEDED
                                                    : DRIVER_E_MATCH_RULE_INVALID,
                           "match rule: %s", match_rule_strerror(v));
}

static int add_match(struct driver_call *call) {
        struct match_rule *rule;
        int v = parse_rule(call, &rule);

        if (v != 0)
                return v;
        v = match_add(call->r, call->c, rule);
        if (v <= 0)
                return v < 0 ? v : driver_return(call);
        return driver_fail(call, DRIVER_E_LIMITS_EXCEEDED, "%s has too many match rules",
                           v == MATCH_E_LIMIT ? "this connection" : "this bus");
}

static int remove_match(struct driver_call *call) {
        _cleanup_(match_rule_freep) struct match_rule *rule = NULL;
        int v = parse_rule(call, &rule);

        if (v != 0)
                return v;
        v = match_remove(call->r, call->c, rule);
        if (v == MATCH_E_NOT_FOUND)
                return DRIVER_E_MATCH_RULE_NOT_FOUND;
        return v < 0 ? v : driver_return(call);
}

static int get_id(struct driver_call *call) {
        return driver_return_text(call, call->r->guid);
}

static int get_machine_id(struct driver_call *call) {
        return driver_return_text(call, call->r->machine_id);
}

#define TEXT(s)    {s, sizeof(s) - 1}
#define BUS        TEXT(DBUS_INTERFACE_DBUS)
#define PEER       TEXT(DBUS_INTERFACE_PEER)
#define PROPERTIES TEXT(DBUS_INTERFACE_PROPERTIES)
#define STATS      TEXT(DRIVER_STATS)
#define ANY        DRIVER_ANY_PATH
#define ASK        (DRIVER_ANY_PATH | DRIVER_QUESTION)
#define ASK_HERE   DRIVER_QUESTION
#define DEBUG      (DRIVER_DEBUG | ASK_HERE)

const struct driver_method driver_methods[] = {
        {BUS, TEXT("Hello"), "", "s", ANY, hello},
        {BUS, TEXT("RequestName"), "su", "u", ANY, request_name},
        {BUS, TEXT("ReleaseName"), "s", "u", ANY, release_name},
        {BUS, TEXT("StartServiceByName"), "su", "u", ANY, start_service_by_name},
        /* Variables of the programs that the bus starts: it starts none, so nothing is kept. */
        {BUS, TEXT("UpdateActivationEnvironment"), "a{ss}", "", 0, driver_return},
        {BUS, TEXT("NameHasOwner"), "s", "b", ASK, name_has_owner},
        {BUS, TEXT("ListNames"), "", "as", ASK, list_names},
        {BUS, TEXT("ListActivatableNames"), "", "as", ASK, list_activatable_names},
        {BUS, TEXT("AddMatch"), "s", "", ANY, add_match},
        {BUS, TEXT("RemoveMatch"), "s", "", ANY, remove_match},
        {BUS, TEXT("GetNameOwner"), "s", "s", ASK, get_name_owner},
        {BUS, TEXT("ListQueuedOwners"), "s", "as", ASK, list_queued_owners},
        {BUS, TEXT("GetConnectionUnixUser"), "s", "u", ASK, driver_get_unix_user},
        {BUS, TEXT("GetConnectionUnixProcessID"), "s", "u", ASK, driver_get_process_id},
        {BUS, TEXT("GetAdtAuditSessionData"), "s", "ay", ASK, driver_get_adt},
        {BUS, TEXT("GetConnectionSELinuxSecurityContext"), "s", "ay", ASK, driver_get_selinux},
        {BUS, TEXT("ReloadConfig"), "", "", ASK, driver_return}, /* there is none to reload */
        {BUS, TEXT("GetId"), "", "s", ASK, get_id},
        {BUS, TEXT("GetConnectionCredentials"), "s", "a{sv}", ASK, driver_get_credentials},
        {PROPERTIES, TEXT("Get"), "ss", "v", ASK_HERE, driver_property_get},
        {PROPERTIES, TEXT("GetAll"), "s", "a{sv}", ASK_HERE, driver_property_get_all},
        {PROPERTIES, TEXT("Set"), "ssv", "", 0, driver_property_set},
        {TEXT(DBUS_INTERFACE_INTROSPECTABLE), TEXT("Introspect"), "", "s", ASK, driver_introspect},
        {PEER, TEXT("GetMachineId"), "", "s", ASK, get_machine_id},
        {PEER, TEXT("Ping"), "", "", ASK, driver_return},
        {STATS, TEXT("GetStats"), "", "a{sv}", DEBUG, driver_get_stats},
        {STATS, TEXT("GetConnectionStats"), "s", "a{sv}", DEBUG, driver_get_connection_stats},
        {STATS, TEXT("GetAllMatchRules"), "", "a{sas}", DEBUG, driver_get_all_match_rules},
        {TEXT(DBUS_INTERFACE_MONITORING), TEXT("BecomeMonitor"), "asu", "", DRIVER_DEBUG,
         driver_become_monitor},
        {.in = NULL},
};
