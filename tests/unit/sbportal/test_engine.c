/* SPDX-License-Identifier: MIT */
/*
 * The engine with a table of the test's own: it knows no portal by name, and plain calls,
 * of which the real table may have none, work as requests do.  The test plays the bus and
 * the gate, in one process with the engine.
 */
#include <assert.h>
#include <sys/socket.h>

#include "common/portal_table.h"
#include "sbportal/call.h"
#include "tests/test.h"

/* Rows say what is not zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TOY "org.freedesktop.portal.Toy"

const struct portal_interface portal_interfaces[] = {
        {.name = TOY, .version = 1, .policy = PORTAL_ALLOW},
};
const size_t portal_n_interfaces = 1;
const struct portal_property portal_properties[] = {
        {.interface = TOY, .name = "Ready", .type = "b"},
};
const size_t portal_n_properties = 1;
const struct portal_signal portal_signals[] = {{.interface = TOY, .member = "Rang"}};
const size_t portal_n_signals = 1;
const struct portal_method portal_methods[] = {
        {
                .interface = TOY,
                .member = "Ask",
                .kind = PORTAL_CALL,
                .args = {{"what", "s", PORTAL_TEXT}, {"options", "a{sv}", PORTAL_OPTIONS}},
                .out = {{"n", "u", PORTAL_PLAIN},
                        {"files", "as", PORTAL_URIS},
                        {"more", "a{sv}", PORTAL_OPTIONS}},
                .options = {{"deep", "aas", PORTAL_PLAIN}},
                .results = {{"known", "x", PORTAL_PLAIN}},
        },
        {
                .interface = TOY,
                .member = "Play",
                .kind = PORTAL_IS_REQUEST,
                .args = {{"options", "a{sv}", PORTAL_OPTIONS}},
                .out = {{"handle", "o", PORTAL_PLAIN}},
                .options = {{"handle_token", "s", PORTAL_HANDLE_TOKEN}},
                .results = {{"toy", "s", PORTAL_PLAIN}},
        },
};
const size_t portal_n_methods = ELEMENTSOF(portal_methods);

/* --- the other ends --------------------------------------------------------------------------- */

struct world {
        struct translator t;
        struct ipc_chan supervisor;
        sd_bus *bus, *gate;
        sd_bus_message *asked;  /* what the gate was called with */
        sd_bus_message *answer; /* what the guest got */
        sd_bus_message *signal;
        unsigned unwanted; /* answers to calls that want none */
};

static int on_bus(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *e) {
        struct world *w = userdata;

        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "Hello"))
                CHECK(sd_bus_reply_method_return(m, "s", ":1.1") >= 0);
        else if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "RequestName"))
                CHECK(sd_bus_reply_method_return(m, "u", 1u) >= 0);
        else if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", NULL))
                CHECK(sd_bus_reply_method_return(m, NULL) >= 0);
        else if (sd_bus_message_is_signal(m, NULL, NULL))
                w->signal = sd_bus_message_ref(m);
        else
                w->unwanted++;
        return 1;
}

static int on_gate(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *e) {
        struct world *w = userdata;

        CHECK(!w->asked);
        w->asked = sd_bus_message_ref(m);
        return 1;
}

static int on_answer(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *e) {
        struct world *w = userdata;

        CHECK(!w->answer);
        w->answer = sd_bus_message_ref(m);
        return 1;
}

static sd_bus *serve(int fd, sd_bus_message_handler_t filter, struct world *w) {
        sd_bus *b = NULL;

        assert(sd_bus_new(&b) >= 0 && sd_bus_set_fd(b, fd, fd) >= 0 &&
               sd_bus_set_server(b, 1, (sd_id128_t){{1}}) >= 0 && sd_bus_start(b) >= 0 &&
               sd_bus_add_filter(b, NULL, filter, w) >= 0);
        return b;
}

/* Runs all three until nothing happens any more. */
static void settle(struct world *w) {
        for (int busy = 1, idle = 0; idle < 3; idle = busy ? 0 : idle + 1) {
                busy = sd_bus_process(w->bus, NULL) > 0;
                busy |= sd_bus_process(w->gate, NULL) > 0;
                busy |= sd_event_run(w->t.event, 0) > 0;
        }
}

static void world_init(struct world *w) {
        struct ipc_chan portal;
        int vm[2], gate[2];
        struct ipc_msg m;

        *w = (struct world){0};
        assert(ipc_pair(IPC_SUPERVISOR, IPC_PORTAL, &w->supervisor, &portal) == 0);
        assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, vm) == 0);
        assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) == 0);
        w->bus = serve(vm[0], on_bus, w);
        w->gate = serve(gate[0], on_gate, w);
        assert(translator_init(&w->t, portal.fd) >= 0);
        w->t.documents = strdup("/docs");
        w->t.vm_fd = vm[1];
        w->t.gate_fd = gate[1];
        assert(translator_connect(&w->t) == 0);
        settle(w);
        CHECK_EQ_INT(ipc_recv(&w->supervisor, &m), 0);
        CHECK_EQ_INT(m.type, IPC_PORTAL_READY);
        ipc_msg_done(&m);
}

