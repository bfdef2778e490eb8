/* SPDX-License-Identifier: MIT */
#include "sbportal/translate.h"

#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "sbportal/guest_path.h"
#include "sbportal/handle.h"

typedef int (*translate_fn)(struct translation *tr, const char *value, char **ret);

static int duplicate(const char *value, char **ret) {
        *ret = strdup(value);
        return *ret ? 0 : -ENOMEM;
}

/* The gate adds the VM's label. */
static int title_to_gate(_unused_ struct translation *tr, const char *value, char **ret) {
        return duplicate(value, ret);
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
        return duplicate(value, ret);
}

/* Consumed here: the gate issues handles of its own. */
static int token_to_gate(struct translation *tr, const char *value, _unused_ char **ret) {
        if (!handle_token_is_valid(value))
                return PORTAL_REBUILD_E_VALUE;
        free(tr->token);
        return duplicate(value, &tr->token);
}

static int path_to_gate(struct translation *tr, const char *value, char **ret) {
        int r = guest_path_to_gate(tr->t->documents, value, ret);

        return r == GUEST_PATH_E_FOREIGN ? 0 : r; /* a path of the guest's own disk: left out */
}

static int uri_to_guest(struct translation *tr, const char *value, char **ret) {
        int r = guest_path_uri(tr->t->documents, value, ret);

        if (r != GUEST_PATH_E_FORM)
                return r;
        guest_log_warning(&tr->t->log, "the gate returned \"%s\", which is no document: left out",
                          ESCAPED(value));
        return 0;
}

/* A role that is in neither table is left out. */
static const translate_fn to_gate[] = {
        [PORTAL_TITLE] = title_to_gate,
        [PORTAL_PARENT_WINDOW] = window_to_gate,
        [PORTAL_HANDLE_TOKEN] = token_to_gate,
        [PORTAL_GUEST_PATH] = path_to_gate,
};

static const translate_fn to_guest[] = {
        [PORTAL_URIS] = uri_to_guest,
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
