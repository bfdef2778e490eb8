/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/export.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/limits.h"
#include "common/log.h"

struct item {
        struct export *export;
        const char *uri; /* borrowed, as long as the export lives */
        struct privop_file file;
        char *id;     /* of the document, once added */
        char *result; /* once granted */
        bool write;
        sd_bus_slot *slot; /* the call under way */
};

struct export {
        struct documents *documents;
        export_done_t done;
        void *userdata;
        sd_event_source *idle; /* tells the end when nothing had to be waited for */
        enum portal_export kind;
        enum export_wants wants;
        struct privop_roots roots;
        int roots_error; /* negative: the lists could not be read, nothing is given out */
        size_t n, n_started, n_pending;
        struct item items[];
};

/*
 * At once: the private bus lets one connection have only so many calls and descriptors under way.
 */
#define EXPORT_WINDOW 16

static void start_items(struct export *e);

static void settle(struct item *i) {
        struct export *e = i->export;

        privop_file_done(&i->file);
        i->slot = sd_bus_slot_unref(i->slot);
        e->n_pending--;
        start_items(e);
        if (e->n_pending == 0)
                e->done(e->userdata); /* may free e */
}

/* --- deciding -------------------------------------------------------------------------------- */

static const char *refusal(int r) {
        static const char *const texts[] = {
                [PRIVOP_E_GONE] = "it is not there, or you may not reach it",
                [PRIVOP_E_SYMLINK] =
                        "it leads through a symlink in a directory that a VM may write",
                [PRIVOP_E_KIND] =
                        "it is not what the dialog was for: a regular file, or a directory",
                [PRIVOP_E_READ] = "you may not read it",
                [PRIVOP_E_COVERED] = "it lies where the VM's portal daemons see nothing, for the "
                                     "sockets of your session are there",
        };

        return r > 0 && (size_t)r < ELEMENTSOF(texts) && texts[r] ? texts[r] : strerror(-r);
}

/*
 * A regular file there is no file but the kernel's word, or a process's memory: /proc/self would be
 * this process, whoever was meant.
 */
static bool is_of_kernel(int fd) {
        static const unsigned long kernels[] = {
                PROC_SUPER_MAGIC, SYSFS_MAGIC,        DEBUGFS_MAGIC,       TRACEFS_MAGIC,
                SECURITYFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, SELINUX_MAGIC,
                BPF_FS_MAGIC,     PSTOREFS_MAGIC,     EFIVARFS_MAGIC,      NSFS_MAGIC,
        };
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(kernels); i++)
                if ((unsigned long)fs.f_type == kernels[i])
                        return true;
        return false;
}

static int open_uri(struct export *e, const char *uri, struct privop_file *ret) {
        _cleanup_free_ char *path = uri_to_path(uri);
        int r;

        if (!path)
                return PRIVOP_E_KIND; /* smb: or trash: and no local file behind it */
        if (e->roots_error < 0)
                return e->roots_error;
        r = e->kind == PORTAL_EXPORT_SAVE ? privop_open_parent(path, &e->roots, ret)
                                          : privop_open_picked(path, &e->roots, ret);
        if (r == 0 && is_of_kernel(ret->fd))
                return PRIVOP_E_KIND;
        if (r == 0 && e->wants != EXPORT_EITHER &&
            ret->is_directory != (e->wants == EXPORT_DIRECTORIES))
                return PRIVOP_E_KIND;
        return r == 0 ? privop_move_to_view(e->documents->root, ret) : r;
}

static void decide_rights(struct item *i) {
        struct documents *d = i->export->documents;
        const struct privop_file *f = &i->file;

        i->write = f->writable && (!d->config->read_only || f->name) &&
                   i->export->kind != PORTAL_EXPORT_READ;
        if (f->foreign) {
                d->n_foreign++;
                log_notice("%s%s%s: granted %s, because its owner or group is not your own "
                           "(the documents namespace maps only yours)",
                           ESCAPED(f->path), f->name ? "/" : "", f->name ? ESCAPED(f->name) : "",
                           i->write ? "to be created, then read only" : "read only");
        }
}

