/* SPDX-License-Identifier: MIT */
/* Each role on rows of the real table: what goes in, and what comes out, as text. */
#include "common/portal_rebuild.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>

#include "common/limits.h"
#include "tests/test.h"

#define P(name) "org.freedesktop.portal." name

/* One takes descriptors, the other does not. */
static sd_bus *with_fds, *without_fds;
static int others[2]; /* their other ends */

/* --- a message as text: "s", [1, 2], (1, "a"), {"k": <1>}, fd --------------------------------- */

static void say_value(FILE *f, sd_bus_message *m);

static void say_all(FILE *f, sd_bus_message *m, const char *between) {
        for (bool first = true; sd_bus_message_at_end(m, false) == 0; first = false) {
                if (!first)
                        (void)fputs(between, f);
                say_value(f, m);
        }
}

static void say_container(FILE *f, sd_bus_message *m, char type, const char *contents) {
        static const char marks[] = "a[]r()v<>d{}";
        const char *mark = strchr(marks, type == 'a' && *contents == '{' ? 'd' : type);

        CHECK(sd_bus_message_enter_container(m, type, contents) > 0);
        if (mark)
                (void)fputc(mark[1], f);
        say_all(f, m, type == 'e' ? ": " : ", ");
        if (mark)
                (void)fputc(mark[2], f);
        CHECK(sd_bus_message_exit_container(m) >= 0);
}

static void say_basic(FILE *f, sd_bus_message *m, char type) {
        union {
                const char *s;
                uint8_t y;
                int b;
                uint32_t u;
                uint64_t t;
                double d;
        } value = {0};

        CHECK(sd_bus_message_read_basic(m, type, &value) > 0);
        if (strchr("sog", type))
                (void)fprintf(f, "\"%s\"", value.s);
        else if (type == 'y')
                (void)fprintf(f, "%u", value.y);
        else if (type == 'b')
                (void)fputs(value.b ? "true" : "false", f);
        else if (type == 'd')
                (void)fprintf(f, "%g", value.d);
        else if (type == 'h')
                (void)fputs("fd", f);
        else if (strchr("iu", type))
                (void)fprintf(f, "%u", value.u);
        else
                (void)fprintf(f, "%llu", (unsigned long long)value.t);
}

static void say_value(FILE *f, sd_bus_message *m) {
        const char *contents;
        char type;

        CHECK(sd_bus_message_peek_type(m, &type, &contents) > 0);
        if (strchr("arev", type))
                say_container(f, m, type, contents);
        else
                say_basic(f, m, type);
}

/* --- rebuilding ------------------------------------------------------------------------------- */

/* "-x" and "_x" are left out, "!x" is refused, all others get a mark. */
static int translate(_unused_ void *userdata, const struct portal_value *v, const char *value,
                     char **ret) {
        const char *s = value[0] == '/' ? value + 1 : value;

        if (*s == '-' || *s == '_')
                return 0;
        if (*s == '!')
                return PORTAL_REBUILD_E_VALUE;
        return asprintf(ret, v->type[0] == 'o' ? "/t/%s" : "~%s", s) < 0 ? -ENOMEM : 0;
}

/* Regular files are left out. */
static int translate_fd(_unused_ void *userdata, _unused_ const struct portal_value *v, int fd,
                        int *ret_fd) {
        struct stat st;

        if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode))
                return 0;
        *ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return *ret_fd < 0 ? -errno : 0;
}

enum direction { ARGS, OUT, RESULTS };

struct given {
        const char *interface, *member;
        enum direction direction;
        uint32_t version;
        bool refuses_fds; /* the other side */
        bool knows_no_fds; /* the caller */
};

static sd_bus_message *message_on(sd_bus *bus) {
        sd_bus_message *m = NULL;

        CHECK(sd_bus_message_new_signal(bus, &m, "/x", "a.b", "c") >= 0);
        return m;
}

static void seal(sd_bus_message *m) {
        CHECK(sd_bus_message_seal(m, 1, 0) >= 0);
        CHECK(sd_bus_message_rewind(m, true) >= 0);
}

