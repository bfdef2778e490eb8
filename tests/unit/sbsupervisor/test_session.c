/* SPDX-License-Identifier: MIT */
/* The order of what a host's portal tells of a session, which a real one does not let us choose. */
#include "sbsupervisor/session.h"

#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/portal_table.h"
#include "sbsupervisor/gate.h"
#include "tests/test.h"

#define HOST_PATH PORTAL_SESSION_PATH "/1_7/sb1"
#define GATE_PATH PORTAL_GATE_SESSION_PATH "/sb1"

static struct gate gate;
static sd_event *event;
static sd_bus *sbportal;
static unsigned n_closed;

static int on_signal(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_) {
        CHECK(sd_bus_message_is_signal(m, PORTAL_SESSION_IFACE, "Closed"));
        CHECK_EQ_STR(sd_bus_message_get_path(m), GATE_PATH);
        n_closed++;
        return 1;
}

static struct session *setup(void) {
        struct session *s = calloc(1, sizeof(*s));
        sd_id128_t id = SD_ID128_NULL;
        int fds[2];

        n_closed = 0;
        gate = (struct gate){0};
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        CHECK(sd_event_new(&event) >= 0 && sd_id128_randomize(&id) >= 0);
        CHECK(sd_bus_new(&gate.bus) >= 0 && sd_bus_set_fd(gate.bus, fds[0], fds[0]) >= 0);
        CHECK(sd_bus_set_server(gate.bus, true, id) >= 0 && sd_bus_start(gate.bus) >= 0);
        CHECK(sd_bus_attach_event(gate.bus, event, 0) >= 0);
        CHECK(sd_bus_new(&sbportal) >= 0 && sd_bus_set_fd(sbportal, fds[1], fds[1]) >= 0);
        CHECK(sd_bus_add_filter(sbportal, NULL, on_signal, NULL) >= 0);
        CHECK(sd_bus_start(sbportal) >= 0 && sd_bus_attach_event(sbportal, event, 0) >= 0);
        CHECK(s != NULL);
        *s = (struct session){.gate = &gate, .gate_path = strdup(GATE_PATH),
                              .host_path = strdup(HOST_PATH)};
        gate.sessions[0] = s;
        return s;
}

static void run(void) {
        while (sd_event_run(event, 50000) > 0)
                ;
}

static void teardown(void) {
        session_free(gate.sessions[0]);
        gate.bus = sd_bus_close_unref(gate.bus);
        sbportal = sd_bus_close_unref(sbportal);
        event = sd_event_unref(event);
}

static void test_closed_early(void) {
        struct session *s = setup();

        sessions_closed(&gate, HOST_PATH);
        run();
        CHECK(gate.sessions[0] == s && n_closed == 0); /* sbportal does not know it yet */
        CHECK(!session_find_host(&gate, HOST_PATH));
        CHECK_EQ_INT(session_opened(s, HOST_PATH), 0);
        session_handed_over(s);
        run();
        CHECK(!gate.sessions[0] && n_closed == 1);
        teardown();
}

static void test_closed_late(void) {
        struct session *s = setup();

        CHECK_EQ_INT(session_opened(s, HOST_PATH "/x"), 0);
        session_handed_over(s);
        run();
        CHECK(gate.sessions[0] == s && n_closed == 0);
        sessions_closed(&gate, HOST_PATH);
        CHECK(gate.sessions[0] == s);
        sessions_closed(&gate, HOST_PATH "/x");
        run();
        CHECK(!gate.sessions[0] && n_closed == 1);
        sessions_closed(&gate, HOST_PATH "/x");
        teardown();
}

static void test_other_handle(void) {
        struct session *s = setup();

        CHECK_EQ_INT(session_opened(s, PORTAL_SESSION_PATH "/1_7/sb2"), SESSION_E_HANDLE);
        CHECK_EQ_INT(session_opened(s, HOST_PATH "1"), SESSION_E_HANDLE);
        CHECK(!s->open && !session_find_gate(&gate, GATE_PATH));
        teardown();
}

TEST_MAIN({"closed before it is known: told once it is", test_closed_early},
          {"closed afterwards: told at once, and only of its own handle", test_closed_late},
          {"a handle that was not asked for", test_other_handle})
