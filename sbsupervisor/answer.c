/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/portal_rebuild.h"
#include "sbsupervisor/export.h"
#include "sbsupervisor/gate.h"
#include "sbsupervisor/policy.h"
#include "sbsupervisor/proxy_uri.h"
#include "sbsupervisor/session.h"

/* --- the first pass: which files ------------------------------------------------------------- */

static int add_uri(struct request *r, char *take_uri) {
        _cleanup_free_ char *uri = take_uri;
        char **uris;

        if (!uri)
                return -ENOMEM;
        if (r->n_uris == LIMIT_URIS) { /* a person may pick a whole folder: what fits is given */
                if (!r->cut)
                        log_notice("more than %u files were picked: the VM gets the first ones",
                                   LIMIT_URIS);
                r->cut = true;
                return 0;
        }
        uris = reallocarray(r->uris, r->n_uris + 1, sizeof(*uris));
        if (!uris)
                return -ENOMEM;
        r->uris = uris;
        uris[r->n_uris++] = TAKE_PTR(uri);
        return 0;
}

static int note_uri(struct request *r, const char *value, _unused_ char **ret) {
        return add_uri(r, strdup(value));
}

static int note_path(struct request *r, const char *value, _unused_ char **ret) {
        _cleanup_free_ char *escaped = uri_escape_path(value);
        char *uri;

        return !escaped || asprintf(&uri, "file://%s", escaped) < 0 ? -ENOMEM : add_uri(r, uri);
}

/* Known from now on, also to signals that come before the answer is sent. */
static int note_session(struct request *r, const char *value, char **ret) {
        int e;

        if (!r->session)
                return PORTAL_REBUILD_E_VALUE;
        e = session_opened(r->session, value);
        return e != 0 ? (e > 0 ? PORTAL_REBUILD_E_VALUE : e) : portal_rebuild_copy(r->session->gate_path, ret);
}

/* --- the second pass: what is written -------------------------------------------------------- */

/* Each file as the document it became, in the same order; those that were refused are left out. */
static int document_to_gate(struct request *r, _unused_ const char *value, char **ret) {
        const char *document = r->export ? export_result(r->export, r->next_uri++) : NULL;

        return document ? portal_rebuild_copy(document, ret) : 0;
}

static int session_to_gate(struct request *r, _unused_ const char *value, char **ret) {
        return r->session ? portal_rebuild_copy(r->session->gate_path, ret) : PORTAL_REBUILD_E_VALUE;
}

static int namespace_to_gate(struct request *r, const char *value, char **ret) {
        return policy_namespace_allowed(r->gate->policy, value) ? portal_rebuild_copy(value, ret) : 0;
}

static int proxy_to_gate(_unused_ struct request *r, const char *value, char **ret) {
        *ret = proxy_uri_without_login(value);
        return *ret ? 0 : -ENOMEM;
}

static const struct {
        int (*collect)(struct request *r, const char *value, char **ret);
        int (*write)(struct request *r, const char *value, char **ret);
} roles[PORTAL_N_ROLES] = {
        [PORTAL_URIS] = {note_uri, document_to_gate},
        [PORTAL_PATHS] = {note_path, document_to_gate},
        [PORTAL_SESSION] = {note_session, session_to_gate},
        [PORTAL_SETTINGS] = {NULL, namespace_to_gate},
        [PORTAL_PROXIES] = {NULL, proxy_to_gate},
};

static int collect(void *userdata, const struct portal_value *v, const char *value, char **ret) {
        return roles[v->role].collect ? roles[v->role].collect(userdata, value, ret) : 0;
}

static int write_value(void *userdata, const struct portal_value *v, const char *value,
                       char **ret) {
        return roles[v->role].write ? roles[v->role].write(userdata, value, ret) : 0;
}

/* --- exporting ------------------------------------------------------------------------------- */

static enum export_wants wants(const struct request *r) {
        if (!request_has_handle(r))
                return EXPORT_EITHER; /* files that were dragged, or copied */
        return r->directory ? EXPORT_DIRECTORIES : EXPORT_FILES;
}

static int start_export(struct request *r, void (*done)(void *userdata)) {
        int e = export_start(r->gate->documents, r->method->export, wants(r),
                             (const char *const *)r->uris, r->n_uris, done, r, &r->export);

        if (e < 0)
                (void)log_warning_errno(e, "gate: cannot export what was picked");
        return e;
}

static bool is_to_export(const struct request *r) {
        return r->method->export != PORTAL_EXPORT_NONE && r->n_uris > 0;
}

/*
 * Of several results one file may be missing; where it is all that was asked for, there is no
 * answer.
 */
static bool is_all_refused(const struct request *r) {
        if (!r->export ||
            (r->method->results[1].name && strcmp(r->method->results[0].type, "as") != 0))
                return false;
        for (size_t i = 0; i < r->n_uris; i++)
                if (export_result(r->export, i))
                        return false;
        return true;
}

/* --- a Response ------------------------------------------------------------------------------ */

static int new_response(struct request *r, uint32_t code, sd_bus_message **ret) {
        int e = sd_bus_message_new_signal(r->gate->bus, ret, r->gate_path, PORTAL_REQUEST,
                                          "Response");

        return e < 0 ? e : sd_bus_message_append(*ret, "u", code);
}

