/* SPDX-License-Identifier: MIT */
#include "sbportal/property.h"

#include <errno.h>
#include <string.h>

#include "sbportal/call.h"
#include "sbportal/reply.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"

static int no_interface(struct translator *t, sd_bus_message *m, const char *interface) {
        return reply_error(&t->vm, m, SD_BUS_ERROR_INVALID_ARGS, "No such interface “%s”",
                           interface);
}

static int no_property(struct translator *t, sd_bus_message *m, const char *name) {
        return reply_error(&t->vm, m, SD_BUS_ERROR_INVALID_ARGS, "No such property “%s”", name);
}

/* Copies the variant in stands at if it holds type: 0, 1 when it does not, or a negative errno. */
static int copy_variant(sd_bus_message *in, sd_bus_message *out, const char *type) {
        const char *contents;
        char c;
        int r = sd_bus_message_peek_type(in, &c, &contents);

        if (r <= 0 || c != 'v' || strcmp(contents, type) != 0)
                return 1;
        r = sd_bus_message_copy(out, in, false);
        return r < 0 ? r : 0;
}

static int on_get_answer(struct call *take_c, sd_bus_message *answer) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        _cleanup_(call_freep) struct call *c = take_c;
        int r;

        if (sd_bus_message_is_method_error(answer, NULL))
                return call_reply_gate_error(c, answer);
        r = sd_bus_message_new_method_return(c->message, &out);
        if (r < 0)
                return r;
        if (!sd_bus_message_has_signature(answer, "v"))
                return call_reply_gate_broken(c);
        r = copy_variant(answer, out, c->property->type);
        if (r > 0)
                return call_reply_gate_broken(c);
        return r < 0 ? r : bus_source_send(&c->t->vm, out);
}

/* One {sv} of the gate's answer; properties that are not in the table are left out. */
static int copy_entry(struct call *c, sd_bus_message *in, sd_bus_message *out) {
        const struct portal_property *p;
        const char *name;
        int r;

        if (sd_bus_message_read_basic(in, 's', &name) <= 0)
                return 1;
        p = portal_find_property(c->interface->name, name);
        if (!p)
                return sd_bus_message_skip(in, "v") < 0;
        r = sd_bus_message_open_container(out, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(out, 's', name);
        if (r >= 0)
                r = copy_variant(in, out, p->type);
        if (r != 0)
                return r;
        r = sd_bus_message_close_container(out);
        return r < 0 ? r : 0;
}

static int copy_properties(struct call *c, sd_bus_message *in, sd_bus_message *out) {
        int r;

        if (!sd_bus_message_has_signature(in, "a{sv}") ||
            sd_bus_message_enter_container(in, 'a', "{sv}") < 0)
                return 1;
        r = sd_bus_message_open_container(out, 'a', "{sv}");
        if (r < 0)
                return r;
        while (sd_bus_message_enter_container(in, 'e', "sv") > 0) {
                r = copy_entry(c, in, out);
                if (r != 0)
                        return r;
                if (sd_bus_message_exit_container(in) < 0)
                        return 1;
        }
        r = sd_bus_message_close_container(out);
        return r < 0 ? r : 0;
}

static int on_get_all_answer(struct call *take_c, sd_bus_message *answer) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        _cleanup_(call_freep) struct call *c = take_c;
        int r;

        if (sd_bus_message_is_method_error(answer, NULL))
                return call_reply_gate_error(c, answer);
        r = sd_bus_message_new_method_return(c->message, &out);
        if (r < 0)
                return r;
        r = copy_properties(c, answer, out);
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

        r = call_new(t, m, &c);
        if (r == CALL_E_LIMIT)
                return reply_error(&t->vm, m, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                   "Too many calls are waiting for their answers");
        if (r < 0)
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

int property_get(struct translator *t, sd_bus_message *m) {
        const struct portal_interface *i;
        const struct portal_property *p;
        const char *interface, *name;

        if (read_names(m, &interface, &name) != 0)
                return reply_wrong_type(&t->vm, m, "ss");
        i = portal_find_interface(interface);
        if (!i)
                return no_interface(t, m, interface);
        p = portal_find_property(interface, name);
        return p ? ask_gate(t, m, i, p) : no_property(t, m, name);
}

int property_get_all(struct translator *t, sd_bus_message *m) {
        const struct portal_interface *i;
        const char *interface;

        if (read_names(m, &interface, NULL) != 0)
                return reply_wrong_type(&t->vm, m, "s");
        i = portal_find_interface(interface);
        return i ? ask_gate(t, m, i, NULL) : no_interface(t, m, interface);
}

int property_set(struct translator *t, sd_bus_message *m) {
        const char *interface, *name;

        if (read_names(m, &interface, &name) != 0)
                return reply_wrong_type(&t->vm, m, "ssv");
        if (!portal_find_interface(interface))
                return no_interface(t, m, interface);
        if (!portal_find_property(interface, name))
                return no_property(t, m, name);
        return reply_error(&t->vm, m, SD_BUS_ERROR_INVALID_ARGS, "Property “%s” is not writable",
                           name);
}

int property_of_request(struct translator *t, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        bool all = strcmp(sd_bus_message_get_member(m), "GetAll") == 0;
        const char *interface, *name = NULL;
        int r;

        if (read_names(m, &interface, all ? NULL : &name) != 0)
                return reply_wrong_type(&t->vm, m, all ? "s" : "ss");
        if (strcmp(interface, PORTAL_REQUEST) != 0)
                return no_interface(t, m, interface);
        if (!all)
                return no_property(t, m, name);
        r = sd_bus_message_new_method_return(m, &out);
        if (r >= 0)
                r = sd_bus_message_append(out, "a{sv}", 0);
        return r < 0 ? r : bus_source_send(&t->vm, out);
}
