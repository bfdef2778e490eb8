/* SPDX-License-Identifier: MIT */
#include "sbportal/handle.h"

#include <assert.h>
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

char *handle_path(const char *sender, const char *token, uint32_t suffix) {
        _cleanup_free_ char *element = NULL;
        char *path = NULL;
        int r;

        assert(handle_sender_is_valid(sender) && handle_token_is_valid(token));

        element = strdup(sender + 1);
        if (!element)
                return NULL;
        for (char *c = element; *c; c++)
                if (*c == '.')
                        *c = '_';
        if (suffix)
                r = asprintf(&path, PORTAL_REQUEST_PATH "/%s/%s/%u", element, token, suffix);
        else
                r = asprintf(&path, PORTAL_REQUEST_PATH "/%s/%s", element, token);
        return r < 0 ? NULL : path;
}

bool handle_is_gate(const char *path) {
        static const char prefix[] = PORTAL_GATE_REQUEST_PATH "/";

        return strncmp(path, prefix, sizeof(prefix) - 1) == 0 &&
               handle_token_is_valid(path + sizeof(prefix) - 1);
}
