/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/portal_table.h"
#include "sbsupervisor/child_exit.h"

#define DRIVER      "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

/* Starting xdg-desktop-portal also starts its backend, which may start a desktop's own service. */
#define START_SECONDS 60

static int set_owner(char **owner, const char *name) {
        char *s = *name ? strdup(name) : NULL;

        if (*name && !s)
                return -ENOMEM;
        free(*owner);
        *owner = s;
        return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        const char *sender = sd_bus_message_get_sender(m), *name, *before, *after;
        struct host *h = userdata;
        int r;

        if (!sender || strcmp(sender, DRIVER) != 0)
                return 0; /* only the driver's word counts */
        r = sd_bus_message_read(m, "sss", &name, &before, &after);
        if (r >= 0 && strcmp(name, DOCUMENTS_BUS_NAME) == 0)
                return set_owner(&h->documents_owner, after);
        if (r < 0 || strcmp(name, PORTAL_BUS_NAME) != 0)
                return 0;
        r = set_owner(&h->owner, after);
        if (r < 0)
                return r;
        log_info("%s %s", PORTAL_BUS_NAME, *after ? "has a new owner" : "has left the session bus");
        if (*before) {
                identity_lost(&h->identity);
                if (h->listener.on_lost)
                        h->listener.on_lost(h->listener.userdata);
        }
        if (*after) {
                /* Not every call is made by host_new_call(): some are on a request's own path. */
                identity_introduce(&h->identity, h->bus, h->owner);
                if (h->listener.on_found)
                        h->listener.on_found(h->listener.userdata);
        }
        return 0;
}

static int on_portal_signal(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        const char *sender = sd_bus_message_get_sender(m);
        const char *to = sd_bus_message_get_destination(m), *self;
        struct host *h = userdata;

        if (!h->owner || !sender || strcmp(sender, h->owner) != 0) {
                log_debug("signal from %s, which is not the portal: ignored", sender ?: "nobody");
                return 0;
        }
        if (!to && h->listener.on_broadcast)
                h->listener.on_broadcast(h->listener.userdata, m);
        if (sd_bus_get_unique_name(h->bus, &self) < 0 || !to || strcmp(to, self) != 0)
                return 0;
        if (h->listener.on_signal)
                h->listener.on_signal(h->listener.userdata, m);
        return 0;
}

static int on_disconnected(sd_bus_message *m _unused_, void *userdata,
                           sd_bus_error *error _unused_) {
        struct host *h = userdata;

        log_error("your session bus is gone");
        if (h->listener.on_disconnected)
                h->listener.on_disconnected(h->listener.userdata);
        return 0;
}

static int get_owner(struct host *h, const char *name, char **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *owner;
        int r = sd_bus_call_method(h->bus, DRIVER, DRIVER_PATH, DRIVER, "GetNameOwner", &error,
                                   &reply, "s", name);

        if (r < 0)
                return sd_bus_error_has_name(&error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ? -ENXIO : r;
        r = sd_bus_message_read_basic(reply, 's', &owner);
        return r < 0 ? r : set_owner(ret, owner);
}

static int start_portal(struct host *h) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_message_new_method_call(h->bus, &m, DRIVER, DRIVER_PATH, DRIVER,
                                               "StartServiceByName");

        if (r >= 0)
                r = sd_bus_message_append(m, "su", PORTAL_BUS_NAME, 0);
        if (r >= 0)
                r = sd_bus_call(h->bus, m, START_SECONDS * 1000000ull, &error, NULL);
        if (r < 0 && (r == -ETIMEDOUT || sd_bus_error_get_errno(&error) == ETIMEDOUT)) {
                log_error("xdg-desktop-portal does not answer (%s): the journal has what it and "
                          "its backend say; a session without a display cannot have a backend: "
                          "start sidebus once the display is there",
                          ESCAPED(error.message ?: strerror(-r)));
                return -ETIMEDOUT;
        }
        if (r < 0) {
                log_error("xdg-desktop-portal is neither running nor can the session bus start it "
                          "(%s): "
                          "install xdg-desktop-portal and your desktop's backend, such as "
                          "xdg-desktop-portal-gtk",
                          ESCAPED(error.message ?: strerror(-r)));
                return -ENOENT;
        }
        return 0;
}

static int find_portal(struct host *h) {
        int r = get_owner(h, PORTAL_BUS_NAME, &h->owner);

        if (r == -ENXIO) {
                r = start_portal(h);
                if (r < 0)
                        return r;
                r = get_owner(h, PORTAL_BUS_NAME, &h->owner);
        }
        return r < 0 ? log_error_errno(r, "cannot find " PORTAL_BUS_NAME) : 0;
}

