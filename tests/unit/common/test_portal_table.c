/* SPDX-License-Identifier: MIT */
/* The table is complete, consistent, and within what the code that reads it can do. */
#include "common/portal_table.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "common/limits.h"
#include "tests/test.h"

#define P(name) "org.freedesktop.portal." name

/* Found first is found only: no two rows of one name. */
static void test_find(void) {
        for (size_t i = 0; i < portal_n_interfaces; i++)
                CHECK(portal_find_interface(portal_interfaces[i].name) == &portal_interfaces[i]);
        for (size_t i = 0; i < portal_n_methods; i++)
                CHECK(portal_find_method(portal_methods[i].interface, portal_methods[i].member) ==
                      &portal_methods[i]);
        for (size_t i = 0; i < portal_n_signals; i++)
                CHECK(portal_find_signal(portal_signals[i].interface, portal_signals[i].member) ==
                      &portal_signals[i]);
        for (size_t i = 0; i < portal_n_properties; i++)
                CHECK(portal_find_property(portal_properties[i].interface,
                                           portal_properties[i].name) == &portal_properties[i]);
        CHECK(!portal_find_interface(""));
        CHECK(!portal_find_method(P("FileChooser"), "openfile"));
        CHECK(!portal_find_method(P("Nothing"), "OpenFile"));
        CHECK(!portal_find_signal(P("Notification"), "AddNotification"));
        CHECK(!portal_find_property(P("FileChooser"), "Version"));
}

/* What a guest must not have is not there by accident. */
static void test_refused(void) {
        static const char *const interfaces[] = {
                P("RemoteDesktop"),   P("InputCapture"), P("Clipboard"),  P("Usb"),
                P("DynamicLauncher"), P("Camera"),       P("ScreenCast"), P("Device"),
        };

        for (size_t i = 0; i < ELEMENTSOF(interfaces); i++)
                CHECK(!portal_find_interface(interfaces[i]));
        CHECK(!portal_find_method(P("NetworkMonitor"), "CanReach"));
        CHECK(!portal_find_method(P("FileTransfer"), "AddFiles"));
        CHECK(!portal_find_method(P("Documents"), "AddFull"));
        CHECK(!portal_find_method(P("Documents"), "GetHostPaths"));
}

static void test_references(void) {
        for (size_t i = 0; i < portal_n_methods; i++)
                CHECK(portal_find_interface(portal_methods[i].interface));
        for (size_t i = 0; i < portal_n_signals; i++)
                CHECK(portal_find_interface(portal_signals[i].interface));
        for (size_t i = 0; i < portal_n_properties; i++) {
                const struct portal_property *p = &portal_properties[i];
                const struct portal_interface *of = portal_find_interface(p->interface);

                CHECK(of && p->since <= of->version);
                CHECK(strcmp(p->type, "a{sv}") == 0 || strlen(p->type) == 1);
        }
        for (size_t i = 0; i < portal_n_interfaces; i++) {
                const struct portal_interface *of = &portal_interfaces[i];
                const struct portal_property *version = portal_find_property(of->name, "version");

                CHECK(of->version > 0);
                CHECK(!version == of->no_version);
                CHECK(!version || strcmp(version->type, "u") == 0);
                CHECK(sd_bus_interface_name_is_valid(of->name) > 0);
                CHECK(strncmp(of->name, "org.freedesktop.", 16) == 0);
        }
}

/* An interface has something to call, to hear or to read. */
static void test_interfaces_used(void) {
        for (size_t i = 0; i < portal_n_interfaces; i++) {
                const char *name = portal_interfaces[i].name;
                unsigned n = 0;

                for (size_t k = 0; k < portal_n_methods; k++)
                        n += strcmp(portal_methods[k].interface, name) == 0;
                for (size_t k = 0; k < portal_n_signals; k++)
                        n += strcmp(portal_signals[k].interface, name) == 0;
                for (size_t k = 0; k < portal_n_properties; k++)
                        n += strcmp(portal_properties[k].interface, name) == 0 &&
                             strcmp(portal_properties[k].name, "version") != 0;
                CHECK(n > 0);
        }
}

