/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/argument.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/portal_rebuild.h"
#include "sbsupervisor/attachment.h"
#include "sbsupervisor/gate.h"
#include "sbsupervisor/policy.h"
#include "sbsupervisor/resolve.h"
#include "sbsupervisor/session.h"

/* As xdg-desktop-portal says it of a setting that is not there. */
#define NOT_FOUND "org.freedesktop.portal.Error.NotFound"

/* The value is of its form, and yet not for this VM. */
static int refuse(struct request *r, const char *error) {
        r->refusal = error;
        return PORTAL_REBUILD_E_VALUE;
}

/* --- what the policy says, asked in both passes ---------------------------------------------- */

static int session_to_host(struct request *r, const char *value, char **ret) {
        const struct session *s = session_find_gate(r->gate, value);

        if (!s || strcmp(s->interface, r->method->interface) != 0)
                return refuse(r, SD_BUS_ERROR_ACCESS_DENIED);
        return portal_rebuild_copy(s->host_path, ret);
}

static int uri_to_host(struct request *r, const char *value, char **ret) {
        if (!policy_uri_allowed(r->gate->policy, value))
                return refuse(r, PORTAL_E_NOT_ALLOWED);
        *ret = uri_to_ascii(value);
        return *ret ? 0 : -ENOMEM;
}

static int scheme_to_host(struct request *r, const char *value, char **ret) {
        return policy_scheme_allowed(r->gate->policy, value) ? portal_rebuild_copy(value, ret)
                                                             : refuse(r, PORTAL_E_NOT_ALLOWED);
}

static int namespace_to_host(struct request *r, const char *value, char **ret) {
        return policy_namespace_allowed(r->gate->policy, value) ? portal_rebuild_copy(value, ret)
                                                                : refuse(r, NOT_FOUND);
}

/* A pattern: what it finds is looked at when it comes. */
static int pattern_to_host(_unused_ struct request *r, const char *value, char **ret) {
        return portal_rebuild_copy(value, ret);
}

/* --- what is only known, or only meant, when it is written ----------------------------------- */

/* Whose it is comes first: a long title is cut at its end. */
static int title_to_host(struct request *r, const char *value, char **ret) {
        return asprintf(ret, *value ? "%s: %s" : "%s", r->gate->config->label, value) < 0 ? -ENOMEM
                                                                                          : 0;
}

static int window_to_host(struct request *r, const char *value, char **ret) {
        bool is_handle = strncmp(value, "x11:", 4) == 0 || strncmp(value, "wayland:", 8) == 0;

        return r->gate->config->pass_windows && is_handle ? portal_rebuild_copy(value, ret) : 0;
}

static int path_to_host(struct request *r, const char *value, char **ret) {
        for (unsigned i = 0; i < r->n_paths; i++) {
                const struct path_ref *p = &r->paths[i];

                if (p->host && !p->is_file && strcmp(p->gate, value) == 0)
                        return portal_rebuild_copy(p->host, ret);
        }
        return 0;
}

static int notification_to_host(struct request *r, const char *value, char **ret) {
        *ret = notification_id_to_host(r->gate->documents->app_id, value);
        return *ret ? 0 : -ENOMEM;
}

static int action_to_host(_unused_ struct request *r, const char *value, char **ret) {
        *ret = notification_action_to_host(value);
        return *ret ? 0 : -ENOMEM;
}

static int note_path(struct request *r, const char *value, _unused_ char **ret) {
        return resolve_add_path(r, value);
}

static int note_notification(struct request *r, const char *value, _unused_ char **ret) {
        return portal_rebuild_copy(value, &r->notification);
}

/* --- the two passes -------------------------------------------------------------------------- */

/* A role that is not here is of a token: it ends here, and ours is added. */
static const struct {
        int (*collect)(struct request *r, const char *value, char **ret);
        int (*write)(struct request *r, const char *value, char **ret);
} roles[PORTAL_N_ROLES] = {
        [PORTAL_TITLE] = {NULL, title_to_host},
        [PORTAL_PARENT_WINDOW] = {NULL, window_to_host},
        [PORTAL_GUEST_PATH] = {note_path, path_to_host},
        [PORTAL_SESSION] = {session_to_host, session_to_host},
        [PORTAL_OPEN_URI] = {uri_to_host, uri_to_host},
        [PORTAL_OPEN_SCHEME] = {scheme_to_host, scheme_to_host},
        [PORTAL_NAMESPACE] = {namespace_to_host, namespace_to_host},
        [PORTAL_NAMESPACES] = {NULL, pattern_to_host},
        [PORTAL_NOTIFICATION_ID] = {note_notification, notification_to_host},
        [PORTAL_ACTION] = {NULL, action_to_host},
};

static int collect(void *userdata, const struct portal_value *v, const char *value, char **ret) {
        return roles[v->role].collect ? roles[v->role].collect(userdata, value, ret) : 0;
}

static int write_value(void *userdata, const struct portal_value *v, const char *value,
                       char **ret) {
        return roles[v->role].write ? roles[v->role].write(userdata, value, ret) : 0;
}

static int rebuild(struct request *r, struct portal_rebuild *rb, sd_bus_message *out,
                   const char **ret_culprit) {
        int e = sd_bus_message_rewind(r->call, true);

        rb->method = r->method;
        rb->userdata = r;
        rb->version = r->version;
        if (e >= 0)
                e = portal_rebuild_args(rb, r->call, out);
        *ret_culprit = rb->culprit;
        r->directory = rb->directory;
        return e;
}

int argument_collect(struct request *r, sd_bus_message *scratch, const char **ret_culprit) {
        struct portal_rebuild rb = {.translate = collect, .translate_fd = attachment_collect};

        return rebuild(r, &rb, scratch, ret_culprit);
}

int argument_write(struct request *r, sd_bus_message *out, const char **ret_culprit) {
        struct portal_rebuild rb = {
                .translate = write_value,
                .translate_fd = attachment_to_host,
                .handle_token = r->token,
                .session_token = r->session ? r->session->token : NULL,
        };

        r->next_file = 0;
        return rebuild(r, &rb, out, ret_culprit);
}