/* The copies of guest files that are in somebody's hands now stay; a session is sbportal's now. */
static void hand_over(struct request *r) {
        for (unsigned i = 0; i < r->n_paths; i++)
                if (r->paths[i].spool) {
                        spool_release(&r->gate->spool, r->paths[i].spool, true);
                        r->paths[i].spool = NULL;
                }
        if (r->session && r->session->open)
                session_handed_over(TAKE_PTR(r->session));
}

static int send_response(struct request *r, uint32_t code, sd_bus_message *m) {
        int e = sd_bus_send(r->gate->bus, m, NULL);

        if (e >= 0 && code == 0) {
                hand_over(r);
                if (r->method->kind == PORTAL_LASTS) {
                        r->stage = REQUEST_LASTING;
                        return 0;
                }
        }
        request_free(r);
        return e;
}

int answer_ended(struct request *r) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int e;

        if (r->closed) {
                request_free(r);
                return 0;
        }
        e = new_response(r, 2, &m);
        if (e >= 0)
                e = sd_bus_message_append(m, "a{sv}", 0);
        if (e >= 0)
                return send_response(r, 2, m);
        request_free(r);
        return e;
}

static int rebuild_results(struct request *r, sd_bus_message *out, bool first, uint32_t *ret_code) {
        struct portal_rebuild rb = {
                .method = r->method,
                .translate = first ? collect : write_value,
                .userdata = r,
        };
        int e = sd_bus_message_rewind(r->response, true);

        if (e >= 0)
                e = sd_bus_message_read(r->response, "u", ret_code);
        return e < 0 ? e : portal_rebuild_results(&rb, r->response, out);
}

static int finish_response(struct request *r, uint32_t code) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int e;

        if (r->closed) {
                request_free(r);
                return 0;
        }
        if (is_all_refused(r))
                return answer_ended(r);
        e = new_response(r, code, &m);
        if (e >= 0)
                e = rebuild_results(r, m, false, &code);
        if (e == 0)
                return send_response(r, code, m);
        (void)log_warning("gate: the host portal's answer could not be rebuilt");
        return answer_ended(r);
}

static void on_exported(void *userdata) {
        int e = finish_response(userdata, 0);

        if (e < 0)
                (void)log_warning_errno(e, "gate: a Response could not be sent");
}

/* Without results: some portals send the handle of a session that was not made. */
static int send_refusal(struct request *r, uint32_t code) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int e = new_response(r, code, &m);

        if (e >= 0)
                e = sd_bus_message_append(m, "a{sv}", 0);
        return e < 0 ? answer_ended(r) : send_response(r, code, m);
}

int answer_response(struct request *r) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *scratch = NULL;
        uint32_t code = 2;
        int e;

        r->stage = REQUEST_ANSWERING;
        if (sd_bus_message_read(r->response, "u", &code) < 0 || code > 2)
                return answer_ended(r);
        if (code != 0 && r->session)
                return send_refusal(r, code);
        e = new_response(r, 0, &scratch);
        if (e >= 0)
                e = rebuild_results(r, scratch, true, &code);
        if (e != 0) {
                log_warning("gate: the host portal's answer is not what the table allows");
                return answer_ended(r);
        }
        if (code != 0 || !is_to_export(r))
                return finish_response(r, code);
        return start_export(r, on_exported) < 0 ? answer_ended(r) : 0;
}

/* --- the reply to a plain call --------------------------------------------------------------- */

static int rebuild_out(struct request *r, sd_bus_message *out, bool first) {
        struct portal_rebuild rb = {
                .method = r->method,
                .translate = first ? collect : write_value,
                .userdata = r,
        };
        int e = sd_bus_message_rewind(r->response, true);

        return e < 0 ? e : portal_rebuild_out(&rb, r->response, out);
}

static int finish_call(struct request *r) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int e = sd_bus_message_new_method_return(r->call, &m);

        if (e >= 0)
                e = rebuild_out(r, m, false);
        if (e != 0) {
                log_warning("gate: the host portal's answer could not be rebuilt");
                return request_fail(r, PORTAL_E_FAILED, "The host's portal gave no usable answer");
        }
        e = sd_bus_send(NULL, m, NULL);
        if (e >= 0)
                hand_over(r);
        request_free(r);
        return e;
}

static void on_call_exported(void *userdata) {
        int e = finish_call(userdata);

        if (e < 0)
                (void)log_warning_errno(e, "gate: an answer could not be sent");
}

int answer_call(struct request *r) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *scratch = NULL;
        int e = sd_bus_message_new_method_return(r->call, &scratch);

        r->stage = REQUEST_ANSWERING;
        if (e >= 0)
                e = rebuild_out(r, scratch, true);
        if (e != 0) {
                log_limited(&r->gate->budget, LOG_WARNING,
                            "gate: the host portal's answer to %s is not what the table allows",
                            r->method->member);
                return request_fail(r, PORTAL_E_FAILED, "The host's portal gave no usable answer");
        }
        if (!is_to_export(r))
                return finish_call(r);
        return start_export(r, on_call_exported) < 0
                       ? request_fail(r, PORTAL_E_FAILED, "The files could not be passed on")
                       : 0;
}
