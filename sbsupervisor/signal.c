/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/signal.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/portal_rebuild.h"
#include "sbsupervisor/gate.h"
#include "sbsupervisor/policy.h"
#include "sbsupervisor/session.h"

struct forwarding {
        struct gate *gate;
        const struct portal_signal *signal;
};

static int session_to_gate(struct forwarding *f, const char *value, char **ret) {
        const struct session *s = session_find_host(f->gate, value);

        if (!s || strcmp(s->interface, f->signal->interface) != 0)
                return PORTAL_REBUILD_E_VALUE;
        return portal_rebuild_copy(s->gate_path, ret);
}

static int notification_to_gate(struct forwarding *f, const char *value, char **ret) {
        const char *id = notification_id_from_host(f->gate->documents->app_id, value);

        return id && notifications_is_issued(&f->gate->notifications, id) ? portal_rebuild_copy(id, ret)
                                                                          : PORTAL_REBUILD_E_VALUE;
}

static int action_to_gate(_unused_ struct forwarding *f, const char *value, char **ret) {
        int r = notification_action_from_host(value, ret);

        return r > 0 ? PORTAL_REBUILD_E_VALUE : r;
}

static int namespace_to_gate(struct forwarding *f, const char *value, char **ret) {
        return policy_namespace_allowed(f->gate->policy, value) ? portal_rebuild_copy(value, ret)
                                                                : PORTAL_REBUILD_E_VALUE;
}

/* What no row here knows is left out, or "". */
static int (*const roles[PORTAL_N_ROLES])(struct forwarding *f, const char *value, char **ret) = {
        [PORTAL_SESSION] = session_to_gate,
        [PORTAL_NOTIFICATION_ID] = notification_to_gate,
        [PORTAL_ACTION] = action_to_gate,
        [PORTAL_NAMESPACE] = namespace_to_gate,
};

static int translate(void *userdata, const struct portal_value *v, const char *value, char **ret) {
        return roles[v->role] ? roles[v->role](userdata, value, ret) : 0;
}

static int rebuild(struct gate *g, const struct portal_signal *signal, sd_bus_message *m,
                   sd_bus_message *out) {
        struct forwarding f = {g, signal};
        struct portal_rebuild rb = {.translate = translate, .userdata = &f};

        return portal_rebuild_values(&rb, signal->args, signal->options, m, out);
}

int signal_forward(struct gate *g, sd_bus_message *m) {
        const char *interface = sd_bus_message_get_interface(m),
                   *member = sd_bus_message_get_member(m);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        const struct portal_signal *signal = portal_find_signal(interface, member);
        int r;

        if (!signal || portal_find_interface(interface)->local)
                return 0;
        /*
         * One that is for whoever has the session, or the notification, needs no policy: it was
         * allowed.
         */
        if (signal->route == PORTAL_TO_ALL && !policy_allows_interface(g->policy, interface))
                return 0;
        r = sd_bus_message_new_signal(g->bus, &out, PORTAL_PATH, interface, member);
        if (r >= 0)
                r = rebuild(g, signal, m, out);
        if (r > 0)
                log_debug("gate: %s.%s is not for this VM: not passed on", interface, member);
        return r != 0 ? (r < 0 ? r : 0) : sd_bus_send(NULL, out, NULL);
}
