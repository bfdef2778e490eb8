/* SPDX-License-Identifier: MIT */
/* Each role on rows of the real table: settings, requests, sessions, descriptors. */
#include "tests/unit/common/rebuild.h"

#include "common/limits.h"

/* --- settings --------------------------------------------------------------------------------- */

static void test_settings(void) {
        static const struct given read_all = {.interface = P("Settings"), .member = "ReadAll"};
        static const struct given all = {
                .interface = P("Settings"), .member = "ReadAll", .direction = OUT};
        static const struct given read = {
                .interface = P("Settings"), .member = "Read", .direction = OUT};
        static const struct given changed = {.interface = P("Settings"),
                                             .member = "SettingChanged"};

        check(&read_all, message("as", 3, "a", "-b", "c"), "[\"~a\", \"~c\"]");
        check(&read_all, message("as", 0), "[]");
        check(&all,
              message("a{sa{sv}}", 3, "a", 2, "k", "u", 1, "l", "(ddd)", 1., 0., .5, "-b", 1, "k",
                      "as", 1, "x", "c", 0),
              "{\"~a\": {\"k\": <1>, \"l\": <(1, 0, 0.5)>}, \"~c\": {}}");
        check(&read, message("v", "v", "s", "x"), "<<\"x\">>");
        check(&read, message("v", "u", 1), "<1>");
        refuse(&read, message("v", "h", 2), PORTAL_REBUILD_E_TYPE, "value");
        check(&changed, message("ssv", "a", "k", "u", 1), "\"~a\" \"k\" <1>");
        refuse(&changed, message("ssv", "!a", "k", "u", 1), PORTAL_REBUILD_E_VALUE, "namespace");
}

static void test_too_many_namespaces(void) {
        static const struct given read_all = {.interface = P("Settings"), .member = "ReadAll"};
        sd_bus_message *m = message_on(with_fds);

        CHECK(sd_bus_message_open_container(m, 'a', "s") >= 0);
        for (unsigned i = 0; i <= LIMIT_ARRAY_ITEMS; i++)
                CHECK(sd_bus_message_append(m, "s", "-") >= 0);
        CHECK(sd_bus_message_close_container(m) >= 0);
        refuse(&read_all, m, PORTAL_REBUILD_E_VALUE, "namespaces");
}

/* --- requests and sessions -------------------------------------------------------------------- */

static void test_open_uri(void) {
        static const struct given open = {.interface = P("OpenURI"), .member = "OpenURI"};
        static const struct given scheme = {.interface = P("OpenURI"), .member = "SchemeSupported"};

        check(&open, message("ssa{sv}", "w", "https://x/", 0),
              "\"~w\" \"~https://x/\" {\"handle_token\": <\"ours\">, \"ask\": <true>}");
        check(&open,
              message("ssa{sv}", "-", "x:", 5, "ask", "b", 0, "activation_token", "s", "t",
                      "writable", "b", 1, "handle_token", "s", "theirs", "ask", "s", "?"),
              "\"\" \"~x:\" {\"ask\": <true>, \"handle_token\": <\"ours\">}");
        refuse(&open, message("ssa{sv}", "w", "x:\ny", 0), PORTAL_REBUILD_E_VALUE, "uri");
        refuse(&open, message("ssa{sv}", "w", "!", 0), PORTAL_REBUILD_E_VALUE, "uri");
        refuse(&open, message("ssa{sv}", "w", "x:", 1, "ask", "u", 0), PORTAL_REBUILD_E_TYPE,
               "ask");
        check(&scheme, message("sa{sv}", "http", 1, "x", "s", "y"), "\"~http\" {}");
}