static void forget(struct world *w) {
        w->asked = sd_bus_message_unref(w->asked);
        w->answer = sd_bus_message_unref(w->answer);
        w->signal = sd_bus_message_unref(w->signal);
}

static void world_done(struct world *w) {
        forget(w);
        translator_done(&w->t);
        w->bus = sd_bus_close_unref(w->bus);
        w->gate = sd_bus_close_unref(w->gate);
        w->supervisor.fd = fd_close(w->supervisor.fd);
}

static sd_bus_message *guest_call(struct world *w, const char *sender, const char *member) {
        sd_bus_message *m = NULL;

        CHECK(sd_bus_message_new_method_call(w->bus, &m, NULL, PORTAL_PATH, TOY, member) >= 0);
        CHECK(!sender || sd_bus_message_set_sender(m, sender) >= 0);
        return m;
}

/* Sends m (freed) and lets things happen; the answer and what the gate was asked are in w. */
static void send_call(struct world *w, sd_bus_message *m) {
        forget(w);
        CHECK(sd_bus_call_async(w->bus, NULL, m, on_answer, w, UINT64_MAX) >= 0);
        sd_bus_message_unref(m);
        settle(w);
}

static void ask(struct world *w, const char *sender) {
        sd_bus_message *m = guest_call(w, sender, "Ask");

        CHECK(sd_bus_message_append(m, "sa{sv}", "what\x1b?", 2, "deep", "aas", 1, 2, "a", "b",
                                    "junk", "s", "x") >= 0);
        send_call(w, m);
}

