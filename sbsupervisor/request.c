/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/request.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/call_stub.h"
#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/portal_rebuild.h"
#include "sbsupervisor/answer.h"
#include "sbsupervisor/argument.h"
#include "sbsupervisor/ask.h"
#include "sbsupervisor/crowd.h"
#include "sbsupervisor/document_call.h"
#include "sbsupervisor/export.h"
#include "sbsupervisor/gate.h"
#include "sbsupervisor/host_version.h"
#include "sbsupervisor/policy.h"
#include "sbsupervisor/resolve.h"
#include "sbsupervisor/session.h"

/*
 * xdg-desktop-portal answers at once; a busy one is waited for longer than any client waits for us.
 */
#define HOST_CALL_USEC (120 * UINT64_C(1000000))

bool request_has_handle(const struct request *r) {
        return r->method->kind == PORTAL_IS_REQUEST || r->method->kind == PORTAL_LASTS;
}

/* --- birth and death ------------------------------------------------------------------------- */

/* A session that nobody will hear of; the host has made it, or is about to, once it was called. */
static void drop_session(struct request *r) {
        if (!r->session)
                return;
        if (r->stage < REQUEST_CALLING)
                session_free(r->session);
        else
                session_close(r->session);
        r->session = NULL;
}

struct request *request_free(struct request *r) {
        struct gate *g;

        if (!r)
                return NULL;
        g = r->gate;
        for (size_t i = 0; i < ELEMENTSOF(g->requests); i++)
                if (g->requests[i] == r)
                        g->requests[i] = NULL;
        for (unsigned i = 0; i < r->n_paths; i++)
                if (r->paths[i].spool)
                        spool_release(&g->spool, r->paths[i].spool, false);
        resolve_done(r);
        drop_session(r);
        for (size_t i = 0; i < r->n_uris; i++)
                free(r->uris[i]);
        free(r->uris);
        ask_cancel(r->ask);
        export_free(r->export);
        sd_bus_slot_unref(r->slot);
        sd_bus_message_unref(r->call);
        sd_bus_message_unref(r->response);
        free(r->notification);
        free(r->gate_path);
        free(r->host_path);
        free(r);
        return NULL;
}

static int make_handles(struct request *r) {
        int e = token_make(r->token);

        if (e == 0)
                e = token_predict(r->gate->host->bus, PORTAL_REQUEST_PATH, r->token, &r->host_path);
        if (e == 0 && asprintf(&r->gate_path, "%s/%s", PORTAL_GATE_REQUEST_PATH, r->token) < 0)
                e = -ENOMEM;
        return e;
}

static int make_session(struct request *r) {
        for (const struct portal_value *v = r->method->options; v->name; v++)
                if (v->role == PORTAL_SESSION_TOKEN)
                        return session_new(r->gate, r->method->interface, &r->session);
        return 0;
}

static int request_new(struct gate *g, const struct portal_method *method, sd_bus_message *call,
                       struct request **ret) {
        struct request *r;
        size_t slot = 0;
        int e;

        while (slot < ELEMENTSOF(g->requests) && g->requests[slot])
                slot++;
        if (slot == ELEMENTSOF(g->requests))
                return -EBUSY;
        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        *r = (struct request){.gate = g, .method = method, .call = sd_bus_message_ref(call)};
        e = make_handles(r);
        if (e == 0)
                e = make_session(r);
        if (e < 0) {
                request_free(r);
                return e;
        }
        g->requests[slot] = r;
        *ret = r;
        return 0;
}

struct request *request_find_gate(struct gate *g, const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(g->requests); i++)
                if (g->requests[i] && !g->requests[i]->closed && g->requests[i]->answered &&
                    strcmp(g->requests[i]->gate_path, path) == 0)
                        return g->requests[i];
        return NULL;
}

struct request *request_find_host(struct gate *g, const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(g->requests); i++)
                if (g->requests[i] && strcmp(g->requests[i]->host_path, path) == 0)
                        return g->requests[i];
        return NULL;
}

/* --- answers to sbportal --------------------------------------------------------------------- */

