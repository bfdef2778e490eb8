/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/cid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/make_dirs.h"
#include "sbsupervisor/place.h"
#include "sbsupervisor/vm_name.h"

#define LOCK_TRIES 8 /* each finds that another instance ended just now */

static char *claim_path(const char *base, uint32_t cid) {
        char *path;

        return asprintf(&path, "%s/sidebus/.cid-%u", base, cid) < 0 ? NULL : path;
}

static int make_path(char **ret, const char *base, uint32_t cid) {
        _cleanup_free_ char *dir = NULL;
        int r = place_join(&dir, base, "sidebus");

        if (r == 0)
                r = make_dirs(dir);
        if (r == 0 && !(*ret = claim_path(base, cid)))
                r = -ENOMEM;
        return r < 0 ? log_error_errno(r, "cannot claim CID %u in %s", cid, base) : 0;
}

static int log_taken(const char *path, uint32_t cid) {
        char holder[VM_NAME_MAX + 1] = "";

        (void)place_read(path, holder, sizeof(holder));
        log_error("CID %u is that of VM '%s', which is served now: give each VM a CID= of its own, "
                  "and its VMM the same", cid, ESCAPED(holder));
        return CID_E_TAKEN;
}

static int lock(struct cid_claim *c, uint32_t cid) {
        int r = -EAGAIN;

        for (unsigned k = 0; k < LOCK_TRIES && r == -EAGAIN; k++)
                r = place_lock(c->path, &c->fd);
        if (r == PLACE_E_LOCKED)
                return log_taken(c->path, cid);
        if (r == -EAGAIN || r == -ENOENT) /* what place_lock() has not logged */
                return log_error_errno(r, "cannot lock %s", c->path);
        return r;
}

int cid_claim(struct cid_claim *c, uint32_t cid, const char *vm) {
        const char *base = getenv("XDG_RUNTIME_DIR");
        size_t n = strlen(vm);
        int r;

        *c = (struct cid_claim){.fd = -1};
        if (!base || base[0] != '/')
                return 0;
        r = make_path(&c->path, base, cid);
        if (r == 0)
                r = lock(c, cid);
        if (r == 0 && (ftruncate(c->fd, 0) < 0 || pwrite(c->fd, vm, n, 0) != (ssize_t)n))
                r = log_error_errno(errno ?: EIO, "cannot write %s", c->path);
        return r;
}

/* Its name goes while it is locked: who waits for it makes its own. */
void cid_release(struct cid_claim *c) {
        if (c->path && c->fd >= 0 && unlink(c->path) < 0 && errno != ENOENT)
                (void)log_warning_errno(errno, "cannot remove %s", c->path);
        (void)fd_close(c->fd);
        free(c->path);
        *c = (struct cid_claim){.fd = -1};
}

void cid_cleanup(uint32_t cid) {
        const char *base = getenv("XDG_RUNTIME_DIR");
        struct cid_claim c = {.fd = -1};

        if (cid == 0 || !base || base[0] != '/')
                return;
        c.path = claim_path(base, cid);
        if (c.path && access(c.path, F_OK) == 0)
                (void)place_lock(c.path, &c.fd);
        cid_release(&c);
}
