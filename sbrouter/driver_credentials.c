/* SPDX-License-Identifier: MIT */
/* The driver's methods that say who a connection is. */
#include "sbrouter/driver.h"

#include <errno.h>
#include <string.h>

#include "sbrouter/driver_send.h"
#include "sbrouter/router.h"

/* What the bus may say of itself: nothing on the VM bus, where all numbers are the guest's. */
static struct credentials own_credentials(const struct router *r) {
        if (r->bus == ROUTER_VM)
                return (struct credentials){0};
        return (struct credentials){
                .has_uid = true,
                .has_pid = r->bus == ROUTER_STANDALONE,
                .uid = r->own_uid,
                .pid = r->own_pid,
        };
}

/*
 * The credentials of the connection that the call asks about.  On the private bus
 * every pid is the one that the supervisor named; until then the call is held.
 */
static int look_up(struct driver_call *call, struct credentials *ret) {
        const char *name = driver_string(call);
        struct connection *c;

        if (strcmp(name, DRIVER_NAME) == 0) {
                *ret = own_credentials(call->r);
        } else {
                c = router_lookup(call->r, name, strlen(name));
                if (!c)
                        return driver_fail(call, DRIVER_E_NAME_HAS_NO_OWNER,
                                           "nobody owns the name %s", name);
                *ret = c->credentials;
        }
        if (call->r->bus == ROUTER_PRIVATE) {
                ret->has_pid = call->r->peer_pid != 0;
                ret->pid = call->r->peer_pid;
        }
        return 0;
}

/* The same for a caller who wants the pid. */
static int look_up_with_pid(struct driver_call *call, struct credentials *ret) {
        int v = look_up(call, ret);

        return v == 0 && call->r->bus == ROUTER_PRIVATE && !ret->has_pid ? DRIVER_E_HOLD : v;
}

int driver_get_unix_user(struct driver_call *call) {
        struct credentials cred;
        int v = look_up(call, &cred);

        if (v != 0)
                return v;
        if (!cred.has_uid)
                return driver_fail(call, DRIVER_E_FAILED, "this connection's user id is not known");
        return driver_return(call, DBUS_TYPE_UINT32, &cred.uid);
}

int driver_get_process_id(struct driver_call *call) {
        struct credentials cred;
        int v = look_up_with_pid(call, &cred);

        if (v != 0)
                return v;
        return cred.has_pid ? driver_return(call, DBUS_TYPE_UINT32, &cred.pid) : DRIVER_E_PID_UNKNOWN;
}

static bool append_number(DBusMessageIter *dict, const char *key, uint32_t value) {
        DBusMessageIter entry, variant;

        return dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry) &&
               dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key) &&
               dbus_message_iter_open_container(&entry, DBUS_TYPE_VARIANT, "u", &variant) &&
               dbus_message_iter_append_basic(&variant, DBUS_TYPE_UINT32, &value) &&
               dbus_message_iter_close_container(&entry, &variant) &&
               dbus_message_iter_close_container(dict, &entry);
}

/* As the specification has it, what is not known is left out. */
int driver_get_credentials(struct driver_call *call) {
        DBusMessageIter it, dict;
        struct credentials cred;
        int v = look_up_with_pid(call, &cred);

        if (v != 0)
                return v;
        dbus_message_iter_init_append(call->reply, &it);
        if (!dbus_message_iter_open_container(&it, DBUS_TYPE_ARRAY, "{sv}", &dict) ||
            (cred.has_uid && !append_number(&dict, "UnixUserID", cred.uid)) ||
            (cred.has_pid && !append_number(&dict, "ProcessID", cred.pid)) ||
            !dbus_message_iter_close_container(&it, &dict))
                return -ENOMEM;
        return 0;
}

int driver_get_adt(struct driver_call *call) {
        struct credentials cred;
        int v = look_up(call, &cred);

        return v != 0 ? v : DRIVER_E_ADT_UNKNOWN;
}

int driver_get_selinux(struct driver_call *call) {
        struct credentials cred;
        int v = look_up(call, &cred);

        return v != 0 ? v : DRIVER_E_SELINUX_UNKNOWN;
}