int request_fail(struct request *r, const char *error, const char *text) {
        int e;

        if (r->answered)
                return answer_ended(r);
        e = sd_bus_reply_method_errorf(r->call, error, "%s", text);
        request_free(r);
        return e;
}

static int give_handle(struct request *r) {
        int e = sd_bus_reply_method_return(r->call, "o", r->gate_path);

        r->answered = true;
        return e < 0 ? e : 0;
}

static int deny(struct request *r) {
        int e;

        log_limited(&r->gate->budget, LOG_NOTICE, "%s.%s is denied to the VM", r->method->interface,
                    r->method->member);
        if (!request_has_handle(r))
                return request_fail(r, PORTAL_E_NOT_ALLOWED, "The VM is not allowed to do this");
        e = r->answered ? 0 : give_handle(r);
        if (e == 0)
                return answer_ended(r);
        request_free(r);
        return e;
}

static int fail_rebuild(struct request *r, int e, const char *culprit) {
        if (e == -ENOMEM)
                return request_fail(r, SD_BUS_ERROR_NO_MEMORY, "Out of memory");
        if (r->refusal && !r->why && strcmp(r->refusal, PORTAL_E_NOT_ALLOWED) == 0)
                return deny(r);
        if (r->refusal && strcmp(r->refusal, SD_BUS_ERROR_LIMITS_EXCEEDED) == 0)
                return request_fail(r, r->refusal, "There is no room for a copy of the file");
        if (r->refusal)
                return request_fail(r, r->refusal, r->why ?: "There is none for this VM");
        log_limited(&r->gate->budget, LOG_WARNING,
                    "gate: %s.%s: %s is not what the table allows: refused", r->method->interface,
                    r->method->member, culprit ?: "the signature");
        return request_fail(r, PORTAL_E_INVALID, culprit ?: "Wrong signature");
}

static void log_flood(struct gate *g, const struct portal_method *m, const char *what) {
        log_limited(&g->budget, LOG_WARNING, "%s.%s is refused: %s", m->interface, m->member, what);
}

static int fail_flood(struct request *r, const char *what) {
        log_flood(r->gate, r->method, what);
        return request_fail(r, SD_BUS_ERROR_LIMITS_EXCEEDED, what);
}

/*
 * The host portal's error as sbportal may pass it on: its name, and its words only where they are
 * about the guest's own arguments.  Others may name paths and processes of the host.
 */
static int forward_error(struct request *r, const sd_bus_error *e) {
        _cleanup_free_ char *text = escape_display(e->message ?: "", LIMIT_TEXT_BYTES);
        const char *generic = "The host's portal did not take the call";

        log_limited(&r->gate->budget, LOG_INFO, "the host portal refused %s: %s", r->method->member,
                    ESCAPED(e->message ?: e->name));
        if (strcmp(e->name, PORTAL_E_INVALID) == 0)
                return request_fail(r, e->name, text ?: generic);
        if (strncmp(e->name, "org.freedesktop.portal.Error.", 29) == 0 ||
            strncmp(e->name, "org.freedesktop.DBus.Error.", 27) == 0)
                return request_fail(r, e->name, generic);
        return request_fail(r, PORTAL_E_FAILED, generic);
}

/* --- calling the host portal ----------------------------------------------------------------- */

static int close_on_host(struct request *r) {
        int e = sd_bus_call_method_async(r->gate->host->bus, NULL, PORTAL_BUS_NAME, r->host_path,
                                         PORTAL_REQUEST, "Close", NULL, NULL, "");

        return e < 0 ? log_warning_errno(e, "cannot close a request on the host") : 0;
}

static int on_handle(struct request *r, sd_bus_message *m) {
        const char *handle;
        char *path;
        int e = 0;

        if (sd_bus_message_read_basic(m, 'o', &handle) <= 0 ||
            strncmp(handle, PORTAL_REQUEST_PATH "/", strlen(PORTAL_REQUEST_PATH) + 1) != 0)
                return request_fail(r, PORTAL_E_FAILED, "The host's portal gave no handle");
        /* Longer than predicted when the token was taken: it says so itself. */
        path = strdup(handle);
        if (!path)
                return request_fail(r, SD_BUS_ERROR_NO_MEMORY, "Out of memory");
        free(r->host_path);
        r->host_path = path;
        r->stage = REQUEST_OPEN;
        if (!r->answered)
                e = give_handle(r);
        if (e < 0 || r->closed) {
                r->closed = false;
                request_close(r);
                return e;
        }
        return r->response ? answer_response(r) : 0;
}

