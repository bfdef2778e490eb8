/* SPDX-License-Identifier: MIT */
#include "sbrouter/driver.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/limits.h"
#include "common/log.h"
#include "sbrouter/driver_send.h"
#include "sbrouter/driver_write.h"
#include "sbrouter/router.h"

/* A call that waits until the supervisor has named the pid to answer with. */
struct held_call {
        struct list link; /* on connection->held */
        size_t n;
        uint8_t data[]; /* the whole message */
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

/* With the arguments that w has. */
static int answer(struct driver_call *call, struct driver_words w) {
        w.type = MESSAGE_RETURN;
        w.reply_serial = call->m->serial;
        w.signature = call->row->out;
        return message_wants_reply(call->m) ? driver_send_words(call->r, call->c, &w) : 0;
}

int driver_return(struct driver_call *call) {
        return answer(call, (struct driver_words){0});
}

int driver_return_text(struct driver_call *call, const char *text) {
        return driver_return_texts(call, &text, 1);
}

int driver_return_texts(struct driver_call *call, const char *const *texts, size_t n) {
        return answer(call, (struct driver_words){.texts = texts, .n = n});
}

int driver_return_number(struct driver_call *call, uint32_t number) {
        return answer(call, (struct driver_words){.numbers = &number, .n = 1});
}

int driver_return_body(struct driver_call *call, const struct body_writer *body) {
        if (body->failed)
                return -ENOMEM;
        return answer(call, (struct driver_words){.body = body->data, .n_body = body->n});
}

static bool is_same(const struct message_string *a, const struct message_string *b) {
        return a->n == b->n && memcmp(a->s, b->s, b->n) == 0;
}

static bool has_interface(const struct message *m, const struct driver_method *row) {
        return !m->interface.s || is_same(&m->interface, &row->interface);
}

/* 0, or why there is no such row. */
static int find_method(struct driver_call *call) {
        /* cppcheck-suppress ctuuninitvar ; run() has written what is read here */
        const struct message *m = call->m;
        bool known = false;

        for (const struct driver_method *row = driver_methods; row->interface.s; row++)
                if (is_same(&m->member, &row->member) && has_interface(m, row)) {
                        call->row = row;
                        return 0;
                }
        for (const struct driver_method *row = driver_methods; row->interface.s; row++)
                known = known || has_interface(m, row);
        if (!known)
                return driver_fail(call, DRIVER_E_UNKNOWN_INTERFACE, "the bus has no interface %s",
                                   m->interface.s);
        return driver_fail(call, DRIVER_E_UNKNOWN_METHOD, "the bus has no method %s", m->member.s);
}

static int check_call(struct driver_call *call) {
        const struct driver_method *row = call->row;

        if (!call->c->may_debug && (row->flags & DRIVER_DEBUG))
                return driver_fail(call, DRIVER_E_ACCESS_DENIED, "%s is for a debug socket only",
                                   row->member.s);
        if (!(row->flags & DRIVER_ANY_PATH) && strcmp(call->m->path.s, DRIVER_PATH) != 0)
                /* The two errors of dbus-daemon. */
                return driver_fail(call,
                                   strcmp(row->interface.s, DBUS_INTERFACE_DBUS) == 0
                                           ? DRIVER_E_ACCESS_DENIED
                                           : DRIVER_E_UNKNOWN_INTERFACE,
                                   "%s is only at " DRIVER_PATH, row->member.s);
        if (strcmp(call->m->signature.s, row->in) != 0)
                return driver_fail(call, DRIVER_E_INVALID_ARGS, "%s takes (%s), not (%s)",
                                   row->member.s, row->in, call->m->signature.s);
        return 0;
}

static int hold(struct driver_call *call) {
        struct held_call *held;

        if (call->c->n_held >= LIMIT_PENDING_REPLIES)
                return DRIVER_E_LIMITS_EXCEEDED;
        held = malloc(sizeof(*held) + call->m->frame.n);
        if (!held)
                return -ENOMEM;
        held->n = call->m->frame.n;
        memcpy(held->data, call->m->data, held->n);
        list_append(&call->c->held, &held->link);
        call->c->n_held++;
        return 0;
}

static int send_error(struct driver_call *call, int e) {
        if (!message_wants_reply(call->m))
                return 0;
        return driver_error(call->r, call->c, call->m->serial, errors[e].name,
                            call->text[0] ? call->text : errors[e].text);
}

static int run_method(struct driver_call *call) {
        if ((call->row->flags & DRIVER_QUESTION) && !message_wants_reply(call->m))
                return 0;
        message_args(call->m, &call->args);
        return call->row->fn(call);
}

static int run(struct router *r, struct connection *c, const struct message *m) {
        struct driver_call call _uninitialized_;
        int v;

        call.r = r;
        call.c = c;
        call.m = m;
        call.text[0] = 0;
        v = find_method(&call);
        if (v == 0)
                v = check_call(&call);
        if (v == 0)
                v = run_method(&call);
        if (v == DRIVER_E_HOLD)
                v = hold(&call);
        return v > 0 ? send_error(&call, v) : v;
}

int driver_call(struct router *r, struct connection *c, const struct message *m) {
        if (m->type != MESSAGE_CALL)
                return 0;
        if (m->frame.n > LIMIT_DRIVER_BYTES)
                return message_wants_reply(m)
                               ? driver_error(r, c, m->serial, DBUS_ERROR_LIMITS_EXCEEDED,
                                              "too long for a call to the bus")
                               : 0;
        return run(r, c, m);
}

static int resume_call(struct router *r, struct connection *c, const struct held_call *held) {
        struct message m;
        int v = message_parse(held->data, held->n, &m);

        assert(v == 0); /* it was parsed before */
        return run(r, c, &m);
}

static struct held_call *take_held(struct connection *c, struct list *link) {
        list_remove(link);
        c->n_held--;
        return LIST_OWNER(link, struct held_call, link);
}

static int resume_connection(struct router *r, struct connection *c) {
        LIST_FOREACH(link, &c->held) {
                _cleanup_free_ struct held_call *held = take_held(c, link);
                int v = resume_call(r, c, held);

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
        LIST_FOREACH(link, &c->held)
                free(take_held(c, link));
}
