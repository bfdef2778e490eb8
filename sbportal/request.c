/* SPDX-License-Identifier: MIT */
#include "sbportal/request.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "common/log.h"
#include "sbportal/handle.h"
#include "sbportal/reply.h"
#include "sbportal/session.h"
#include "sbportal/translate.h"

#define RESPONSE_SUCCESS 0u
/* Request::Response: "the interaction was ended in some other way"; the largest of its codes. */
#define RESPONSE_OTHER 2u

int request_choose_handle(struct call *c, const char *token) {
        uint32_t suffix = 0;

        for (;;) {
                char *path = handle_path(c->client, token ?: HANDLE_DEFAULT_TOKEN, suffix);

                if (!path)
                        return -ENOMEM;
                if (!call_handle_is_taken(c->t, path)) {
                        c->handle = path;
                        return 0;
                }
                free(path);
                if (getrandom(&suffix, sizeof(suffix), 0) != sizeof(suffix))
                        return -errno;
        }
}

static int close_on_gate(struct call *c) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(c->t->gate.bus, &m, NULL, c->gate_handle, PORTAL_REQUEST,
                                           "Close");
        return r < 0 ? r : bus_source_send(&c->t->gate, m);
}

/* The handle in the gate's reply: new to us and of the agreed form, else NULL. */
static const char *read_gate_handle(struct call *c, sd_bus_message *answer) {
        const char *path;

        if (!sd_bus_message_has_signature(answer, "o") ||
            sd_bus_message_read_basic(answer, 'o', &path) <= 0 || !handle_is_gate(path) ||
            call_by_gate_handle(c->t, path))
                return NULL;
        return path;
}

int request_answered(struct call *take_c, sd_bus_message *answer) {
        _cleanup_(call_freep) struct call *c = take_c;
        const char *path;
        int r;

        if (sd_bus_message_is_method_error(answer, NULL))
                return call_reply_gate_error(c, answer);
        path = read_gate_handle(c, answer);
        if (!path)
                return call_reply_gate_broken(c);
        c->gate_handle = strdup(path);
        if (!c->gate_handle)
                return -ENOMEM;
        if (c->handle)
                r = reply_string(&c->t->vm, c->message, 'o', c->handle);
        else /* the guest knows it by another name */
                r = reply_u32(&c->t->vm, c->message, c->number);
        if (r == 0 && c->abandoned)
                return close_on_gate(c);
        if (r == 0)
                (void)TAKE_PTR(c); /* lives on until the Response */
        return r;
}

/* The gate is told as soon as it has said what to close. */
int request_withdraw(struct call *c) {
        int r;

        if (c->slot) {
                c->abandoned = true;
                return 0;
        }
        r = close_on_gate(c);
        call_free(c);
        return r;
}

int request_close(struct call *c, sd_bus_message *m) {
        struct translator *t = c->t;
        int r = request_withdraw(c);

        return r < 0 ? r : reply_empty(&t->vm, m);
}

int request_client_gone(struct translator *t, const char *client) {
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(t->calls) && r == 0; i++) {
                struct call *c = t->calls[i];

                if (!c || strcmp(c->client, client) != 0)
                        continue;
                if (call_is_request(c) || c->session)
                        r = request_withdraw(c);
                else
                        call_free(c);
        }
        return r;
}

/* --- Response --------------------------------------------------------------------------------- */

static int new_response(struct call *c, uint32_t response, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        /* Where the guest has no object, nothing is sent, but what came is read all the same. */
        r = sd_bus_message_new_signal(c->t->vm.bus, &m, c->handle ?: PORTAL_REQUEST_PATH,
                                      PORTAL_REQUEST, "Response");
        if (r >= 0)
                r = sd_bus_message_set_destination(m, c->client);
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 'u', &response);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

static int send_empty_response(struct call *c) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = new_response(c, RESPONSE_OTHER, &m);

        if (r == 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        return r < 0 ? r : bus_source_send(&c->t->vm, m);
}

/* The gate's Response as the guest gets it: 0, PORTAL_REBUILD_E_* or a negative errno. */
static int rebuild_response(struct call *c, sd_bus_message *in, uint32_t *ret_code,
                            sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
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
        int r;

        if (!sd_bus_message_has_signature(in, "ua{sv}") ||
            sd_bus_message_read_basic(in, 'u', ret_code) <= 0 || *ret_code > RESPONSE_OTHER)
                return PORTAL_REBUILD_E_TYPE;
        r = new_response(c, *ret_code, &m);
        if (r == 0)
                r = portal_rebuild_results(&rb, in, m);
        if (r == 0)
                *ret = TAKE_PTR(m);
        return r;
}

/* To the guest, and the session that came with it to its place. */
static int pass_response(struct call *c, sd_bus_message *signal, uint32_t *ret_code) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = rebuild_response(c, signal, ret_code, &m), q;

        q = session_settle(TAKE_PTR(c->session), r == 0 && *ret_code == RESPONSE_SUCCESS);
        if (r > 0) {
                guest_log_warning(&c->t->log, "the gate's Response to %s is not of the agreed form",
                                  c->method->member);
                *ret_code = RESPONSE_OTHER;
                r = c->handle ? send_empty_response(c) : 0;
        } else if (r == 0 && c->handle) {
                r = bus_source_send(&c->t->vm, m);
        }
        return r < 0 ? r : q;
}

int request_response(struct translator *t, sd_bus_message *signal) {
        struct call *c = call_by_gate_handle(t, sd_bus_message_get_path(signal));
        uint32_t code = RESPONSE_OTHER;
        int r;

        if (!c) { /* closed by the guest while the Response was under way */
                log_debug("a Response for no open request: dropped");
                return session_close_unknown(t, signal);
        }
        if (c->in_force) {
                guest_log_warning(&t->log, "the gate sent a second Response: dropped");
                return 0;
        }
        r = pass_response(c, signal, &code);
        c->in_force = c->method->kind == PORTAL_LASTS && code == RESPONSE_SUCCESS;
        if (!c->in_force)
                call_free(c);
        return r;
}

int request_answer_locally(struct call *c, int (*results)(sd_bus_message *response)) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = reply_string(&c->t->vm, c->message, 'o', c->handle);
        if (r == 0)
                r = new_response(c, RESPONSE_SUCCESS, &m);
        if (r == 0)
                r = results(m);
        return r < 0 ? r : bus_source_send(&c->t->vm, m);
}

void request_portal_restarted(struct translator *t) {
        for (size_t i = 0; i < ELEMENTSOF(t->calls); i++)
                if (t->calls[i] && t->calls[i]->in_force)
                        call_free(t->calls[i]);
}

void request_end_all(struct translator *t) {
        for (size_t i = 0; i < ELEMENTSOF(t->calls); i++) {
                struct call *c = t->calls[i];

                if (c && c->gate_handle && c->handle && !c->in_force && send_empty_response(c) < 0)
                        return; /* we are about to exit anyway */
        }
}
