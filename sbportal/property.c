/* SPDX-License-Identifier: MIT */
#include "sbportal/property.h"

#include <errno.h>
#include <string.h>

#include "common/portal_rebuild.h"
#include "sbportal/call.h"
#include "sbportal/local.h"
#include "sbportal/reply.h"
#include "sbportal/signal.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"

static int no_interface(struct translator *t, sd_bus_message *m, const char *interface) {
        return reply_error(&t->vm, m, SD_BUS_ERROR_INVALID_ARGS, "No such interface “%s”",
                           interface);
}

static int no_property(struct translator *t, sd_bus_message *m, const char *name) {
        return reply_error(&t->vm, m, SD_BUS_ERROR_INVALID_ARGS, "No such property “%s”", name);
}

static int not_writable(struct translator *t, sd_bus_message *m, const char *name) {
        return reply_error(&t->vm, m, SD_BUS_ERROR_INVALID_ARGS, "Property “%s” is not writable",
                           name);
}

static int rebuild_property(const struct portal_property *p, sd_bus_message *in,
                            sd_bus_message *out) {
        struct portal_rebuild rb = {0};

        return portal_rebuild_property(&rb, p, in, out);
}

/* The gate's error, in the words that GDBus has for what is not there. */
static int reply_gate_error(struct call *c, sd_bus_message *answer) {
        const char *name = sd_bus_message_get_error(answer)->name;

        if (strcmp(name, SD_BUS_ERROR_UNKNOWN_INTERFACE) == 0)
                return no_interface(c->t, c->message, c->interface->name);
        if (strcmp(name, SD_BUS_ERROR_UNKNOWN_PROPERTY) == 0 && c->property)
                return no_property(c->t, c->message, c->property->name);
        return call_reply_gate_error(c, answer);
}

static int on_get_answer(struct call *take_c, sd_bus_message *answer) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        _cleanup_(call_freep) struct call *c = take_c;
        int r;

        if (sd_bus_message_is_method_error(answer, NULL))
                return reply_gate_error(c, answer);
        r = sd_bus_message_new_method_return(c->message, &out);
        if (r < 0)
                return r;
        if (!sd_bus_message_has_signature(answer, "v"))
                return call_reply_gate_broken(c);
        r = rebuild_property(c->property, answer, out);
        if (r > 0)
                return call_reply_gate_broken(c);
        return r < 0 ? r : bus_source_send(&c->t->vm, out);
}

/* An entry {sv} of out; its value: the gate's, or with in NULL ours. */
static int append_entry(sd_bus_message *out, const struct portal_property *p, sd_bus_message *in) {
        int r = sd_bus_message_open_container(out, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(out, 's', p->name);
        if (r >= 0)
                r = in ? rebuild_property(p, in, out) : local_property(p, out);
        if (r != 0)
                return r;
        r = sd_bus_message_close_container(out);
        return r < 0 ? r : 0;
}

/* One {sv} of the gate's; properties that are not in the table are left out. */
static int copy_entry(const char *interface, bool changes, sd_bus_message *in,
                      sd_bus_message *out) {
        const struct portal_property *p;
        const char *name;

        if (sd_bus_message_read_basic(in, 's', &name) <= 0)
                return 1;
        p = portal_find_property(interface, name);
        if (!p || (changes && !p->changes))
                return sd_bus_message_skip(in, "v") < 0;
        return append_entry(out, p, in);
}

/* The a{sv} that in stands at.  changes: only the properties that tell of their changes. */
static int copy_properties(const char *interface, bool changes, sd_bus_message *in,
                           sd_bus_message *out) {
        int r;

        if (sd_bus_message_enter_container(in, 'a', "{sv}") < 0)
                return 1;
        r = sd_bus_message_open_container(out, 'a', "{sv}");
        if (r < 0)
                return r;
        while (sd_bus_message_enter_container(in, 'e', "sv") > 0) {
                r = copy_entry(interface, changes, in, out);
                if (r != 0)
                        return r;
                if (sd_bus_message_exit_container(in) < 0)
                        return 1;
        }
        if (sd_bus_message_exit_container(in) < 0)
                return 1;
        r = sd_bus_message_close_container(out);
        return r < 0 ? r : 0;
}

static int on_get_all_answer(struct call *take_c, sd_bus_message *answer) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        _cleanup_(call_freep) struct call *c = take_c;
        int r;

        if (sd_bus_message_is_method_error(answer, NULL))
                return reply_gate_error(c, answer);
        r = sd_bus_message_new_method_return(c->message, &out);
        if (r < 0)
                return r;
        r = sd_bus_message_has_signature(answer, "a{sv}")
                    ? copy_properties(c->interface->name, false, answer, out)
                    : 1;
        if (r > 0)
                return call_reply_gate_broken(c);
        return r < 0 ? r : bus_source_send(&c->t->vm, out);
}

/* Asks the gate for one property of interface, or for all when property is NULL. */
static int ask_gate(struct translator *t, sd_bus_message *m,
                    const struct portal_interface *interface,
                    const struct portal_property *property) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        _cleanup_(call_freep) struct call *c = NULL;
        int r;

        r = call_begin(t, m, NULL, &c);
        if (r < 0 || !c)
                return r;
        c->interface = interface;
        c->property = property;
        r = sd_bus_message_new_method_call(t->gate.bus, &out, NULL, PORTAL_PATH, PROPERTIES,
                                           property ? "Get" : "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(out, "s", interface->name);
        if (r >= 0 && property)
                r = sd_bus_message_append(out, "s", property->name);
        if (r < 0)
                return r;
        r = call_send(c, out, property ? on_get_answer : on_get_all_answer);
        if (r == BUS_SOURCE_E_GONE)
                return reply_error(&t->vm, m, PORTAL_E_FAILED, "The portal is gone");
        if (r == 0)
                (void)TAKE_PTR(c);
        return r;
}

