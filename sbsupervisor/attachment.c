/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/icon_check.h"
#include "common/limits.h"
#include "common/log.h"
#include "sbsupervisor/gate.h"
#include "sbsupervisor/privops.h"
#include "sbsupervisor/resolve.h"

static int duplicate(int fd, int *ret) {
        *ret = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return *ret < 0 ? -errno : 0;
}

/* --- bytes: read, or written, by whoever gets the descriptor --------------------------------- */

/*
 * A directory would let the other side walk, a device do what the device does.  useless: the access
 * mode with which it could not do what it is to do.
 */
static int check_bytes(int fd, int useless) {
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        if (flags < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
                return PORTAL_REBUILD_E_VALUE;
        return (flags & O_PATH) || (flags & O_ACCMODE) == useless ? PORTAL_REBUILD_E_VALUE : 0;
}

static int bytes_to_host(_unused_ struct request *r, int fd, int *ret_fd) {
        int e = check_bytes(fd, O_WRONLY);

        return e != 0 ? e : duplicate(fd, ret_fd);
}

static int sink_to_host(_unused_ struct request *r, int fd, int *ret_fd) {
        int e = check_bytes(fd, O_RDONLY);

        return e != 0 ? e : duplicate(fd, ret_fd);
}

/* --- icons and sounds: a sealed copy of what was looked at ----------------------------------- */

/* Ogg or WAVE, by their magic: what the portal's documentation lists. */
static bool is_sound(const void *data, size_t n) {
        return n >= 12 &&
               (memcmp(data, "OggS", 4) == 0 ||
                (memcmp(data, "RIFF", 4) == 0 && memcmp((const char *)data + 8, "WAVE", 4) == 0));
}

/* All of a regular file, if that is at most max bytes; *ret_n is more when it is more. */
static int read_file(int fd, size_t max, char **ret, size_t *ret_n) {
        _cleanup_free_ char *data = NULL;
        struct stat st;
        size_t n = 0;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return PORTAL_REBUILD_E_VALUE;
        data = malloc(max + 1);
        if (!data)
                return -ENOMEM;
        while (n <= max) {
                ssize_t k = pread(fd, data + n, max + 1 - n, (off_t)n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return PORTAL_REBUILD_E_VALUE;
                if (k == 0)
                        break;
                n += (size_t)k;
        }
        *ret = TAKE_PTR(data);
        *ret_n = n;
        return 0;
}

static int seal(const char *data, size_t n, int *ret_fd) {
        _cleanup_close_ int fd = memfd_create("sidebus", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0)
                return -errno;
        if (write(fd, data, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) < 0)
                return -EIO;
        /* Not F_SEAL_SEAL: xdg-desktop-portal adds these once more, whether or not they are there. */
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Left out when it is not what it should be. */
static int media_to_host(int fd, size_t max, bool (*is_valid)(const void *data, size_t n),
                         int *ret_fd) {
        _cleanup_free_ char *data = NULL;
        size_t n;
        int e = read_file(fd, max, &data, &n);

        if (e != 0)
                return e < 0 ? e : 0;
        return n <= max && is_valid(data, n) ? seal(data, n, ret_fd) : 0;
}

static int icon_to_host(_unused_ struct request *r, int fd, int *ret_fd) {
        return media_to_host(fd, LIMIT_ICON_BYTES, icon_check, ret_fd);
}

static int sound_to_host(_unused_ struct request *r, int fd, int *ret_fd) {
        return media_to_host(fd, LIMIT_SOUND_BYTES, is_sound, ret_fd);
}

/* --- files: the document itself, or a copy --------------------------------------------------- */

static struct path_ref *next_file(struct request *r) {
        while (r->next_file < r->n_paths) {
                struct path_ref *p = &r->paths[r->next_file++];

                if (p->is_file)
                        return p;
        }
        return NULL; /* more came than could be noted */
}

/* A directory on the host may be where some VM can plant symlinks: they are not followed. */
static int open_document(struct request *r, const struct path_ref *p, struct privop_file *ret) {
        struct privop_roots roots = {0};
        int e = roots_load(&r->gate->documents->roots, &roots);

        if (e == 0)
                e = privop_open_picked(p->host, &roots, ret);
        free(roots.v);
        return e > 0 ? PORTAL_REBUILD_E_VALUE : e;
}

static int pass_document(struct request *r, const struct path_ref *p, int *ret_fd) {
        _cleanup_(privop_file_done) struct privop_file f = {.fd = -1};
        int e = open_document(r, p, &f);

        if (e == 0)
                *ret_fd = TAKE_FD(f.fd);
        return e;
}

static int copy_to_spool(struct request *r, struct path_ref *p, int fd, int *ret_fd) {
        int e = spool_copy(&r->gate->spool, fd, &p->spool, ret_fd);

        if (e == SPOOL_E_FULL)
                log_limited(&r->gate->budget, LOG_WARNING,
                            "gate: %s: no room for a copy of the guest's file: %u MiB are for all, "
                            "and half of what the runtime directory has: refused",
                            r->method->member, LIMIT_SPOOL_BYTES >> 20);
        if (e == SPOOL_E_FULL)
                r->refusal = SD_BUS_ERROR_LIMITS_EXCEEDED;
        return e > 0 ? PORTAL_REBUILD_E_VALUE : e;
}

static int file_to_host(struct request *r, int fd, int *ret_fd) {
        struct path_ref *p = next_file(r);

        if (!p)
                return PORTAL_REBUILD_E_VALUE;
        return p->host ? pass_document(r, p, ret_fd) : copy_to_spool(r, p, fd, ret_fd);
}

static int document_to_host(struct request *r, _unused_ int fd, int *ret_fd) {
        const struct path_ref *p = next_file(r);

        return p && p->host ? pass_document(r, p, ret_fd) : PORTAL_REBUILD_E_VALUE;
}

/*
 * The host's portal asks for the path that the descriptor has and goes there again: where a VM may
 * write, a symlink leads it to another file by then.
 */
static int writable_to_host(struct request *r, _unused_ int fd, int *ret_fd) {
        _cleanup_(privop_file_done) struct privop_file f = {.fd = -1};
        const struct path_ref *p = next_file(r);
        int e;

        if (!p || !p->host)
                return PORTAL_REBUILD_E_VALUE;
        e = open_document(r, p, &f);
        if (e != 0)
                return e;
        if (p->may_write && !f.inside) {
                *ret_fd = TAKE_FD(f.fd);
                return 0;
        }
        r->refusal = PORTAL_E_NOT_ALLOWED;
        if (p->may_write) {
                r->why = "It is in a directory that a VM may write: delete it there";
                log_limited(&r->gate->budget, LOG_NOTICE,
                            "gate: %s of %s is refused: the host's portal might find another file in a "
                            "directory that a VM may write", r->method->member, ESCAPED(f.path));
        }
        return PORTAL_REBUILD_E_VALUE;
}

static int note_file(struct request *r, int fd, int *ret_fd) {
        int e = resolve_add_file(r, fd);

        return e != 0 ? e : duplicate(fd, ret_fd);
}

/* --- the two passes -------------------------------------------------------------------------- */

static const struct {
        int (*collect)(struct request *r, int fd, int *ret_fd); /* NULL: left out of the scratch */
        int (*write)(struct request *r, int fd, int *ret_fd);
} roles[PORTAL_N_ROLES] = {
        [PORTAL_FD_BYTES] = {bytes_to_host, bytes_to_host},
        [PORTAL_FD_SINK] = {sink_to_host, sink_to_host},
        [PORTAL_FD_FILE] = {note_file, file_to_host},
        [PORTAL_FD_DOCUMENT] = {note_file, document_to_host},
        [PORTAL_FD_WRITABLE] = {note_file, writable_to_host},
        [PORTAL_ICON] = {NULL, icon_to_host},
        [PORTAL_SOUND] = {NULL, sound_to_host},
};

int attachment_collect(void *userdata, const struct portal_value *v, int fd, int *ret_fd) {
        return roles[v->role].collect ? roles[v->role].collect(userdata, fd, ret_fd) : 0;
}

int attachment_to_host(void *userdata, const struct portal_value *v, int fd, int *ret_fd) {
        return roles[v->role].write ? roles[v->role].write(userdata, fd, ret_fd) : 0;
}
