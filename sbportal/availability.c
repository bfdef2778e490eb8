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

int availability_init(struct availability *a) {
        *a = (struct availability){.versions = calloc(portal_n_interfaces, sizeof(*a->versions))};
        if (!a->versions)
                return -ENOMEM;
        for (size_t i = 0; i < portal_n_interfaces; i++)
                if (portal_interfaces[i].local)
                        a->versions[i] = portal_interfaces[i].version;
        return 0;
}

void availability_done(struct availability *a) {
        a->slot = sd_bus_slot_unref(a->slot);
        free(TAKE_PTR(a->versions));
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

static int ask_from(struct translator *t, size_t i);

static int on_answer(sd_bus_message *answer, void *userdata, _unused_ sd_bus_error *error) {
        struct translator *t = userdata;
        struct availability *a = &t->availability;
        int r;

        a->slot = sd_bus_slot_unref(a->slot);
        a->versions[a->asked] = version_of(&portal_interfaces[a->asked], answer, &a->failed);
        r = ask_from(t, a->asked + 1);
        return r < 0 ? translator_fail(t, r, "cannot learn what there is") : 1;
}

static int ask(struct translator *t, size_t i) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(t->gate.bus, &m, NULL, PORTAL_PATH, PROPERTIES,
                                           "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", portal_interfaces[i].name);
        if (r < 0)
                return r;
        t->availability.asked = i;
        r = bus_source_call(&t->gate, &t->availability.slot, m, on_answer, t);
        return r < 0 ? r : 0; /* of a gate that is gone, nobody waits for an answer */
}

/* The next one from i on, or it is all known. */
static int ask_from(struct translator *t, size_t i) {
        while (i < portal_n_interfaces && portal_interfaces[i].local)
                i++;
        if (i < portal_n_interfaces)
                return ask(t, i);
        t->availability.known = !t->availability.failed;
        return describe_waiting(t);
}

int availability_learn(struct translator *t) {
        if (t->availability.slot)
                return 0;
        t->availability.failed = false;
        return ask_from(t, 0);
}

int availability_forget(struct translator *t) {
        struct availability *a = &t->availability;
        bool waited_for = a->slot;

        a->slot = sd_bus_slot_unref(a->slot);
        a->known = false;
        return waited_for ? availability_learn(t) : 0;
}
