/* SPDX-License-Identifier: MIT */
/*
 * A guest's call that the gate answers, from its arrival to its end: for a plain call
 * the gate's reply, for a request its Response or Close, for one that lasts its Close.
 *
 * It keeps only what the rest of its life needs; the guest's message is let go.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "common/cleanup.h"
#include "common/portal_table.h"
#include "sbportal/translator.h"

enum {
        CALL_E_LIMIT = 1, /* LIMIT_REQUESTS_CLIENT or LIMIT_REQUESTS_VM; logged */
};

struct call {
        struct translator *t;
        char *client;            /* the caller's unique name */
        sd_bus_message *message; /* to answer it: call_stub_new() */
        sd_bus_slot *slot;       /* set while the gate has not replied */
        int (*answered)(struct call *c, sd_bus_message *answer);

        const struct portal_method *method;       /* of a portal's method, or what it became */
        const struct portal_property *property;   /* of Properties.Get */
        const struct portal_interface *interface; /* of Properties.GetAll */

        char *introspect; /* the path of an object that waits for what the gate has */
        uint32_t number;  /* of what the call became: a cookie, a notification; 0: none */

        /* Of requests (PORTAL_IS_REQUEST, PORTAL_LASTS): */
        char *handle;      /* the object's path on the VM bus; NULL: the guest has none */
        char *gate_handle; /* on the gate; NULL until it replied */
        bool in_force;     /* PORTAL_LASTS: its Response is through */

        struct session *session; /* that the method makes, until the gate has made it */
        bool abandoned;          /* the guest closed it, or left, before the gate replied */
};

/* A request, or made to one, and not yet at its end. */
bool call_is_request(const struct call *c);

/* 0, CALL_E_LIMIT or a negative errno.  message: the guest's; borrowed. */
int call_new(struct translator *t, sd_bus_message *message, struct call **ret);
/*
 * The same, for a row of the table or NULL; where there is no room, message is answered
 * LimitsExceeded, and *ret is NULL.
 */
int call_begin(struct translator *t, sd_bus_message *message, const struct portal_method *method,
               struct call **ret);
struct call *call_free(struct call *c);
DEFINE_CLEANUP(struct call *, call_free);

/*
 * Sends m to the gate.  answered() gets the gate's reply, an error too, and owns c from then on;
 * after call_free() it is not called any more.  0, BUS_SOURCE_E_* or a negative errno; the caller
 * still owns c when it is not 0.
 */
int call_send(struct call *c, sd_bus_message *m,
              int (*answered)(struct call *c, sd_bus_message *answer));

/*
 * Passes the gate's error on: by its name if that is one a portal client knows, else FAILED;
 * what the host's portal lacks is said as GDBus says it.
 */
int call_reply_gate_error(struct call *c, sd_bus_message *answer);

/* The gate's reply was not of the agreed form: logs, and the guest gets FAILED. */
int call_reply_gate_broken(struct call *c);

/* NULL: there is none.  Abandoned requests have no object any more. */
struct call *call_by_handle(struct translator *t, const char *path);
struct call *call_by_gate_handle(struct translator *t, const char *path);
/* A handle path is in use, also by an abandoned request. */
bool call_handle_is_taken(struct translator *t, const char *path);
