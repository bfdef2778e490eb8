/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/documents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/portal_table.h"

/* AddFull's flags (org.freedesktop.portal.Documents). */
enum {
        ADD_REUSE_EXISTING = 1,
        ADD_PERSISTENT = 2,
        ADD_DIRECTORY = 8,
};

static void on_inlet_breach(void *userdata, int error, const char *why) {
        struct documents *d = userdata;

        log_error(error ? "cannot read on from the private bus: %s"
                        : "the private bus has sent %s", why);
        d->on_breach(d->userdata, true);
}

static int on_disconnected(sd_bus_message *m _unused_, void *userdata,
                           sd_bus_error *error _unused_) {
        struct documents *d = userdata;

        log_error("the private bus has hung up");
        d->on_breach(d->userdata, false);
        return 0;
}

int documents_open(struct documents *d, sd_event *event, int take_fd, const struct config *c,
                   int root, const char *app_id) {
        _cleanup_close_ int fd = take_fd, in = -1;
        int r;

        d->config = c;
        d->root = root;
        d->app_id = app_id;
        r = roots_open(&d->roots, app_id);
        if (r < 0)
                return r;
        r = sd_bus_new(&d->bus);
        if (r >= 0)
                r = sd_bus_set_description(d->bus, "private");
        if (r >= 0)
                r = inlet_open(&d->inlet, event, fd, INLET_FROM_SERVER, false, on_inlet_breach, d,
                               &in);
        if (r >= 0)
                r = sd_bus_set_fd(d->bus, in, fd);
        if (r >= 0)
                in = fd = -1; /* the bus closes them from here on */
        if (r >= 0)
                r = sd_bus_set_bus_client(d->bus, true);
        if (r >= 0)
                r = sd_bus_negotiate_fds(d->bus, true);
        if (r >= 0)
                r = sd_bus_match_signal(d->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                        "org.freedesktop.DBus.Local", "Disconnected",
                                        on_disconnected, d);
        if (r >= 0)
                r = sd_bus_start(d->bus);
        if (r >= 0)
                r = sd_bus_attach_event(d->bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_set_close_on_exit(d->bus, false); /* see host_listen() */
        return r < 0 ? log_error_errno(r, "cannot join the private bus") : 0;
}

void documents_done(struct documents *d) {
        free(d->share);
        d->share = NULL;
        d->bus = sd_bus_close_unref(d->bus);
        inlet_close(&d->inlet);
        roots_done(&d->roots);
}

static int new_call(struct documents *d, const char *member, sd_bus_message **ret) {
        return sd_bus_message_new_method_call(d->bus, ret, DOCUMENTS_BUS_NAME, DOCUMENTS_PATH,
                                              DOCUMENTS_BUS_NAME, member);
}

int documents_mount_point(struct documents *d, sd_bus_message_handler_t reply, void *userdata) {
        int r = sd_bus_call_method_async(d->bus, NULL, DOCUMENTS_BUS_NAME, DOCUMENTS_PATH,
                                         DOCUMENTS_BUS_NAME, "GetMountPoint", reply, userdata, "");

        return r < 0 ? r : 0;
}

/* AddNamedFull(h parent, ay name, u flags, s app, as permissions) */
static int append_named(sd_bus_message *m, const struct privop_file *f, uint32_t flags) {
        int r = sd_bus_message_append(m, "h", f->fd);

        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', f->name, strlen(f->name) + 1);
        return r < 0 ? r : sd_bus_message_append(m, "usas", flags, "", 0);
}

int documents_add(struct documents *d, const struct privop_file *f, sd_bus_message_handler_t reply,
                  void *userdata, sd_bus_slot **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        uint32_t flags = ADD_REUSE_EXISTING | (d->config->disposable ? 0 : ADD_PERSISTENT);
        int r = new_call(d, f->name ? "AddNamedFull" : "AddFull", &m);

        if (r < 0)
                return r;
        if (f->name)
                r = append_named(m, f, flags);
        else
                r = sd_bus_message_append(m, "ahusas", 1, f->fd,
                                          flags | (f->is_directory ? ADD_DIRECTORY : 0), "", 0);
        if (r >= 0)
                r = sd_bus_call_async(d->bus, ret, m, reply, userdata, 0);
        return r < 0 ? r : 0;
}

static int check_reply(sd_bus_message *m, const char *what) {
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (!e)
                return 0;
        log_warning("the document portal refused %s: %s", what, ESCAPED(e->message ?: e->name));
        return DOCUMENTS_E_REFUSED;
}

bool documents_id_is_valid(const char *id, size_t n) {
        return n >= 1 && n <= 16 && strspn(id, "0123456789abcdef") >= n;
}

int documents_add_reply(sd_bus_message *m, char **ret_id) {
        const char *id = NULL;
        bool list;
        int r = check_reply(m, "a file");

        if (r != 0)
                return r;
        list = sd_bus_message_has_signature(m, "asa{sv}");
        if (list)
                r = sd_bus_message_enter_container(m, 'a', "s");
        if (r >= 0)
                r = sd_bus_message_read_basic(m, 's', &id);
        if (r <= 0 || !documents_id_is_valid(id, strlen(id)))
                return DOCUMENTS_E_REFUSED;
        *ret_id = strdup(id);
        return *ret_id ? 0 : -ENOMEM;
}

int documents_grant(struct documents *d, const char *id, bool write, sd_bus_message_handler_t reply,
                    void *userdata, sd_bus_slot **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = new_call(d, "GrantPermissions", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "ss", id, d->app_id);
        if (r >= 0)
                r = write ? sd_bus_message_append(m, "as", 2, "read", "write")
                          : sd_bus_message_append(m, "as", 1, "read");
        if (r >= 0)
                r = sd_bus_call_async(d->bus, ret, m, reply, userdata, 0);
        return r < 0 ? r : 0;
}

int documents_info(struct documents *d, const char *id, sd_bus_message_handler_t reply,
                   void *userdata, sd_bus_slot **ret) {
        int r = sd_bus_call_method_async(d->bus, ret, DOCUMENTS_BUS_NAME, DOCUMENTS_PATH,
                                         DOCUMENTS_BUS_NAME, "Info", reply, userdata, "s", id);

        return r < 0 ? r : 0;
}

static const char *const permission_names[] = {
        "read",
        "write",
        "grant-permissions",
        "delete",
};

unsigned documents_permission(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(permission_names); i++)
                if (strcmp(permission_names[i], name) == 0)
                        return 1u << i;
        return 0;
}

