/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/call_stub.h"
#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/portal_rebuild.h"
#include "sbsupervisor/export.h"
#include "sbsupervisor/gate.h"

#define TOKEN_BYTES 16 /* 128 bits: not to be guessed by anybody on the session bus */
/* xdg-desktop-portal answers at once; a busy one is waited for longer than any client waits for us. */
#define HOST_CALL_USEC (120 * UINT64_C(1000000))
#define MAX_PATHS   4  /* guest paths in one call: no row has more than two */

/* A guest path among the options and what it is on the host. */
struct path_ref {
        struct request *request;
        char *gate; /* "<doc id>/<rest>" */
        char *host; /* once resolved; NULL if it is no document of this VM */
        sd_bus_slot *slot;
};

struct request {
        struct gate *gate;
        const struct portal_method *method;
        sd_bus_message *call; /* sbportal's, until it is answered */
        char token[2 * TOKEN_BYTES + 3];
        char *gate_path, *host_path;
        struct path_ref paths[MAX_PATHS];
        unsigned n_paths, n_resolving;
        sd_bus_slot *slot;        /* the call to the host portal */
        sd_bus_message *response; /* parked until the call is answered, then being exported */
        bool directory; /* the dialog is for directories */
        bool cut;       /* more was picked than LIMIT_URIS */
        bool closed;    /* sbportal wants no answer any more; what was picked is still exported */
        struct export *export;
        char **uris; /* of the response: what the person picked */
        size_t n_uris, next_uri;
};

/* --- birth and death ----------------------------------------------------------------------------- */

static void request_free(struct request *r) {
        struct gate *g = r->gate;

        for (size_t i = 0; i < ELEMENTSOF(g->requests); i++)
                if (g->requests[i] == r)
                        g->requests[i] = NULL;
        for (unsigned i = 0; i < r->n_paths; i++) {
                sd_bus_slot_unref(r->paths[i].slot);
                free(r->paths[i].gate);
                free(r->paths[i].host);
        }
        for (size_t i = 0; i < r->n_uris; i++)
                free(r->uris[i]);
        free(r->uris);
        export_free(r->export);
        sd_bus_slot_unref(r->slot);
        sd_bus_message_unref(r->call);
        sd_bus_message_unref(r->response);
        free(r->gate_path);
        free(r->host_path);
        free(r);
}

/* "sb" and 32 hex digits. */
static int make_token(char *token) {
        uint8_t random[TOKEN_BYTES];

        if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
                return -EIO;
        token += sprintf(token, "sb");
        for (size_t i = 0; i < sizeof(random); i++)
                token += sprintf(token, "%02x", random[i]);
        return 0;
}