/* in is freed.  The text, or NULL and the error; *ret_culprit may be NULL. */
static char *rebuild(const struct given *g, sd_bus_message *in, int *ret_e, const char **culprit) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *owned _unused_ = in;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        const struct portal_signal *signal = portal_find_signal(g->interface, g->member);
        struct portal_rebuild rb = {
                .method = portal_find_method(g->interface, g->member),
                .translate = translate,
                .translate_fd = g->knows_no_fds ? NULL : translate_fd,
                .handle_token = "ours",
                .session_token = "ours_too",
                .version = g->version,
        };
        char *text = NULL;
        size_t size;
        FILE *f;

        seal(in);
        out = message_on(g->refuses_fds ? without_fds : with_fds);
        if (signal)
                *ret_e = portal_rebuild_values(&rb, signal->args, signal->options, in, out);
        else if (g->direction == ARGS)
                *ret_e = portal_rebuild_args(&rb, in, out);
        else
                *ret_e = g->direction == OUT ? portal_rebuild_out(&rb, in, out)
                                             : portal_rebuild_results(&rb, in, out);
        if (culprit)
                *culprit = rb.culprit;
        if (*ret_e != 0)
                return NULL;
        seal(out);
        f = open_memstream(&text, &size);
        say_all(f, out, " ");
        fclose(f);
        return text;
}

static sd_bus_message *message(const char *types, ...) {
        sd_bus_message *m = message_on(with_fds);
        va_list ap;

        va_start(ap, types);
        CHECK(sd_bus_message_appendv(m, types, ap) >= 0);
        va_end(ap);
        return m;
}

static void check(const struct given *g, sd_bus_message *in, const char *expect) {
        const char *culprit = NULL;
        int e;
        _cleanup_free_ char *text = rebuild(g, in, &e, &culprit);

        if (e != 0)
                printf("# %s: error %d for %s\n", g->member, e, culprit ?: "(null)");
        CHECK_EQ_INT(e, 0);
        CHECK_EQ_STR(text ?: "", expect);
}

static void refuse(const struct given *g, sd_bus_message *in, int e, const char *culprit) {
        const char *who = NULL;
        int got;

        free(rebuild(g, in, &got, &who));
        CHECK_EQ_INT(got, e);
        CHECK_EQ_STR(who ?: "", culprit);
}

/* --- notifications ---------------------------------------------------------------------------- */

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

/* --- every row -------------------------------------------------------------------------------- */

/* A value of the type that no role but PORTAL_BASENAME minds. */
static void append_something(sd_bus_message *m, const char *type) {
        if (type[0] == 'a') {
                CHECK(sd_bus_message_open_container(m, 'a', type + 1) >= 0);
                if (strcmp(type, "ay") == 0)
                        CHECK(sd_bus_message_append(m, "y", 0) >= 0);
                if (strcmp(type, "a(sa{sv})") == 0)
                        CHECK(sd_bus_message_append(m, "(sa{sv})", "x", 0) >= 0);
                CHECK(sd_bus_message_close_container(m) >= 0);
        } else if (strcmp(type, "v") == 0 || type[0] == '(') {
                bool filter = strcmp(type, "(sa(us))") == 0;

                if (filter)
                        CHECK(sd_bus_message_append(m, type, "x", 0) >= 0);
                else if (type[0] == '(')
                        CHECK(sd_bus_message_append(m, type, 1., 1., 1.) >= 0);
                else
                        CHECK(sd_bus_message_append(m, "v", "s", "default") >= 0);
        } else if (type[0] == 'h') {
                CHECK(sd_bus_message_append(m, "h", others[0]) >= 0);
        } else if (strchr("so", type[0])) {
                CHECK(sd_bus_message_append(m, type, type[0] == 'o' ? "/x" : "x") >= 0);
        } else if (type[0] == 'd') {
                CHECK(sd_bus_message_append(m, "d", 1.) >= 0);
        } else {
                CHECK(sd_bus_message_append(m, type, UINT64_C(1)) >= 0);
        }
}

