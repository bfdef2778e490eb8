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
        const char *name = call->c->name;
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
        v = driver_return(call, DBUS_TYPE_STRING, &name);
        if (v == 0)
                v = driver_answer(call); /* a client learns its name from the reply, so that is first */
        if (v == 0)
                v = driver_name_owner_changed(call->r, name, NULL, call->c);
        return v < 0 ? v : driver_name_acquired(call->r, call->c, name);
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
        const char *name;
        uint32_t flags, answer;
        int v;

        (void)dbus_message_get_args(call->request, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_UINT32,
                                    &flags, DBUS_TYPE_INVALID);
        v = check_lag(call);
        if (v != 0)
                return v;
        v = name_request(call->r, call->c, name, flags, &answer);
        return v != 0 ? name_error(call, v) : driver_return(call, DBUS_TYPE_UINT32, &answer);
}

static int release_name(struct driver_call *call) {
        uint32_t answer;
        int v = name_release(call->r, call->c, driver_string(call), &answer);

        return v != 0 ? name_error(call, v) : driver_return(call, DBUS_TYPE_UINT32, &answer);
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
        return driver_return_strings(call, names, n);
}

/*
 * This bus starts nothing, but toolkits look here for what a session has: they do not use portals
 * that are not in it.  So it lists sbportal's names, which StartServiceByName finds running.
 */
static int list_activatable_names(struct driver_call *call) {
        struct router *r = call->r;
        _cleanup_free_ const char **names = calloc(1 + r->names.n, sizeof(*names));
        size_t n = 0;

        if (!names)
                return -ENOMEM;
        names[n++] = DRIVER_NAME;
        TABLE_FOREACH(node, &r->names) {
                const struct name *name = LIST_OWNER(node, struct name, node);
                const struct connection *owner = name_owner(r, name->s, name->n);

                if (owner && owner->portal)
                        names[n++] = name->s;
        }
        return driver_return_strings(call, names, n);
}

/* Who owns name: NULL and *ret_driver, a connection, or neither. */
static struct connection *find_owner(struct driver_call *call, const char *name, bool *ret_driver) {
        *ret_driver = strcmp(name, DRIVER_NAME) == 0;
        return *ret_driver ? NULL : router_lookup(call->r, name, strlen(name));
}

static int name_has_owner(struct driver_call *call) {
        bool driver;
        dbus_bool_t answer = find_owner(call, driver_string(call), &driver) || driver;

        return driver_return(call, DBUS_TYPE_BOOLEAN, &answer);
}

static int no_owner(struct driver_call *call, const char *name) {
        return driver_fail(call, DRIVER_E_NAME_HAS_NO_OWNER, "nobody owns the name %s", name);
}

static int get_name_owner(struct driver_call *call) {
        const char *name = driver_string(call), *answer = DRIVER_NAME;
        bool driver;
        struct connection *owner = find_owner(call, name, &driver);

        if (owner)
                answer = owner->name;
        else if (!driver)
                return no_owner(call, name);
        return driver_return(call, DBUS_TYPE_STRING, &answer);
}

static int list_queued_owners(struct driver_call *call) {
        const char *s = driver_string(call);
        _cleanup_free_ const char **owners = NULL;
        struct connection *unique = NULL;
        struct name *name;
        bool driver;
        size_t n = 0;

        unique = find_owner(call, s, &driver);
        if (!unique && !driver)
                return no_owner(call, s);
        name = name_find(call->r, s, strlen(s));
        if (!name) {
                const char *self = driver ? DRIVER_NAME : unique->name;

                return driver_return_strings(call, &self, 1);
        }
        LIST_FOREACH(l, &name->claims)
                n++;
        owners = calloc(n, sizeof(*owners));
        if (!owners)
                return -ENOMEM;
        n = 0;
        LIST_FOREACH(l, &name->claims)
                owners[n++] = LIST_OWNER(l, struct name_claim, queued)->c->name;
        return driver_return_strings(call, owners, n);
}

static int start_service_by_name(struct driver_call *call) {
        uint32_t flags, answer = START_ALREADY_RUNNING;
        const char *name;
        bool driver;

        (void)dbus_message_get_args(call->request, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_UINT32,
                                    &flags, DBUS_TYPE_INVALID);
        if (!find_owner(call, name, &driver) && !driver)
                return driver_fail(call, DRIVER_E_SERVICE_UNKNOWN,
                                   "nobody owns the name %s, and this bus starts no services", name);
        return driver_return(call, DBUS_TYPE_UINT32, &answer);
}

