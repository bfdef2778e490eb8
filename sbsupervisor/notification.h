/* SPDX-License-Identifier: MIT */
/*
 * The notifications of this VM on the host, whose buttons may answer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"

struct notifications {
        char *issued[LIMIT_NOTIFICATIONS_ISSUED]; /* ids on the gate; NULL: free */
        unsigned next;                            /* which one goes for a newcomer */
};

void notifications_done(struct notifications *n);

int notifications_issue(struct notifications *n, const char *id);
void notifications_withdraw(struct notifications *n, const char *id);
bool notifications_is_issued(const struct notifications *n, const char *id);

/* "<app id>/<id>", a new string; PURE, as its reverse, which gives a part of host_id, or NULL. */
char *notification_id_to_host(const char *app_id, const char *id);
const char *notification_id_from_host(const char *app_id, const char *host_id);

enum {
        NOTIFICATION_E_ACTION = 1, /* not of the form below: none that we have sent */
};

/*
 * A button's action as "vm." and letters, digits and dots, each other byte as "-xx": a new string.
 * Of an action that begins with "app." a desktop tells nobody by a signal: it calls the application,
 * whose name is the VM's app id, and nobody owns that on the host.  And xdg-desktop-portal-gtk takes
 * an action for GLib's detailed action name, and dies of one that is not.  PURE, as its reverse.
 */
char *notification_action_to_host(const char *action);
int notification_action_from_host(const char *action, char **ret);