static void append_key(sd_bus_message *m, const char *key, const char *type) {
        CHECK(sd_bus_message_open_container(m, 'e', "sv") >= 0);
        CHECK(sd_bus_message_append(m, "s", key) >= 0);
        if (strcmp(type, "v") == 0) {
                append_something(m, type);
        } else {
                CHECK(sd_bus_message_open_container(m, 'v', type) >= 0);
                append_something(m, type);
                CHECK(sd_bus_message_close_container(m) >= 0);
        }
        CHECK(sd_bus_message_close_container(m) >= 0);
}

/* The arguments of values; the dictionary with those keys, twice each, and others. */
static sd_bus_message *body_of(const struct portal_value *values, const struct portal_value *keys) {
        sd_bus_message *m = message_on(with_fds);

        for (const struct portal_value *v = values; v->name; v++) {
                if (v->role != PORTAL_OPTIONS) {
                        append_something(m, v->type);
                        continue;
                }
                CHECK(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
                for (const struct portal_value *k = keys; k->name; k++) {
                        append_key(m, k->name, k->type);
                        append_key(m, k->name, strcmp(k->type, "u") == 0 ? "s" : "u");
                        append_key(m, "unknown", "aaaas");
                }
                CHECK(sd_bus_message_close_container(m) >= 0);
        }
        return m;
}

static unsigned count(const char *text, const char *what) {
        unsigned n = 0;

        for (; (text = strstr(text, what)); text += strlen(what))
                n++;
        return n;
}

/* All keys of a row, of their types, pass: each once, and nothing but them. */
static void check_row(const struct given *g, const struct portal_value *values,
                      const struct portal_value *keys) {
        const char *culprit = NULL;
        int e;
        _cleanup_free_ char *text = rebuild(g, body_of(values, keys), &e, &culprit);

        if (e != 0) {
                printf("# %s.%s: %d for %s\n", g->interface, g->member, e, culprit ?: "(null)");
                test_failures++;
                return;
        }
        CHECK(!strstr(text, "unknown"));
        for (const struct portal_value *k = keys; k->name; k++) {
                char quoted[64];

                (void)snprintf(quoted, sizeof(quoted), "\"%s\": <", k->name);
                CHECK_EQ_INT(count(text, quoted), k->role != PORTAL_NEVER);
        }
}

static void test_every_row(void) {
        static const struct portal_value results[] = {
                {.name = "results", .type = "a{sv}", .role = PORTAL_OPTIONS}, {.name = NULL}};
        static const struct portal_value none[] = {{.name = NULL}};

        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];
                struct given g = {.interface = m->interface, .member = m->member};

                check_row(&g, m->args, m->options);
                g.direction = OUT;
                check_row(&g, m->out, none);
                g.direction = RESULTS;
                check_row(&g, results, m->results);
        }
        for (size_t i = 0; i < portal_n_signals; i++) {
                const struct portal_signal *s = &portal_signals[i];
                struct given g = {.interface = s->interface, .member = s->member};

                check_row(&g, s->args, s->options);
        }
}

/* One key of the row, of a type that is not the row's. */
static void check_wrong(const struct portal_method *m, const struct portal_value *key) {
        static const char *const types[] = {"s",  "b",   "u",     "ay", "as",          "ah",
                                            "aay", "o",   "a{sv}", "x",  "a(ssa(ss)s)", "aa{sv}"};
        struct given g = {.interface = m->interface, .member = m->member};

        for (size_t k = 0; k < ELEMENTSOF(types); k++) {
                const struct portal_value wrong[] = {
                        {.name = key->name, .type = types[k]}, {.name = NULL}};

                if (strcmp(types[k], key->type) != 0 && strcmp(key->type, "v") != 0)
                        refuse(&g, body_of(m->args, wrong), PORTAL_REBUILD_E_TYPE, key->name);
        }
}

static void test_wrong_types(void) {
        for (size_t i = 0; i < portal_n_methods; i++)
                for (const struct portal_value *v = portal_methods[i].options; v->name; v++)
                        if (v->role != PORTAL_NEVER)
                                check_wrong(&portal_methods[i], v);
}

