/* SPDX-License-Identifier: MIT */
/*
 * Messages of the gate that are no replies (docs/PROTOCOL.gate.md).  As on the VM's bus,
 * nothing reaches what sd-bus would answer by itself.
 */
#include <string.h>

#include "common/log.h"
#include "common/portal_rebuild.h"
#include "sbportal/handle.h"
#include "sbportal/property.h"
#include "sbportal/reply.h"
#include "sbportal/request.h"
#include "sbportal/session.h"
#include "sbportal/signal.h"

static int portal_restarted(struct translator *t) {
        request_portal_restarted(t);
        return availability_forget(t);
}

static int on_portal_signal(struct translator *t, sd_bus_message *m) {
        const struct portal_signal *s =
                portal_find_signal(sd_bus_message_get_interface(m), sd_bus_message_get_member(m));
        int r = PORTAL_REBUILD_E_VALUE;

        if (sd_bus_message_is_signal(m, "org.freedesktop.portal.Gate", "PortalRestarted"))
                return portal_restarted(t);
        if (s)
                r = signal_pass(t, m, s);
        else if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Properties",
                                          "PropertiesChanged"))
                r = property_changed(t, m);
        if (r > 0) /* also when the session it names was closed meanwhile */
                log_debug("%s of the gate is for nobody, or not of the agreed form: dropped",
                          sd_bus_message_get_member(m));
        return r < 0 ? r : 0;
}

static int dispatch(struct translator *t, sd_bus_message *m) {
        const char *path = sd_bus_message_get_path(m);
        uint8_t type = 0;

        (void)sd_bus_message_get_type(m, &type);
        if (type == SD_BUS_MESSAGE_METHOD_CALL) /* the gate calls nothing */
                return reply_no_object(&t->gate, m);
        if (type != SD_BUS_MESSAGE_SIGNAL) /* an answer that nobody waits for any more */
                return 0;
        if (sd_bus_message_is_signal(m, PORTAL_REQUEST, "Response") && handle_is_gate(path))
                return request_response(t, m);
        if (sd_bus_message_is_signal(m, PORTAL_SESSION_IFACE, "Closed") &&
            handle_is_gate_session(path))
                return session_closed(t, m);
        return strcmp(path, PORTAL_PATH) == 0 ? on_portal_signal(t, m) : 0;
}

static int on_message(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error) {
        struct translator *t = userdata;
        int r = dispatch(t, m);

        return r < 0 ? translator_fail(t, r, "cannot handle a message of the gate") : 1;
}

int on_gate_attach(struct translator *t) {
        int r = sd_bus_add_filter(t->gate.bus, NULL, on_message, t);

        return r < 0 ? r : 0;
}
