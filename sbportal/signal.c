/* SPDX-License-Identifier: MIT */
#include "sbportal/signal.h"

#include "sbportal/application.h"
#include "sbportal/notifications.h"
#include "sbportal/translate.h"

const char *portal_path(const char *interface) {
        const struct portal_interface *i = portal_find_interface(interface);

        return i->object == PORTAL_DOCUMENTS ? DOCUMENTS_PATH : PORTAL_PATH;
}

/* To the client whose notification it is; it may be meant for its application. */
static int send_to_notifier(struct translator *t, sd_bus_message *out, const char *client) {
        const char *action;
        int r = sd_bus_message_set_destination(out, client);

        if (r >= 0)
                r = sd_bus_message_seal(out, 1, 0);
        if (r >= 0)
                r = sd_bus_message_read(out, "ss", NULL, &action);
        if (r < 0)
                return r;
        return application_has_action(action) ? application_invoke(t, client, out)
                                              : bus_source_send(&t->vm, out);
}

/* A signal for one client says by an argument for whom; without one it is for nobody. */
static int send_routed(struct translator *t, sd_bus_message *out, const struct portal_signal *s,
                       const struct translation *tr) {
        int r = 0;

        if (s->route == PORTAL_TO_NOTIFIER && tr->own_notification)
                return notifications_invoked(t, out);
        if (s->route != PORTAL_TO_ALL && !tr->destination)
                return PORTAL_REBUILD_E_VALUE;
        if (s->route == PORTAL_TO_NOTIFIER)
                return send_to_notifier(t, out, tr->destination);
        if (s->route != PORTAL_TO_ALL)
                r = sd_bus_message_set_destination(out, tr->destination);
        return r < 0 ? r : bus_source_send(&t->vm, out);
}

int signal_pass(struct translator *t, sd_bus_message *m, const struct portal_signal *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        _cleanup_(translation_done) struct translation tr = {.t = t, .interface = s->interface};
        struct portal_rebuild rb = {.translate = translate_to_guest, .userdata = &tr};
        int r;

        if (portal_find_interface(s->interface)->local)
                return PORTAL_REBUILD_E_VALUE;
        r = sd_bus_message_new_signal(t->vm.bus, &out, portal_path(s->interface), s->interface,
                                      s->member);
        if (r >= 0)
                r = portal_rebuild_values(&rb, s->args, s->options, m, out);
        return r != 0 ? r : send_routed(t, out, s, &tr);
}
