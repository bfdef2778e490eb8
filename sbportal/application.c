/* SPDX-License-Identifier: MIT */
#include "sbportal/application.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "sbportal/translator.h"

#define INTERFACE "org.freedesktop.Application"
#define PREFIX    "app."

#define DRIVER      "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

/* A press of a button, until it is known which names of the bus are its client's. */
struct press {
        struct translator *t;
        char *client;
        sd_bus_message *signal;
        sd_bus_message *names; /* of the bus, being read: those behind are to be asked about */
        unsigned n_ref;        /* slots that may still call back, and who makes them */
        unsigned pending;      /* answers that are to come */
        bool sent;
};

static void press_unref(void *userdata) {
        struct press *p = userdata;

        if (--p->n_ref > 0)
                return;
        p->t->presses--;
        sd_bus_message_unref(p->signal);
        sd_bus_message_unref(p->names);
        free(p->client);
        free(p);
}

static void press_unrefp(struct press **p) {
        if (*p)
                press_unref(*p);
}

static int press_new(struct translator *t, const char *client, sd_bus_message *signal,
                     struct press **ret) {
        struct press *p = calloc(1, sizeof(*p));
        char *copy = strdup(client);

        if (!p || !copy) {
                free(p);
                free(copy);
                return -ENOMEM;
        }
        *p = (struct press){
                .t = t, .n_ref = 1, .client = copy, .signal = sd_bus_message_ref(signal)};
        t->presses++;
        *ret = p;
        return 0;
}

/* --- the call --------------------------------------------------------------------------------- */

bool application_has_action(const char *action) {
        return strncmp(action, PREFIX, strlen(PREFIX)) == 0;
}

char *application_path(const char *name) {
        size_t n = strlen(name);
        char *path = malloc(n + 2);

        if (!path)
                return NULL;
        path[0] = '/';
        for (size_t i = 0; i <= n; i++)
                path[i + 1] = name[i] == '.' ? '/' : name[i] == '-' ? '_' : name[i];
        return path;
}

/*
 * The action's target is the first of the signal's parameters, if it has one; the host's "platform
 * data", an a{sv}, is no target, and what is left of it without its activation token is empty.
 */
static int copy_target(sd_bus_message *signal, sd_bus_message *out) {
        const char *contents;
        bool is_empty = false;
        char type;
        int r = sd_bus_message_peek_type(signal, &type, &contents);

        if (r <= 0)
                return r;
        if (strcmp(contents, "a{sv}") == 0) {
                r = sd_bus_message_enter_container(signal, 'v', contents);
                if (r >= 0)
                        r = sd_bus_message_enter_container(signal, 'a', "{sv}");
                if (r >= 0)
                        r = sd_bus_message_at_end(signal, false);
                if (r < 0)
                        return r;
                is_empty = r > 0;
                r = sd_bus_message_rewind(signal, true);
                if (r >= 0)
                        r = sd_bus_message_skip(signal, "ss");
                if (r >= 0)
                        r = sd_bus_message_enter_container(signal, 'a', "v");
        }
        return r < 0 || is_empty ? r : sd_bus_message_copy(out, signal, false);
}

static int append_call(sd_bus_message *signal, sd_bus_message *out) {
        const char *action;
        int r = sd_bus_message_rewind(signal, true);

        if (r >= 0)
                r = sd_bus_message_read(signal, "ss", NULL, &action);
        if (r >= 0)
                r = sd_bus_message_append_basic(out, 's', action + strlen(PREFIX));
        if (r >= 0)
                r = sd_bus_message_enter_container(signal, 'a', "v");
        if (r >= 0)
                r = sd_bus_message_open_container(out, 'a', "v");
        if (r >= 0)
                r = copy_target(signal, out);
        if (r >= 0)
                r = sd_bus_message_close_container(out);
        return r < 0 ? r : sd_bus_message_append(out, "a{sv}", 0);
}

static int activate(struct press *p, const char *name) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *path = application_path(name);
        int r = path ? sd_bus_message_new_method_call(p->t->vm.bus, &m, p->client, path, INTERFACE,
                                                      "ActivateAction")
                     : -ENOMEM;

        if (r >= 0)
                r = append_call(p->signal, m);
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, false);
        if (r < 0)
                return r;
        p->sent = true;
        return bus_source_send(&p->t->vm, m);
}

/* --- whose names ------------------------------------------------------------------------------ */

static int ask(struct press *p, const char *member, const char *name, sd_bus_message_handler_t fn) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        int r = sd_bus_message_new_method_call(p->t->vm.bus, &m, DRIVER, DRIVER_PATH, DRIVER,
                                               member);

        if (r >= 0 && name)
                r = sd_bus_message_append_basic(m, 's', name);
        if (r >= 0)
                r = bus_source_call(&p->t->vm, &slot, m, fn, p);
        if (r != 0)
                return r;
        r = sd_bus_slot_set_description(slot, name);
        if (r >= 0)
                r = sd_bus_slot_set_destroy_callback(slot, press_unref);
        if (r < 0)
                return r;
        p->n_ref++;
        p->pending++;
        return sd_bus_slot_set_floating(slot, true);
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* Of the next names; after the last answer: a client without a name has nothing but the signal. */
static int go_on(struct press *p) {
        const char *name;
        int r = 0;

        while (r >= 0 && p->names && p->pending < LIMIT_PRESS_NAMES &&
               sd_bus_message_read_basic(p->names, 's', &name) > 0)
                if (*name != ':' && strcmp(name, DRIVER) != 0)
                        r = ask(p, "GetNameOwner", name, on_owner);
        if (r < 0 || p->pending > 0 || p->sent)
                return r;
        p->sent = true;
        return bus_source_send(&p->t->vm, p->signal);
}

static int answered(struct press *p, int r) {
        p->pending--;
        if (r >= 0)
                r = go_on(p);
        return r < 0 ? translator_fail(p->t, r, "cannot tell a program of its button") : 1;
}

/* The name that was asked for is its slot's description. */
static int on_owner(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error) {
        sd_bus_slot *slot = sd_bus_get_current_slot(sd_bus_message_get_bus(m));
        const char *owner, *name;
        struct press *p = userdata;
        int r = sd_bus_slot_get_description(slot, &name);

        if (r >= 0 && !sd_bus_message_is_method_error(m, NULL) &&
            sd_bus_message_read_basic(m, 's', &owner) > 0 && strcmp(owner, p->client) == 0)
                r = activate(p, name);
        return answered(p, r);
}

static int on_names(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error) {
        struct press *p = userdata;
        int r = 0;

        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_has_signature(m, "as")) {
                p->names = sd_bus_message_ref(m);
                r = sd_bus_message_enter_container(m, 'a', "s");
        }
        return answered(p, r);
}

int application_invoke(struct translator *t, const char *client, sd_bus_message *signal) {
        _cleanup_(press_unrefp) struct press *p = NULL;
        int r;

        if (t->presses >= LIMIT_PRESSES)
                return bus_source_send(&t->vm, signal);
        r = press_new(t, client, signal, &p);
        if (r == 0)
                r = ask(p, "ListNames", NULL, on_names);
        return r < 0 ? r : 0; /* a bus that is gone has no clients */
}
