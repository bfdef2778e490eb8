/* SPDX-License-Identifier: MIT */
/*
 * Messages of the gate that are no replies (docs/PROTOCOL.gate.md).  As on the VM's bus,
 * nothing reaches what sd-bus would answer by itself.
 */
#include <string.h>

#include "common/log.h"
#include "common/portal_table.h"
#include "sbportal/handle.h"
#include "sbportal/reply.h"
#include "sbportal/request.h"

static int dispatch(struct translator *t, sd_bus_message *m) {
        uint8_t type = 0;

        (void)sd_bus_message_get_type(m, &type);
        if (type == SD_BUS_MESSAGE_METHOD_CALL) /* the gate calls nothing */
                return reply_no_object(&t->gate, m);
        if (sd_bus_message_is_signal(m, PORTAL_REQUEST, "Response") &&
            handle_is_gate(sd_bus_message_get_path(m)))
                return request_response(t, m);
        return 0;
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
