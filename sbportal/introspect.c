/* SPDX-License-Identifier: MIT */
#include "sbportal/introspect.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/portal_table.h"

static const char header[] =
        "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n"
        " \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n"
        "<node>\n";

static const char standard_interfaces[] =
        "  <interface name=\"org.freedesktop.DBus.Properties\">\n"
        "    <method name=\"Get\">\n"
        "      <arg type=\"s\" name=\"interface_name\" direction=\"in\"/>\n"
        "      <arg type=\"s\" name=\"property_name\" direction=\"in\"/>\n"
        "      <arg type=\"v\" name=\"value\" direction=\"out\"/>\n"
        "    </method>\n"
        "    <method name=\"GetAll\">\n"
        "      <arg type=\"s\" name=\"interface_name\" direction=\"in\"/>\n"
        "      <arg type=\"a{sv}\" name=\"properties\" direction=\"out\"/>\n"
        "    </method>\n"
        "    <method name=\"Set\">\n"
        "      <arg type=\"s\" name=\"interface_name\" direction=\"in\"/>\n"
        "      <arg type=\"s\" name=\"property_name\" direction=\"in\"/>\n"
        "      <arg type=\"v\" name=\"value\" direction=\"in\"/>\n"
        "    </method>\n"
        "    <signal name=\"PropertiesChanged\">\n"
        "      <arg type=\"s\" name=\"interface_name\"/>\n"
        "      <arg type=\"a{sv}\" name=\"changed_properties\"/>\n"
        "      <arg type=\"as\" name=\"invalidated_properties\"/>\n"
        "    </signal>\n"
        "  </interface>\n"
        "  <interface name=\"org.freedesktop.DBus.Introspectable\">\n"
        "    <method name=\"Introspect\">\n"
        "      <arg type=\"s\" name=\"xml_data\" direction=\"out\"/>\n"
        "    </method>\n"
        "  </interface>\n"
        "  <interface name=\"org.freedesktop.DBus.Peer\">\n"
        "    <method name=\"Ping\"/>\n"
        "    <method name=\"GetMachineId\">\n"
        "      <arg type=\"s\" name=\"machine_uuid\" direction=\"out\"/>\n"
        "    </method>\n"
        "  </interface>\n";

static const char request_interface[] = "  <interface name=\"" PORTAL_REQUEST "\">\n"
                                        "    <method name=\"Close\"/>\n"
                                        "    <signal name=\"Response\">\n"
                                        "      <arg type=\"u\" name=\"response\"/>\n"
                                        "      <arg type=\"a{sv}\" name=\"results\"/>\n"
                                        "    </signal>\n"
                                        "  </interface>\n";

static const char session_interface[] = "  <interface name=\"" PORTAL_SESSION_IFACE "\">\n"
                                        "    <method name=\"Close\"/>\n"
                                        "    <signal name=\"Closed\">\n"
                                        "      <arg type=\"a{sv}\" name=\"details\"/>\n"
                                        "    </signal>\n"
                                        "    <property type=\"u\" name=\"version\""
                                        " access=\"read\"/>\n"
                                        "  </interface>\n";

/* direction: " direction=\"in\"", or "" for a signal's. */
static void write_args(FILE *f, const struct portal_value *v, const char *direction) {
        for (; v->name; v++)
                (void)fprintf(f, "      <arg type=\"%s\" name=\"%s\"%s/>\n", v->type, v->name,
                              direction);
}

static void write_method(FILE *f, const char *member, const struct portal_value *args,
                         const struct portal_value *out) {
        (void)fprintf(f, "    <method name=\"%s\">\n", member);
        write_args(f, args, " direction=\"in\"");
        write_args(f, out, " direction=\"out\"");
        (void)fputs("    </method>\n", f);
}

static void write_signal(FILE *f, const char *member, const struct portal_value *args) {
        (void)fprintf(f, "    <signal name=\"%s\">\n", member);
        write_args(f, args, "");
        (void)fputs("    </signal>\n", f);
}

