/* SPDX-License-Identifier: MIT */
#include "sbportal/availability.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/portal_table.h"
#include "sbportal/describe.h"
#include "sbportal/translator.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"

int availability_init(struct availability *a, struct translator *t) {
        *a = (struct availability){.rows = calloc(portal_n_interfaces, sizeof(*a->rows))};
        if (!a->rows)
                return -ENOMEM;
        for (size_t i = 0; i < portal_n_interfaces; i++) {
                a->rows[i].t = t;
                if (portal_interfaces[i].local)
                        a->rows[i].version = portal_interfaces[i].version;
        }
        return 0;
}

static void stop(struct availability *a) {
        for (size_t i = 0; a->rows && i < portal_n_interfaces; i++)
                a->rows[i].slot = sd_bus_slot_unref(a->rows[i].slot);
        a->pending = 0;
}

void availability_done(struct availability *a) {
        stop(a);
        free(TAKE_PTR(a->rows));
}

uint32_t availability_version(const struct availability *a, const char *interface) {
        const struct portal_interface *i = portal_find_interface(interface);

        return i ? a->rows[i - portal_interfaces].version : 0;
}

/* "version" in the answer to GetAll; 0: there is none. */
static uint32_t read_version(sd_bus_message *answer) {
        uint32_t version = 0;
        const char *name;

        if (!sd_bus_message_has_signature(answer, "a{sv}") ||
            sd_bus_message_enter_container(answer, 'a', "{sv}") < 0)
                return 0;
        while (sd_bus_message_enter_container(answer, 'e', "sv") > 0 &&
               sd_bus_message_read_basic(answer, 's', &name) > 0) {
                if (strcmp(name, "version") == 0)
                        return sd_bus_message_read(answer, "v", "u", &version) > 0 ? version : 0;
                if (sd_bus_message_skip(answer, "v") < 0 ||
                    sd_bus_message_exit_container(answer) < 0)
                        break;
        }
        return 0;
}

/* What the host has of i, by its answer. */
static uint32_t version_of(const struct portal_interface *i, sd_bus_message *answer, bool *failed) {
        const sd_bus_error *e = sd_bus_message_get_error(answer);
        uint32_t version;

        if (e) {
                *failed |= strcmp(e->name, SD_BUS_ERROR_UNKNOWN_INTERFACE) != 0;
                return 0;
        }
        version = i->no_version ? i->version : read_version(answer);
        return version < i->version ? version : i->version;
}

static int on_answer(sd_bus_message *answer, void *userdata, _unused_ sd_bus_error *error) {
        struct availability_row *row = userdata;
        struct translator *t = row->t;
        struct availability *a = &t->availability;
        int r;

        row->slot = sd_bus_slot_unref(row->slot);
        row->version = version_of(&portal_interfaces[row - a->rows], answer, &a->failed);
        if (--a->pending > 0)
                return 1;
        a->known = !a->failed;
        r = describe_waiting(t);
        return r < 0 ? translator_fail(t, r, "cannot tell a guest what there is") : 1;
}

static int ask(struct translator *t, size_t i) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        struct availability_row *row = &t->availability.rows[i];
        int r;

        r = sd_bus_message_new_method_call(t->gate.bus, &m, NULL, PORTAL_PATH, PROPERTIES,
                                           "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", portal_interfaces[i].name);
        if (r >= 0)
                r = bus_source_call(&t->gate, &row->slot, m, on_answer, row);
        if (r == 0)
                t->availability.pending++;
        return r < 0 ? r : 0; /* of a gate that is gone, nobody waits for an answer */
}

int availability_learn(struct translator *t) {
        struct availability *a = &t->availability;
        int r = 0;

        if (a->pending > 0)
                return 0;
        a->failed = false;
        for (size_t i = 0; i < portal_n_interfaces && r == 0; i++)
                if (!portal_interfaces[i].local)
                        r = ask(t, i);
        return r;
}

int availability_forget(struct translator *t) {
        struct availability *a = &t->availability;
        bool waited_for = a->pending > 0;

        stop(a);
        a->known = false;
        return waited_for ? availability_learn(t) : 0;
}