/* The handle that the host portal will give our token: so the Response is known however early. */
static int predict_host_path(struct request *r) {
        _cleanup_free_ char *name = NULL;
        const char *unique;
        int e = sd_bus_get_unique_name(r->gate->host->bus, &unique);

        if (e < 0)
                return e;
        name = strdup(unique + 1);
        if (!name)
                return -ENOMEM;
        for (char *c = name; *c; c++)
                if (*c == '.')
                        *c = '_';
        return asprintf(&r->host_path, "%s/%s/%s", PORTAL_REQUEST_PATH, name, r->token) < 0 ? -ENOMEM
                                                                                             : 0;
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
        r->gate = g;
        r->method = method;
        r->call = sd_bus_message_ref(call);
        e = make_token(r->token);
        if (e == 0)
                e = predict_host_path(r);
        if (e == 0 && asprintf(&r->gate_path, "%s/%s", PORTAL_GATE_REQUEST_PATH, r->token) < 0)
                e = -ENOMEM;
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
                if (g->requests[i] && !g->requests[i]->closed &&
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

/* Answers sbportal's call with an error, and ends the request. */
static int fail_call(struct request *r, const char *error, const char *text) {
        int e = sd_bus_reply_method_errorf(r->call, error, "%s", text);

        request_free(r);
        return e;
}

/* --- resolving: guest paths among the options ----------------------------------------------------- */

/* First pass over the arguments: notes each guest path, leaves everything out. */
static int collect_path(void *userdata, const struct portal_value *v, const char *value,
                        char **ret_new _unused_) {
        struct request *r = userdata;
        struct path_ref *p;

        if (v->role != PORTAL_GUEST_PATH)
                return 0;
        if (r->n_paths == MAX_PATHS || !documents_id_is_valid(value, strcspn(value, "/")))
                return 0;
        p = &r->paths[r->n_paths];
        *p = (struct path_ref){.request = r, .gate = strdup(value)};
        if (!p->gate)
                return -ENOMEM;
        r->n_paths++;
        return 0;
}

static bool has_dots(const char *path) {
        for (const char *s = path; *s; s += strspn(s, "/")) {
                size_t n = strcspn(s, "/");

                if ((n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
                        return true;
                s += n;
        }
        return false;
}

/*
 * document is where the document is on the host; rest what follows "<doc id>" in the guest's
 * path: nothing (the guest means the directory the document is in), the document's name, or,
 * for a directory document, something in it, which must be there and be no symlink.
 */
static int map_path(const char *document, const char *rest, char **ret) {
        const char *name = strrchr(document, '/');
        size_t n;

        rest += strspn(rest, "/");
        if (!name || has_dots(rest))
                return 0;
        if (!*rest) {
                *ret = name == document ? strdup("/") : strndup(document, (size_t)(name - document));
                return *ret ? 0 : -ENOMEM;
        }
        n = strcspn(rest, "/");
        if (strlen(name + 1) != n || strncmp(rest, name + 1, n) != 0)
                return 0;
        rest += n + strspn(rest + n, "/");
        if (!*rest) {
                *ret = strdup(document);
                return *ret ? 0 : -ENOMEM;
        }
        if (privop_check_beneath(document, rest) != 0)
                return 0;
        return asprintf(ret, "%s/%s", document, rest) < 0 ? -ENOMEM : 0;
}

static int call_host(struct request *r);

static int on_info(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct path_ref *p = userdata;
        struct request *r = p->request;
        _cleanup_free_ char *document = NULL;
        int e = documents_info_reply(r->gate->documents, m, &document);

        if (e == 0)
                e = map_path(document, p->gate + strcspn(p->gate, "/"), &p->host);
        if (e < 0)
                (void)log_warning_errno(e, "gate: cannot resolve a guest path");
        if (!p->host)
                log_debug("gate: %s is no document of this VM: left out", ESCAPED(p->gate));
        return --r->n_resolving == 0 ? call_host(r) : 0;
}

static int resolve_paths(struct request *r) {
        for (unsigned i = 0; i < r->n_paths; i++) {
                char id[17];
                size_t n = strcspn(r->paths[i].gate, "/");
                int e;

                memcpy(id, r->paths[i].gate, n);
                id[n] = '\0';
                e = documents_info(r->gate->documents, id, on_info, &r->paths[i], &r->paths[i].slot);
                if (e < 0)
                        return e;
                r->n_resolving++;
        }
        return 0;
}

/* --- calling the host portal ---------------------------------------------------------------------- */

static bool is_window_handle(const char *s) {
        return strncmp(s, "x11:", 4) == 0 || strncmp(s, "wayland:", 8) == 0;
}

static int copy(const char *s, char **ret) {
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

/* Second pass: the values as the host portal gets them. */
static int to_host(void *userdata, const struct portal_value *v, const char *value, char **ret_new) {
        struct request *r = userdata;
        const struct config *c = r->gate->config;

        switch (v->role) {
        case PORTAL_TITLE:
                /* Whose dialog it is comes first: a long title is cut at its end. */
                return asprintf(ret_new, *value ? "%s: %s" : "%s", c->label, value) < 0 ? -ENOMEM : 0;
        case PORTAL_PARENT_WINDOW:
                return c->pass_windows && is_window_handle(value) ? copy(value, ret_new) : 0;
        case PORTAL_GUEST_PATH:
                for (unsigned i = 0; i < r->n_paths; i++)
                        if (r->paths[i].host && strcmp(r->paths[i].gate, value) == 0)
                                return copy(r->paths[i].host, ret_new);
                return 0;
        default:
                return 0; /* handle_token: our own is added */
        }
}

static int close_on_host(struct request *r) {
        int e = sd_bus_call_method_async(r->gate->host->bus, NULL, PORTAL_BUS_NAME, r->host_path,
                                         PORTAL_REQUEST, "Close", NULL, NULL, "");

        return e < 0 ? log_warning_errno(e, "cannot close a request on the host") : 0;
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
                return fail_call(r, e->name, text ?: generic);
        if (strncmp(e->name, "org.freedesktop.portal.Error.", 29) == 0 ||
            strncmp(e->name, "org.freedesktop.DBus.Error.", 27) == 0)
                return fail_call(r, e->name, generic);
        return fail_call(r, PORTAL_E_FAILED, generic);
}

static int answer_response(struct request *r);

static int on_host_reply(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct request *r = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *handle;
        char *path;
        int n;

        r->slot = sd_bus_slot_unref(r->slot);
        if (e) {
                /* Should it open the dialog yet, nobody could answer it. */
                (void)close_on_host(r);
                return forward_error(r, e);
        }
        n = host_answered(r->gate->host, m) ? sd_bus_message_read_basic(m, 'o', &handle) : 0;
        if (n <= 0 || strncmp(handle, PORTAL_REQUEST_PATH "/", strlen(PORTAL_REQUEST_PATH) + 1) != 0)
                return fail_call(r, PORTAL_E_FAILED, "The host's portal gave no handle");
        path = strdup(handle); /* longer than predicted when the token was taken: it says so itself */
        if (!path)
                return fail_call(r, SD_BUS_ERROR_NO_MEMORY, "Out of memory");
        free(r->host_path);
        r->host_path = path;
        n = sd_bus_reply_method_return(r->call, "o", r->gate_path);
        r->call = sd_bus_message_unref(r->call);
        if (n < 0) {
                request_close(r);
                return n;
        }
        return r->response ? answer_response(r) : 0;
}

static int fail_rebuild(struct request *r, int e, const char *culprit) {
        if (e == -ENOMEM)
                return fail_call(r, SD_BUS_ERROR_NO_MEMORY, "Out of memory");
        log_limited(&r->gate->budget, LOG_WARNING, "gate: %s.%s: %s is not what the table allows: refused",
                    r->method->interface, r->method->member, culprit ?: "the signature");
        return fail_call(r, PORTAL_E_INVALID, culprit ?: "Wrong signature");
}

static int rebuild_args(struct request *r, sd_bus_message *out, bool collect, const char **ret_culprit) {
        struct portal_rebuild rb = {
                .method = r->method,
                .translate = collect ? collect_path : to_host,
                .userdata = r,
                .handle_token = collect ? NULL : r->token,
        };
        int e = sd_bus_message_rewind(r->call, true);

        if (e >= 0)
                e = portal_rebuild_args(&rb, r->call, out);
        *ret_culprit = rb.culprit;
        r->directory = rb.directory;
        return e;
}

static int new_host_call(struct request *r, sd_bus_message **ret) {
        return host_new_call(r->gate->host, r->method->interface, r->method->member, ret);
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

static int call_host(struct request *r) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *culprit = NULL;
        int e = new_host_call(r, &m);

        if (e >= 0)
                e = rebuild_args(r, m, false, &culprit);
        if (e != 0)
                return fail_rebuild(r, e, culprit);
        e = keep_stub(r);
        if (e >= 0)
                e = sd_bus_call_async(r->gate->host->bus, &r->slot, m, on_host_reply, r,
                                      HOST_CALL_USEC);
        return e < 0 ? fail_call(r, PORTAL_E_FAILED, "The session bus did not take the call") : 0;
}

int request_start(struct gate *g, const struct portal_method *method, sd_bus_message *call) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *scratch = NULL;
        const char *culprit = NULL;
        struct request *r;
        int e = request_new(g, method, call, &r);

        if (e == -EBUSY)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "The VM has too many requests open");
        if (e < 0)
                return e;
        e = new_host_call(r, &scratch);
        if (e >= 0)
                e = rebuild_args(r, scratch, true, &culprit);
        if (e != 0)
                return fail_rebuild(r, e, culprit);
        if (r->n_paths == 0)
                return call_host(r);
        e = resolve_paths(r);
        return e < 0 ? fail_call(r, PORTAL_E_FAILED, "The document portal is gone") : 0;
}

/* --- answering --------------------------------------------------------------------------------------- */

static int send_response(struct request *r, sd_bus_message *m) {
        int e = sd_bus_send(r->gate->bus, m, NULL);

        request_free(r);
        return e;
}

static int new_response(struct request *r, uint32_t code, sd_bus_message **ret) {
        int e = sd_bus_message_new_signal(r->gate->bus, ret, r->gate_path, PORTAL_REQUEST, "Response");

        return e < 0 ? e : sd_bus_message_append(*ret, "u", code);
}

/* Response(2, {}): "the interaction was ended in some other way". */
static int send_ended(struct request *r) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int e = new_response(r, 2, &m);

        if (e >= 0)
                e = sd_bus_message_append(m, "a{sv}", 0);
        if (e >= 0)
                return send_response(r, m);
        request_free(r);
        return e;
}

/* First pass over the results: which URIs. */
static int collect_uri(void *userdata, const struct portal_value *v, const char *value,
                       char **ret_new _unused_) {
        struct request *r = userdata;
        char **uris;

        if (v->role != PORTAL_URIS)
                return 0;
        if (r->n_uris == LIMIT_URIS) { /* a person may pick a whole folder: what fits is given */
                if (!r->cut)
                        log_notice("more than %u files were picked: the VM gets the first ones", LIMIT_URIS);
                r->cut = true;
                return 0;
        }
        uris = reallocarray(r->uris, r->n_uris + 1, sizeof(*uris));
        if (!uris)
                return -ENOMEM;
        r->uris = uris;
        uris[r->n_uris] = strdup(value);
        if (!uris[r->n_uris])
                return -ENOMEM;
        r->n_uris++;
        return 0;
}

/* Second pass: each URI as the document it became, in the same order. */
static int to_guest(void *userdata, const struct portal_value *v, const char *value _unused_,
                    char **ret_new) {
        struct request *r = userdata;
        const char *document;

        if (v->role != PORTAL_URIS || !r->export)
                return 0;
        document = export_result(r->export, r->next_uri++);
        return document ? copy(document, ret_new) : 0;
}

static int rebuild_results(struct request *r, sd_bus_message *out, bool collect, uint32_t *ret_code) {
        struct portal_rebuild rb = {
                .method = r->method,
                .translate = collect ? collect_uri : to_guest,
                .userdata = r,
        };
        int e = sd_bus_message_rewind(r->response, true);

        if (e >= 0)
                e = sd_bus_message_read(r->response, "u", ret_code);
        return e < 0 ? e : portal_rebuild_results(&rb, r->response, out);
}

static bool all_refused(const struct request *r) {
        for (size_t i = 0; i < r->n_uris; i++)
                if (export_result(r->export, i))
                        return false;
        return r->n_uris > 0;
}

static int finish_response(struct request *r, uint32_t code) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int e;

        if (r->closed) {
                request_free(r);
                return 0;
        }
        if (r->export && all_refused(r))
                return send_ended(r);
        e = new_response(r, code, &m);
        if (e >= 0)
                e = rebuild_results(r, m, false, &code);
        if (e == 0)
                return send_response(r, m);
        (void)log_warning("gate: the host portal's answer could not be rebuilt");
        return send_ended(r);
}

static void on_exported(void *userdata) {
        int e = finish_response(userdata, 0);

        if (e < 0)
                (void)log_warning_errno(e, "gate: a Response could not be sent");
}

static int answer_response(struct request *r) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *scratch = NULL;
        uint32_t code = 2;
        int e = new_response(r, 0, &scratch);

        if (e >= 0)
                e = rebuild_results(r, scratch, true, &code);
        if (e != 0 || code > 2) {
                log_warning("gate: the host portal's answer is not what the table allows");
                return send_ended(r);
        }
        if (code != 0 || r->method->export == PORTAL_EXPORT_NONE || r->n_uris == 0)
                return finish_response(r, code);
        e = export_start(r->gate->documents, r->method->export, r->directory,
                         (const char *const *)r->uris, r->n_uris, on_exported, r, &r->export);
        if (e == 0)
                return 0;
        (void)log_warning_errno(e, "gate: cannot export what was picked");
        return send_ended(r);
}

int request_response(struct request *r, sd_bus_message *m) {
        if (r->response || !sd_bus_message_has_signature(m, "ua{sv}"))
                return 0; /* a second one, or none at all */
        r->response = sd_bus_message_ref(m);
        return r->call ? 0 : answer_response(r);
}

int request_portal_lost(struct request *r) {
        /* Before its handle is known, the bus answers the call itself; after the Response we do. */
        return r->call || r->response ? 0 : send_ended(r);
}

void request_close(struct request *r) {
        if (r->export) {
                r->closed = true; /* grants under way are finished, and logged */
                return;
        }
        if (!r->call && !r->response)
                (void)close_on_host(r);
        request_free(r);
}

void request_end(struct request *r) {
        if (!r->response)
                (void)close_on_host(r);
        request_free(r);
}