int documents_append_permissions(sd_bus_message *m, unsigned permissions) {
        int r = sd_bus_message_open_container(m, 'a', "s");

        for (size_t i = 0; i < ELEMENTSOF(permission_names) && r >= 0; i++)
                if (permissions & 1u << i)
                        r = sd_bus_message_append_basic(m, 's', permission_names[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* An entry of a{sas}; its permissions are added when it is app's. */
static int read_entry(sd_bus_message *m, const char *app, unsigned *permissions) {
        const char *name, *permission;
        bool ours;
        int r = sd_bus_message_read_basic(m, 's', &name);

        if (r < 0)
                return r;
        ours = strcmp(name, app) == 0;
        r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &permission)) > 0)
                if (ours)
                        *permissions |= documents_permission(permission);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* In being before a{sas}: what app holds. */
static int read_permissions(sd_bus_message *m, const char *app, unsigned *permissions) {
        int r = sd_bus_message_enter_container(m, 'a', "{sas}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sas")) > 0) {
                r = read_entry(m, app, permissions);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

int documents_info_reply(const struct documents *d, sd_bus_message *m, char **ret_path,
                         unsigned *ret_permissions) {
        unsigned permissions = 0;
        const void *path;
        size_t n;
        int r;

        if (sd_bus_message_get_error(m)) /* no such document: a guest may have invented it */
                return DOCUMENTS_E_REFUSED;
        r = sd_bus_message_read_array(m, 'y', &path, &n);
        if (r <= 0 || n < 2 || *(const char *)path != '/' ||
            memchr(path, 0, n) != (const char *)path + n - 1)
                return DOCUMENTS_E_REFUSED;
        r = read_permissions(m, d->app_id, &permissions);
        if (r < 0 || !(permissions & DOCUMENTS_READ))
                return r < 0 ? r : DOCUMENTS_E_REFUSED;
        *ret_path = strdup(path);
        *ret_permissions = permissions;
        return *ret_path ? 0 : -ENOMEM;
}
