/* SPDX-License-Identifier: MIT */
/* What the driver says of itself: its introspection data, made from its method table, and its properties. */
#include "sbrouter/driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sbrouter/router.h"

struct xml {
        FILE *f;
        char *text;
        size_t n;
};

static void xml_done(struct xml *x) {
        if (x->f)
                (void)fclose(x->f);
        free(x->text);
}

/* One element for each complete type of signature. */
static void write_args(struct xml *x, const char *signature, const char *direction) {
        for (const char *behind; *signature; signature = behind) {
                behind = body_skip_type(signature);
                (void)fprintf(x->f, "      <arg type=\"%.*s\"%s/>\n", (int)(behind - signature),
                              signature, direction);
        }
}

static void write_method(struct xml *x, const struct driver_method *row) {
        (void)fprintf(x->f, "    <method name=\"%s\">\n", row->member.s);
        write_args(x, row->in, " direction=\"in\"");
        write_args(x, row->out, " direction=\"out\"");
        (void)fputs("    </method>\n", x->f);
}

static const struct {
        const char *name, *signature;
} bus_signals[] = {
        {"NameOwnerChanged", "sss"},
        {"NameLost", "s"},
        {"NameAcquired", "s"},
        {"ActivatableServicesChanged", ""},
};

static void write_bus_members(struct xml *x) {
        for (size_t i = 0; i < ELEMENTSOF(bus_signals); i++) {
                (void)fprintf(x->f, "    <signal name=\"%s\">\n", bus_signals[i].name);
                write_args(x, bus_signals[i].signature, "");
                (void)fputs("    </signal>\n", x->f);
        }
        (void)fputs("    <property name=\"Features\" type=\"as\" access=\"read\"/>\n"
                    "    <property name=\"Interfaces\" type=\"as\" access=\"read\"/>\n",
                    x->f);
}

static void write_interfaces(struct xml *x) {
        const char *interface = NULL;

        for (const struct driver_method *row = driver_methods; row->interface.s; row++) {
                if (!interface || strcmp(interface, row->interface.s) != 0) {
                        if (interface)
                                (void)fputs("  </interface>\n", x->f);
                        interface = row->interface.s;
                        (void)fprintf(x->f, "  <interface name=\"%s\">\n", interface);
                        if (strcmp(interface, DBUS_INTERFACE_DBUS) == 0)
                                write_bus_members(x);
                }
                write_method(x, row);
        }
        (void)fputs("  </interface>\n", x->f);
}

/* What of DRIVER_PATH lies below path; NULL: it does not. */
static const char *find_child(const char *path) {
        size_t n = strcmp(path, "/") == 0 ? 0 : strlen(path);

        if (strncmp(DRIVER_PATH, path, n) != 0 || DRIVER_PATH[n] != '/')
                return NULL;
        return &DRIVER_PATH[n + 1];
}

int driver_introspect(struct driver_call *call) {
        _cleanup_(xml_done) struct xml x = {0};
        const char *child = find_child(call->m->path.s);
        int failed;

        x.f = open_memstream(&x.text, &x.n);
        if (!x.f)
                return -errno;
        (void)fputs(DBUS_INTROSPECT_1_0_XML_DOCTYPE_DECL_NODE "<node>\n", x.f);
        write_interfaces(&x);
        if (child)
                (void)fprintf(x.f, "  <node name=\"%s\"/>\n", child);
        (void)fputs("</node>\n", x.f);
        failed = fclose(x.f);
        x.f = NULL;
        return failed ? -ENOMEM : driver_return_text(call, x.text);
}

/* --- properties: all of them arrays of strings, read-only ------------------------------------ */

static const char *const features[] = {
        "ActivatableServicesChanged", /* driver_activatable_changed() */
        "HeaderFiltering",            /* unknown fields are not passed on */
};
static const char *const interfaces[] = {DBUS_INTERFACE_MONITORING, DRIVER_STATS};

static const struct property {
        const char *name;
        const char *const *strings;
        size_t n;
        bool debug; /* empty for who may not debug: what it lists is refused there */
} properties[] = {
        {"Features", features, ELEMENTSOF(features), false},
        {"Interfaces", interfaces, ELEMENTSOF(interfaces), true},
};

/*
 * With an empty interface all are meant; the bus's others exist and have none
 * (specification, "org.freedesktop.DBus.Properties").
 */
static int check_interface(struct driver_call *call, const char *interface, bool *ret_has) {
        *ret_has = !interface[0] || strcmp(interface, DBUS_INTERFACE_DBUS) == 0;
        for (const struct driver_method *row = driver_methods; row->interface.s; row++)
                if (*ret_has || strcmp(row->interface.s, interface) == 0)
                        return 0;
        return driver_fail(call, DRIVER_E_UNKNOWN_INTERFACE, "the bus has no properties of %s",
                           interface);
}

static const struct property *find_property(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                if (strcmp(properties[i].name, name) == 0)
                        return &properties[i];
        return NULL;
}

/* Its value, as a variant. */
static void write_property(const struct driver_call *call, struct body_writer *w,
                           const struct property *p) {
        size_t n = p->debug && !call->c->may_debug ? 0 : p->n;
        struct body_array array;

        body_write_signature(w, "as");
        array = body_open_array(w, BODY_ALIGN_STRING);
        for (size_t i = 0; i < n; i++)
                body_write_string(w, p->strings[i]);
        body_close_array(w, array);
}

/* The interface and the property that a call names. */
static int look_up(struct driver_call *call, const struct property **ret) {
        const char *name = driver_arg(call, 1)->s;
        bool has;
        int v = check_interface(call, driver_arg(call, 0)->s, &has);

        if (v != 0)
                return v;
        *ret = has ? find_property(name) : NULL;
        return *ret ? 0 : driver_fail(call, DRIVER_E_UNKNOWN_PROPERTY, "the bus has no property %s",
                                      name);
}

int driver_property_get(struct driver_call *call) {
        _cleanup_(body_write_done) struct body_writer w = {0};
        const struct property *p = NULL;
        int v = look_up(call, &p);

        if (v != 0)
                return v;
        write_property(call, &w, p);
        return driver_return_body(call, &w);
}

int driver_property_get_all(struct driver_call *call) {
        _cleanup_(body_write_done) struct body_writer w = {0};
        struct body_array dict;
        bool has;
        int v = check_interface(call, driver_arg(call, 0)->s, &has);

        if (v != 0)
                return v;
        dict = body_open_array(&w, BODY_ALIGN_ENTRY);
        for (size_t i = 0; has && i < ELEMENTSOF(properties); i++) {
                body_write_key(&w, properties[i].name);
                write_property(call, &w, &properties[i]);
        }
        body_close_array(&w, dict);
        return driver_return_body(call, &w);
}

int driver_property_set(struct driver_call *call) {
        const struct property *p = NULL;
        int v = look_up(call, &p);

        return v != 0 ? v : DRIVER_E_PROPERTY_READ_ONLY;
}
