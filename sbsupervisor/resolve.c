/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/same_file.h"
#include "sbsupervisor/gate.h"
#include "sbsupervisor/privops.h"

/* --- noting ---------------------------------------------------------------------------------- */

static struct path_ref *add(struct request *r) {
        struct path_ref *p = &r->paths[r->n_paths];

        if (r->n_paths == ELEMENTSOF(r->paths))
                return NULL;
        *p = (struct path_ref){.request = r};
        r->n_paths++;
        return p;
}

int resolve_add_path(struct request *r, const char *gate_path) {
        struct path_ref *p;

        if (!documents_id_is_valid(gate_path, strcspn(gate_path, "/")))
                return 0;
        p = add(r);
        if (!p)
                return 0;
        p->gate = strdup(gate_path);
        return p->gate ? 0 : -ENOMEM;
}

/* Asks no file system but the share's own: another may be the guest's, and not answer. */
static bool is_on_share(const struct documents *d, int fd, struct statx *ret) {
        struct statx share;

        return statx(AT_FDCWD, d->share, 0, 0, &share) == 0 &&
               statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, ret) == 0 &&
               same_device(&share, ret);
}

/* The file at path in the VM's share, if it is the one that st is of. */
static bool is_shared_as(const struct documents *d, const char *path, const struct statx *st) {
        _cleanup_free_ char *full = NULL;
        struct statx there;

        return asprintf(&full, "%s/%s", d->share, path) >= 0 &&
               statx(AT_FDCWD, full, AT_SYMLINK_NOFOLLOW, STATX_INO, &there) == 0 &&
               same_file(&there, st);
}

/*
 * "<doc id>/<rest>", and not the directory that only holds the document: that is another on the
 * host.
 */
static bool is_in_document(const char *path) {
        size_t n = strcspn(path, "/");

        return documents_id_is_valid(path, n) && path[n] && path[n + 1];
}

/* The part of path that names the same file below the VM's share; *ret stays NULL without one. */
static int find_shared(const struct documents *d, const char *path, const struct statx *st,
                       char **ret) {
        for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/'))
                if (is_in_document(s + 1) && is_shared_as(d, s + 1, st)) {
                        *ret = strdup(s + 1);
                        return *ret ? 0 : -ENOMEM;
                }
        return 0;
}

/*
 * The kernel says so also of a file that is there, once the document portal (1.20) was asked for
 * its name again.
 */
static bool cut_deleted(char *path, size_t n) {
        static const char word[] = " (deleted)";
        size_t k = sizeof(word) - 1;

        if (n <= k || strcmp(path + n - k, word) != 0)
                return false;
        path[n - k] = '\0';
        return true;
}

/*
 * Which document of the VM fd is of, by its path, as /proc has it.  What is before the share's
 * part of that depends on where the guest has the share, and is not looked at.  *ret stays NULL
 * when it is none.
 */
static int find_document(const struct documents *d, int fd, char **ret) {
        char link[64], path[PATH_MAX];
        struct statx st;
        ssize_t n;
        int r;

        if (!d->share || !is_on_share(d, fd, &st))
                return 0;
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return 0;
        path[n] = '\0';
        r = find_shared(d, path, &st, ret);
        return r == 0 && !*ret && cut_deleted(path, (size_t)n) ? find_shared(d, path, &st, ret) : r;
}

int resolve_add_file(struct request *r, int fd) {
        struct path_ref *p = add(r);

        if (!p)
                return 0;
        p->is_file = true;
        return find_document(r->gate->documents, fd, &p->gate);
}

/* --- looking up ------------------------------------------------------------------------------ */

static bool has_dots(const char *path) {
        for (const char *s = path; *s; s += strspn(s, "/")) {
                size_t n = strcspn(s, "/");

                if ((n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
                        return true;
                s += n;
        }
        return false;
}

/*
 * document is where the document is on the host; rest what follows "<doc id>" in the guest's
 * path: nothing (the guest means the directory the document is in), the document's name, or,
 * for a directory document, something in it, which must be there and be no symlink.
 */
static int map_path(const char *document, const char *rest, char **ret) {
        const char *name = strrchr(document, '/');
        size_t n;

        rest += strspn(rest, "/");
        if (!name || has_dots(rest))
                return 0;
        if (!*rest) {
                *ret = name == document ? strdup("/")
                                        : strndup(document, (size_t)(name - document));
                return *ret ? 0 : -ENOMEM;
        }
        n = strcspn(rest, "/");
        if (strlen(name + 1) != n || strncmp(rest, name + 1, n) != 0)
                return 0;
        rest += n + strspn(rest + n, "/");
        if (!*rest) {
                *ret = strdup(document);
                return *ret ? 0 : -ENOMEM;
        }
        if (privop_check_beneath(document, rest) != 0)
                return 0;
        return asprintf(ret, "%s/%s", document, rest) < 0 ? -ENOMEM : 0;
}

static int on_info(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct path_ref *p = userdata;
        struct request *r = p->request;
        _cleanup_free_ char *document = NULL;
        unsigned permissions = 0;
        int e = documents_info_reply(r->gate->documents, m, &document, &permissions);

        if (e == 0)
                e = map_path(document, p->gate + strcspn(p->gate, "/"), &p->host);
        if (e < 0)
                (void)log_warning_errno(e, "gate: cannot resolve a guest path");
        p->may_write = permissions & DOCUMENTS_WRITE;
        if (!p->host)
                log_debug("gate: %s is no document of this VM: left out", ESCAPED(p->gate));
        return --r->n_resolving == 0 ? r->resolved(r) : 0;
}

bool resolve_is_needed(const struct request *r) {
        for (unsigned i = 0; i < r->n_paths; i++)
                if (r->paths[i].gate)
                        return true;
        return false;
}

int resolve_start(struct request *r, int (*done)(struct request *r)) {
        r->resolved = done;
        for (unsigned i = 0; i < r->n_paths; i++) {
                struct path_ref *p = &r->paths[i];
                char id[17];
                size_t n;
                int e;

                if (!p->gate)
                        continue;
                n = strcspn(p->gate, "/");
                memcpy(id, p->gate, n);
                id[n] = '\0';
                e = documents_info(r->gate->documents, id, on_info, p, &p->slot);
                if (e < 0)
                        return e;
                r->n_resolving++;
        }
        return 0;
}

void resolve_done(struct request *r) {
        for (unsigned i = 0; i < r->n_paths; i++) {
                sd_bus_slot_unref(r->paths[i].slot);
                free(r->paths[i].gate);
                free(r->paths[i].host);
        }
        r->n_paths = 0;
}