/* --- values ----------------------------------------------------------------------------------- */

/* Where a value stands. */
enum place {
        ARGUMENT = 1,
        OUT = 2,
        OPTION = 4, /* also a key of a PORTAL_DICT in arguments */
        RESULT = 8, /* also of one in results */
        IN_SIGNAL = 16,
        IN = ARGUMENT | OPTION,
        BACK = OUT | RESULT | IN_SIGNAL,
};

/* Each role has one of the types that the rebuilding reads, where it makes sense. */
static const struct {
        const char *types[3];
        unsigned places;
} roles[PORTAL_N_ROLES] = {
        [PORTAL_PLAIN] = {{NULL}, IN | BACK},
        [PORTAL_TEXT] = {{NULL}, IN | BACK},
        [PORTAL_TITLE] = {{"s"}, IN},
        [PORTAL_LINES] = {{"s"}, OPTION},
        [PORTAL_BODY] = {{"s"}, OPTION},
        [PORTAL_MARKUP] = {{"s"}, OPTION},
        [PORTAL_PARENT_WINDOW] = {{"s"}, ARGUMENT},
        [PORTAL_HANDLE_TOKEN] = {{"s"}, OPTION},
        [PORTAL_SESSION_TOKEN] = {{"s"}, OPTION},
        [PORTAL_SESSION] = {{"o", "s"}, ARGUMENT | BACK},
        [PORTAL_OPTIONS] = {{"a{sv}"}, ARGUMENT | OUT | IN_SIGNAL},
        [PORTAL_DICT] = {{"a{sv}", "aa{sv}", "a(sa{sv})"}, IN | BACK},
        [PORTAL_SOME_DICTS] = {{"a(sa{sv})"}, ARGUMENT},
        [PORTAL_ANY] = {{"v"}, IN | BACK},
        [PORTAL_ANY_LIST] = {{"av"}, IN_SIGNAL},
        [PORTAL_GUEST_PATH] = {{"ay"}, IN | OUT},
        [PORTAL_BASENAME] = {{"s"}, OPTION | RESULT},
        [PORTAL_BASENAMES] = {{"aay"}, OPTION},
        [PORTAL_DIRECTORY] = {{"b"}, OPTION},
        [PORTAL_URIS] = {{"as", "s"}, RESULT},
        [PORTAL_PATHS] = {{"as"}, OUT},
        [PORTAL_OPEN_URI] = {{"s"}, ARGUMENT},
        [PORTAL_OPEN_SCHEME] = {{"s"}, ARGUMENT},
        [PORTAL_ALWAYS_TRUE] = {{"b"}, OPTION},
        [PORTAL_NEVER] = {{"s", "b"}, OPTION | RESULT | IN_SIGNAL},
        [PORTAL_NOTIFICATION_ID] = {{"s"}, ARGUMENT | IN_SIGNAL},
        [PORTAL_ICON] = {{"v"}, OPTION},
        [PORTAL_SOUND] = {{"v"}, OPTION},
        [PORTAL_ACTION] = {{"s"}, OPTION | IN_SIGNAL},
        [PORTAL_NAMESPACE] = {{"s"}, ARGUMENT | IN_SIGNAL},
        [PORTAL_NAMESPACES] = {{"as"}, ARGUMENT},
        [PORTAL_SETTINGS] = {{"a{sa{sv}}"}, OUT},
        [PORTAL_PROXIES] = {{"as"}, OUT},
        [PORTAL_FD_BYTES] = {{"h"}, ARGUMENT},
        [PORTAL_FD_SINK] = {{"h"}, ARGUMENT},
        [PORTAL_FD_FILE] = {{"h", "ah"}, IN},
        [PORTAL_FD_DOCUMENT] = {{"h"}, ARGUMENT},
        [PORTAL_FD_WRITABLE] = {{"h"}, ARGUMENT},
};

