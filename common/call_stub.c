/* SPDX-License-Identifier: MIT */
#include "common/call_stub.h"

#include "common/cleanup.h"
#include "common/portal_table.h"

int call_stub_new(sd_bus_message *call, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        uint64_t cookie;
        int r;

        r = sd_bus_message_get_cookie(call, &cookie);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(sd_bus_message_get_bus(call), &m, NULL, PORTAL_PATH,
                                           NULL, sd_bus_message_get_member(call));
        if (r >= 0 && sd_bus_message_get_sender(call)) /* none where there is no bus */
                r = sd_bus_message_set_sender(m, sd_bus_message_get_sender(call));
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, sd_bus_message_get_expect_reply(call));
        if (r >= 0)
                r = sd_bus_message_seal(m, cookie, 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}
