/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/instance.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "sbsupervisor/cid.h"
#include "sbsupervisor/place.h"
#include "sbsupervisor/spool.h"

#define DEATH_MS        500   /* how long a socket of ours may still be open after its owner was killed */
#define NAMES_MAX_BYTES 65536 /* some ten names of at most PATH_MAX */
#define LOCK_TRIES      8     /* each finds that another instance ended just now */

/* --- the runtime directory ------------------------------------------------------------------------ */

bool instance_is_debug_link(const char *path) {
        char target[64]; /* cut: its beginning tells */
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        int at = -1;

        if (n < 0)
                return false;
        target[n] = '\0';
        return sscanf(target, "/proc/%*u/root/%n", &at) == 0 && at > 0;
}

/* A socket nobody listens on, or one of our symlinks; anything else is not ours any more. */
static bool is_listened_on(const struct sockaddr_un *sa) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        return fd < 0 || connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 ||
               errno != ECONNREFUSED;
}

/* The processes of a killed instance end at once, but not before its killer goes on. */
static bool is_dead_socket(const char *path) {
        const struct timespec pause = {.tv_nsec = 10000000};
        struct sockaddr_un sa = {.sun_family = AF_UNIX};

        if (strlen(path) >= sizeof(sa.sun_path))
                return false;
        (void)strcpy(sa.sun_path, path);
        for (unsigned i = 0; i < DEATH_MS / 10; i++) {
                if (!is_listened_on(&sa))
                        return true;
                (void)nanosleep(&pause, NULL);
        }
        return false;
}

static void remove_name(const char *path) {
        struct stat st;

        if (lstat(path, &st) < 0 || st.st_uid != geteuid())
                return;
        if (S_ISSOCK(st.st_mode) ? !is_dead_socket(path) : !instance_is_debug_link(path))
                return;
        if (unlink(path) < 0 && errno != ENOENT)
                (void)log_warning_errno(errno, "cannot remove %s", path);
}

static void remove_recorded_names(const char *runtime_dir) {
        _cleanup_free_ char *names = NULL, *text = malloc(NAMES_MAX_BYTES);
        char *save = NULL;
        ssize_t n;

        if (!text || place_join(&names, runtime_dir, "names") < 0)
                return;
        n = place_read(names, text, NAMES_MAX_BYTES);
        if (n <= 0)
                return;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                _cleanup_free_ char *path = uri_unescape(line, strlen(line));

                if (path && path[0] == '/')
                        remove_name(path);
        }
}

/*
 * Exactly what an instance makes, and each only as what it makes; a directory goes when it is empty.
 * documents/doc was the document portal's mount point, in its own namespace.
 */
static const struct {
        const char *name;
        mode_t type;
} left[] = {
        {"private/bus", S_IFSOCK},   {"private", S_IFDIR},       {"documents/doc", S_IFDIR},
        {"documents", S_IFDIR},      {"virtiofs.sock", S_IFSOCK}, {"names", S_IFREG},
};

static void sweep(const char *runtime_dir) {
        remove_recorded_names(runtime_dir);
        spool_sweep(runtime_dir);
        for (size_t k = 0; k < ELEMENTSOF(left); k++)
                place_remove(runtime_dir, left[k].name, left[k].type);
}

static bool is_lock(const char *path) {
        struct stat st;

        return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
               st.st_size == 0;
}

/* What sweep() may clear: a directory that holds nothing, or our lock. */
static int check_runtime_dir(const char *runtime_dir) {
        _cleanup_free_ char *lock = NULL;

        if (place_join(&lock, runtime_dir, "lock") < 0)
                return -ENOMEM;
        /* Twice: another instance may have made its lock, or removed it, between the two looks. */
        for (unsigned k = 0; k < 2; k++) {
                int n;

                if (is_lock(lock))
                        return 0;
                n = place_count(runtime_dir, NULL);
                if (n < 0)
                        return n == -ENOENT ? n : log_error_errno(n, "cannot read %s", runtime_dir);
                if (n == 0)
                        return 0;
        }
        log_error("%s holds files that are not of sidebus: choose another --runtime-dir, or empty it",
                  runtime_dir);
        return -EEXIST;
}

/* Makes the directory where make is set.  Only who has its lock may clear it. */
static int lock_runtime_dir(const struct config *c, bool make, int *ret_fd) {
        _cleanup_free_ char *path = NULL;
        int r = -EAGAIN;

        if (place_join(&path, c->runtime_dir, "lock") < 0)
                return -ENOMEM;
        for (unsigned k = 0; k < LOCK_TRIES && (r == -EAGAIN || r == -ENOENT); k++) {
                r = make ? place_make(c->runtime_dir) : place_check(c->runtime_dir);
                if (r == 0)
                        r = check_runtime_dir(c->runtime_dir);
                if (r == 0)
                        r = place_lock(path, ret_fd);
        }
        if (r == PLACE_E_LOCKED)
                log_error("VM '%s' is served already: stop the other sbsupervisor first "
                          "(systemctl --user stop sidebus@%s)", c->vm, c->vm);
        else if (r == -EAGAIN || r == -ENOENT)
                log_error("cannot lock %s: other instances come and go", path);
        return r == PLACE_E_LOCKED ? INSTANCE_E_RUNNING : r;
}

