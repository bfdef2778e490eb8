/* SPDX-License-Identifier: MIT */
#include "sbportal/method.h"

#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "sbportal/call.h"
#include "sbportal/reply.h"
#include "sbportal/request.h"
#include "sbportal/translate.h"

/* An option or argument that is not what the row says: as xdg-desktop-portal answers it. */
static int reply_invalid(struct translator *t, sd_bus_message *m, int e, const char *culprit) {
        log_debug("%s: refused %s: %s", ESCAPED(sd_bus_message_get_sender(m)),
                  sd_bus_message_get_member(m), culprit ?: "its body");
        return reply_error(&t->vm, m, PORTAL_E_INVALID, "%s for '%s'",
                           e == PORTAL_REBUILD_E_TYPE ? "Wrong type" : "Invalid value",
                           culprit ?: "the message");
}

/* The gate's reply to a plain call. */
static int on_plain_answer(struct call *take_c, sd_bus_message *answer) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        _cleanup_(call_freep) struct call *c = take_c;
        struct translation tr = {.t = c->t};
        struct portal_rebuild rb = {
                .method = c->method,
                .translate = translate_to_guest,
                .userdata = &tr,
        };
        int r;

        if (sd_bus_message_is_method_error(answer, NULL))
                return call_reply_gate_error(c, answer);
        r = sd_bus_message_new_method_return(c->message, &out);
        if (r < 0)
                return r;
        r = portal_rebuild_out(&rb, answer, out);
        if (r > 0)
                return call_reply_gate_broken(c);
        return r < 0 ? r : bus_source_send(&c->t->vm, out);
}

/* Sends out and keeps c, or answers the guest. */
static int forward(struct call *take_c, sd_bus_message *out, const char *token) {
        _cleanup_(call_freep) struct call *c = take_c;
        bool is_request = c->method->kind == PORTAL_IS_REQUEST;
        int r;

        r = is_request ? request_choose_handle(c, token) : 0;
        if (r == 0)
                r = call_send(c, out, is_request ? request_answered : on_plain_answer);
        if (r == BUS_SOURCE_E_GONE)
                return reply_error(&c->t->vm, c->message, PORTAL_E_FAILED, "The portal is gone");
        if (r == 0)
                (void)TAKE_PTR(c);
        return r;
}

int method_call(struct translator *t, sd_bus_message *m, const struct portal_method *method) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        _cleanup_(call_freep) struct call *c = NULL;
        _cleanup_free_ char *token = NULL;
        struct translation tr = {.t = t};
        struct portal_rebuild rb = {
                .method = method,
                .translate = translate_to_gate,
                .userdata = &tr,
        };
        int r;

        r = call_new(t, m, &c);
        if (r == CALL_E_LIMIT)
                return reply_error(&t->vm, m, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                   "Too many portal requests are open");
        if (r < 0)
                return r;
        c->method = method;
        r = sd_bus_message_new_method_call(t->gate.bus, &out, NULL, PORTAL_PATH, method->interface,
                                           method->member);
        if (r < 0)
                return r;
        r = portal_rebuild_args(&rb, m, out);
        token = tr.token;
        if (r > 0)
                return reply_invalid(t, m, r, rb.culprit);
        return r < 0 ? r : forward(TAKE_PTR(c), out, token);
}