int host_open(struct host *h) {
        int r;

        *h = (struct host){.identity.connector = {.pidfd = -1, .hold = -1}};
        r = sd_bus_open_user_with_description(&h->bus, "session");
        if (r < 0)
                return log_error_errno(
                        r, "cannot reach your session bus: start sidebus in your session, "
                           "or set DBUS_SESSION_BUS_ADDRESS");
        return find_portal(h);
}

#define OWNER_MATCH(name)                                                                          \
        "type='signal',sender='" DRIVER "',path='" DRIVER_PATH "',interface='" DRIVER              \
        "',member='NameOwnerChanged',arg0='" name "'"

static int add_matches(struct host *h) {
        int r = sd_bus_add_match(h->bus, NULL, OWNER_MATCH(PORTAL_BUS_NAME), on_owner_changed, h);

        if (r >= 0)
                r = sd_bus_add_match(h->bus, NULL, OWNER_MATCH(DOCUMENTS_BUS_NAME),
                                     on_owner_changed, h);
        if (r >= 0)
                r = sd_bus_add_match(h->bus, NULL,
                                     "type='signal',sender='" PORTAL_BUS_NAME
                                     "',path_namespace='" PORTAL_PATH "'",
                                     on_portal_signal, h);
        if (r >= 0)
                r = sd_bus_match_signal(h->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                        "org.freedesktop.DBus.Local", "Disconnected",
                                        on_disconnected, h);
        return r;
}

int host_identify(struct host *h, const char *app_id) {
        int r = identity_acquire(&h->identity, app_id, &h->bus);

        if (r < 0)
                return r;
        /* Subscribed before the first look, so that no change falls between the two. */
        r = add_matches(h);
        if (r < 0)
                return log_error_errno(r, "cannot listen on your session bus");
        r = get_owner(h, DOCUMENTS_BUS_NAME, &h->documents_owner);
        if (r < 0 && r != -ENXIO)
                return log_error_errno(r, "cannot find " DOCUMENTS_BUS_NAME);
        r = find_portal(h);
        if (r == 0)
                identity_introduce(&h->identity, h->bus, h->owner); /* it may be another already */
        return r;
}

static int on_connector_exit(sd_event_source *source _unused_, const siginfo_t *si _unused_,
                             void *userdata) {
        struct host *h = userdata;

        /* A portal that is started from now on would ask for a process that is no more. */
        log_error("sb-connector ended, by which the host's portal knows this VM");
        h->connector_exit = sd_event_source_disable_unref(h->connector_exit);
        connector_reaped(&h->identity.connector);
        if (h->listener.on_disconnected)
                h->listener.on_disconnected(h->listener.userdata);
        return 0;
}

int host_listen(struct host *h, sd_event *event, const struct host_listener *l) {
        /* Before the gate: who the portal is now is known when the next call is made. */
        int r = sd_bus_attach_event(h->bus, event, SD_EVENT_PRIORITY_NORMAL - 10);

        /* Else the end of the loop would wait, without limit, until all is written. */
        if (r >= 0)
                r = sd_bus_set_close_on_exit(h->bus, false);
        if (r >= 0 && h->identity.connector.pid > 0)
                r = child_exit_watch(event, h->identity.connector.pidfd, on_connector_exit, h,
                                     &h->connector_exit);
        if (r < 0)
                return log_error_errno(r, "session bus");
        h->listener = *l;
        return 0;
}

int host_new_call(struct host *h, const char *interface, const char *member, sd_bus_message **ret) {
        identity_introduce(&h->identity, h->bus, h->owner);
        return sd_bus_message_new_method_call(h->bus, ret, h->owner ?: PORTAL_BUS_NAME, PORTAL_PATH,
                                              interface, member);
}

int host_new_documents_call(struct host *h, const char *interface, const char *member,
                            sd_bus_message **ret) {
        return sd_bus_message_new_method_call(h->bus, ret, h->documents_owner ?: DOCUMENTS_BUS_NAME,
                                              DOCUMENTS_PATH, interface, member);
}

static bool is_owner(const char *owner, const char *sender) {
        return owner && strcmp(sender, owner) == 0;
}

bool host_answered(const struct host *h, sd_bus_message *reply) {
        const char *sender = sd_bus_message_get_sender(reply);

        if (!sender || strcmp(sender, DRIVER) == 0)
                return sd_bus_message_is_method_error(reply, NULL) > 0;
        return is_owner(h->owner, sender) || is_owner(h->documents_owner, sender);
}

void host_done(struct host *h) {
        h->connector_exit = sd_event_source_disable_unref(h->connector_exit);
        identity_done(&h->identity);
        h->bus = sd_bus_close_unref(h->bus);
        free(h->owner);
        free(h->documents_owner);
        *h = (struct host){.identity.connector = {.pidfd = -1, .hold = -1}};
}
