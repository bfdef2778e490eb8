/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/notification.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define ACTION_PREFIX "vm."

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

char *notification_action_to_host(const char *action) {
        char *s;

        return asprintf(&s, ACTION_PREFIX "%s", action) < 0 ? NULL : s;
}

const char *notification_action_from_host(const char *action) {
        size_t n = strlen(ACTION_PREFIX);

        return strncmp(action, ACTION_PREFIX, n) == 0 ? action + n : action;
}
