/* SPDX-License-Identifier: MIT */
#include "sbrouter/driver.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/limits.h"
#include "common/log.h"
#include "sbrouter/driver_fast.h"
#include "sbrouter/driver_send.h"
#include "sbrouter/router.h"

/* A call that waits until the supervisor has named the pid to answer with. */
struct held_call {
        struct list link; /* on connection->held */
        DBusMessage *request;
};

static const struct {
        const char *name, *text;
} errors[DRIVER_N_E] = {
        [DRIVER_E_FAILED] = {DBUS_ERROR_FAILED, "it failed"},
        [DRIVER_E_ACCESS_DENIED] = {DBUS_ERROR_ACCESS_DENIED, "this bus does not allow it"},
        [DRIVER_E_INVALID_ARGS] = {DBUS_ERROR_INVALID_ARGS, "the arguments are not valid"},
        [DRIVER_E_LIMITS_EXCEEDED] = {DBUS_ERROR_LIMITS_EXCEEDED, "a limit of this bus is reached"},
        [DRIVER_E_NAME_HAS_NO_OWNER] = {DBUS_ERROR_NAME_HAS_NO_OWNER, "nobody owns that name"},
        [DRIVER_E_SERVICE_UNKNOWN] = {DBUS_ERROR_SERVICE_UNKNOWN, "this bus starts no services"},
        [DRIVER_E_MATCH_RULE_INVALID] = {DBUS_ERROR_MATCH_RULE_INVALID, "not a match rule"},
        [DRIVER_E_MATCH_RULE_NOT_FOUND] = {DBUS_ERROR_MATCH_RULE_NOT_FOUND, "no such match rule"},
        [DRIVER_E_UNKNOWN_METHOD] = {DBUS_ERROR_UNKNOWN_METHOD, "the bus has no such method"},
        [DRIVER_E_UNKNOWN_INTERFACE] = {DBUS_ERROR_UNKNOWN_INTERFACE, "no such interface"},
        [DRIVER_E_UNKNOWN_PROPERTY] = {DBUS_ERROR_UNKNOWN_PROPERTY, "no such property"},
        [DRIVER_E_PROPERTY_READ_ONLY] = {DBUS_ERROR_PROPERTY_READ_ONLY, "it is read-only"},
        [DRIVER_E_PID_UNKNOWN] = {DBUS_ERROR_UNIX_PROCESS_ID_UNKNOWN,
                                  "this connection's process id is not known"},
        [DRIVER_E_ADT_UNKNOWN] = {DBUS_ERROR_ADT_AUDIT_DATA_UNKNOWN, "there is no audit data"},
        [DRIVER_E_SELINUX_UNKNOWN] = {DBUS_ERROR_SELINUX_SECURITY_CONTEXT_UNKNOWN,
                                      "there is no security context"},
};

/* Takes off the end what is only the start of a character; all before it is valid UTF-8. */
static void drop_cut_character(char *s, size_t n) {
        while (n > 0 && ((unsigned char)s[n - 1] & 0xc0) == 0x80)
                n--;
        s[n > 0 ? n - 1 : 0] = 0; /* the first byte of one, or one that might have been whole */
}

int driver_fail(struct driver_call *call, int e, const char *fmt, ...) {
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(call->text, sizeof(call->text), fmt, ap);
        va_end(ap);
        if (n < 0)
                call->text[0] = 0;
        else if ((size_t)n >= sizeof(call->text))
                drop_cut_character(call->text, sizeof(call->text) - 1);
        return e;
}

int driver_return(struct driver_call *call, int dbus_type, const void *value) {
        DBusMessageIter it;

        dbus_message_iter_init_append(call->reply, &it);
        return dbus_message_iter_append_basic(&it, dbus_type, value) ? 0 : -ENOMEM;
}

int driver_return_strings(struct driver_call *call, const char *const *strings, size_t n) {
        return dbus_message_append_args(call->reply, DBUS_TYPE_ARRAY, DBUS_TYPE_STRING, &strings,
                                        (int)n, DBUS_TYPE_INVALID)
                       ? 0
                       : -ENOMEM;
}

const char *driver_string(struct driver_call *call) {
        const char *s = NULL;

        /* The row's signature was checked, so this cannot fail. */
        (void)dbus_message_get_args(call->request, NULL, DBUS_TYPE_STRING, &s, DBUS_TYPE_INVALID);
        return s;
}

int driver_answer(struct driver_call *call) {
        _cleanup_(dbus_message_unrefp) DBusMessage *reply = TAKE_PTR(call->reply);

        if (!reply || dbus_message_get_no_reply(call->request))
                return 0;
        return driver_send(call->r, call->c, reply);
}

static bool has_member(const struct driver_method *row, const char *interface, const char *member) {
        return strcmp(row->member, member) == 0 &&
               (!interface || strcmp(row->interface, interface) == 0);
}

/* 0 and the row, or why there is none. */
static int find_method(struct driver_call *call, const struct driver_method **ret) {
        const char *interface = dbus_message_get_interface(call->request);
        const char *member = dbus_message_get_member(call->request);
        bool known = !interface;

        for (const struct driver_method *row = driver_methods; row->interface; row++) {
                if (has_member(row, interface, member)) {
                        *ret = row;
                        return 0;
                }
                known = known || strcmp(row->interface, interface) == 0;
        }
        if (!known)
                return driver_fail(call, DRIVER_E_UNKNOWN_INTERFACE,
                                   "the bus has no interface %s", interface);
        return driver_fail(call, DRIVER_E_UNKNOWN_METHOD, "the bus has no method %s", member);
}

