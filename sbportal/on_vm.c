/* SPDX-License-Identifier: MIT */
/*
 * Messages of the VM's bus: everything that arrives is taken here, by one filter that
 * runs before sd-bus's own answers, so that none of those is ever given: they read
 * files (Peer.GetMachineId: /etc/machine-id), which ends a locked process.
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/portal_table.h"
#include "sbportal/describe.h"
#include "sbportal/handle.h"
#include "sbportal/method.h"
#include "sbportal/object.h"
#include "sbportal/property.h"
#include "sbportal/reply.h"
#include "sbportal/request.h"
#include "sbportal/service.h"
#include "sbportal/session.h"

#define DRIVER      "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

/* RequestName (D-Bus specification). */
#define NAME_FLAG_DO_NOT_QUEUE   4u
#define NAME_REPLY_PRIMARY_OWNER 1u

#define SESSION_VERSION 1u /* of org.freedesktop.portal.Session */

/* --- what every object answers ---------------------------------------------------------------- */

static int on_ping(struct translator *t, sd_bus_message *m, _unused_ const struct object *o) {
        return reply_empty(&t->vm, m);
}

static int on_get_machine_id(struct translator *t, sd_bus_message *m,
                             _unused_ const struct object *o) {
        return reply_string(&t->vm, m, 's', t->machine_id);
}

/* The interface of an object that is no portal, with its version property (0: it has none). */
static int property_of_other(struct translator *t, sd_bus_message *m, const struct object *o) {
        if (o->kind == INTROSPECT_SESSION)
                return property_of_object(t, m, PORTAL_SESSION_IFACE, SESSION_VERSION);
        return property_of_object(
                t, m, o->kind == INTROSPECT_REQUEST ? PORTAL_REQUEST : o->service->interface, 0);
}

static int on_get(struct translator *t, sd_bus_message *m, const struct object *o) {
        return o->kind == INTROSPECT_PORTAL ? property_get(t, m, o->portal)
                                            : property_of_other(t, m, o);
}

static int on_get_all(struct translator *t, sd_bus_message *m, const struct object *o) {
        return o->kind == INTROSPECT_PORTAL ? property_get_all(t, m, o->portal)
                                            : property_of_other(t, m, o);
}

static int on_set(struct translator *t, sd_bus_message *m, const struct object *o) {
        return o->kind == INTROSPECT_PORTAL ? property_set(t, m, o->portal)
                                            : property_of_other(t, m, o);
}

static const struct standard {
        const char *interface, *member, *signature;
        bool anywhere; /* also where no object is, as in GDBus */
        int (*fn)(struct translator *t, sd_bus_message *m, const struct object *o);
} standards[] = {
        {"org.freedesktop.DBus.Peer", "Ping", "", true, on_ping},
        {"org.freedesktop.DBus.Peer", "GetMachineId", "", true, on_get_machine_id},
        {"org.freedesktop.DBus.Introspectable", "Introspect", "", true, describe},
        {"org.freedesktop.DBus.Properties", "Get", "ss", false, on_get},
        {"org.freedesktop.DBus.Properties", "GetAll", "s", false, on_get_all},
        {"org.freedesktop.DBus.Properties", "Set", "ssv", false, on_set},
};

static const struct standard *find_standard(sd_bus_message *m, const struct object *o) {
        for (size_t i = 0; i < ELEMENTSOF(standards); i++) {
                const struct standard *s = &standards[i];

                if (sd_bus_message_is_method_call(m, s->interface, s->member) &&
                    sd_bus_message_has_signature(m, s->signature) &&
                    (s->anywhere || o->kind != INTROSPECT_NODE))
                        return s;
        }
        return NULL;
}

/* --- calls ------------------------------------------------------------------------------------ */

static int call_portal(struct translator *t, sd_bus_message *m) {
        char signature[PORTAL_MAX_SIGNATURE];
        const struct portal_method *method =
                portal_find_method(sd_bus_message_get_interface(m), sd_bus_message_get_member(m));

        if (!method)
                return reply_no_method(&t->vm, m);
        (void)portal_signature(method->args, signature);
        if (!sd_bus_message_has_signature(m, signature))
                return reply_wrong_type(&t->vm, m, signature);
        return method_call(t, m, method);
}

/* Close, of the caller's own request or session. */
static int call_closable(struct translator *t, sd_bus_message *m, const struct object *o) {
        if (o->kind == INTROSPECT_NODE)
                return reply_error(&t->vm, m, SD_BUS_ERROR_ACCESS_DENIED,
                                   "Portal operation not allowed: Unmatched caller");
        if (strcmp(sd_bus_message_get_member(m), "Close") != 0)
                return reply_no_method(&t->vm, m);
        if (!sd_bus_message_has_signature(m, ""))
                return reply_wrong_type(&t->vm, m, "");
        return o->request ? request_close(o->request, m) : session_close(o->session, m);
}

static bool is_portal(const struct object *o, const char *interface) {
        const struct portal_interface *i = portal_find_interface(interface);

        return o->kind == INTROSPECT_PORTAL && i && i->object == o->portal;
}