static void write_interface(FILE *f, const char *name, uint32_t version) {
        (void)fprintf(f, "  <interface name=\"%s\">\n", name);
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];

                if (strcmp(m->interface, name) == 0 && m->since <= version)
                        write_method(f, m->member, m->args, m->out);
        }
        for (size_t i = 0; i < portal_n_signals; i++)
                if (strcmp(portal_signals[i].interface, name) == 0)
                        write_signal(f, portal_signals[i].member, portal_signals[i].args);
        for (size_t i = 0; i < portal_n_properties; i++) {
                const struct portal_property *p = &portal_properties[i];

                if (strcmp(p->interface, name) == 0 && p->since <= version)
                        (void)fprintf(f,
                                      "    <property type=\"%s\" name=\"%s\" access=\"read\"/>\n",
                                      p->type, p->name);
        }
        (void)fputs("  </interface>\n", f);
}

static void write_service(FILE *f, const struct service *s) {
        (void)fprintf(f, "  <interface name=\"%s\">\n", s->interface);
        for (const struct service_method *m = s->methods; m->member; m++)
                write_method(f, m->member, m->args, m->out);
        for (const struct service_signal *g = s->signals; g->member; g++)
                write_signal(f, g->member, g->args);
        (void)fputs("  </interface>\n", f);
}

static void write_portals(FILE *f, const struct introspect *what) {
        for (size_t i = 0; i < portal_n_interfaces; i++)
                if (portal_interfaces[i].object == what->portal && what->versions[i] > 0)
                        write_interface(f, portal_interfaces[i].name, what->versions[i]);
}

static void write_object(FILE *f, const struct introspect *what) {
        if (what->kind != INTROSPECT_NODE)
                (void)fputs(standard_interfaces, f);
        if (what->kind == INTROSPECT_PORTAL)
                write_portals(f, what);
        if (what->kind == INTROSPECT_SERVICE)
                write_service(f, what->service);
        if (what->kind == INTROSPECT_REQUEST)
                (void)fputs(request_interface, f);
        if (what->kind == INTROSPECT_SESSION)
                (void)fputs(session_interface, f);
}

/* The first element of candidate below path and its length; 0 when candidate is not below. */
static size_t child_of(const char *path, const char *candidate, const char **ret) {
        size_t n = strlen(path);

        if (strncmp(path, candidate, n) != 0)
                return 0;
        candidate += n;
        if (n > 1) { /* "/" already ends in the separator */
                if (*candidate != '/')
                        return 0;
                candidate++;
        }
        *ret = candidate;
        return strcspn(candidate, "/");
}

static bool seen_before(const char *path, const char *const *paths, size_t i, const char *name,
                        size_t n) {
        while (i-- > 0) {
                const char *other;

                if (child_of(path, paths[i], &other) == n && memcmp(other, name, n) == 0)
                        return true;
        }
        return false;
}

/* n is small (the objects of one client), so that comparing all pairs is cheaper than a set. */
static void write_children(FILE *f, const char *path, const char *const *paths, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const char *name;
                size_t k = child_of(path, paths[i], &name);

                if (k > 0 && !seen_before(path, paths, i, name, k))
                        (void)fprintf(f, "  <node name=\"%.*s\"/>\n", (int)k, name);
        }
}

char *introspect_xml(const struct introspect *what, const char *path, const char *const *paths,
                     size_t n) {
        _cleanup_free_ char *xml = NULL;
        size_t size;
        FILE *f = open_memstream(&xml, &size);

        if (!f)
                return NULL;
        (void)fputs(header, f);
        write_object(f, what);
        write_children(f, path, paths, n);
        (void)fputs("</node>\n", f);
        return fclose(f) == 0 ? TAKE_PTR(xml) : NULL; /* a failed write shows here */
}
