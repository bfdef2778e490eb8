/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/notification.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define ACTION_PREFIX "vm."
#define DESKTOPS_OWN  "default" /* a click, where the notification says nothing of that */

void notifications_done(struct notifications *n) {
        for (size_t i = 0; i < ELEMENTSOF(n->issued); i++)
                free(n->issued[i]);
        *n = (struct notifications){0};
}

static char **find(const struct notifications *n, const char *id) {
        for (size_t i = 0; i < ELEMENTSOF(n->issued); i++)
                if (n->issued[i] && strcmp(n->issued[i], id) == 0)
                        return (char **)&n->issued[i];
        return NULL;
}

int notifications_issue(struct notifications *n, const char *id) {
        char *copy;

        if (find(n, id))
                return 0;
        copy = strdup(id);
        if (!copy)
                return -ENOMEM;
        free(n->issued[n->next]);
        n->issued[n->next] = copy;
        n->next = (n->next + 1) % ELEMENTSOF(n->issued);
        return 0;
}

void notifications_withdraw(struct notifications *n, const char *id) {
        char **found = find(n, id);

        if (!found)
                return;
        free(*found);
        *found = NULL;
}

bool notifications_is_issued(const struct notifications *n, const char *id) {
        return find(n, id) != NULL;
}

char *notification_id_to_host(const char *app_id, const char *id) {
        char *s;

        return asprintf(&s, "%s/%s", app_id, id) < 0 ? NULL : s;
}

const char *notification_id_from_host(const char *app_id, const char *host_id) {
        size_t n = strlen(app_id);

        return strncmp(host_id, app_id, n) == 0 && host_id[n] == '/' ? host_id + n + 1 : NULL;
}

static bool is_plain(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.';
}

char *notification_action_to_host(const char *action) {
        size_t n = strlen(action), size;
        char *s, *out;

        if (__builtin_mul_overflow(n, 3u, &size) || !(s = malloc(size + sizeof(ACTION_PREFIX))))
                return NULL;
        out = s + sprintf(s, ACTION_PREFIX);
        for (; *action; action++)
                if (is_plain(*action))
                        *out++ = *action;
                else
                        out += sprintf(out, "-%02x", (unsigned char)*action);
        *out = '\0';
        return s;
}

/* The byte that two hexadecimal digits stand for, as they are written above; 0: none. */
static char escaped_byte(const char *s) {
        static const char digits[] = "0123456789abcdef";
        const char *high = *s ? strchr(digits, s[0]) : NULL;
        const char *low = high && s[1] ? strchr(digits, s[1]) : NULL;

        return low ? (char)((high - digits) << 4 | (low - digits)) : '\0';
}

int notification_action_from_host(const char *action, char **ret) {
        _cleanup_free_ char *s = NULL;
        size_t n = strlen(ACTION_PREFIX);
        char *out;

        if (strcmp(action, DESKTOPS_OWN) == 0)
                n = 0;
        else if (strncmp(action, ACTION_PREFIX, n) != 0)
                return NOTIFICATION_E_ACTION;
        s = out = strdup(action + n);
        if (!s)
                return -ENOMEM;
        for (const char *in = s; *in; in++) {
                char c = *in == '-' ? escaped_byte(in + 1) : *in;

                if (c == '\0' || is_plain(c) == (*in == '-'))
                        return NOTIFICATION_E_ACTION;
                if (*in == '-')
                        in += 2;
                *out++ = c;
        }
        *out = '\0';
        *ret = TAKE_PTR(s);
        return 0;
}