static int make_places(struct instance *i) {
        const char *run = i->config->runtime_dir;

        if (place_join(&i->private_dir, run, "private") < 0 ||
            place_join(&i->documents_dir, run, "documents") < 0 ||
            asprintf(&i->share_dir, "%s/doc/by-app/%s", i->documents_dir, i->state.app_id) < 0)
                return -ENOMEM;
        if (mkdir(i->private_dir, 0700) < 0)
                return log_error_errno(errno, "cannot make %s", i->private_dir);
        if (mkdir(i->documents_dir, 0700) < 0)
                return log_error_errno(errno, "cannot make %s", i->documents_dir);
        return 0;
}

int instance_open(struct instance *i, const struct config *c) {
        int r;

        *i = (struct instance){.config = c, .lock_fd = -1, .state.lock_fd = -1};
        r = lock_runtime_dir(c, true, &i->lock_fd);
        if (r != 0)
                return r;
        r = state_open(&i->state, c);
        if (r != 0)
                return r == STATE_E_RUNNING ? INSTANCE_E_RUNNING : r;
        sweep(c->runtime_dir);
        return make_places(i);
}

/* Keeps it in memory, too.  The same name again, as after a restart of its server, is one name. */
static int remember(struct instance *i, const char *path) {
        for (unsigned k = 0; k < i->n_names; k++)
                if (strcmp(i->names[k], path) == 0)
                        return 0;
        assert(i->n_names < INSTANCE_MAX_NAMES);
        i->names[i->n_names] = strdup(path);
        if (!i->names[i->n_names])
                return -ENOMEM;
        i->n_names++;
        return 0;
}

int instance_record(struct instance *i, const char *path) {
        _cleanup_free_ char *names = NULL, *escaped = uri_escape_path(path), *line = NULL;
        _cleanup_close_ int fd = -1;
        int n;

        if (!escaped || place_join(&names, i->config->runtime_dir, "names") < 0 || remember(i, path) < 0)
                return -ENOMEM;
        n = asprintf(&line, "%s\n", escaped);
        if (n < 0)
                return -ENOMEM;
        fd = open(names, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || write(fd, line, (size_t)n) != n)
                return log_error_errno(errno ?: EIO, "cannot write %s", names);
        return 0;
}

/*
 * The lock file goes last, while it is still locked: a new instance makes its own.  Beside what is
 * not ours it stays, as the sign that the directory is.
 */
static void remove_runtime_dir(const char *runtime_dir, int lock_fd) {
        _cleanup_free_ char *lock = NULL;

        sweep(runtime_dir);
        if (place_count(runtime_dir, NULL) > 1)
                log_warning("%s is not removed: there is something else in it", runtime_dir);
        else if (place_join(&lock, runtime_dir, "lock") == 0 && unlink(lock) == 0 &&
                 rmdir(runtime_dir) < 0 && errno != ENOENT && errno != EBUSY && errno != EACCES &&
                 errno != ENOTEMPTY) /* a new instance is there already */
                (void)log_warning_errno(errno, "cannot remove %s", runtime_dir);
        (void)fd_close(lock_fd);
}

void instance_close(struct instance *i) {
        if (i->lock_fd >= 0) {
                state_close(&i->state);
                remove_runtime_dir(i->config->runtime_dir, TAKE_FD(i->lock_fd));
        }
        for (unsigned k = 0; k < i->n_names; k++) {
                remove_name(i->names[k]);
                free(i->names[k]);
        }
        free(i->private_dir);
        free(i->documents_dir);
        free(i->share_dir);
        *i = (struct instance){.lock_fd = -1, .state.lock_fd = -1};
}

static int cleanup_runtime_dir(const struct config *c) {
        int fd, r;

        if (access(c->runtime_dir, F_OK) < 0 && errno == ENOENT)
                return 0;
        r = lock_runtime_dir(c, false, &fd);
        if (r != 0)
                return r;
        remove_runtime_dir(c->runtime_dir, fd);
        log_info("removed what VM '%s' left in %s", c->vm, c->runtime_dir);
        return 0;
}

int instance_cleanup(const struct config *c) {
        int r = cleanup_runtime_dir(c);

        if (r == 0)
                cid_cleanup(c->cid);
        return r == 0 ? state_cleanup(c) : r;
}
