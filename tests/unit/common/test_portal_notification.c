/* SPDX-License-Identifier: MIT */
/* What becomes of a notification: texts, buttons, icons, sounds. */
#include "tests/unit/common/rebuild.h"

#include "common/limits.h"

#define NOTIFY(...) message("sa{sv}", "id", __VA_ARGS__)
#define NOTIFIED(x) "\"~id\" {" x "}"

static const struct given notify = {.interface = P("Notification"), .member = "AddNotification"};

static void test_texts(void) {
        static const struct given v1 = {
                .interface = P("Notification"), .member = "AddNotification", .version = 1};

        check(&notify, NOTIFY(2, "title", "s", "T\x1b[0m\n", "body", "s", "a\nb\xe2\x80\xae"),
              NOTIFIED("\"title\": <\"~T[0m \">, \"body\": <\"a\nb\">"));
        check(&notify, NOTIFY(2, "title", "s", "T", "markup-body", "s", "<b>x</i> & <a href='y'>z"),
              NOTIFIED("\"title\": <\"~T\">, \"markup-body\": <\"<b>x &amp; z</b>\">"));
        /* who it is from is said even when the guest says nothing */
        check(&notify, NOTIFY(0), NOTIFIED("\"title\": <\"~\">"));
        check(&notify, NOTIFY(1, "title", "s", "-"), NOTIFIED(""));
        /* an old host refuses a notification with keys it does not know */
        check(&v1,
              NOTIFY(6, "markup-body", "s", "x", "sound", "s", "silent", "display-hint", "as", 1,
                     "tray", "category", "s", "im", "priority", "s", "low", "buttons", "aa{sv}", 1,
                     2, "label", "s", "L", "purpose", "s", "x-p"),
              NOTIFIED("\"priority\": <\"low\">, \"buttons\": <[{\"label\": <\"L\">}]>, "
                       "\"title\": <\"~\">"));
        refuse(&notify, NOTIFY(1, "title", "u", 1), PORTAL_REBUILD_E_TYPE, "title");
}

static void test_buttons(void) {
        check(&notify,
              NOTIFY(2, "title", "s", "T", "buttons", "aa{sv}", 2, 5, "label", "s", "L\x07",
                     "action", "s", "app.x", "label", "s", "again", "target", "(si)", "q", 7,
                     "icon", "s", "no", 1, "purpose", "s", "p"),
              NOTIFIED("\"title\": <\"~T\">, \"buttons\": <[{\"label\": <\"L\">, "
                       "\"action\": <\"~app.x\">, \"target\": <(\"q\", 7)>}, "
                       "{\"purpose\": <\"p\">}]>"));
        refuse(&notify, NOTIFY(1, "buttons", "aa{sv}", 1, 1, "label", "b", 1),
               PORTAL_REBUILD_E_TYPE, "label");
        refuse(&notify, NOTIFY(1, "buttons", "a{sv}", 1, "label", "s", "x"), PORTAL_REBUILD_E_TYPE,
               "buttons");
}

