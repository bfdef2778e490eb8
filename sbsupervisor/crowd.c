/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/crowd.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/portal_table.h"
#include "sbsupervisor/config.h"
#include "sbsupervisor/gate.h"
#include "sbsupervisor/request.h"

static unsigned count(const struct gate *g, enum portal_kind kind) {
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTSOF(g->requests); i++)
                n += g->requests[i] && g->requests[i]->method->kind == kind;
        return n;
}

/* The two together leave room for plain calls. */
const char *crowd_at_once(const struct gate *g, const struct portal_method *m) {
        if (m->kind == PORTAL_IS_REQUEST && count(g, m->kind) >= g->config->dialogs)
                return "The VM has too many dialogs open";
        if (m->kind == PORTAL_LASTS && count(g, m->kind) >= LIMIT_LASTING_VM)
                return "The VM has too many requests in force";
        return NULL;
}

const char *crowd_in_a_minute(const struct gate *g, const struct portal_method *m) {
        struct bucket_rate windows = bucket_per_minute(g->config->dialogs_per_minute),
                           shown = bucket_per_minute(g->config->notifications_per_minute);

        if (portal_opens_window(m) && !bucket_has(&g->crowd.windows, &windows, clock_usec()))
                return "The VM has opened too many dialogs in the last minute";
        if (portal_shows_notification(m) &&
            !bucket_has(&g->crowd.notifications, &shown, clock_usec()))
                return "The VM has sent too many notifications in the last minute";
        return NULL;
}

void crowd_seen(struct gate *g, const struct portal_method *m) {
        struct bucket_rate windows = bucket_per_minute(g->config->dialogs_per_minute),
                           shown = bucket_per_minute(g->config->notifications_per_minute);

        if (portal_opens_window(m))
                bucket_spend(&g->crowd.windows, &windows, clock_usec());
        if (portal_shows_notification(m))
                bucket_spend(&g->crowd.notifications, &shown, clock_usec());
}