static int on_call(struct translator *t, sd_bus_message *m) {
        const char *interface = sd_bus_message_get_interface(m);
        struct object o = object_find(t, sd_bus_message_get_path(m), sd_bus_message_get_sender(m));
        const struct standard *s;

        if (interface && is_portal(&o, interface))
                return call_portal(t, m);
        if (interface && o.service && strcmp(interface, o.service->interface) == 0)
                return service_call(t, m, o.service);
        if (interface && ((o.request && strcmp(interface, PORTAL_REQUEST) == 0) ||
                          (o.session && strcmp(interface, PORTAL_SESSION_IFACE) == 0)))
                return call_closable(t, m, &o);
        s = find_standard(m, &o);
        if (s)
                return s->fn(t, m, &o);
        return interface && o.kind != INTROSPECT_NODE ? reply_no_interface(&t->vm, m)
                                                      : reply_no_object(&t->vm, m);
}

/* --- signals ---------------------------------------------------------------------------------- */

/* Our match rule asks for one signal; what else arrives was addressed to us by a guest. */
static int on_signal(struct translator *t, sd_bus_message *m) {
        const char *name, *old_owner, *new_owner;
        int r;

        if (!sd_bus_message_is_signal(m, DRIVER, "NameOwnerChanged") ||
            strcmp(sd_bus_message_get_sender(m), DRIVER) != 0 ||
            !sd_bus_message_has_signature(m, "sss") ||
            sd_bus_message_read(m, "sss", &name, &old_owner, &new_owner) < 0 || *new_owner)
                return 0;
        r = request_client_gone(t, name);
        return r == 0 ? session_client_gone(t, name) : r;
}

/* --- the filter ------------------------------------------------------------------------------- */

static int on_message(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error) {
        struct translator *t = userdata;
        const char *sender = sd_bus_message_get_sender(m);
        uint8_t type = 0;
        int r = 0;

        (void)sd_bus_message_get_type(m, &type);
        if (!sender) { /* no bus leaves it out */
                guest_log_warning(&t->log, "a message without a sender: dropped");
                return 1;
        }
        if (type == SD_BUS_MESSAGE_SIGNAL)
                r = on_signal(t, m);
        else if (type == SD_BUS_MESSAGE_METHOD_CALL && handle_sender_is_valid(sender))
                r = on_call(t, m);
        return r < 0 ? translator_fail(t, r, "cannot handle a message of the VM's bus") : 1;
}

static int on_match_added(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error) {
        struct translator *t = userdata;

        if (!sd_bus_message_is_method_error(m, NULL))
                return 1;
        return translator_fail(t, -sd_bus_message_get_errno(m),
                               "the VM's bus refused a match rule");
}

/* Who has no portal is of no use; the others may be somebody else's on a bus of the guest's own. */
static const struct name {
        const char *name;
        bool required;
} names[] = {
        {PORTAL_BUS_NAME, true},
        {DOCUMENTS_BUS_NAME, false},
        {"org.freedesktop.Notifications", false},
        {"org.freedesktop.ScreenSaver", false},
};

static int ask_name(struct translator *t);

/* To ask_name(): one at a time, so that it is known which one it is. */
static int on_name(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error) {
        struct translator *t = userdata;
        const struct name *n = &names[t->names_asked - 1];
        bool refused = sd_bus_message_is_method_error(m, NULL);
        uint32_t reply = 0;
        int r;

        if (!refused)
                (void)sd_bus_message_read_basic(m, 'u', &reply);
        if (reply != NAME_REPLY_PRIMARY_OWNER && n->required)
                return refused ? translator_fail(t, -sd_bus_message_get_errno(m),
                                                 "the VM's bus refused the name " PORTAL_BUS_NAME)
                               : translator_fail(t, -EEXIST, "somebody else owns " PORTAL_BUS_NAME);
        if (reply != NAME_REPLY_PRIMARY_OWNER)
                log_info("%s on the VM's bus is not ours: left to its owner", n->name);
        r = ask_name(t);
        return r < 0 ? translator_fail(t, r, "cannot ask for a name") : 1;
}

static int ask_name(struct translator *t) {
        int r;

        if (t->names_asked == ELEMENTSOF(names)) {
                t->names_settled = true;
                return 0;
        }
        r = sd_bus_call_method_async(t->vm.bus, NULL, DRIVER, DRIVER_PATH, DRIVER, "RequestName",
                                     on_name, t, "su", names[t->names_asked++].name,
                                     NAME_FLAG_DO_NOT_QUEUE);
        return r < 0 ? r : 0;
}

int on_vm_attach(struct translator *t) {
        int r;

        r = sd_bus_add_filter(t->vm.bus, NULL, on_message, t);
        if (r >= 0) /* clients that leave: names that end with no new owner */
                r = sd_bus_call_method_async(t->vm.bus, NULL, DRIVER, DRIVER_PATH, DRIVER,
                                             "AddMatch", on_match_added, t, "s",
                                             "type='signal',sender='" DRIVER "',path='" DRIVER_PATH
                                             "',interface='" DRIVER
                                             "',member='NameOwnerChanged',arg2=''");
        return r < 0 ? r : ask_name(t);
}