static void test_any(void) {
        char deep[32] = "v";

        check(&notify,
              NOTIFY(2, "title", "s", "", "default-action-target", "a{sv}", 1, "k", "v", "as", 1,
                     "x"),
              NOTIFIED("\"title\": <\"~\">, \"default-action-target\": <{\"k\": <<[\"x\"]>>}>"));
        check(&notify, NOTIFY(2, "title", "s", "", "default-action-target", "ay", 2, 1, 2),
              NOTIFIED("\"title\": <\"~\">, \"default-action-target\": <[1, 2]>"));
        refuse(&notify, NOTIFY(1, "default-action-target", "h", STDERR_FILENO),
               PORTAL_REBUILD_E_TYPE, "default-action-target");
        refuse(&notify, NOTIFY(1, "default-action-target", "v", "h", STDERR_FILENO),
               PORTAL_REBUILD_E_TYPE, "default-action-target");
        /* as deep as it may be, and one deeper */
        for (unsigned depth = LIMIT_VARIANT_DEPTH; depth <= LIMIT_VARIANT_DEPTH + 1; depth++) {
                sd_bus_message *m = message_on(with_fds);

                CHECK(sd_bus_message_append(m, "s", "id") >= 0);
                CHECK(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
                CHECK(sd_bus_message_open_container(m, 'e', "sv") >= 0);
                CHECK(sd_bus_message_append(m, "s", "default-action-target") >= 0);
                CHECK(sd_bus_message_open_container(m, 'v', "v") >= 0);
                for (unsigned i = 1; i < depth; i++)
                        CHECK(sd_bus_message_open_container(m, 'v', deep) >= 0);
                CHECK(sd_bus_message_open_container(m, 'v', "i") >= 0);
                CHECK(sd_bus_message_append(m, "i", 1) >= 0);
                for (unsigned i = 0; i < depth + 3; i++)
                        CHECK(sd_bus_message_close_container(m) >= 0);
                if (depth == LIMIT_VARIANT_DEPTH)
                        check(&notify, m,
                              NOTIFIED("\"default-action-target\": <<<<<<<<<1>>>>>>>>>, "
                                       "\"title\": <\"~\">"));
                else
                        refuse(&notify, m, PORTAL_REBUILD_E_VALUE, "default-action-target");
        }
}

/* --- icons and sounds ------------------------------------------------------------------------- */

#define ICON(...) NOTIFY(2, "title", "s", "-", "icon", __VA_ARGS__)

static const unsigned char png[] = {
        0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D',
        'R',  0,   0,   0,   16,   0,    0,    0,    16, 8, 6, 0,  0,   0,   0,
        0,    0,   0,   0,
};

static sd_bus_message *icon_of_bytes(size_t n, size_t claimed) {
        sd_bus_message *m = message_on(with_fds);
        _cleanup_free_ unsigned char *data = calloc(1, claimed);

        memcpy(data, png, n < sizeof(png) ? n : sizeof(png));
        CHECK(sd_bus_message_append(m, "s", "id") >= 0);
        CHECK(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        CHECK(sd_bus_message_append(m, "{sv}", "title", "s", "-") >= 0);
        CHECK(sd_bus_message_open_container(m, 'e', "sv") >= 0);
        CHECK(sd_bus_message_append(m, "s", "icon") >= 0);
        CHECK(sd_bus_message_open_container(m, 'v', "(sv)") >= 0);
        CHECK(sd_bus_message_open_container(m, 'r', "sv") >= 0);
        CHECK(sd_bus_message_append(m, "s", "bytes") >= 0);
        CHECK(sd_bus_message_open_container(m, 'v', "ay") >= 0);
        CHECK(sd_bus_message_append_array(m, 'y', data, claimed) >= 0);
        for (unsigned i = 0; i < 5; i++)
                CHECK(sd_bus_message_close_container(m) >= 0);
        return m;
}

static void test_icon_names(void) {
        check(&notify, ICON("s", "dialog-error"), NOTIFIED("\"icon\": <\"dialog-error\">"));
        check(&notify, ICON("s", "/etc/motd"), NOTIFIED(""));
        check(&notify, ICON("s", "file:///etc/motd"), NOTIFIED(""));
        check(&notify, ICON("s", ""), NOTIFIED(""));
        check(&notify, ICON("s", ". GFileIcon x"), NOTIFIED(""));
        check(&notify, ICON("(sv)", "themed", "as", 3, "a-b", "../x", "a"),
              NOTIFIED("\"icon\": <(\"themed\", <[\"a-b\", \"a\"]>)>"));
        check(&notify, ICON("(sv)", "themed", "as", 1, "/x"), NOTIFIED(""));
        check(&notify, ICON("(sv)", "themed", "s", "x"), NOTIFIED(""));
        check(&notify, ICON("(sv)", "file", "s", "/etc/motd"), NOTIFIED(""));
        check(&notify, ICON("(sv)", "emblem", "(va(va{sv}))", "s", "x", 0), NOTIFIED(""));
        refuse(&notify, ICON("(ss)", "themed", "x"), PORTAL_REBUILD_E_TYPE, "icon");
        refuse(&notify, ICON("v", "s", "x"), PORTAL_REBUILD_E_TYPE, "icon");
}

static void test_icon_bytes(void) {
        int e;
        _cleanup_free_ char *text = rebuild(&notify, icon_of_bytes(34, 34), &e, NULL);

        CHECK_EQ_INT(e, 0);
        CHECK(text && strstr(text, "\"icon\": <(\"bytes\", <[137, 80, 78, 71, 13, 10,"));
        check(&notify, icon_of_bytes(8, 34), NOTIFIED(""));
        check(&notify, ICON("(sv)", "bytes", "ay", 4, '<', 's', 'v', 'g'), NOTIFIED(""));
        check(&notify, ICON("(sv)", "bytes", "ay", 0), NOTIFIED(""));
        free(text);
        text = rebuild(&notify, icon_of_bytes(34, LIMIT_ICON_BYTES), &e, NULL);
        CHECK_EQ_INT(e, 0);
        refuse(&notify, icon_of_bytes(34, LIMIT_ICON_BYTES + 1), PORTAL_REBUILD_E_VALUE, "icon");
}

static void test_icon_descriptors(void) {
        static const struct given v1 = {
                .interface = P("Notification"), .member = "AddNotification", .version = 1};
        static const struct given blind = {
                .interface = P("Notification"), .member = "AddNotification", .refuses_fds = true};
        int fds[2];

        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        check(&notify, ICON("(sv)", "file-descriptor", "h", fds[0]),
              NOTIFIED("\"icon\": <(\"file-descriptor\", <fd>)>"));
        check(&v1, ICON("(sv)", "file-descriptor", "h", fds[0]), NOTIFIED(""));
        check(&notify,
              NOTIFY(2, "title", "s", "-", "sound", "(sv)", "file-descriptor", "h", fds[0]),
              NOTIFIED("\"sound\": <(\"file-descriptor\", <fd>)>"));
        refuse(&blind, ICON("(sv)", "file-descriptor", "h", fds[0]), PORTAL_REBUILD_E_NO_FD,
               "icon");
        check(&notify, NOTIFY(2, "title", "s", "-", "sound", "s", "silent"),
              NOTIFIED("\"sound\": <\"silent\">"));
        check(&notify, NOTIFY(2, "title", "s", "-", "sound", "s", "/usr/x.wav"), NOTIFIED(""));
        check(&notify, NOTIFY(2, "title", "s", "-", "sound", "(sv)", "bytes", "ay", 0),
              NOTIFIED(""));
        close(fds[0]);
        close(fds[1]);
}

static void test_action_invoked(void) {
        static const struct given invoked = {.interface = P("Notification"),
                                             .member = "ActionInvoked"};

        check(&invoked,
              message("ssav", "1.id", "act", 3, "s", "target", "a{sv}", 2, "activation-token", "s",
                      "t", "other", "u", 1, "s", "reply"),
              "\"~1.id\" \"~act\" [<\"target\">, <{\"other\": <1>}>, <\"reply\">]");
        check(&invoked, message("ssav", "1.id", "act", 0), "\"~1.id\" \"~act\" []");
        refuse(&invoked, message("ssav", "!", "act", 0), PORTAL_REBUILD_E_VALUE, "id");
        refuse(&invoked, message("ssav", "1", "act", 1, "h", 2), PORTAL_REBUILD_E_TYPE,
               "parameter");
        refuse(&invoked, message("ss", "1", "act"), PORTAL_REBUILD_E_TYPE, "");
}

static void test_long_texts(void) {
        _cleanup_free_ char *text = malloc(LIMIT_LINES_BYTES + 2);
        int e;

        memset(text, 'x', LIMIT_LINES_BYTES + 1);
        text[LIMIT_LINES_BYTES + 1] = '\0';
        refuse(&notify, NOTIFY(1, "body", "s", text), PORTAL_REBUILD_E_VALUE, "body");
        refuse(&notify, NOTIFY(1, "markup-body", "s", text), PORTAL_REBUILD_E_VALUE,
               "markup-body");
        refuse(&notify, NOTIFY(1, "category", "s", text), PORTAL_REBUILD_E_VALUE, "category");
        free(rebuild(&notify, NOTIFY(1, "body", "s", text + 1), &e, NULL));
        CHECK_EQ_INT(e, 0);
}

REBUILD_TEST_MAIN({"texts of a notification", test_texts},
                  {"buttons", test_buttons},
                  {"values of any type", test_any},
                  {"icon names", test_icon_names},
                  {"icon bytes", test_icon_bytes},
                  {"icon and sound descriptors", test_icon_descriptors},
                  {"ActionInvoked", test_action_invoked},
                  {"long texts", test_long_texts})
