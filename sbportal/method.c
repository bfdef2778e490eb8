/* SPDX-License-Identifier: MIT */
#include "sbportal/method.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/escape.h"
#include "sbportal/local.h"
#include "sbportal/reply.h"
#include "sbportal/request.h"
#include "sbportal/session.h"
#include "sbportal/translate.h"

static const struct portal_value *find_role(const struct portal_value *values,
                                            enum portal_role role) {
        for (; values->name; values++)
                if (values->role == role)
                        return values;
        return NULL;
}

/* --- refusals --------------------------------------------------------------------------------- */

static enum portal_role role_of(const struct portal_method *method, const char *culprit) {
        const struct portal_value *v = NULL;

        if (culprit)
                v = portal_find_value(method->args, culprit)
                            ?: portal_find_value(method->options, culprit);
        return v ? v->role : PORTAL_PLAIN;
}

static bool is_fd(enum portal_role role) {
        return role == PORTAL_FD_BYTES || role == PORTAL_FD_SINK || role == PORTAL_FD_FILE ||
               role == PORTAL_FD_DOCUMENT || role == PORTAL_FD_WRITABLE;
}

/* An option or argument that is not what the row says: as xdg-desktop-portal answers it. */
static int reply_invalid(struct call *c, int e, const char *culprit) {
        enum portal_role role = role_of(c->method, culprit);
        struct bus_source *vm = &c->t->vm;

        if (guest_log_may(&c->t->log))
                log_info("%s: refused %s: %s", ESCAPED(c->client), c->method->member,
                         culprit ?: "its body");
        if (e == PORTAL_REBUILD_E_VALUE && role == PORTAL_SESSION)
                return reply_error(vm, c->message, SD_BUS_ERROR_ACCESS_DENIED, "Invalid session");
        if (e == PORTAL_REBUILD_E_NO_FD || (e == PORTAL_REBUILD_E_VALUE && is_fd(role)))
                return reply_error(vm, c->message, SD_BUS_ERROR_NOT_SUPPORTED,
                                   "'%s' is a file descriptor, which cannot be carried to the "
                                   "host here",
                                   culprit ?: "the message");
        return reply_error(vm, c->message, PORTAL_E_INVALID, "%s for '%s'",
                           e == PORTAL_REBUILD_E_TYPE ? "Wrong type" : "Invalid value",
                           culprit ?: "the message");
}

static int reply_limit(struct call *c, const char *text) {
        return reply_error(&c->t->vm, c->message, SD_BUS_ERROR_LIMITS_EXCEEDED, "%s", text);
}

/*
 * The functions below that prepare a call return 0, a negative errno, or METHOD_E_ANSWERED:
 * the guest has been told what is wrong.
 */
enum {
        METHOD_E_ANSWERED = 1,
};

static int answered_with(int reply) {
        return reply < 0 ? reply : METHOD_E_ANSWERED;
}

/* --- what a call is checked for and rebuilt to ------------------------------------------------ */

static int admit(struct call *c) {
        int r = portal_shows_notification(c->method) ? flood_admit(&c->t->flood, c->client, clock_usec()) : 0;

        if (r <= 0)
                return r;
        guest_log_warning(&c->t->log, "%s shows too many notifications%s: refused one",
                          ESCAPED(c->client), r == FLOOD_E_VM ? ", with others" : "");
        return answered_with(reply_limit(c, "Too many notifications: try again in a minute"));
}

static int rebuild_call(struct call *c, struct translation *tr, sd_bus_message *in,
                        sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        struct portal_rebuild rb = {
                .method = c->method,
                .translate = translate_to_gate,
                .translate_fd = translate_fd_to_gate,
                .userdata = tr,
        };
        int r = admit(c);

        if (r == 0)
                r = sd_bus_message_new_method_call(c->t->gate.bus, &out, NULL, PORTAL_PATH,
                                                   c->method->interface, c->method->member);
        if (r != 0)
                return r;
        r = portal_rebuild_args(&rb, in, out);
        if (r > 0 && c->method->kind == PORTAL_LOCAL && is_fd(role_of(c->method, rb.culprit)))
                return 0; /* nothing is made of it */
        if (r > 0)
                return answered_with(reply_invalid(c, r, rb.culprit));
        if (r == 0)
                *ret = TAKE_PTR(out);
        return r;
}