static int on_host_reply(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct request *r = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        r->slot = sd_bus_slot_unref(r->slot);
        if (e) {
                /* Should it open the dialog yet, nobody could answer it. */
                if (request_has_handle(r))
                        (void)close_on_host(r);
                return forward_error(r, e);
        }
        if (!host_answered(r->gate->host, m))
                return request_fail(r, PORTAL_E_FAILED, "The host's portal gave no answer");
        if (request_has_handle(r))
                return on_handle(r, m);
        r->response = sd_bus_message_ref(m);
        return answer_call(r);
}

/* From here on sbportal's call is only to be answered. */
static int keep_stub(struct request *r) {
        sd_bus_message *stub;
        int e = call_stub_new(r->call, &stub);

        if (e < 0)
                return e;
        sd_bus_message_unref(r->call);
        r->call = stub;
        return 0;
}

static int new_host_call(struct request *r, sd_bus_message **ret) {
        const struct portal_interface *i = portal_find_interface(r->method->interface);

        return host_version_new_call(r->gate->host, i, i->name, r->method->member, ret);
}

/* From the first word of it on, a button may be pressed; who takes it away wants no more of it. */
static int note_notification(struct request *r) {
        struct notifications *n = &r->gate->notifications;

        if (!r->notification)
                return 0;
        if (portal_shows_notification(r->method))
                return notifications_issue(n, r->notification);
        notifications_withdraw(n, r->notification);
        return 0;
}

/* What is about the VM's own documents is none of the host portal's business. */
static int answer_here(struct request *r) {
        int e = document_call_start(r->gate, r->method, r->call);

        request_free(r);
        return e;
}

/* What is over is refused before files are copied for it; only what is really shown counts. */
static int call_host(struct request *r) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *culprit = NULL, *flood;
        int e;

        if (r->method->kind == PORTAL_AT_GATE)
                return answer_here(r);
        flood = crowd_in_a_minute(r->gate, r->method);
        if (flood)
                return fail_flood(r, flood);
        e = new_host_call(r, &m);
        if (e >= 0)
                e = argument_write(r, m, &culprit);
        if (e != 0)
                return fail_rebuild(r, e, culprit);
        crowd_seen(r->gate, r->method);
        e = keep_stub(r);
        if (e >= 0)
                e = note_notification(r);
        if (e >= 0)
                e = sd_bus_call_async(r->gate->host->bus, &r->slot, m, on_host_reply, r,
                                      HOST_CALL_USEC);
        if (e < 0)
                return request_fail(r, PORTAL_E_FAILED, "The session bus did not take the call");
        r->stage = REQUEST_CALLING;
        return 0;
}

/* --- asking ---------------------------------------------------------------------------------- */

/* What the VM may do with its documents is looked up after the person was asked, who takes time. */
static int resolve_and_call(struct request *r) {
        int e;

        if (!resolve_is_needed(r))
                return call_host(r);
        r->stage = REQUEST_RESOLVING;
        e = resolve_start(r, call_host);
        return e < 0 ? request_fail(r, PORTAL_E_FAILED, "The document portal is gone") : 0;
}

static void on_asked(void *userdata, bool allowed) {
        struct request *r = userdata;
        int e;

        r->ask = NULL;
        e = allowed ? resolve_and_call(r) : deny(r);
        if (e < 0)
                (void)log_warning_errno(e, "gate: a call could not go on");
}

static int ask_or_call(struct request *r) {
        int e = 0;

        if (policy_decide(r->gate->policy, r->method) != PORTAL_ASK)
                return resolve_and_call(r);
        r->stage = REQUEST_ASKING;
        if (request_has_handle(r))
                e = give_handle(r);
        if (e == 0)
                e = ask_start(r->gate->asks, r->method, on_asked, r, &r->ask);
        if (e < 0)
                (void)log_warning_errno(e, "gate: the person cannot be asked");
        return e != 0 ? deny(r) : 0;
}