/* --- adding, then granting ------------------------------------------------------------------- */

static char *result_string(const struct item *i) {
        const char *slash = strrchr(i->file.path, '/');
        _cleanup_free_ char *name = uri_escape_path(i->file.name ? i->file.name : slash + 1);
        char *s;

        return name && asprintf(&s, "doc:%s/%s", i->id, name) >= 0 ? s : NULL;
}

static int on_granted(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct item *i = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (e) {
                log_warning("the document portal refused a grant: %s",
                            ESCAPED(e->message ?: e->name));
        } else {
                i->export->documents->n_granted++;
                i->result = result_string(i);
                log_notice("granted: %s%s%s as document %s, %s%s", ESCAPED(i->file.path),
                           i->file.name ? "/" : "", i->file.name ? ESCAPED(i->file.name) : "",
                           i->id,
                           i->write && i->file.foreign ? "to be created, then read"
                           : i->write                  ? "read and write"
                                                       : "read, beside what the VM may do already",
                           i->file.is_directory ? ", the whole directory" : "");
        }
        settle(i);
        return 0;
}

static int grant(struct item *i) {
        struct documents *d = i->export->documents;
        int r = 0;

        /* Listed first: from the grant on, the guest may plant a symlink in it. */
        if (i->write && i->file.is_directory)
                r = roots_add(&d->roots, i->file.path, i->file.fd);
        i->slot = sd_bus_slot_unref(i->slot);
        return r < 0 ? r : documents_grant(d, i->id, i->write, on_granted, i, &i->slot);
}

static int on_added(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct item *i = userdata;
        int r = documents_add_reply(m, &i->id);

        if (r == 0)
                r = grant(i);
        if (r < 0)
                (void)log_warning_errno(r, "cannot export %s", ESCAPED(i->file.path));
        if (r != 0)
                settle(i);
        return 0;
}

/* Nothing to wait for when it is refused here. */
static void start_item(struct item *i) {
        int r = open_uri(i->export, i->uri, &i->file);

        if (r == 0) {
                decide_rights(i);
                r = documents_add(i->export->documents, &i->file, on_added, i, &i->slot);
                if (r >= 0) {
                        i->export->n_pending++;
                        return;
                }
        }
        privop_file_done(&i->file);
        log_warning("%s is not given to the VM: %s", ESCAPED(i->uri), refusal(r));
}

static void start_items(struct export *e) {
        while (e->n_started < e->n && e->n_pending < EXPORT_WINDOW)
                start_item(&e->items[e->n_started++]);
}

static int on_idle(sd_event_source *s _unused_, void *userdata) {
        struct export *e = userdata;

        e->done(e->userdata); /* may free e */
        return 0;
}

int export_start(struct documents *d, enum portal_export kind, enum export_wants wants,
                 const char *const *uris, size_t n, export_done_t done, void *userdata,
                 struct export **ret) {
        _cleanup_(export_freep) struct export *e = calloc(1, sizeof(*e) + n * sizeof(struct item));
        int r = 0;

        if (!e)
                return -ENOMEM;
        e->documents = d;
        e->kind = kind;
        e->wants = wants;
        e->done = done;
        e->userdata = userdata;
        e->n = n;
        e->roots_error = roots_load(&d->roots, &e->roots);
        for (size_t k = 0; k < n; k++)
                e->items[k] = (struct item){.export = e, .uri = uris[k], .file.fd = -1};
        start_items(e);
        if (e->n_pending == 0)
                r = sd_event_add_defer(sd_bus_get_event(d->bus), &e->idle, on_idle, e);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(e);
        return 0;
}

const char *export_result(const struct export *e, size_t k) {
        return k < e->n ? e->items[k].result : NULL;
}

struct export *export_free(struct export *e) {
        if (!e)
                return NULL;
        for (size_t k = 0; k < e->n; k++) {
                sd_bus_slot_unref(e->items[k].slot);
                privop_file_done(&e->items[k].file);
                free(e->items[k].id);
                free(e->items[k].result);
        }
        sd_event_source_disable_unref(e->idle);
        free(e->roots.v);
        free(e);
        return NULL;
}