static void test_sessions(void) {
        static const struct given create = {.interface = P("GlobalShortcuts"),
                                            .member = "CreateSession"};
        static const struct given created = {.interface = P("GlobalShortcuts"),
                                             .member = "CreateSession",
                                             .direction = RESULTS};
        static const struct given bind = {.interface = P("GlobalShortcuts"),
                                          .member = "BindShortcuts"};
        static const struct given bound = {.interface = P("GlobalShortcuts"),
                                           .member = "BindShortcuts",
                                           .direction = RESULTS};
        static const struct given located = {.interface = P("Location"),
                                             .member = "CreateSession",
                                             .direction = OUT};
        static const struct given activated = {.interface = P("GlobalShortcuts"),
                                               .member = "Activated"};

        check(&create, message("a{sv}", 1, "session_handle_token", "s", "theirs"),
              "{\"handle_token\": <\"ours\">, \"session_handle_token\": <\"ours_too\">}");
        check(&created, message("a{sv}", 2, "session_handle", "s", "h", "x", "s", "y"),
              "{\"session_handle\": <\"~h\">}");
        refuse(&created, message("a{sv}", 1, "session_handle", "o", "/h"), PORTAL_REBUILD_E_TYPE,
               "session_handle");
        check(&bind,
              message("oa(sa{sv})sa{sv}", "/s", 2, "one", 3, "description", "s", "D\n",
                      "preferred_trigger", "s", "CTRL+a", "x", "u", 1, "two", 0, "", 0),
              "\"/t/s\" [(\"one\", {\"description\": <\"D \">, \"preferred_trigger\": "
              "<\"CTRL+a\">}), (\"two\", {})] \"~\" {\"handle_token\": <\"ours\">}");
        refuse(&bind, message("oa(sa{sv})sa{sv}", "/_s", 1, "one", 0, "", 0),
               PORTAL_REBUILD_E_VALUE, "session_handle");
        refuse(&bind, message("oa(sa{sv})sa{sv}", "/s", 0, "", 0), PORTAL_REBUILD_E_VALUE,
               "shortcuts");
        check(&bound,
              message("a{sv}", 1, "shortcuts", "a(sa{sv})", 1, "one", 2, "trigger_description",
                      "s", "T", "x", "s", "y"),
              "{\"shortcuts\": <[(\"one\", {\"trigger_description\": <\"T\">})]>}");
        check(&located, message("o", "/h"), "\"/t/h\"");
        refuse(&located, message("o", "/_"), PORTAL_REBUILD_E_VALUE, "handle");
        check(&activated,
              message("osta{sv}", "/s", "one", UINT64_C(5), 1, "activation_token", "s", "t"),
              "\"/t/s\" \"one\" 5 {}");
}

static void test_print(void) {
        static const struct given prepare = {.interface = P("Print"), .member = "PreparePrint"};
        static const struct given prepared = {
                .interface = P("Print"), .member = "PreparePrint", .direction = RESULTS};

        check(&prepare,
              message("ssa{sv}a{sv}a{sv}", "", "T", 3, "n-copies", "s", "2", "output-uri", "s",
                      "file:///x", "cups-x", "s", "y", 2, "Width", "d", 2., "Width", "d", 3., 0),
              "\"~\" \"~T\" {\"n-copies\": <\"2\">} {\"Width\": <2>} "
              "{\"handle_token\": <\"ours\">}");
        check(&prepared,
              message("a{sv}", 2, "settings", "a{sv}", 2, "output-uri", "s", "file:///home/me/x",
                      "collate", "s", "true", "token", "u", 7),
              "{\"settings\": <{\"collate\": <\"true\">}>, \"token\": <7>}");
        refuse(&prepare,
               message("ssa{sv}a{sv}a{sv}", "", "T", 1, "output-basename", "s", "../x", 0, 0),
               PORTAL_REBUILD_E_VALUE, "output-basename");
}

static void test_uris(void) {
        static const struct given account = {
                .interface = P("Account"), .member = "GetUserInformation", .direction = RESULTS};
        static const struct given retrieved = {
                .interface = P("FileTransfer"), .member = "RetrieveFiles", .direction = OUT};
        static const struct given proxies = {
                .interface = P("ProxyResolver"), .member = "Lookup", .direction = OUT};

        check(&account, message("a{sv}", 2, "name", "s", "N", "image", "s", "file:///x"),
              "{\"name\": <\"N\">, \"image\": <\"~file:///x\">}");
        check(&account, message("a{sv}", 2, "name", "s", "N", "image", "s", "-"),
              "{\"name\": <\"N\">}");
        check(&retrieved, message("as", 3, "/a", "-b", "c"), "[\"~a\", \"~c\"]");
        check(&proxies, message("as", 1, "direct://"), "[\"~direct://\"]");
}

