/* SPDX-License-Identifier: MIT */
/*
 * Calls to the bus itself, org.freedesktop.DBus.
 *
 * One table (driver_methods.c) says for each method its signatures and its handler;
 * the dispatcher checks a call against its row, and a handler answers it.  Arguments are
 * read from the body, which was found valid, and answers written by driver_write.c, those
 * of many types by body_write.c.
 */
#pragma once

#include <dbus/dbus-protocol.h> /* for the names in it: nothing here links libdbus */
#include <dbus/dbus-shared.h>
#include <stddef.h>

#include "sbrouter/body.h"
#include "sbrouter/body_write.h"
#include "sbrouter/message.h"

struct connection;
struct router;

/* A message from c whose destination is the driver; only calls have an effect.  0 or -errno. */
int driver_call(struct router *r, struct connection *c, const struct message *m);
/* The pid that calls were held for is known now.  0 or -errno. */
int driver_resume(struct router *r);
/* c goes: what it holds is dropped. */
void driver_forget(struct connection *c);

/* --- for the handlers ------------------------------------------------------------------------ */

/* Each is a D-Bus error that the caller gets; driver.c has their names. */
enum {
        DRIVER_E_FAILED = 1,
        DRIVER_E_ACCESS_DENIED,
        DRIVER_E_INVALID_ARGS,
        DRIVER_E_LIMITS_EXCEEDED,
        DRIVER_E_NAME_HAS_NO_OWNER,
        DRIVER_E_SERVICE_UNKNOWN,
        DRIVER_E_MATCH_RULE_INVALID,
        DRIVER_E_MATCH_RULE_NOT_FOUND,
        DRIVER_E_UNKNOWN_METHOD,
        DRIVER_E_UNKNOWN_INTERFACE,
        DRIVER_E_UNKNOWN_PROPERTY,
        DRIVER_E_PROPERTY_READ_ONLY,
        DRIVER_E_PID_UNKNOWN,
        DRIVER_E_ADT_UNKNOWN,
        DRIVER_E_SELINUX_UNKNOWN,
        DRIVER_E_HOLD, /* no error: the call waits for driver_resume() */
        DRIVER_N_E
};

struct driver_call {
        struct router *r;
        struct connection *c;
        const struct message *m;
        const struct driver_method *row;
        struct body_args args;
        char text[512]; /* of the error; empty: the error's own default */
};

enum {
        DRIVER_ANY_PATH = 1, /* as dbus-daemon: old clients call it on any object */
        DRIVER_QUESTION = 2, /* changes nothing: not run when nobody wants its answer */
        DRIVER_DEBUG = 4,    /* only for who came by a debug socket */
};

struct driver_method {
        struct message_string interface, member; /* with their lengths: most differ in those */
        const char *in, *out;                    /* signatures */
        unsigned flags;
        int (*fn)(struct driver_call *call); /* 0: it has answered; DRIVER_E_*; or a negative errno */
};

/* Ends with a row without interface; rows of one interface are together. */
extern const struct driver_method driver_methods[];

#define DRIVER_STATS "org.freedesktop.DBus.Debug.Stats" /* as dbus-daemon has it */

/* Sets the error's text, cut between two characters when it is too long, and returns e. */
int driver_fail(struct driver_call *call, int e, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
/* Argument i, of the type that the row says. */
static inline const struct body_arg *driver_arg(struct driver_call *call, unsigned i) {
        return body_args_get(&call->args, i);
}

/* One of these answers the call, as the row's out says.  0 or a negative errno. */
int driver_return(struct driver_call *call);
int driver_return_text(struct driver_call *call, const char *text);
int driver_return_texts(struct driver_call *call, const char *const *texts, size_t n);
int driver_return_number(struct driver_call *call, uint32_t number);
int driver_return_body(struct driver_call *call, const struct body_writer *body);

/* driver_credentials.c */
int driver_get_unix_user(struct driver_call *call);
int driver_get_process_id(struct driver_call *call);
int driver_get_credentials(struct driver_call *call);
int driver_get_adt(struct driver_call *call);
int driver_get_selinux(struct driver_call *call);
/* driver_debug.c */
int driver_become_monitor(struct driver_call *call);
int driver_get_stats(struct driver_call *call);
int driver_get_connection_stats(struct driver_call *call);
int driver_get_all_match_rules(struct driver_call *call);
/* introspect.c */
int driver_introspect(struct driver_call *call);
int driver_property_get(struct driver_call *call);
int driver_property_get_all(struct driver_call *call);
int driver_property_set(struct driver_call *call);