static int check_call(struct driver_call *call, const struct driver_method *row) {
        if (!call->c->may_debug && (row->flags & DRIVER_DEBUG))
                return driver_fail(call, DRIVER_E_ACCESS_DENIED, "%s is for a debug socket only",
                                   row->member);
        if (!(row->flags & DRIVER_ANY_PATH) && !dbus_message_has_path(call->request, DRIVER_PATH))
                /* The two errors of dbus-daemon. */
                return driver_fail(call,
                                   strcmp(row->interface, DBUS_INTERFACE_DBUS) == 0
                                           ? DRIVER_E_ACCESS_DENIED
                                           : DRIVER_E_UNKNOWN_INTERFACE,
                                   "%s is only at " DRIVER_PATH, row->member);
        if (!dbus_message_has_signature(call->request, row->in))
                return driver_fail(call, DRIVER_E_INVALID_ARGS, "%s takes (%s), not (%s)",
                                   row->member, row->in,
                                   dbus_message_get_signature(call->request));
        return 0;
}

static int hold(struct driver_call *call) {
        struct held_call *held;

        if (call->c->n_held >= LIMIT_PENDING_REPLIES)
                return DRIVER_E_LIMITS_EXCEEDED;
        held = malloc(sizeof(*held));
        if (!held)
                return -ENOMEM;
        held->request = dbus_message_ref(call->request);
        list_append(&call->c->held, &held->link);
        call->c->n_held++;
        return 0;
}

static int send_error(struct driver_call *call, int e) {
        if (dbus_message_get_no_reply(call->request))
                return 0;
        return driver_error(call->r, call->c, dbus_message_get_serial(call->request), errors[e].name,
                            call->text[0] ? call->text : errors[e].text);
}

static int run(struct router *r, struct connection *c, DBusMessage *request) {
        struct driver_call call = {.r = r, .c = c, .request = request};
        const struct driver_method *row = NULL;
        int v;

        call.reply = dbus_message_new_method_return(request);
        if (!call.reply)
                return -ENOMEM;
        v = find_method(&call, &row);
        if (v == 0)
                v = check_call(&call, row);
        if (v == 0 && (!(row->flags & DRIVER_QUESTION) || !dbus_message_get_no_reply(request)))
                v = row->fn(&call);
        if (v == 0)
                v = driver_answer(&call);
        else if (v == DRIVER_E_HOLD)
                v = hold(&call);
        if (v > 0)
                v = send_error(&call, v);
        if (call.reply)
                dbus_message_unref(call.reply);
        return v;
}

/* libdbus refuses messages that announce descriptors; the driver takes none anyway. */
static int demarshal(struct connection *c, const struct message *m, DBusMessage **ret) {
        size_t n, max = message_stamp_max(m, c->n_name) + m->frame.n_body;
        _cleanup_free_ uint8_t *buf = malloc(max);
        DBusError error = DBUS_ERROR_INIT;

        if (!buf)
                return -ENOMEM;
        n = message_stamp(m, c->n_name ? c->name : NULL, c->n_name, 1 << MESSAGE_FIELD_UNIX_FDS, buf);
        memcpy(buf + n, m->body, m->frame.n_body);
        *ret = dbus_message_demarshal((const char *)buf, (int)(n + m->frame.n_body), &error);
        if (*ret)
                return 0;
        if (dbus_error_has_name(&error, DBUS_ERROR_NO_MEMORY)) {
                dbus_error_free(&error);
                return -ENOMEM;
        }
        /* Our parser took it: not known to happen, and reason enough not to go on with this peer. */
        connection_breach(c, "libdbus refuses its message to the bus");
        dbus_error_free(&error);
        return 0;
}

int driver_call(struct router *r, struct connection *c, const struct message *m) {
        _cleanup_(dbus_message_unrefp) DBusMessage *request = NULL;
        int v;

        if (m->type != MESSAGE_CALL)
                return 0;
        if (m->frame.n > LIMIT_DRIVER_BYTES)
                return message_wants_reply(m)
                               ? driver_error(r, c, m->serial, DBUS_ERROR_LIMITS_EXCEEDED,
                                              "too long for a call to the bus")
                               : 0;
        v = driver_fast(r, c, m);
        if (v != DRIVER_FAST_E_LEFT)
                return v;
        v = demarshal(c, m, &request);
        return v == 0 && request ? run(r, c, request) : v;
}

static int resume_connection(struct router *r, struct connection *c) {
        LIST_FOREACH(link, &c->held) {
                struct held_call *held = LIST_OWNER(link, struct held_call, link);
                int v;

                list_remove(&held->link);
                c->n_held--;
                v = run(r, c, held->request);
                dbus_message_unref(held->request);
                free(held);
                if (v < 0)
                        return v;
        }
        return 0;
}

int driver_resume(struct router *r) {
        LIST_FOREACH(link, &r->connections) {
                int v = resume_connection(r, LIST_OWNER(link, struct connection, link));

                if (v < 0)
                        return v;
        }
        return 0;
}

void driver_forget(struct connection *c) {
        LIST_FOREACH(link, &c->held) {
                struct held_call *held = LIST_OWNER(link, struct held_call, link);

                list_remove(&held->link);
                c->n_held--;
                dbus_message_unref(held->request);
                free(held);
        }
}
