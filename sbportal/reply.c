/* SPDX-License-Identifier: MIT */
#include "sbportal/reply.h"

#include <stdarg.h>

#include "common/portal_table.h"

int reply_empty(struct bus_source *bus, sd_bus_message *call) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_return(call, &m);

        return r < 0 ? r : bus_source_send(bus, m);
}

int reply_string(struct bus_source *bus, sd_bus_message *call, char type, const char *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_return(call, &m);

        if (r >= 0)
                r = sd_bus_message_append_basic(m, type, s);
        return r < 0 ? r : bus_source_send(bus, m);
}

int reply_u32(struct bus_source *bus, sd_bus_message *call, uint32_t value) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_return(call, &m);

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 'u', &value);
        return r < 0 ? r : bus_source_send(bus, m);
}

int reply_error(struct bus_source *bus, sd_bus_message *call, const char *name, const char *fmt,
                ...) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        int r;

        va_start(ap, fmt);
        (void)sd_bus_error_setfv(&error, name, fmt, ap);
        va_end(ap);
        r = sd_bus_message_new_method_error(call, &m, &error);
        return r < 0 ? r : bus_source_send(bus, m);
}

int reply_no_object(struct bus_source *bus, sd_bus_message *call) {
        return reply_error(bus, call, SD_BUS_ERROR_UNKNOWN_METHOD,
                           "Object does not exist at path “%s”", sd_bus_message_get_path(call));
}

int reply_no_interface(struct bus_source *bus, sd_bus_message *call) {
        return reply_error(bus, call, SD_BUS_ERROR_UNKNOWN_METHOD,
                           "No such interface “%s” on object at path %s",
                           sd_bus_message_get_interface(call), sd_bus_message_get_path(call));
}

int reply_no_method(struct bus_source *bus, sd_bus_message *call) {
        return reply_error(bus, call, SD_BUS_ERROR_UNKNOWN_METHOD, "No such method “%s”",
                           sd_bus_message_get_member(call));
}

int reply_wrong_type(struct bus_source *bus, sd_bus_message *call, const char *expected) {
        return reply_error(bus, call, SD_BUS_ERROR_INVALID_ARGS,
                           "Type of message, “(%s)”, does not match expected type “(%s)”",
                           sd_bus_message_get_signature(call, true), expected);
}
