/* SPDX-License-Identifier: MIT */
/* The driver's methods that say who a connection is. */
#include "sbrouter/driver.h"

#include <string.h>

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
        const struct body_arg *name = driver_arg(call, 0);
        struct connection *c;

        if (strcmp(name->s, DRIVER_NAME) == 0) {
                *ret = own_credentials(call->r);
        } else {
                c = router_lookup(call->r, name->s, name->n);
                if (!c)
                        return driver_fail(call, DRIVER_E_NAME_HAS_NO_OWNER,
                                           "nobody owns the name %s", name->s);
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
        return driver_return_number(call, cred.uid);
}

int driver_get_process_id(struct driver_call *call) {
        struct credentials cred;
        int v = look_up_with_pid(call, &cred);

        if (v != 0)
                return v;
        return cred.has_pid ? driver_return_number(call, cred.pid) : DRIVER_E_PID_UNKNOWN;
}

/* As the specification has it, what is not known is left out. */
int driver_get_credentials(struct driver_call *call) {
        _cleanup_(body_write_done) struct body_writer w = {0};
        struct credentials cred;
        struct body_array dict;
        int v = look_up_with_pid(call, &cred);

        if (v != 0)
                return v;
        dict = body_open_array(&w, BODY_ALIGN_ENTRY);
        if (cred.has_uid)
                body_write_entry(&w, "UnixUserID", cred.uid);
        if (cred.has_pid)
                body_write_entry(&w, "ProcessID", cred.pid);
        body_close_array(&w, dict);
        return driver_return_body(call, &w);
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
