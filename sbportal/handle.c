/* SPDX-License-Identifier: MIT */
#include "sbportal/handle.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/portal_table.h"

/* The characters of an element of an object path (D-Bus specification, "Valid Object Paths"). */
#define ELEMENT                                                                                    \
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"                                                               \
        "abcdefghijklmnopqrstuvwxyz"                                                               \
        "0123456789_"

bool handle_token_is_valid(const char *token) {
        size_t n = strlen(token);

        return n > 0 && n <= LIMIT_TOKEN_BYTES && strspn(token, ELEMENT) == n;
}

bool handle_sender_is_valid(const char *sender) {
        size_t n = strlen(sender);

        return sender[0] == ':' && n > 1 && n <= 255 && strspn(sender + 1, ELEMENT ".") == n - 1;
}

/* The sender as an element of a path. */
static char *sender_element(const char *sender) {
        char *element = strdup(sender + 1);

        for (char *c = element; c && *c; c++)
                if (*c == '.')
                        *c = '_';
        return element;
}

char *handle_path(const char *sender, const char *token, uint32_t suffix) {
        _cleanup_free_ char *element = NULL;
        char *path = NULL;
        int r;

        assert(handle_sender_is_valid(sender) && handle_token_is_valid(token));

        element = sender_element(sender);
        if (!element)
                return NULL;
        if (suffix)
                r = asprintf(&path, PORTAL_REQUEST_PATH "/%s/%s/%u", element, token, suffix);
        else
                r = asprintf(&path, PORTAL_REQUEST_PATH "/%s/%s", element, token);
        return r < 0 ? NULL : path;
}

char *handle_session_path(const char *sender, const char *token) {
        _cleanup_free_ char *element = NULL;
        char *path = NULL;

        assert(handle_sender_is_valid(sender) && handle_token_is_valid(token));

        element = sender_element(sender);
        if (!element || asprintf(&path, PORTAL_SESSION_PATH "/%s/%s", element, token) < 0)
                return NULL;
        return path;
}

static bool is_token_below(const char *path, const char *prefix) {
        size_t n = strlen(prefix);

        return strncmp(path, prefix, n) == 0 && handle_token_is_valid(path + n);
}

bool handle_is_gate(const char *path) {
        return is_token_below(path, PORTAL_GATE_REQUEST_PATH "/");
}

bool handle_is_gate_session(const char *path) {
        return is_token_below(path, PORTAL_GATE_SESSION_PATH "/");
}

char *handle_notification(const char *sender, const char *id) {
        char *gate_id = NULL;

        assert(!sender || handle_sender_is_valid(sender));

        return asprintf(&gate_id, "%s/%s", sender ? sender + 1 : "", id) < 0 ? NULL : gate_id;
}

int handle_notification_parse(const char *gate_id, char **ret_sender, const char **ret_id) {
        const char *slash = strchr(gate_id, '/');
        _cleanup_free_ char *sender = NULL;

        if (!slash)
                return HANDLE_E_FORM;
        if (slash > gate_id) {
                if (asprintf(&sender, ":%.*s", (int)(slash - gate_id), gate_id) < 0)
                        return -ENOMEM;
                if (!handle_sender_is_valid(sender))
                        return HANDLE_E_FORM;
        }
        *ret_sender = TAKE_PTR(sender);
        *ret_id = slash + 1;
        return 0;
}
