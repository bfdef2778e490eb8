/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/property.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/call_stub.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/portal_rebuild.h"
#include "sbsupervisor/gate.h"
#include "sbsupervisor/host_version.h"
#include "sbsupervisor/policy.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"

/* A Properties call on its way to the host portal and back. */
struct forwarded {
        struct gate *gate;
        sd_bus_message *call;
        const struct portal_interface *interface;
        const struct portal_property *property; /* NULL: GetAll */
};

static void forwarded_free(void *p) {
        struct forwarded *f = p;

        f->gate->n_forwarded--;
        sd_bus_message_unref(f->call);
        free(f);
}

static int refuse(sd_bus_message *m, const char *error, const char *text) {
        return sd_bus_reply_method_errorf(m, error, "%s", text);
}

static bool is_version(const char *name) {
        return strcmp(name, "version") == 0;
}

/* The row of a property that the VM may see, or NULL. */
static const struct portal_property *find(const struct gate *g, const char *interface,
                                          const char *name) {
        const struct portal_property *p = portal_find_property(interface, name);

        if (!p || (!is_version(name) && !policy_allows_interface(g->policy, interface)))
                return NULL;
        return p;
}

/* --- answers --------------------------------------------------------------------------------- */

/* Copies "variant u" from in to out, at most max. */
static int copy_version(sd_bus_message *in, sd_bus_message *out, uint32_t max) {
        uint32_t version;
        int r = sd_bus_message_read(in, "v", "u", &version);

        if (r < 0)
                return r;
        r = sd_bus_message_append(out, "v", "u", version < max ? version : max);
        return r < 0 ? r : 0;
}

static int copy_value(const struct portal_property *p, sd_bus_message *in, sd_bus_message *out) {
        struct portal_rebuild rb = {0};
        int r;

        if (is_version(p->name))
                return copy_version(in, out, portal_find_interface(p->interface)->version);
        r = portal_rebuild_property(&rb, p, in, out);
        return r > 0 ? -EBADMSG : r;
}

