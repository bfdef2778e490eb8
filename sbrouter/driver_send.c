/* SPDX-License-Identifier: MIT */
#include "sbrouter/driver_send.h"

#include <assert.h>
#include <errno.h>

#include "sbrouter/route.h"
#include "sbrouter/router.h"

struct marshalled {
        char *data;
        int n;
};

static void marshalled_done(struct marshalled *m) {
        dbus_free(m->data);
}

int driver_prepare(void) {
        _cleanup_(dbus_message_unrefp) DBusMessage *m = NULL, *copy = NULL;
        _cleanup_(marshalled_done) struct marshalled out = {0};

        m = dbus_message_new_method_call(DRIVER_NAME, DRIVER_PATH, DBUS_INTERFACE_DBUS, "Hello");
        if (!m)
                return -ENOMEM;
        dbus_message_set_serial(m, 1);
        if (!dbus_message_marshal(m, &out.data, &out.n))
                return -ENOMEM;
        copy = dbus_message_demarshal(out.data, out.n, NULL);
        return copy ? 0 : -ENOMEM;
}

/* What the driver says to one client, those who watch may see. */
static int show(struct router *r, const struct marshalled *out) {
        struct message m;
        int v;

        if (list_empty(&r->watchers))
                return 0;
        v = message_parse(out->data, (size_t)out->n, &m);
        assert(v == 0);
        return route_to_watchers(r, NULL, &m, NULL, NULL);
}

int driver_send(struct router *r, struct connection *c, DBusMessage *message) {
        _cleanup_(marshalled_done) struct marshalled out = {0};
        struct packet p = {0};
        int v;

        if (c->dead)
                return 0;
        if (++c->serial == 0)
                c->serial = 1;
        dbus_message_set_serial(message, c->serial);
        dbus_message_set_no_reply(message, TRUE);
        if (!dbus_message_set_sender(message, DRIVER_NAME) ||
            (c->n_name > 0 && !dbus_message_set_destination(message, c->name)) ||
            !dbus_message_marshal(message, &out.data, &out.n))
                return -ENOMEM;
        p.header = out.data;
        p.n_header = (size_t)out.n;
        v = connection_send(c, &p);
        if (v == CONNECTION_E_FULL)
                connection_breach(c, "it does not read what the bus tells it");
        return v < 0 ? v : show(r, &out);
}

int driver_error(struct router *r, struct connection *c, uint32_t serial, const char *error,
                 const char *text) {
        _cleanup_(dbus_message_unrefp) DBusMessage *m = dbus_message_new(DBUS_MESSAGE_TYPE_ERROR);

        /* libdbus ends the process over a string that is not UTF-8, and guests' words are in this. */
        if (!dbus_validate_utf8(text, NULL))
                text = error;
        if (!m || !dbus_message_set_reply_serial(m, serial) ||
            !dbus_message_set_error_name(m, error) ||
            !dbus_message_append_args(m, DBUS_TYPE_STRING, &text, DBUS_TYPE_INVALID))
                return -ENOMEM;
        return driver_send(r, c, m);
}

static int send_name_signal(struct router *r, struct connection *c, const char *member,
                            const char *name) {
        _cleanup_(dbus_message_unrefp) DBusMessage *m = NULL;

        m = dbus_message_new_signal(DRIVER_PATH, DBUS_INTERFACE_DBUS, member);
        if (!m || !dbus_message_append_args(m, DBUS_TYPE_STRING, &name, DBUS_TYPE_INVALID))
                return -ENOMEM;
        return driver_send(r, c, m);
}

int driver_name_lost(struct router *r, struct connection *c, const char *name) {
        return send_name_signal(r, c, "NameLost", name);
}

int driver_name_acquired(struct router *r, struct connection *c, const char *name) {
        return send_name_signal(r, c, "NameAcquired", name);
}

/* A signal of the driver's takes the way of all signals: parsed, stamped, matched. */
static int broadcast(struct router *r, DBusMessage *message) {
        _cleanup_(marshalled_done) struct marshalled out = {0};
        struct message m;
        int v;

        if (++r->serial == 0)
                r->serial = 1;
        dbus_message_set_serial(message, r->serial);
        dbus_message_set_no_reply(message, TRUE);
        if (!dbus_message_marshal(message, &out.data, &out.n))
                return -ENOMEM;
        v = message_parse(out.data, (size_t)out.n, &m);
        assert(v == 0);
        v = route_to_watchers(r, NULL, &m, NULL, NULL);
        return v < 0 ? v : route_broadcast(r, NULL, &m, NULL, NULL);
}

int driver_name_owner_changed(struct router *r, const char *name, const struct connection *before,
                              const struct connection *after) {
        _cleanup_(dbus_message_unrefp) DBusMessage *m = NULL;
        const char *old = before ? before->name : "", *new = after ? after->name : "";

        m = dbus_message_new_signal(DRIVER_PATH, DBUS_INTERFACE_DBUS, "NameOwnerChanged");
        if (!m || !dbus_message_append_args(m, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &old,
                                            DBUS_TYPE_STRING, &new, DBUS_TYPE_INVALID))
                return -ENOMEM;
        return broadcast(r, m);
}

int driver_activatable_changed(struct router *r) {
        _cleanup_(dbus_message_unrefp) DBusMessage *m = NULL;

        m = dbus_message_new_signal(DRIVER_PATH, DBUS_INTERFACE_DBUS, "ActivatableServicesChanged");
        return m ? broadcast(r, m) : -ENOMEM;
}