static bool type_fits(const struct portal_value *v) {
        if (!roles[v->role].types[0]) /* what is copied by its type: nothing with variants */
                return !strpbrk(v->type, "vh");
        for (size_t i = 0; i < ELEMENTSOF(roles[v->role].types); i++)
                if (roles[v->role].types[i] && strcmp(roles[v->role].types[i], v->type) == 0)
                        return true;
        return false;
}

/* One complete type, as sd-bus reads it. */
static bool is_complete(const char *type) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int fds[2];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        close(fds[1]);
        CHECK(sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
        (void)sd_bus_start(bus);
        CHECK(sd_bus_message_new_signal(bus, &m, "/x", "a.b", "c") >= 0);
        return sd_bus_message_open_container(m, 'v', type) >= 0;
}

static void check_values(const struct portal_value *values, size_t max, enum place place,
                         uint32_t version) {
        bool is_dict = place & (OPTION | RESULT);
        size_t n = 0;

        for (const struct portal_value *v = values; v->name; v++, n++) {
                if (!type_fits(v) || !(roles[v->role].places & place) || !is_complete(v->type)) {
                        printf("# %s: type %s, role %d, place %d\n", v->name, v->type, v->role,
                               place);
                        test_failures++;
                }
                CHECK(portal_find_value(values, v->name) == v);
                CHECK(v->since <= version && (is_dict || v->since == 0));
                CHECK(!v->members ==
                      (v->role != PORTAL_DICT && v->role != PORTAL_SOME_DICTS));
                if (v->members) {
                        CHECK(v->members[0].name != NULL);
                        check_values(v->members, PORTAL_MAX_MEMBERS,
                                     place & IN ? OPTION : RESULT, version);
                }
        }
        CHECK(n <= max);
}

static bool has_role(const struct portal_value *values, enum portal_role role) {
        for (; values->name; values++)
                if (values->role == role)
                        return true;
        return false;
}

static unsigned count_role(const struct portal_value *values, enum portal_role role) {
        unsigned n = 0;

        for (; values->name; values++)
                n += values->role == role;
        return n;
}

static void test_methods(void) {
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];
                uint32_t version = portal_find_interface(m->interface)->version;
                char signature[PORTAL_MAX_SIGNATURE];

                check_values(m->args, PORTAL_MAX_ARGS, ARGUMENT, version);
                check_values(m->out, PORTAL_MAX_ARGS, OUT, version);
                check_values(m->options, PORTAL_MAX_OPTIONS, OPTION, version);
                check_values(m->results, PORTAL_MAX_RESULTS, RESULT, version);
                CHECK(strlen(portal_signature(m->args, signature)) < PORTAL_MAX_SIGNATURE);
                CHECK(strlen(portal_signature(m->out, signature)) < PORTAL_MAX_SIGNATURE);
                CHECK(sd_bus_member_name_is_valid(m->member) > 0);
                CHECK(m->since <= version);
        }
}

/* Keys belong to an argument: one, as the rebuilding fills each from the same rows. */
static void test_options(void) {
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];
                unsigned args = count_role(m->args, PORTAL_OPTIONS);
                unsigned out = count_role(m->out, PORTAL_OPTIONS);

                CHECK(args <= 1 && out <= 1);
                CHECK(args == 1 || !m->options[0].name);
        }
}

static void test_signals(void) {
        for (size_t i = 0; i < portal_n_signals; i++) {
                const struct portal_signal *s = &portal_signals[i];
                uint32_t version = portal_find_interface(s->interface)->version;
                char signature[PORTAL_MAX_SIGNATURE];

                check_values(s->args, PORTAL_MAX_ARGS, IN_SIGNAL, version);
                check_values(s->options, PORTAL_MAX_OPTIONS, RESULT, version);
                CHECK(strlen(portal_signature(s->args, signature)) < PORTAL_MAX_SIGNATURE);
                CHECK_EQ_INT(count_role(s->args, PORTAL_OPTIONS), s->options[0].name != NULL);
                CHECK_EQ_INT(s->route == PORTAL_TO_SESSION, s->args[0].role == PORTAL_SESSION);
                CHECK_EQ_INT(s->route == PORTAL_TO_NOTIFIER,
                             s->args[0].role == PORTAL_NOTIFICATION_ID);
                CHECK(s->route >= PORTAL_TO_ALL && s->route <= PORTAL_TO_NOTIFIER);
        }
}

