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

/*
 * A button's action with "vm." in front, a new string.  Of one that begins with "app." a desktop
 * tells nobody by a signal: it calls the application, whose name is the VM's app id, and nobody
 * owns that on the host.  Back: a part of action; one that is not of this form, as it is.  PURE.
 */
char *notification_action_to_host(const char *action);
const char *notification_action_from_host(const char *action);