/* Reads the interface's name and, with two != 0, the property's.  The signature was checked. */
static int read_names(sd_bus_message *m, const char **ret_interface, const char **ret_name) {
        int r = sd_bus_message_read_basic(m, 's', ret_interface);

        if (r > 0 && ret_name)
                r = sd_bus_message_read_basic(m, 's', ret_name);
        return r > 0 ? 0 : 1; /* only a body that is not valid fails here */
}

static int reply_local(struct translator *t, sd_bus_message *m, const struct portal_property *p) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        int r = sd_bus_message_new_method_return(m, &out);

        if (r >= 0)
                r = local_property(p, out);
        return r < 0 ? r : bus_source_send(&t->vm, out);
}

static int reply_all_local(struct translator *t, sd_bus_message *m,
                           const struct portal_interface *i) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        int r = sd_bus_message_new_method_return(m, &out);

        if (r >= 0)
                r = sd_bus_message_open_container(out, 'a', "{sv}");
        for (size_t k = 0; k < portal_n_properties && r >= 0; k++)
                if (strcmp(portal_properties[k].interface, i->name) == 0)
                        r = append_entry(out, &portal_properties[k], NULL);
        if (r >= 0)
                r = sd_bus_message_close_container(out);
        return r < 0 ? r : bus_source_send(&t->vm, out);
}

static const struct portal_interface *find_interface(const char *name, enum portal_object object) {
        const struct portal_interface *i = portal_find_interface(name);

        return i && i->object == object ? i : NULL;
}

int property_get(struct translator *t, sd_bus_message *m, enum portal_object object) {
        const struct portal_interface *i;
        const struct portal_property *p;
        const char *interface, *name;

        if (read_names(m, &interface, &name) != 0)
                return reply_wrong_type(&t->vm, m, "ss");
        i = find_interface(interface, object);
        if (!i)
                return no_interface(t, m, interface);
        p = portal_find_property(interface, name);
        if (!p)
                return no_property(t, m, name);
        return i->local ? reply_local(t, m, p) : ask_gate(t, m, i, p);
}

int property_get_all(struct translator *t, sd_bus_message *m, enum portal_object object) {
        const struct portal_interface *i;
        const char *interface;

        if (read_names(m, &interface, NULL) != 0)
                return reply_wrong_type(&t->vm, m, "s");
        i = find_interface(interface, object);
        if (!i)
                return no_interface(t, m, interface);
        return i->local ? reply_all_local(t, m, i) : ask_gate(t, m, i, NULL);
}

int property_set(struct translator *t, sd_bus_message *m, enum portal_object object) {
        const char *interface, *name;

        if (read_names(m, &interface, &name) != 0)
                return reply_wrong_type(&t->vm, m, "ssv");
        if (!find_interface(interface, object))
                return no_interface(t, m, interface);
        if (!portal_find_property(interface, name))
                return no_property(t, m, name);
        return not_writable(t, m, name);
}

int property_of_object(struct translator *t, sd_bus_message *m, const char *interface,
                       uint32_t version) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        bool all = strcmp(sd_bus_message_get_member(m), "GetAll") == 0;
        bool set = strcmp(sd_bus_message_get_member(m), "Set") == 0;
        const char *asked, *name = NULL;
        int r;

        if (read_names(m, &asked, all ? NULL : &name) != 0)
                return reply_wrong_type(&t->vm, m, all ? "s" : "ss");
        if (strcmp(asked, interface) != 0)
                return no_interface(t, m, asked);
        if (!all && (version == 0 || strcmp(name, "version") != 0))
                return no_property(t, m, name);
        if (set)
                return not_writable(t, m, name);
        r = sd_bus_message_new_method_return(m, &out);
        if (r >= 0 && all)
                r = version ? sd_bus_message_append(out, "a{sv}", 1, "version", "u", version)
                            : sd_bus_message_append(out, "a{sv}", 0);
        else if (r >= 0)
                r = sd_bus_message_append(out, "v", "u", version);
        return r < 0 ? r : bus_source_send(&t->vm, out);
}

/* --- changes ---------------------------------------------------------------------------------- */

/* The as of names whose new values are not said. */
static int copy_invalidated(const char *interface, sd_bus_message *in, sd_bus_message *out) {
        const char *name;
        int r;

        if (sd_bus_message_enter_container(in, 'a', "s") < 0)
                return 1;
        r = sd_bus_message_open_container(out, 'a', "s");
        while (r >= 0 && sd_bus_message_read_basic(in, 's', &name) > 0) {
                const struct portal_property *p = portal_find_property(interface, name);

                if (p && p->changes)
                        r = sd_bus_message_append_basic(out, 's', p->name);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(out);
        return r < 0 ? r : 0;
}

int property_changed(struct translator *t, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        const struct portal_interface *i;
        const char *name;
        int r;

        if (!sd_bus_message_has_signature(m, "sa{sv}as") ||
            sd_bus_message_read_basic(m, 's', &name) <= 0)
                return PORTAL_REBUILD_E_TYPE;
        i = portal_find_interface(name);
        if (!i || i->local)
                return PORTAL_REBUILD_E_VALUE;
        r = sd_bus_message_new_signal(t->vm.bus, &out, portal_path(name), PROPERTIES,
                                      "PropertiesChanged");
        if (r >= 0)
                r = sd_bus_message_append_basic(out, 's', name);
        if (r >= 0)
                r = copy_properties(name, true, m, out);
        if (r == 0)
                r = copy_invalidated(name, m, out);
        return r != 0 ? r : bus_source_send(&t->vm, out);
}