static int reserve_session(struct call *c, const char *token) {
        struct bus_source *vm = &c->t->vm;
        int r;

        if (!token)
                return answered_with(
                        reply_error(vm, c->message, PORTAL_E_INVALID, "Missing token"));
        r = session_new(c->t, c->client, c->method->interface, token, &c->session);
        if (r == SESSION_E_LIMIT)
                return answered_with(reply_limit(c, "Too many sessions are open"));
        if (r == SESSION_E_TAKEN)
                return answered_with(reply_error(vm, c->message, PORTAL_E_INVALID,
                                                 "A session with this token is open"));
        return r;
}

/* What the guest is to have of the call besides its answer. */
static int prepare(struct call *c, const struct translation *tr) {
        int r = 0;

        if (find_role(c->method->options, PORTAL_SESSION_TOKEN))
                r = reserve_session(c, tr->session_token);
        if (r == 0 && find_role(c->method->options, PORTAL_HANDLE_TOKEN))
                r = request_choose_handle(c, tr->token);
        return r;
}

/* --- to the gate and back --------------------------------------------------------------------- */

static int rebuild_answer(struct call *c, sd_bus_message *answer, sd_bus_message *out) {
        _cleanup_(translation_done) struct translation tr = {
                .t = c->t,
                .interface = c->method->interface,
                .call = c,
        };
        struct portal_rebuild rb = {
                .method = c->method,
                .translate = translate_to_guest,
                .userdata = &tr,
        };

        return portal_rebuild_out(&rb, answer, out);
}

/* The gate's reply to a plain call. */
static int on_plain_answer(struct call *take_c, sd_bus_message *answer) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        _cleanup_(call_freep) struct call *c = take_c;
        int r, q;

        if (sd_bus_message_is_method_error(answer, NULL))
                return call_reply_gate_error(c, answer);
        r = sd_bus_message_new_method_return(c->message, &out);
        if (r < 0)
                return r;
        r = rebuild_answer(c, answer, out);
        q = session_settle(TAKE_PTR(c->session), r == 0 && !c->abandoned);
        if (r == 0)
                r = bus_source_send(&c->t->vm, out);
        else if (r > 0)
                r = call_reply_gate_broken(c);
        return r < 0 ? r : q;
}

/* Sends out and keeps c, or answers the guest. */
static int send_call(struct call *take_c, sd_bus_message *out,
                     int (*answered)(struct call *c, sd_bus_message *answer)) {
        _cleanup_(call_freep) struct call *c = take_c;
        int r = call_send(c, out, answered);

        if (r == BUS_SOURCE_E_GONE)
                return reply_error(&c->t->vm, c->message, PORTAL_E_FAILED, "The portal is gone");
        if (r == BUS_SOURCE_E_FULL)
                return reply_limit(c, "Too many descriptors are on their way");
        if (r == 0)
                (void)TAKE_PTR(c);
        return r;
}

int method_send(struct call *take_c, sd_bus_message *in,
                int (*answered)(struct call *c, sd_bus_message *answer)) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        _cleanup_(call_freep) struct call *c = take_c;
        _cleanup_(translation_done) struct translation tr = {
                .t = c->t, .interface = c->method->interface,
                /* no client: what the call names is ours */
        };
        int r = rebuild_call(c, &tr, in, &out);

        if (r == 0)
                return send_call(TAKE_PTR(c), out, answered);
        return r < 0 ? r : 0;
}

int method_call(struct translator *t, sd_bus_message *m, const struct portal_method *method) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        _cleanup_(call_freep) struct call *c = NULL;
        _cleanup_(translation_done) struct translation tr = {
                .t = t,
                .interface = method->interface,
                .client = sd_bus_message_get_sender(m),
        };
        int (*answered)(struct call * c, sd_bus_message *answer);
        int r;

        r = call_begin(t, m, method, &c);
        if (r < 0 || !c)
                return r;
        r = rebuild_call(c, &tr, m, &out);
        if (r == 0)
                r = prepare(c, &tr);
        if (r != 0)
                return r < 0 ? r : 0;
        answered = call_is_request(c) ? request_answered : on_plain_answer;
        if (method->kind == PORTAL_LOCAL)
                return local_answer(TAKE_PTR(c));
        return send_call(TAKE_PTR(c), out, answered);
}
