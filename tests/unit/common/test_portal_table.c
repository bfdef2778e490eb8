/* SPDX-License-Identifier: MIT */
/* The table is complete, consistent, and within what the code that reads it can do. */
#include "common/portal_table.h"

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "common/limits.h"
#include "tests/test.h"

/* Found first is found only: no two rows of one name. */
static void test_find(void) {
        for (size_t i = 0; i < portal_n_interfaces; i++)
                CHECK(portal_find_interface(portal_interfaces[i].name) == &portal_interfaces[i]);
        for (size_t i = 0; i < portal_n_methods; i++)
                CHECK(portal_find_method(portal_methods[i].interface, portal_methods[i].member) ==
                      &portal_methods[i]);
        for (size_t i = 0; i < portal_n_properties; i++)
                CHECK(portal_find_property(portal_properties[i].interface,
                                           portal_properties[i].name) == &portal_properties[i]);
        CHECK(!portal_find_interface("org.freedesktop.portal.RemoteDesktop"));
        CHECK(!portal_find_interface(""));
        CHECK(!portal_find_method("org.freedesktop.portal.FileChooser", "openfile"));
        CHECK(!portal_find_method("org.freedesktop.portal.Nothing", "OpenFile"));
        CHECK(!portal_find_property("org.freedesktop.portal.FileChooser", "Version"));
}

static void test_references(void) {
        for (size_t i = 0; i < portal_n_methods; i++)
                CHECK(portal_find_interface(portal_methods[i].interface));
        for (size_t i = 0; i < portal_n_properties; i++)
                CHECK(portal_find_interface(portal_properties[i].interface));
        for (size_t i = 0; i < portal_n_interfaces; i++) {
                const char *name = portal_interfaces[i].name;
                const struct portal_property *version = portal_find_property(name, "version");

                CHECK(portal_interfaces[i].version > 0);
                CHECK(version && strcmp(version->type, "u") == 0);
                CHECK(sd_bus_interface_name_is_valid(name) > 0);
                CHECK(strncmp(name, "org.freedesktop.", 16) == 0);
        }
}

static const char *type_of_role(enum portal_role role) {
        static const char *const types[] = {
                [PORTAL_TITLE] = "s",        [PORTAL_PARENT_WINDOW] = "s",
                [PORTAL_HANDLE_TOKEN] = "s", [PORTAL_OPTIONS] = "a{sv}",
                [PORTAL_GUEST_PATH] = "ay",  [PORTAL_BASENAME] = "s",
                [PORTAL_DIRECTORY] = "b",    [PORTAL_BASENAMES] = "aay",
                [PORTAL_URIS] = "as",
        };

        return (size_t)role < ELEMENTSOF(types) ? types[role] : NULL;
}

/* Each role has the type the rebuilding reads; what is copied by type is copyable. */
static void check_values(const struct portal_value *values, size_t max, bool is_dict) {
        size_t n = 0;

        for (const struct portal_value *v = values; v->name; v++, n++) {
                const char *type = type_of_role(v->role);

                CHECK(sd_bus_member_name_is_valid(v->name) > 0);
                CHECK(portal_find_value(values, v->name) == v);
                CHECK(!is_dict || v->role != PORTAL_OPTIONS);
                if (type)
                        CHECK_EQ_STR(v->type, type);
                else
                        CHECK(!strpbrk(v->type, "vhe{}"));
        }
        CHECK(n <= max);
}

static void test_values(void) {
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];
                char signature[PORTAL_MAX_SIGNATURE];

                check_values(m->args, PORTAL_MAX_ARGS, false);
                check_values(m->out, PORTAL_MAX_ARGS, false);
                check_values(m->options, PORTAL_MAX_OPTIONS, true);
                check_values(m->results, PORTAL_MAX_RESULTS, true);
                CHECK(strlen(portal_signature(m->args, signature)) < PORTAL_MAX_SIGNATURE);
                CHECK(sd_bus_member_name_is_valid(m->member) > 0);
        }
}

/* A request answers one handle, takes a token; a plain call has no Response. */
static void test_kinds(void) {
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];

                if (m->kind == PORTAL_IS_REQUEST) {
                        const struct portal_value *token =
                                portal_find_value(m->options, "handle_token");

                        CHECK(strcmp(m->out[0].type, "o") == 0 && !m->out[1].name);
                        CHECK(token && token->role == PORTAL_HANDLE_TOKEN);
                } else {
                        CHECK_EQ_INT(m->kind, PORTAL_CALL);
                        CHECK_EQ_INT(m->export, PORTAL_EXPORT_NONE);
                }
        }
}

/* URIs reach the guest only where the gate exports what they name. */
static void test_exports(void) {
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];
                bool uris = false;

                for (const struct portal_value *v = m->results; v->name; v++)
                        uris |= v->role == PORTAL_URIS;
                CHECK_EQ_INT(uris, m->export != PORTAL_EXPORT_NONE);
                for (const struct portal_value *v = m->args; v->name; v++)
                        CHECK(v->role != PORTAL_URIS);
                for (const struct portal_value *v = m->options; v->name; v++)
                        CHECK(v->role != PORTAL_URIS);
        }
}

TEST_MAIN({"find", test_find}, {"references", test_references}, {"values", test_values},
          {"kinds", test_kinds}, {"exports", test_exports})
