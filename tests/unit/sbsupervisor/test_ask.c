/* SPDX-License-Identifier: MIT */
/*
 * What a real portal does not do when a test wants it: to be slow, to fail, to forge.  Its part is
 * played at the other end of a socketpair; test_policy.py has the real one.
 */
#include "sbsupervisor/ask.h"

#include <sys/socket.h>

#include "common/log.h"
#include "sbsupervisor/token.h"
#include "tests/test.h"

#define PORTAL(name)  "org.freedesktop.portal." name
#define OWNER         ":1.1"
#define FAST_USEC     1000
#define MAX_SHOWN     64

static struct host host;
static struct asks asks;
static struct remembered answers;
static sd_event *event;
static sd_bus *desktop;
static char shown[MAX_SHOWN][TOKEN_SIZE]; /* in the order in which they came */
static unsigned n_shown, n_removed;
static char text[1024]; /* of the last one */
static bool broken;     /* it cannot show any */

static void quiet(int priority _unused_, const char *line _unused_) {}

/* --- the desktop ---------------------------------------------------------------------------- */

static void read_value(sd_bus_message *m, const char *key) {
        const char *value;
        size_t n = strlen(text);

        if (strcmp(key, "buttons") == 0) {
                CHECK(sd_bus_message_skip(m, "v") >= 0);
                return;
        }
        CHECK(sd_bus_message_read(m, "v", "s", &value) >= 0);
        (void)snprintf(text + n, sizeof(text) - n, "%s=%s;", key, value);
}

static void read_notification(sd_bus_message *m) {
        const char *id, *key;

        text[0] = '\0';
        CHECK(sd_bus_message_read(m, "s", &id) >= 0 && n_shown < MAX_SHOWN);
        (void)snprintf(shown[n_shown++], TOKEN_SIZE, "%s", id);
        CHECK(sd_bus_message_enter_container(m, 'a', "{sv}") >= 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                CHECK(sd_bus_message_read(m, "s", &key) >= 0);
                read_value(m, key);
                CHECK(sd_bus_message_exit_container(m) >= 0);
        }
}

static int on_call(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        if (sd_bus_message_is_method_call(m, PORTAL("Notification"), "RemoveNotification"))
                n_removed++;
        if (!sd_bus_message_is_method_call(m, PORTAL("Notification"), "AddNotification"))
                return 1;
        read_notification(m);
        if (broken)
                CHECK(sd_bus_message_new_method_errorf(m, &reply, PORTAL_E_FAILED, "no") >= 0);
        else
                CHECK(sd_bus_message_new_method_return(m, &reply) >= 0);
        CHECK(sd_bus_message_set_sender(reply, OWNER) >= 0);
        CHECK(sd_bus_send(NULL, reply, NULL) >= 0);
        return 1;
}

static bool press(const char *id, const char *action) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        CHECK(sd_bus_message_new_signal(host.bus, &m, PORTAL_PATH, PORTAL("Notification"),
                                        "ActionInvoked") >= 0);
        CHECK(sd_bus_message_append(m, "ssav", id, action, 0) >= 0);
        CHECK(sd_bus_message_seal(m, 1, 0) >= 0 && sd_bus_message_rewind(m, true) >= 0);
        return asks_signal(&asks, m);
}

/* Until nothing moves any more. */
static void run(void) {
        while (sd_event_run(event, 20000) > 0)
                ;
}

static void setup(void) {
        sd_id128_t id = SD_ID128_NULL;
        int fds[2];

        log_set_sink(quiet);
        n_shown = n_removed = 0;
        broken = false;
        memset(&answers, 0, sizeof(answers));
        host = (struct host){.owner = strdup(OWNER)};
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        CHECK(sd_event_new(&event) >= 0 && sd_id128_randomize(&id) >= 0);
        CHECK(sd_bus_new(&desktop) >= 0 && sd_bus_set_fd(desktop, fds[0], fds[0]) >= 0);
        CHECK(sd_bus_set_server(desktop, true, id) >= 0 && sd_bus_start(desktop) >= 0);
        CHECK(sd_bus_add_filter(desktop, NULL, on_call, NULL) >= 0);
        CHECK(sd_bus_attach_event(desktop, event, 0) >= 0);
        CHECK(sd_bus_new(&host.bus) >= 0 && sd_bus_set_fd(host.bus, fds[1], fds[1]) >= 0);
        CHECK(sd_bus_start(host.bus) >= 0 && sd_bus_attach_event(host.bus, event, 0) >= 0);
        asks_init(&asks, &host, "Web", &answers);
}

