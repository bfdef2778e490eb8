/* SPDX-License-Identifier: MIT */
#include "sbportal/translate.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/escape.h"
#include "sbportal/guest_path.h"
#include "sbportal/handle.h"
#include "sbportal/session.h"

typedef int (*translate_fn)(struct translation *tr, const char *value, char **ret);

/* Of other meaning only beyond the gate, which sees to it: a title's label, the policy's lists. */
static int as_it_is(_unused_ struct translation *tr, const char *value, char **ret) {
        return portal_rebuild_copy(value, ret);
}

/*
 * "x11:<hex XID>" or "wayland:<exported handle>" (xdg-desktop-portal, "Parent window
 * identifiers").  It names a window of the guest's display: on the host it would be somebody
 * else's, unless the VM's windows are host windows.
 */
static int window_to_gate(struct translation *tr, const char *value, char **ret) {
        static const char hex[] = "0123456789abcdefABCDEF";
        static const char printable[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                        "0123456789+/=_.:{}-";
        const char *allowed = NULL, *name = strchr(value, ':');

        if (!tr->t->pass_windows || !name || strlen(value) > LIMIT_TOKEN_BYTES)
                return 0;
        name++;
        if (strncmp(value, "x11:", 4) == 0)
                allowed = hex;
        else if (strncmp(value, "wayland:", 8) == 0)
                allowed = printable;
        if (!allowed || !*name || strspn(name, allowed) != strlen(name))
                return 0;
        return portal_rebuild_copy(value, ret);
}

/* Consumed here: the gate issues handles of its own. */
static int take_token(const char *value, char **token) {
        if (!handle_token_is_valid(value))
                return PORTAL_REBUILD_E_VALUE;
        free(*token);
        return portal_rebuild_copy(value, token);
}

static int token_to_gate(struct translation *tr, const char *value, _unused_ char **ret) {
        return take_token(value, &tr->token);
}

static int session_token_to_gate(struct translation *tr, const char *value, _unused_ char **ret) {
        return take_token(value, &tr->session_token);
}

/* Another client's is as good as none. */
static int session_to_gate(struct translation *tr, const char *value, char **ret) {
        const struct session *s = session_by_handle(tr->t, value);

        if (!s || strcmp(s->client, tr->client) != 0 || strcmp(s->interface, tr->interface) != 0)
                return PORTAL_REBUILD_E_VALUE;
        return portal_rebuild_copy(s->gate_handle, ret);
}

static int notification_to_gate(struct translation *tr, const char *value, char **ret) {
        /* What is put in front of it has room below the gate's bound. */
        if (strlen(value) > LIMIT_TEXT_BYTES)
                return PORTAL_REBUILD_E_VALUE;
        *ret = handle_notification(tr->client, value);
        return *ret ? 0 : -ENOMEM;
}

static int path_to_gate(struct translation *tr, const char *value, char **ret) {
        int r = guest_path_to_gate(tr->t->documents, value, ret);

        return r == GUEST_PATH_E_FOREIGN ? 0 : r; /* a path of the guest's own disk: left out */
}

static int guest_path_result(struct translation *tr, const char *value, int r) {
        if (r != GUEST_PATH_E_FORM)
                return r;
        guest_log_warning(&tr->t->log, "the gate returned \"%s\", which is no document: left out",
                          ESCAPED(value));
        return 0;
}

static int uri_to_guest(struct translation *tr, const char *value, char **ret) {
        return guest_path_result(tr, value, guest_path_uri(tr->t->documents, value, ret));
}

static int path_of_item_to_guest(struct translation *tr, const char *value, char **ret) {
        return guest_path_result(tr, value, guest_path_of_item(tr->t->documents, value, ret));
}

static int path_to_guest(struct translation *tr, const char *value, char **ret) {
        return guest_path_result(tr, value, guest_path_from_gate(tr->t->documents, value, ret));
}

/* In an answer: the session that the call was to make, new to us and of the agreed form. */
static struct session *made_session(struct translation *tr, const char *value) {
        struct session *s = tr->call->session;

        if (!s || s->gate_handle || !handle_is_gate_session(value) ||
            session_by_gate_handle(tr->t, value)) {
                guest_log_warning(&tr->t->log, "the gate made a session that is none: left out");
                return NULL;
        }
        s->gate_handle = strdup(value);
        return s;
}

static int session_to_guest(struct translation *tr, const char *value, char **ret) {
        struct session *s =
                tr->call ? made_session(tr, value) : session_by_gate_handle(tr->t, value);

        if (!s || strcmp(s->interface, tr->interface) != 0)
                return 0;
        if (!s->gate_handle)
                return -ENOMEM;
        if (!tr->call) {
                free(tr->destination);
                tr->destination = strdup(s->client);
                if (!tr->destination)
                        return -ENOMEM;
        }
        return portal_rebuild_copy(s->handle, ret);
}

static int notification_to_guest(struct translation *tr, const char *value, char **ret) {
        const char *id;
        int r;

        free(TAKE_PTR(tr->destination));
        r = handle_notification_parse(value, &tr->destination, &id);
        if (r == HANDLE_E_FORM)
                return PORTAL_REBUILD_E_VALUE;
        if (r != 0)
                return r;
        tr->own_notification = !tr->destination;
        return portal_rebuild_copy(id, ret);
}

/* A role that is in neither table is left out. */
static const translate_fn to_gate[] = {
        [PORTAL_TITLE] = as_it_is,
        [PORTAL_PARENT_WINDOW] = window_to_gate,
        [PORTAL_HANDLE_TOKEN] = token_to_gate,
        [PORTAL_GUEST_PATH] = path_to_gate,
        [PORTAL_SESSION_TOKEN] = session_token_to_gate,
        [PORTAL_SESSION] = session_to_gate,
        [PORTAL_NOTIFICATION_ID] = notification_to_gate,
        [PORTAL_ACTION] = as_it_is,
        [PORTAL_OPEN_URI] = as_it_is,
        [PORTAL_OPEN_SCHEME] = as_it_is,
        [PORTAL_NAMESPACE] = as_it_is,
        [PORTAL_NAMESPACES] = as_it_is,
};

static const translate_fn to_guest[] = {
        [PORTAL_URIS] = uri_to_guest,
        [PORTAL_PATHS] = path_of_item_to_guest,
        [PORTAL_GUEST_PATH] = path_to_guest,
        [PORTAL_SESSION] = session_to_guest,
        [PORTAL_NOTIFICATION_ID] = notification_to_guest,
        [PORTAL_ACTION] = as_it_is,
        [PORTAL_NAMESPACE] = as_it_is,
        [PORTAL_SETTINGS] = as_it_is,
        [PORTAL_PROXIES] = as_it_is,
};

static int translate(const translate_fn *fns, size_t n, void *userdata,
                     const struct portal_value *v, const char *value, char **ret) {
        translate_fn fn = (size_t)v->role < n ? fns[v->role] : NULL;

        return fn ? fn(userdata, value, ret) : 0;
}

int translate_to_gate(void *userdata, const struct portal_value *v, const char *value,
                      char **ret_new) {
        return translate(to_gate, ELEMENTSOF(to_gate), userdata, v, value, ret_new);
}

int translate_to_guest(void *userdata, const struct portal_value *v, const char *value,
                       char **ret_new) {
        return translate(to_guest, ELEMENTSOF(to_guest), userdata, v, value, ret_new);
}

/*
 * The kernel gives the lowest number there is, so that below this one there is room for sd-bus's
 * own copy and for the next message's: without it the connection would end.
 */
#define HIGHEST_FD ((int)(LIMIT_PORTAL_FDS - 2 * LIMIT_MESSAGE_FDS))
_Static_assert(HIGHEST_FD > (int)(LIMIT_REQUESTS_VM * LIMIT_MESSAGE_FDS), "all calls' have room");

int translate_fd_to_gate(void *userdata, _unused_ const struct portal_value *v, int fd,
                         int *ret_fd) {
        struct translation *tr = userdata;
        _cleanup_close_ int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (copy < 0 && errno != EMFILE)
                return -errno;
        if (copy < 0 || copy > HIGHEST_FD) {
                guest_log_warning(&tr->t->log, "too many descriptors on their way: refused one");
                return PORTAL_REBUILD_E_NO_FD;
        }
        *ret_fd = TAKE_FD(copy);
        return 0;
}

void translation_done(struct translation *tr) {
        free(TAKE_PTR(tr->token));
        free(TAKE_PTR(tr->session_token));
        free(TAKE_PTR(tr->destination));
}
