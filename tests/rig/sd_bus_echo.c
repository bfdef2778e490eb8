/* SPDX-License-Identifier: MIT */
/*
 * An sd-bus service, and a caller, for the tests of the router with other people's libraries.
 *
 *   sd_bus_echo ADDRESS NAME       owns NAME; t.Echo.Echo(s) returns its argument, emits Said(s)
 *   sd_bus_echo ADDRESS NAME TEXT  calls that, and prints what comes back and what is said
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-bus.h>

#include "common/cleanup.h"

static int echo(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_) {
        const char *text;
        int r = sd_bus_message_read(m, "s", &text);

        if (r < 0)
                return r;
        r = sd_bus_emit_signal(sd_bus_message_get_bus(m), "/echo", "t.Echo", "Said", "s", text);
        return r < 0 ? r : sd_bus_reply_method_return(m, "s", text);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Echo", "s", "s", echo, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("Said", "s", 0),
        SD_BUS_VTABLE_END,
};

static int serve(sd_bus *bus, const char *name) {
        int r = sd_bus_add_object_vtable(bus, NULL, "/echo", "t.Echo", vtable, NULL);

        if (r >= 0)
                r = sd_bus_request_name(bus, name, 0);
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        return r;
}

static int on_said(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        const char *text = NULL;

        if (sd_bus_message_read(m, "s", &text) >= 0)
                (void)printf("said %s\n", text);
        *(bool *)userdata = true;
        return 0;
}

static int call(sd_bus *bus, const char *name, const char *text) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        bool said = false;
        const char *back;
        int r = sd_bus_match_signal(bus, NULL, name, "/echo", "t.Echo", "Said", on_said, &said);

        if (r >= 0)
                r = sd_bus_call_method(bus, name, "/echo", "t.Echo", "Echo", NULL, &reply, "s",
                                       text);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &back);
        if (r >= 0)
                (void)printf("returned %s\n", back);
        while (r >= 0 && !said) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        return r;
}

int main(int argc, char **argv) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r;

        if (argc < 3)
                return EXIT_FAILURE;
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, argv[1]);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, 1);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = argc > 3 ? call(bus, argv[2], argv[3]) : serve(bus, argv[2]);
        if (r < 0)
                (void)fprintf(stderr, "sd_bus_echo: %m\n");
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