static void teardown(void) {
        asks_done(&asks);
        remembered_done(&answers);
        host.bus = sd_bus_close_unref(host.bus);
        desktop = sd_bus_close_unref(desktop);
        free(host.owner);
        event = sd_event_unref(event);
        log_set_sink(NULL);
}

/* --- who asks ------------------------------------------------------------------------------- */

struct caller {
        struct ask *ask;
        unsigned n;
        bool allowed;
        struct ask **cancels;
};

static void on_answer(void *userdata, bool allowed) {
        struct caller *c = userdata;

        c->n++;
        c->allowed = allowed;
        c->ask = NULL;
        if (c->cancels)
                *c->cancels = ask_cancel(*c->cancels);
}

static int ask(struct caller *c, const char *interface, const char *member) {
        return ask_start(&asks, portal_find_method(interface, member), on_answer, c, &c->ask);
}

static void test_answered(void) {
        struct caller first = {0}, second = {0}, other = {0};

        setup();
        CHECK_EQ_INT(ask(&first, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        CHECK_EQ_INT(ask(&second, PORTAL("Wallpaper"), "SetWallpaperFile"), 0);
        run();
        CHECK_EQ_INT(n_shown, 1); /* one question, for both */
        CHECK_EQ_STR(text, "title=Web (virtual machine);"
                           "body=A program in the virtual machine wants to change the picture "
                           "behind your desktop.;priority=high;");
        CHECK_EQ_INT(ask(&other, PORTAL("Trash"), "TrashFile"), 0);
        run();
        CHECK_EQ_INT(n_shown, 2);
        CHECK_EQ_INT(first.n + second.n + other.n, 0);
        CHECK(!press("sb0", "once") && !press("", "once"));
        CHECK(press(shown[0], "once"));
        CHECK(!press(shown[0], "always")); /* it counts once */
        CHECK(first.n == 1 && first.allowed && second.n == 0 && other.n == 0);
        run();
        CHECK_EQ_INT(n_shown, 3); /* "once" was for the first; the second is asked about for itself */
        CHECK(strcmp(shown[2], shown[0]) != 0);
        CHECK(press(shown[2], "once") && second.n == 1 && second.allowed);
        CHECK(press(shown[1], "deny"));
        CHECK(other.n == 1 && !other.allowed);
        run();
        CHECK_EQ_INT(n_removed, 3);
        CHECK_EQ_INT(ask(&first, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        run();
        CHECK_EQ_INT(n_shown, 4);
        CHECK(press(shown[3], "default") && first.n == 2 && !first.allowed);
        teardown();
}

/* All wait for "always" and for "deny"; nobody is shown again. */
static void test_all_answered(void) {
        struct caller c[3] = {0};

        setup();
        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                CHECK_EQ_INT(ask(&c[i], PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        run();
        CHECK(press(shown[0], "deny"));
        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                CHECK(c[i].n == 1 && !c[i].allowed);
        run();
        CHECK_EQ_INT(n_shown, 1);
        teardown();
}

/* Who cannot be asked about, as too much was asked, is denied; who pressed "once" is not. */
static void test_once_the_last(void) {
        struct caller first = {0}, second = {0};

        setup();
        asks.turns.full = UINT64_MAX / 2;
        CHECK_EQ_INT(ask(&first, PORTAL("Wallpaper"), "SetWallpaperURI"), ASK_E_LIMIT);
        asks.turns.full = 0;
        CHECK_EQ_INT(ask(&first, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        CHECK_EQ_INT(ask(&second, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        run();
        asks.turns.full = UINT64_MAX / 2;
        CHECK(press(shown[0], "once"));
        CHECK(first.n == 1 && first.allowed && second.n == 1 && !second.allowed);
        run();
        CHECK_EQ_INT(n_shown, 1);
        teardown();
}

static void test_not_answered(void) {
        struct caller c = {0};

        setup();
        asks.timeout = FAST_USEC;
        CHECK_EQ_INT(ask(&c, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        run();
        CHECK(c.n == 1 && !c.allowed);
        CHECK_EQ_INT(n_removed, 1);
        CHECK(!press(shown[0], "once"));
        teardown();
}

static void test_not_shown(void) {
        struct caller c = {0};

        setup();
        broken = true;
        CHECK_EQ_INT(ask(&c, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        run();
        CHECK(c.n == 1 && !c.allowed);
        broken = false;
        free(host.owner);
        host.owner = strdup(":1.99"); /* who answers is not the portal */
        CHECK_EQ_INT(ask(&c, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        run();
        CHECK(c.n == 2 && !c.allowed);
        CHECK_EQ_INT(n_shown, 2);
        teardown();
}

static void test_cancelled(void) {
        struct caller first = {0}, second = {0};

        setup();
        CHECK_EQ_INT(ask(&first, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        CHECK_EQ_INT(ask(&second, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        run();
        first.ask = ask_cancel(first.ask);
        run();
        CHECK_EQ_INT(n_removed, 0); /* one still waits */
        second.ask = ask_cancel(second.ask);
        run();
        CHECK_EQ_INT(n_removed, 1);
        CHECK(!press(shown[0], "once"));
        CHECK_EQ_INT(first.n + second.n, 0);
        CHECK(ask_cancel(NULL) == NULL);
        teardown();
}

/* What an answer sets off may end who waits for the same one, and may ask again. */
static void test_cancelled_from_within(void) {
        struct caller first = {0}, second = {0}, third = {0};

        setup();
        CHECK_EQ_INT(ask(&first, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        CHECK_EQ_INT(ask(&second, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        CHECK_EQ_INT(ask(&third, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        first.cancels = &second.ask;
        run();
        CHECK(press(shown[0], "once"));
        CHECK(first.n == 1 && second.n == 0 && third.n == 0);
        run();
        CHECK(press(shown[1], "once"));
        CHECK(second.n == 0 && third.n == 1 && third.allowed);
        teardown();
}

static void test_portal_lost(void) {
        struct caller first = {0}, second = {0};

        setup();
        CHECK_EQ_INT(ask(&first, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        CHECK_EQ_INT(ask(&second, PORTAL("Trash"), "TrashFile"), 0);
        run();
        asks_portal_lost(&asks);
        CHECK(first.n == 1 && !first.allowed && second.n == 1 && !second.allowed);
        CHECK(!press(shown[0], "once"));
        teardown();
}

static void test_at_once(void) {
        static const char *const calls[][2] = {
                {PORTAL("Wallpaper"), "SetWallpaperURI"}, {PORTAL("Trash"), "TrashFile"},
                {PORTAL("GlobalShortcuts"), "CreateSession"}, {PORTAL("Screenshot"), "PickColor"},
                {PORTAL("Print"), "PreparePrint"},
        };
        struct caller c[ELEMENTSOF(calls)] = {0};

        setup();
        _Static_assert(ELEMENTSOF(calls) == LIMIT_ASKS + 1, "one too many");
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                CHECK_EQ_INT(ask(&c[i], calls[i][0], calls[i][1]),
                             i < LIMIT_ASKS ? 0 : ASK_E_LIMIT);
        run();
        CHECK_EQ_INT(n_shown, LIMIT_ASKS);
        CHECK(press(shown[0], "deny")); /* there is room again */
        CHECK_EQ_INT(ask(&c[LIMIT_ASKS], calls[LIMIT_ASKS][0], calls[LIMIT_ASKS][1]), 0);
        teardown();
}

static void test_in_a_row(void) {
        struct caller c = {0};

        setup();
        for (unsigned i = 0; i < LIMIT_ASKS_BURST; i++) {
                CHECK_EQ_INT(ask(&c, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
                run();
                CHECK(press(shown[i], "deny"));
        }
        CHECK_EQ_INT(ask(&c, PORTAL("Wallpaper"), "SetWallpaperURI"), ASK_E_LIMIT);
        asks.turns.full -= LIMIT_ASKS_PAUSE_SECONDS * UINT64_C(1000000); /* later */
        CHECK_EQ_INT(ask(&c, PORTAL("Wallpaper"), "SetWallpaperURI"), 0);
        run();
        CHECK(press(shown[LIMIT_ASKS_BURST], "deny"));
        CHECK_EQ_INT(ask(&c, PORTAL("Wallpaper"), "SetWallpaperURI"), ASK_E_LIMIT);
        CHECK_EQ_INT(c.n, LIMIT_ASKS_BURST + 1);
        teardown();
}

TEST_MAIN({"one question for all who wait, one call for each \"once\"", test_answered},
          {"a denial is for all who wait", test_all_answered},
          {"no question for the next, no answer but a denial", test_once_the_last},
          {"no answer in time is a denial", test_not_answered},
          {"a notification that cannot be shown is a denial", test_not_shown},
          {"a question nobody waits for is taken back", test_cancelled},
          {"a waiting call that ends while others are answered", test_cancelled_from_within},
          {"a portal that goes takes the questions with it", test_portal_lost},
          {"so many questions at once", test_at_once}, {"so many in a row", test_in_a_row})