static int parse_rule(struct driver_call *call, struct match_rule **ret) {
        const char *text = driver_string(call);
        int v = match_rule_parse(text, strlen(text), ret);

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
                return v;
        return driver_fail(call, DRIVER_E_LIMITS_EXCEEDED, "%s has too many match rules",
                           v == MATCH_E_LIMIT ? "this connection" : "this bus");
}

static int remove_match(struct driver_call *call) {
        _cleanup_(match_rule_freep) struct match_rule *rule = NULL;
        int v = parse_rule(call, &rule);

        if (v != 0)
                return v;
        v = match_remove(call->r, call->c, rule);
        return v == MATCH_E_NOT_FOUND ? DRIVER_E_MATCH_RULE_NOT_FOUND : v;
}

static int get_id(struct driver_call *call) {
        const char *id = call->r->guid;

        return driver_return(call, DBUS_TYPE_STRING, &id);
}

static int get_machine_id(struct driver_call *call) {
        const char *id = call->r->machine_id;

        return driver_return(call, DBUS_TYPE_STRING, &id);
}

static int succeed(_unused_ struct driver_call *call) {
        return 0;
}

#define BUS DBUS_INTERFACE_DBUS
#define STATS DRIVER_STATS
#define ANY DRIVER_ANY_PATH
#define ASK (DRIVER_ANY_PATH | DRIVER_QUESTION)

const struct driver_method driver_methods[] = {
        {BUS, "Hello", "", "s", ANY, hello},
        {BUS, "RequestName", "su", "u", ANY, request_name},
        {BUS, "ReleaseName", "s", "u", ANY, release_name},
        {BUS, "StartServiceByName", "su", "u", ANY, start_service_by_name},
        /* Variables of the programs that the bus starts: it starts none, so nothing is kept. */
        {BUS, "UpdateActivationEnvironment", "a{ss}", "", 0, succeed},
        {BUS, "NameHasOwner", "s", "b", ASK, name_has_owner},
        {BUS, "ListNames", "", "as", ASK, list_names},
        {BUS, "ListActivatableNames", "", "as", ASK, list_activatable_names},
        {BUS, "AddMatch", "s", "", ANY, add_match},
        {BUS, "RemoveMatch", "s", "", ANY, remove_match},
        {BUS, "GetNameOwner", "s", "s", ASK, get_name_owner},
        {BUS, "ListQueuedOwners", "s", "as", ASK, list_queued_owners},
        {BUS, "GetConnectionUnixUser", "s", "u", ASK, driver_get_unix_user},
        {BUS, "GetConnectionUnixProcessID", "s", "u", ASK, driver_get_process_id},
        {BUS, "GetAdtAuditSessionData", "s", "ay", ASK, driver_get_adt},
        {BUS, "GetConnectionSELinuxSecurityContext", "s", "ay", ASK, driver_get_selinux},
        {BUS, "ReloadConfig", "", "", ASK, succeed}, /* there is none to reload */
        {BUS, "GetId", "", "s", ASK, get_id},
        {BUS, "GetConnectionCredentials", "s", "a{sv}", ASK, driver_get_credentials},
        {DBUS_INTERFACE_PROPERTIES, "Get", "ss", "v", DRIVER_QUESTION, driver_property_get},
        {DBUS_INTERFACE_PROPERTIES, "GetAll", "s", "a{sv}", DRIVER_QUESTION,
         driver_property_get_all},
        {DBUS_INTERFACE_PROPERTIES, "Set", "ssv", "", 0, driver_property_set},
        {DBUS_INTERFACE_INTROSPECTABLE, "Introspect", "", "s", ASK, driver_introspect},
        {DBUS_INTERFACE_PEER, "GetMachineId", "", "s", ASK, get_machine_id},
        {DBUS_INTERFACE_PEER, "Ping", "", "", ASK, succeed},
        {STATS, "GetStats", "", "a{sv}", DRIVER_DEBUG | DRIVER_QUESTION, driver_get_stats},
        {STATS, "GetConnectionStats", "s", "a{sv}", DRIVER_DEBUG | DRIVER_QUESTION,
         driver_get_connection_stats},
        {STATS, "GetAllMatchRules", "", "a{sas}", DRIVER_DEBUG | DRIVER_QUESTION,
         driver_get_all_match_rules},
        {DBUS_INTERFACE_MONITORING, "BecomeMonitor", "asu", "", DRIVER_DEBUG,
         driver_become_monitor},
        {0},
};
