/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/portal_table.h"

#define REGISTRY "org.freedesktop.host.portal.Registry"

/* GLib, in xdg-desktop-portal, hears of a new .desktop file from inotify, within milliseconds. */
#define NOTICE_TRIES    20
#define NOTICE_PAUSE_NS 100000000

#define SHARED "what the person decides about it goes for all programs without an application id"

enum {
        REGISTER_E_ABSENT = 1, /* this portal has no Registry */
        REGISTER_E_REFUSED,    /* it does not take the id, not yet at least */
        REGISTER_E_FAILED,     /* no word of the portal at all */
};

/* --- the Registry ---------------------------------------------------------------------------- */

static int set_told(struct identity *i, const char *owner) {
        char *s = strdup(owner ?: "");

        if (!s)
                return -ENOMEM;
        free(i->told);
        i->told = s;
        return 0;
}

static int new_register(sd_bus *bus, const char *app_id, sd_bus_message **ret) {
        int r = sd_bus_message_new_method_call(bus, ret, PORTAL_BUS_NAME, PORTAL_PATH, REGISTRY,
                                               "Register");

        return r < 0 ? r : sd_bus_message_append(*ret, "sa{sv}", app_id, 0);
}

static int register_failure(const sd_bus_error *e) {
        static const struct {
                const char *prefix;
                int result;
        } rows[] = {
                {SD_BUS_ERROR_UNKNOWN_METHOD, REGISTER_E_ABSENT},
                {SD_BUS_ERROR_UNKNOWN_INTERFACE, REGISTER_E_ABSENT},
                {SD_BUS_ERROR_UNKNOWN_OBJECT, REGISTER_E_ABSENT},
                {"org.freedesktop.portal.Error.", REGISTER_E_REFUSED},
        };

        for (size_t k = 0; k < ELEMENTSOF(rows); k++)
                if (e->name && strncmp(e->name, rows[k].prefix, strlen(rows[k].prefix)) == 0)
                        return rows[k].result;
        return REGISTER_E_FAILED;
}

/* As the first portal call of the connection. */
static int register_first(struct identity *i, sd_bus *bus, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r = new_register(bus, i->app_id, &m);

        if (r < 0)
                return r;
        r = sd_bus_call(bus, m, 0, error, &reply);
        return r < 0 ? register_failure(error) : set_told(i, sd_bus_message_get_sender(reply));
}

/* A portal that refused may have made up its mind about that connection: each try has its own. */
static int register_soon(struct identity *i, sd_bus **bus, sd_bus_error *error) {
        const struct timespec pause = {.tv_nsec = NOTICE_PAUSE_NS};
        int r = register_first(i, *bus, error);

        for (unsigned k = 0; k < NOTICE_TRIES && r == REGISTER_E_REFUSED; k++) {
                (void)nanosleep(&pause, NULL);
                *bus = sd_bus_flush_close_unref(*bus);
                r = sd_bus_open_user_with_description(bus, "session");
                if (r < 0)
                        return r;
                sd_bus_error_free(error);
                r = register_first(i, *bus, error);
        }
        return r;
}

static int on_register_reply(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        const char *sender = sd_bus_message_get_sender(m) ?: "";
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct identity *i = userdata;

        i->slot = sd_bus_slot_unref(i->slot);
        if (e && sender[0] == ':') /* else it is the bus's: there was no portal to hear it */
                log_warning("the host's portal does not know this VM as %s any more (%s): " SHARED,
                            i->app_id, ESCAPED(e->message ?: e->name));
        /* Told is told, whatever it said: it will say the same as long as it runs. */
        return set_told(i, sender);
}

void identity_introduce(struct identity *i, sd_bus *bus, const char *owner) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (!i->registers || i->slot || (owner && strcmp(owner, i->told) == 0))
                return;
        r = new_register(bus, i->app_id, &m);
        if (r >= 0)
                r = sd_bus_call_async(bus, &i->slot, m, on_register_reply, i, 0);
        if (r < 0)
                (void)log_warning_errno(r, "cannot tell the host's portal the VM's application id");
}

void identity_lost(struct identity *i) {
        i->slot = sd_bus_slot_unref(i->slot);
}

/* --- the connection -------------------------------------------------------------------------- */

/* Speaks D-Bus on a connected socket, as a client of the bus behind it. */
static int adopt(int take_fd, sd_bus **ret) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_close_ int fd = take_fd;
        int r = sd_bus_new(&bus);

        if (r >= 0)
                r = sd_bus_set_description(bus, "session");
        if (r >= 0)
                r = sd_bus_set_fd(bus, fd, fd);
        if (r >= 0)
                fd = -1; /* the bus closes it from here on */
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static int connect_apart(struct identity *i, sd_bus **bus) {
        sd_bus *apart = NULL;
        int fd, r = connector_open(&i->connector, *bus, i->app_id, &fd);

        if (r == 0)
                r = adopt(fd, &apart);
        if (r != 0)
                return r;
        sd_bus_flush_close_unref(*bus);
        *bus = apart;
        return 0;
}

/* For a portal without a Registry. */
static int acquire_by_unit(struct identity *i, sd_bus **bus) {
        static const char *const why[] = {
                [CONNECTOR_E_BUS] = "a session bus on a unix socket",
                [CONNECTOR_E_MANAGER] = "a systemd user manager on the session bus",
        };
        int r = connect_apart(i, bus);

        if (r == 0)
                log_info("the host's portal sees this VM as %s, by its scope", i->app_id);
        else if (r > 0)
                log_warning("without %s, xdg-desktop-portal before 1.19.4 does not know this VM as %s: "
                            SHARED, why[r], i->app_id);
        return r > 0 ? 0 : r;
}

int identity_acquire(struct identity *i, const char *app_id, sd_bus **bus) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        *i = (struct identity){.app_id = app_id, .connector = {.pidfd = -1, .hold = -1}};
        r = register_soon(i, bus, &error);
        if (r == 0) {
                i->registers = true;
                log_info("the host's portal knows this VM as %s", app_id);
        } else if (r == REGISTER_E_ABSENT) {
                r = acquire_by_unit(i, bus);
        } else if (r > 0) {
                log_warning("the host's portal does not take %s (%s): " SHARED, app_id,
                            ESCAPED(error.message ?: "no reason given"));
                r = 0;
        }
        return r < 0 ? log_error_errno(r, "cannot reach your session bus as %s", app_id) : 0;
}

void identity_done(struct identity *i) {
        i->slot = sd_bus_slot_unref(i->slot);
        connector_close(&i->connector);
        free(i->told);
        *i = (struct identity){.connector = {.pidfd = -1, .hold = -1}};
}