/* A request answers one handle, takes a token; a plain call has neither. */
static void test_kinds(void) {
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];
                const struct portal_interface *of = portal_find_interface(m->interface);
                bool token = has_role(m->options, PORTAL_HANDLE_TOKEN);

                CHECK(m->kind >= PORTAL_CALL && m->kind <= PORTAL_AT_GATE);
                if (m->kind == PORTAL_IS_REQUEST || m->kind == PORTAL_LASTS || token) {
                        CHECK(strcmp(m->out[0].type, "o") == 0 && !m->out[1].name);
                        CHECK(token && portal_find_value(m->options, "handle_token"));
                } else {
                        CHECK(!m->results[0].name || has_role(m->out, PORTAL_OPTIONS));
                }
                CHECK_EQ_INT(m->kind == PORTAL_LOCAL || m->kind == PORTAL_AT_GATE, of->local);
        }
}

/* A session's token is asked for where its handle comes back, and nowhere else. */
static void test_sessions(void) {
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];

                CHECK_EQ_INT(has_role(m->options, PORTAL_SESSION_TOKEN),
                             has_role(m->out, PORTAL_SESSION) ||
                                     has_role(m->results, PORTAL_SESSION));
        }
}

/* URIs and paths reach the guest only where the gate exports what they name. */
static void test_exports(void) {
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];

                CHECK_EQ_INT(has_role(m->results, PORTAL_URIS) || has_role(m->out, PORTAL_PATHS),
                             m->export != PORTAL_EXPORT_NONE);
        }
}

/* --- policy ----------------------------------------------------------------------------------- */

static void test_policy(void) {
        for (size_t i = 0; i < portal_n_interfaces; i++) {
                CHECK(portal_interfaces[i].policy >= PORTAL_ALLOW);
                CHECK(portal_interfaces[i].policy <= PORTAL_ASK);
                CHECK_EQ_INT(portal_default_policy(portal_interfaces[i].name, NULL),
                             portal_interfaces[i].policy);
        }
        CHECK_EQ_INT(portal_default_policy(P("FileChooser"), "OpenFile"), PORTAL_ALLOW);
        CHECK_EQ_INT(portal_default_policy(P("Screenshot"), "Screenshot"), PORTAL_DENY);
        CHECK_EQ_INT(portal_default_policy(P("Screenshot"), "PickColor"), PORTAL_ASK);
        CHECK_EQ_INT(portal_default_policy(P("Screenshot"), "Nothing"), PORTAL_DENY);
        CHECK_EQ_INT(portal_default_policy(P("Nothing"), NULL), PORTAL_DENY);
        for (const char *const *name = (const char *const[]){"Location", "Secret", "Trash",
                                                             "Wallpaper", "GlobalShortcuts",
                                                             "Screenshot", NULL};
             *name; name++) {
                const struct portal_interface *of = portal_find_short_name(*name);

                CHECK(of && of->policy != PORTAL_ALLOW);
        }
}

static void test_short_names(void) {
        for (size_t i = 0; i < portal_n_interfaces; i++) {
                const char *dot = strrchr(portal_interfaces[i].name, '.');

                CHECK(portal_find_short_name(dot + 1) == &portal_interfaces[i]);
        }
        CHECK(!portal_find_short_name(""));
        CHECK(!portal_find_short_name("portal.Location"));
        CHECK(!portal_find_short_name("location"));
}

TEST_MAIN({"find", test_find}, {"refused", test_refused}, {"references", test_references},
          {"interfaces are used", test_interfaces_used}, {"methods", test_methods},
          {"options", test_options}, {"signals", test_signals}, {"kinds", test_kinds},
          {"sessions", test_sessions}, {"exports", test_exports}, {"policy", test_policy},
          {"short names", test_short_names})