static void check_error(struct world *w, const char *name) {
        const sd_bus_error *e = w->answer ? sd_bus_message_get_error(w->answer) : NULL;

        CHECK(e);
        if (e)
                CHECK_EQ_STR(e->name, name);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_plain_call(void) {
        const char *what = NULL, *uri = NULL;
        struct world w;
        uint32_t n = 0;
        int64_t known = 0;

        world_init(&w);
        ask(&w, ":1.7");
        CHECK(!w.answer && w.asked && sd_bus_message_is_method_call(w.asked, TOY, "Ask"));
        CHECK(!sd_bus_message_get_sender(w.asked) && !sd_bus_message_get_destination(w.asked));
        CHECK(sd_bus_message_read(w.asked, "sa{sv}", &what, 1, &uri, "aas", 1, 2, &uri, &uri) >= 0);
        CHECK_EQ_STR(what, "what?");
        CHECK(sd_bus_message_at_end(w.asked, true) > 0); /* so there was no "junk" */

        CHECK(sd_bus_reply_method_return(w.asked, "uasa{sv}", 7u, 2, "doc:1/a", "/etc/passwd", 2,
                                         "known", "x", (int64_t)-5, "unknown", "s", "host") >= 0);
        settle(&w);
        CHECK(w.answer && !sd_bus_message_get_error(w.answer));
        CHECK_EQ_STR(sd_bus_message_get_destination(w.answer), ":1.7");
        CHECK(sd_bus_message_read(w.answer, "uasa{sv}", &n, 1, &uri, 1, &what, "x", &known) >= 0);
        CHECK_EQ_INT(n, 7);
        CHECK_EQ_STR(uri, "file:///docs/1/a");
        CHECK_EQ_INT(known, -5);
        CHECK(sd_bus_message_at_end(w.answer, true) > 0);
        world_done(&w);
}

static void test_plain_call_fails(void) {
        struct world w;

        world_init(&w);
        ask(&w, ":1.7");
        CHECK(sd_bus_reply_method_errorf(w.asked, PORTAL_E_NOT_ALLOWED, "no") >= 0);
        settle(&w);
        check_error(&w, PORTAL_E_NOT_ALLOWED);
        ask(&w, ":1.7");
        CHECK(sd_bus_reply_method_return(w.asked, "u", 7u) >= 0);
        settle(&w);
        check_error(&w, PORTAL_E_FAILED);
        world_done(&w);
}

/* NO_REPLY_EXPECTED: the gate is asked, the guest gets neither the answer nor an error. */
static void test_no_answer_wanted(void) {
        struct world w;

        world_init(&w);
        for (unsigned i = 0; i < 3; i++) {
                sd_bus_message *m = guest_call(&w, ":1.7", i < 2 ? "Ask" : "Nothing");

                forget(&w);
                CHECK(sd_bus_message_append(m, "sa{sv}", "", 0) >= 0);
                CHECK(sd_bus_message_set_expect_reply(m, 0) >= 0);
                CHECK(sd_bus_send(w.bus, m, NULL) >= 0);
                sd_bus_message_unref(m);
                settle(&w);
                CHECK_EQ_INT(w.asked != NULL, i < 2);
                if (i == 0)
                        CHECK(sd_bus_reply_method_return(w.asked, "uasa{sv}", 7u, 0, 0) >= 0);
                if (i == 1)
                        CHECK(sd_bus_reply_method_errorf(w.asked, PORTAL_E_FAILED, "no") >= 0);
                settle(&w);
        }
        CHECK_EQ_INT(w.unwanted, 0);
        world_done(&w);
}

static void announce_departure(struct world *w, const char *sender, const char *name) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        CHECK(sd_bus_message_new_signal(w->bus, &m, "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                        "NameOwnerChanged") >= 0);
        CHECK(sd_bus_message_set_sender(m, sender) >= 0);
        CHECK(sd_bus_message_append(m, "sss", name, name, "") >= 0 &&
              sd_bus_send(w->bus, m, NULL) >= 0);
        settle(w);
}

/* The answer to a caller that has left is nobody's; its place is free again. */
static void test_caller_leaves(void) {
        sd_bus_message *asked;
        struct world w;

        world_init(&w);
        ask(&w, ":1.7");
        asked = sd_bus_message_ref(w.asked);
        announce_departure(&w, ":1.9", ":1.7"); /* a guest cannot say so */
        CHECK(w.t.calls[ELEMENTSOF(w.t.calls) - 1]);
        announce_departure(&w, "org.freedesktop.DBus", ":1.7");
        for (size_t i = 0; i < ELEMENTSOF(w.t.calls); i++)
                CHECK(!w.t.calls[i]);
        CHECK(sd_bus_reply_method_return(asked, "uasa{sv}", 7u, 0, 0) >= 0);
        settle(&w);
        CHECK(!w.answer);
        sd_bus_message_unref(asked);
        world_done(&w);
}

/* No sender, or one that no bus gives: nothing is made of it, not even an answer. */
static void test_senders(void) {
        struct world w;

        world_init(&w);
        ask(&w, NULL);
        CHECK(!w.answer && !w.asked);
        ask(&w, "org.example");
        CHECK(!w.answer && !w.asked);
        ask(&w, ":1-7.2");
        CHECK(!w.answer && !w.asked);
        ask(&w, ":1.7");
        CHECK(w.asked);
        world_done(&w);
}

static void test_property(void) {
        sd_bus_message *m = NULL;
        struct world w;
        int ready = 0;

        world_init(&w);
        for (unsigned i = 0; i < 2; i++) {
                CHECK(sd_bus_message_new_method_call(w.bus, &m, NULL, PORTAL_PATH,
                                                     "org.freedesktop.DBus.Properties",
                                                     "Get") >= 0);
                CHECK(sd_bus_message_set_sender(m, ":1.7") >= 0);
                CHECK(sd_bus_message_append(m, "ss", TOY, "Ready") >= 0);
                send_call(&w, m);
                if (i == 0)
                        CHECK(sd_bus_reply_method_return(w.asked, "v", "b", 1) >= 0);
                else /* not of the table's type */
                        CHECK(sd_bus_reply_method_return(w.asked, "v", "s", "yes") >= 0);
                settle(&w);
                if (i == 0)
                        CHECK(sd_bus_message_read(w.answer, "v", "b", &ready) >= 0 && ready == 1);
        }
        check_error(&w, PORTAL_E_FAILED);
        world_done(&w);
}

static void test_request(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *response = NULL;
        const char *path = NULL, *toy = NULL;
        struct world w;
        uint32_t code = 9;
        sd_bus_message *m;

        world_init(&w);
        m = guest_call(&w, ":1.7", "Play");
        CHECK(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        send_call(&w, m);
        CHECK(sd_bus_reply_method_return(w.asked, "o", PORTAL_GATE_REQUEST_PATH "/abc") >= 0);
        settle(&w);
        CHECK(w.answer && sd_bus_message_read(w.answer, "o", &path) > 0);
        CHECK_EQ_STR(path, PORTAL_REQUEST_PATH "/1_7/t");

        CHECK(sd_bus_message_new_signal(w.gate, &response, PORTAL_GATE_REQUEST_PATH "/abc",
                                        PORTAL_REQUEST, "Response") >= 0);
        CHECK(sd_bus_message_append(response, "ua{sv}", 0u, 1, "toy", "s", "bear") >= 0);
        CHECK(sd_bus_send(w.gate, response, NULL) >= 0);
        settle(&w);
        CHECK(w.signal && sd_bus_message_is_signal(w.signal, PORTAL_REQUEST, "Response"));
        CHECK_EQ_STR(sd_bus_message_get_destination(w.signal), ":1.7");
        CHECK_EQ_STR(sd_bus_message_get_path(w.signal), PORTAL_REQUEST_PATH "/1_7/t");
        CHECK(sd_bus_message_read(w.signal, "ua{sv}", &code, 1, &path, "s", &toy) > 0);
        CHECK_EQ_INT(code, 0);
        CHECK_EQ_STR(toy, "bear");
        world_done(&w);
}

TEST_MAIN({"plain call", test_plain_call}, {"plain call fails", test_plain_call_fails},
          {"no answer wanted", test_no_answer_wanted}, {"caller leaves", test_caller_leaves},
          {"senders", test_senders}, {"property", test_property}, {"request", test_request})