/* --- from the start -------------------------------------------------------------------------- */

static int check_arguments(struct request *r) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *scratch = NULL;
        const char *culprit = NULL;
        int e;

        if (r->version == 0)
                return request_fail(r, SD_BUS_ERROR_UNKNOWN_INTERFACE,
                                    "The host's portal does not have this interface");
        if (r->method->since > r->version)
                return request_fail(r, SD_BUS_ERROR_UNKNOWN_METHOD,
                                    "The host's portal does not have this method");
        e = new_host_call(r, &scratch);
        if (e >= 0)
                e = argument_collect(r, scratch, &culprit);
        return e != 0 ? fail_rebuild(r, e, culprit) : ask_or_call(r);
}

static int on_version(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct request *r = userdata;
        struct gate *g = r->gate;
        const char *interface = r->method->interface;

        r->slot = sd_bus_slot_unref(r->slot);
        if (!host_version_reply(&g->versions, g->host, interface, m))
                return request_fail(r, PORTAL_E_FAILED, "The host's portal does not answer");
        r->version = host_version_find(&g->versions, interface)->version;
        return check_arguments(r);
}

static int learn_version(struct request *r) {
        const struct host_version *v = host_version_find(&r->gate->versions, r->method->interface);
        int e;

        if (v) {
                r->version = v->version;
                return check_arguments(r);
        }
        e = host_version_ask(r->gate->host, r->method->interface, on_version, r, &r->slot);
        return e < 0 ? request_fail(r, PORTAL_E_FAILED, "The session bus did not take the call")
                     : 0;
}

static int refuse_flood(struct gate *g, const struct portal_method *m, sd_bus_message *call,
                        const char *what) {
        log_flood(g, m, what);
        return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_LIMITS_EXCEEDED, "%s", what);
}

int request_start(struct gate *g, const struct portal_method *method, sd_bus_message *call) {
        enum portal_policy policy = policy_decide(g->policy, method);
        const char *crowd = policy == PORTAL_DENY ? NULL : crowd_at_once(g, method);
        struct request *r;
        int e;

        if (crowd)
                return refuse_flood(g, method, call, crowd);
        e = request_new(g, method, call, &r);
        if (e == -EBUSY)
                return refuse_flood(g, method, call, "The VM has too many requests open");
        if (e < 0)
                return e;
        if (policy == PORTAL_DENY)
                return deny(r);
        return method->kind == PORTAL_AT_GATE ? ask_or_call(r) : learn_version(r);
}

/* --- what else happens to it ----------------------------------------------------------------- */

int request_response(struct request *r, sd_bus_message *m) {
        if (!request_has_handle(r) || r->response || !sd_bus_message_has_signature(m, "ua{sv}"))
                return 0; /* a second one, or none at all */
        if (r->stage != REQUEST_CALLING && r->stage != REQUEST_OPEN)
                return 0; /* nobody has been asked yet */
        r->response = sd_bus_message_ref(m);
        return r->stage == REQUEST_OPEN ? answer_response(r) : 0;
}

int request_portal_lost(struct request *r) {
        if (r->stage == REQUEST_LASTING) {
                request_free(r); /* PortalRestarted says so */
                return 0;
        }
        /* Before its handle is known, the bus answers the call itself; after the Response we do. */
        return r->stage == REQUEST_OPEN ? answer_ended(r) : 0;
}

void request_close(struct request *r) {
        if (r->export || r->stage == REQUEST_CALLING) {
                /* Grants under way are finished, and logged; the host's handle is waited for. */
                r->closed = true;
                return;
        }
        if (r->stage == REQUEST_OPEN || r->stage == REQUEST_LASTING)
                (void)close_on_host(r);
        request_free(r);
}

void request_end(struct request *r) {
        bool is_on_host = r->stage == REQUEST_CALLING || r->stage == REQUEST_OPEN ||
                          r->stage == REQUEST_LASTING;

        if (is_on_host && request_has_handle(r))
                (void)close_on_host(r);
        request_free(r);
}