static void test_documents(void) {
        static const struct given lookup = {.interface = P("Documents"), .member = "Lookup"};
        static const struct given info = {
                .interface = P("Documents"), .member = "Info", .direction = OUT};

        check(&lookup, message("ay", 2, 'a', 0), "[126, 97, 0]");
        check(&lookup, message("ay", 2, '-', 0), "[0]");
        refuse(&lookup, message("ay", 1, 'a'), PORTAL_REBUILD_E_VALUE, "filename");
        check(&info, message("aya{sas}", 2, 'a', 0, 1, "app", 2, "read", "write"),
              "[126, 97, 0] {\"app\": [\"read\", \"write\"]}");
}

/* --- descriptors ------------------------------------------------------------------------------ */

static void test_descriptors(void) {
        static const struct given print = {.interface = P("Print"), .member = "Print"};
        static const struct given trash = {.interface = P("Trash"), .member = "TrashFile"};
        static const struct given blind = {
                .interface = P("Trash"), .member = "TrashFile", .refuses_fds = true};
        static const struct given blinder = {
                .interface = P("Trash"), .member = "TrashFile", .knows_no_fds = true};
        static const struct given email = {.interface = P("Email"), .member = "ComposeEmail"};
        int fds[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        check(&print, message("ssha{sv}", "", "T", fds[0], 0),
              "\"~\" \"~T\" fd {\"handle_token\": <\"ours\">}");
        check(&trash, message("h", fds[0]), "fd");
        refuse(&trash, message("h", file), PORTAL_REBUILD_E_VALUE, "fd");
        refuse(&blind, message("h", fds[0]), PORTAL_REBUILD_E_NO_FD, "fd");
        refuse(&blinder, message("h", fds[0]), PORTAL_REBUILD_E_NO_FD, "fd");
        check(&email, message("sa{sv}", "", 1, "attachment_fds", "ah", 3, fds[0], file, fds[1]),
              "\"~\" {\"attachment_fds\": <[fd, fd]>, \"handle_token\": <\"ours\">}");
        check(&email,
              message("sa{sv}", "", 2, "body", "s", "a\n\nb", "cc", "as", 2, "x@y", "z\n@w"),
              "\"~\" {\"body\": <\"a\n\nb\">, \"cc\": <[\"x@y\", \"z @w\"]>, "
              "\"handle_token\": <\"ours\">}");
        close(fds[0]);
        close(fds[1]);
        close(file);
}

static void test_too_many_descriptors(void) {
        static const struct given email = {.interface = P("Email"), .member = "ComposeEmail"};
        sd_bus_message *m = message_on(with_fds);
        int fds[2];

        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        CHECK(sd_bus_message_append(m, "s", "") >= 0);
        CHECK(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        CHECK(sd_bus_message_open_container(m, 'e', "sv") >= 0);
        CHECK(sd_bus_message_append(m, "s", "attachment_fds") >= 0);
        CHECK(sd_bus_message_open_container(m, 'v', "ah") >= 0);
        CHECK(sd_bus_message_open_container(m, 'a', "h") >= 0);
        for (unsigned i = 0; i <= LIMIT_MESSAGE_FDS; i++)
                CHECK(sd_bus_message_append(m, "h", fds[0]) >= 0);
        for (unsigned i = 0; i < 4; i++)
                CHECK(sd_bus_message_close_container(m) >= 0);
        refuse(&email, m, PORTAL_REBUILD_E_VALUE, "attachment_fds");
        close(fds[0]);
        close(fds[1]);
}

REBUILD_TEST_MAIN({"settings", test_settings},
                  {"too many namespaces", test_too_many_namespaces},
                  {"OpenURI", test_open_uri},
                  {"sessions", test_sessions},
                  {"Print", test_print},
                  {"URIs and paths", test_uris},
                  {"Documents", test_documents},
                  {"descriptors", test_descriptors},
                  {"too many descriptors", test_too_many_descriptors})
