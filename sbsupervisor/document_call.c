/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/document_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/call_stub.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/portal_rebuild.h"
#include "sbsupervisor/gate.h"

#define NOT_FOUND "org.freedesktop.portal.Error.NotFound"

struct document_call {
        struct gate *gate;
        const struct document_method *method;
        sd_bus_message *call; /* a stub: only to be answered */
        char *path;           /* what it is about: "<doc id>", or "<doc id>/<rest>" */
        unsigned permissions; /* that are asked for; ~0 when one is unknown */
};

static struct document_call *call_free(struct document_call *c) {
        c->gate->n_forwarded--;
        sd_bus_message_unref(c->call);
        free(c->path);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(struct document_call *, call_free);

static void call_destroy(void *p) {
        call_free(p);
}

/* --- what they ask --------------------------------------------------------------------------- */

static int note_path(void *userdata, const struct portal_value *v, const char *value,
                     char **ret _unused_) {
        struct document_call *c = userdata;

        if (v->role != PORTAL_GUEST_PATH)
                return 0;
        c->path = strdup(value);
        return c->path ? 0 : -ENOMEM;
}

static int read_id(struct document_call *c, sd_bus_message *m) {
        const char *id;
        int r = sd_bus_message_read_basic(m, 's', &id);

        if (r < 0)
                return r;
        c->path = strdup(id);
        return c->path ? 0 : -ENOMEM;
}

static int read_grant(struct document_call *c, sd_bus_message *m) {
        const char *permission;
        int r = read_id(c, m);

        if (r == 0)
                r = sd_bus_message_skip(m, "s"); /* the guest's word for itself */
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &permission)) > 0)
                c->permissions |= documents_permission(permission) ?: ~0u;
        return r < 0 ? r : 0;
}

/* --- what they get --------------------------------------------------------------------------- */

static const char *name_of(const char *document) {
        const char *slash = strrchr(document, '/');

        return slash ? slash + 1 : document;
}

/* The document itself has an id; what is in a directory has none of its own. */
static int answer_lookup(struct document_call *c, const char *document,
                         _unused_ unsigned permissions) {
        size_t n = strcspn(c->path, "/");
        bool is_it = document && c->path[n] && strcmp(c->path + n + 1, name_of(document)) == 0;

        if (is_it)
                c->path[n] = '\0';
        return sd_bus_reply_method_return(c->call, "s", is_it ? c->path : "");
}

static int answer_info(struct document_call *c, const char *document, unsigned permissions) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int n, r;

        if (!document)
                return sd_bus_reply_method_errorf(c->call, NOT_FOUND, "No such document");
        n = asprintf(&path, "%s/%s", c->path, name_of(document));
        if (n < 0)
                return -ENOMEM;
        r = sd_bus_message_new_method_return(c->call, &m);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', path, (size_t)n + 1);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sas}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'e', "sas");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', c->gate->documents->app_id);
        if (r >= 0)
                r = documents_append_permissions(m, permissions);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_send(NULL, m, NULL);
}

/* What the VM has it may be granted: so that a program that insists goes on. */
static int answer_grant(struct document_call *c, const char *document, unsigned permissions) {
        if (!document)
                return sd_bus_reply_method_errorf(c->call, NOT_FOUND, "No such document");
        if (c->permissions & ~permissions)
                return sd_bus_reply_method_errorf(c->call, PORTAL_E_NOT_ALLOWED,
                                                  "The VM has no such right to the document");
        return sd_bus_reply_method_return(c->call, "");
}

static const struct document_method {
        const char *member;
        /* NULL: the path among the arguments is all. */
        int (*read)(struct document_call *c, sd_bus_message *m);
        /* document: where it is on the host; NULL: the VM has none of that id. */
        int (*answer)(struct document_call *c, const char *document, unsigned permissions);
} methods[] = {
        {"Lookup", NULL, answer_lookup},
        {"Info", read_id, answer_info},
        {"GrantPermissions", read_grant, answer_grant},
};

static const struct document_method *find_method(const char *member) {
        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (strcmp(methods[i].member, member) == 0)
                        return &methods[i];
        return NULL;
}

/* --- asking the document portal -------------------------------------------------------------- */

static int on_info(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct document_call *c = userdata;
        _cleanup_free_ char *document = NULL;
        unsigned permissions = 0;
        int r = documents_info_reply(c->gate->documents, m, &document, &permissions);

        if (r >= 0)
                r = c->method->answer(c, r == 0 ? document : NULL, permissions);
        if (r < 0)
                (void)sd_bus_reply_method_errorf(c->call, PORTAL_E_FAILED,
                                                 "The call failed in the gate");
        return 0;
}

static int read_arguments(struct document_call *c, const struct portal_method *method,
                          sd_bus_message *call) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *scratch = NULL;
        struct portal_rebuild rb = {.method = method, .translate = note_path, .userdata = c};
        int r = sd_bus_message_new_method_call(c->gate->bus, &scratch, NULL, DOCUMENTS_PATH,
                                               method->interface, method->member);

        if (r >= 0)
                r = portal_rebuild_args(&rb, call, scratch);
        if (r != 0 || !c->method->read)
                return r;
        r = sd_bus_message_rewind(call, true);
        return r < 0 ? r : c->method->read(c, call);
}

static int ask(struct document_call *take_c) {
        _cleanup_(call_freep) struct document_call *c = take_c;
        size_t n = c->path ? strcspn(c->path, "/") : 0;
        _cleanup_free_ char *id = strndup(c->path ?: "", n);
        sd_bus_slot *slot = NULL;
        int r;

        if (!id)
                return -ENOMEM;
        if (!documents_id_is_valid(id, n) || (c->method->read && c->path[n]))
                return c->method->answer(c, NULL, 0);
        r = documents_info(c->gate->documents, id, on_info, c, &slot);
        if (r < 0)
                return r;
        (void)sd_bus_slot_set_destroy_callback(slot, call_destroy);
        (void)sd_bus_slot_set_floating(slot, 1);
        sd_bus_slot_unref(slot);
        (void)TAKE_PTR(c);
        return 0;
}

int document_call_start(struct gate *g, const struct portal_method *method, sd_bus_message *call) {
        const struct document_method *own = find_method(method->member);
        _cleanup_(call_freep) struct document_call *c = NULL;
        int r;

        if (!own)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_UNKNOWN_METHOD,
                                                  "No such method");
        if (g->n_forwarded >= LIMIT_REQUESTS_VM)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "Too many calls at once");
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (struct document_call){.gate = g, .method = own};
        g->n_forwarded++;
        r = read_arguments(c, method, call);
        if (r > 0)
                return sd_bus_reply_method_errorf(call, PORTAL_E_INVALID, "Wrong arguments");
        if (r == 0)
                r = call_stub_new(call, &c->call);
        return r < 0 ? r : ask(TAKE_PTR(c));
}