static int copy_entry(const struct portal_property *p, sd_bus_message *in, sd_bus_message *out) {
        int r = sd_bus_message_open_container(out, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(out, 's', p->name);
        if (r >= 0)
                r = copy_value(p, in, out);
        return r < 0 ? r : sd_bus_message_close_container(out);
}

/* An a{sv} of properties; of those that only_changes, *ret_n is how many were copied. */
static int copy_all(const struct gate *g, const char *interface, bool only_changes,
                    sd_bus_message *in, sd_bus_message *out, unsigned *ret_n) {
        const struct portal_property *p;
        const char *name;
        int r = sd_bus_message_enter_container(in, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_open_container(out, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(in, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(in, 's', &name);
                if (r < 0)
                        return r;
                p = find(g, interface, name);
                if (p && (p->changes || !only_changes)) {
                        r = copy_entry(p, in, out);
                        (*ret_n)++;
                } else {
                        r = sd_bus_message_skip(in, "v");
                }
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(in);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(in);
        return r < 0 ? r : sd_bus_message_close_container(out);
}

static int refuse_reply(struct forwarded *f, sd_bus_message *m) {
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (!e || !host_answered(f->gate->host, m) || !host_version_is_absent(e))
                return refuse(f->call, PORTAL_E_FAILED, "The host's portal gave no usable answer");
        if (f->property && !is_version(f->property->name))
                return refuse(f->call, SD_BUS_ERROR_UNKNOWN_PROPERTY,
                              "The host's portal does not have this property");
        return refuse(f->call, SD_BUS_ERROR_UNKNOWN_INTERFACE,
                      "The host's portal does not have this interface");
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        struct forwarded *f = userdata;
        unsigned n = 0;
        int r;

        if (sd_bus_message_get_error(m) || !host_answered(f->gate->host, m))
                return refuse_reply(f, m);
        r = sd_bus_message_new_method_return(f->call, &out);
        if (r < 0)
                return r;
        r = f->property ? copy_value(f->property, m, out)
                        : copy_all(f->gate, f->interface->name, false, m, out, &n);
        if (r < 0 || sd_bus_send(NULL, out, NULL) < 0)
                return refuse(f->call, PORTAL_E_FAILED, "The host's portal gave no usable answer");
        return 0;
}

/* --- calls ----------------------------------------------------------------------------------- */

static int new_host_call(struct gate *g, const struct portal_interface *i,
                         const struct portal_property *p, sd_bus_message **ret) {
        int r = host_version_new_call(g->host, i, PROPERTIES, p ? "Get" : "GetAll", ret);

        if (r < 0)
                return r;
        return p ? sd_bus_message_append(*ret, "ss", i->name, p->name)
                 : sd_bus_message_append(*ret, "s", i->name);
}

static int forward(struct gate *g, sd_bus_message *call, const struct portal_interface *i,
                   const struct portal_property *p) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *stub = NULL;
        sd_bus_slot *slot = NULL;
        struct forwarded *f;
        int r;

        if (g->n_forwarded >= LIMIT_REQUESTS_VM)
                return refuse(call, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many calls at once");
        r = new_host_call(g, i, p, &m);
        if (r >= 0)
                r = call_stub_new(call, &stub);
        if (r < 0)
                return r;
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        *f = (struct forwarded){g, TAKE_PTR(stub), i, p};
        g->n_forwarded++;
        r = sd_bus_call_async(g->host->bus, &slot, m, on_reply, f, 0);
        if (r < 0) {
                forwarded_free(f);
                return r;
        }
        (void)sd_bus_slot_set_destroy_callback(slot, forwarded_free);
        (void)sd_bus_slot_set_floating(slot, 1);
        sd_bus_slot_unref(slot);
        return 0;
}

int property_get(struct gate *g, sd_bus_message *m) {
        const struct portal_interface *i;
        const struct portal_property *p;
        const char *interface, *name;
        int r = sd_bus_message_read(m, "ss", &interface, &name);

        if (r < 0)
                return r;
        p = find(g, interface, name);
        i = p ? portal_find_interface(interface) : NULL;
        return i && !i->local ? forward(g, m, i, p)
                              : refuse(m, SD_BUS_ERROR_UNKNOWN_PROPERTY, "No such property");
}

int property_get_all(struct gate *g, sd_bus_message *m) {
        const struct portal_interface *i;
        const char *interface;
        int r = sd_bus_message_read(m, "s", &interface);

        if (r < 0)
                return r;
        i = portal_find_interface(interface);
        return i && !i->local ? forward(g, m, i, NULL)
                              : refuse(m, SD_BUS_ERROR_UNKNOWN_INTERFACE, "No such interface");
}

/* --- changes --------------------------------------------------------------------------------- */

static int copy_invalidated(const struct gate *g, const char *interface, sd_bus_message *in,
                            sd_bus_message *out, unsigned *ret_n) {
        const struct portal_property *p;
        const char *name;
        int r = sd_bus_message_enter_container(in, 'a', "s");

        if (r >= 0)
                r = sd_bus_message_open_container(out, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read_basic(in, 's', &name)) > 0) {
                p = find(g, interface, name);
                if (!p || !p->changes)
                        continue;
                r = sd_bus_message_append_basic(out, 's', p->name);
                (*ret_n)++;
        }
        return r < 0 ? r : sd_bus_message_close_container(out);
}

int property_changed(struct gate *g, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        const struct portal_interface *i;
        const char *interface;
        unsigned n = 0;
        int r;

        if (!sd_bus_message_has_signature(m, "sa{sv}as"))
                return 0;
        r = sd_bus_message_read_basic(m, 's', &interface);
        if (r < 0)
                return r;
        i = portal_find_interface(interface);
        if (!i || i->local || !policy_allows_interface(g->policy, interface))
                return 0;
        r = sd_bus_message_new_signal(g->bus, &out, PORTAL_PATH, PROPERTIES, "PropertiesChanged");
        if (r >= 0)
                r = sd_bus_message_append_basic(out, 's', i->name);
        if (r >= 0)
                r = copy_all(g, interface, true, m, out, &n);
        if (r >= 0)
                r = copy_invalidated(g, interface, m, out, &n);
        return r < 0 || n == 0 ? r : sd_bus_send(NULL, out, NULL);
}