/* More arguments than the row has, or fewer. */
static void test_signatures(void) {
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];
                struct given g = {.interface = m->interface, .member = m->member};
                sd_bus_message *more = body_of(m->args, m->options);

                CHECK(sd_bus_message_append(more, "s", "more") >= 0);
                refuse(&g, more, PORTAL_REBUILD_E_TYPE, "");
                if (m->args[0].name)
                        refuse(&g, body_of(m->args + 1, m->options), PORTAL_REBUILD_E_TYPE, "");
        }
}

static int rebuild_property(const char *interface, const char *name, sd_bus_message *in,
                            char **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *owned _unused_ = in;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = message_on(without_fds);
        struct portal_rebuild rb = {0};
        size_t size;
        FILE *f;
        int r;

        seal(in);
        r = portal_rebuild_property(&rb, portal_find_property(interface, name), in, out);
        if (r != 0)
                return r;
        seal(out);
        f = open_memstream(ret, &size);
        say_all(f, out, " ");
        fclose(f);
        return 0;
}

static void test_properties(void) {
        _cleanup_free_ char *targets = NULL, *supported = NULL;

        CHECK_EQ_INT(rebuild_property(P("Screenshot"), "AvailableTargets", message("v", "u", 3),
                                      &targets),
                     0);
        CHECK_EQ_STR(targets ?: "", "<3>");
        CHECK_EQ_INT(rebuild_property(P("Notification"), "SupportedOptions",
                                      message("v", "a{sv}", 1, "category", "as", 1, "im"),
                                      &supported),
                     0);
        CHECK_EQ_STR(supported ?: "", "<{\"category\": <[\"im\"]>}>");
        CHECK_EQ_INT(rebuild_property(P("Screenshot"), "version", message("v", "s", "3"), NULL),
                     PORTAL_REBUILD_E_TYPE);
        CHECK_EQ_INT(rebuild_property(P("Screenshot"), "version", message("u", 3), NULL),
                     PORTAL_REBUILD_E_TYPE);
        CHECK_EQ_INT(rebuild_property(P("Notification"), "SupportedOptions",
                                      message("v", "a{sv}", 1, "x", "h", 2), NULL),
                     PORTAL_REBUILD_E_TYPE);
}

static sd_bus *new_bus(bool takes_fds, int *ret_other) {
        static const char ok[] = "OK 0123456789abcdef0123456789abcdef\r\n";
        static const char agree[] = "AGREE_UNIX_FD\r\n";
        sd_bus *bus = NULL;
        int fds[2];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        CHECK(sd_bus_new(&bus) >= 0);
        CHECK(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0 && sd_bus_set_anonymous(bus, 1) >= 0);
        CHECK(sd_bus_negotiate_fds(bus, takes_fds) >= 0 && sd_bus_start(bus) >= 0);
        CHECK(write(fds[1], ok, sizeof(ok) - 1) > 0);
        CHECK(!takes_fds || write(fds[1], agree, sizeof(agree) - 1) > 0);
        while (sd_bus_is_ready(bus) == 0)
                CHECK(sd_bus_process(bus, NULL) >= 0);
        *ret_other = fds[1];
        return bus;
}

static const struct test tests[] = {
        {"texts of a notification", test_texts},
        {"buttons", test_buttons},
        {"values of any type", test_any},
        {"icon names", test_icon_names},
        {"icon bytes", test_icon_bytes},
        {"icon and sound descriptors", test_icon_descriptors},
        {"ActionInvoked", test_action_invoked},
        {"settings", test_settings},
        {"too many namespaces", test_too_many_namespaces},
        {"OpenURI", test_open_uri},
        {"sessions", test_sessions},
        {"Print", test_print},
        {"URIs and paths", test_uris},
        {"Documents", test_documents},
        {"descriptors", test_descriptors},
        {"too many descriptors", test_too_many_descriptors},
        {"long texts", test_long_texts},
        {"every key of every row", test_every_row},
        {"every key of every other type", test_wrong_types},
        {"other signatures", test_signatures},
        {"properties", test_properties},
};

int main(void) {
        int r;

        with_fds = new_bus(true, &others[0]);
        without_fds = new_bus(false, &others[1]);
        r = test_run(tests, ELEMENTSOF(tests));
        sd_bus_unref(with_fds);
        sd_bus_unref(without_fds);
        close(others[0]);
        close(others[1]);
        return r;
}
