/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/instance.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"

#define NAMES_MAX_BYTES 65536 /* some ten names of at most PATH_MAX */

static int join(char **ret, const char *dir, const char *name) {
        return asprintf(ret, "%s/%s", dir, name) < 0 ? -ENOMEM : 0;
}

/* A directory that is ours alone.  Its parents are made too, as "mkdir -p" would. */
static int make_private_dir(const char *path) {
        _cleanup_free_ char *copy = strdup(path);
        struct stat st;

        if (!copy)
                return -ENOMEM;
        for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(copy, 0700) < 0 && errno != EEXIST)
                        return log_error_errno(errno, "cannot make %s", copy);
                *slash = '/';
        }
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return log_error_errno(errno, "cannot make %s", path);
        if (lstat(path, &st) < 0)
                return log_error_errno(errno, "cannot look at %s", path);
        if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
                log_error("%s is not a directory of yours: remove it, or choose another", path);
                return -EPERM;
        }
        if ((st.st_mode & 077) && chmod(path, 0700) < 0)
                return log_error_errno(errno, "cannot close %s to others", path);
        return 0;
}

/* --- small files ---------------------------------------------------------------------------------- */

/* Reads at most size - 1 bytes, terminated; the length, or a negative errno. */
static ssize_t read_small(const char *path, char *buf, size_t size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
        ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

        if (n < 0)
                return -errno;
        buf[n] = '\0';
        return n;
}

/* Whole or not at all: written beside, synced, renamed over. */
static int write_small(const char *path, const char *text) {
        _cleanup_free_ char *temporary = NULL;
        _cleanup_close_ int fd = -1;
        size_t n = strlen(text);

        if (asprintf(&temporary, "%s.new", path) < 0)
                return -ENOMEM;
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (write(fd, text, n) != (ssize_t)n || fsync(fd) < 0 || rename(temporary, path) < 0) {
                int r = errno ? -errno : -EIO;

                (void)unlink(temporary);
                return r;
        }
        return 0;
}

/* --- the VM's ids, fixed at the first start ------------------------------------------------------- */

static int load_app_id(struct instance *i) {
        _cleanup_free_ char *path = NULL;
        char text[APP_ID_MAX + 2];
        ssize_t n;
        int r = join(&path, i->config->state_dir, "app-id");

        if (r < 0)
                return r;
        n = read_small(path, text, sizeof(text));
        if (n > 0) {
                text[strcspn(text, "\n")] = '\0';
                if (!vm_app_id_is_valid(text)) {
                        log_error("%s does not hold an application id: remove the file to start anew "
                                  "(the VM then loses its documents)", path);
                        return -EBADMSG;
                }
                (void)strcpy(i->app_id, text);
                return 0;
        }
        if (n < 0 && n != -ENOENT)
                return log_error_errno((int)n, "cannot read %s", path);
        vm_app_id(i->config->vm, i->app_id);
        r = write_small(path, i->app_id);
        return r < 0 ? log_error_errno(r, "cannot write %s", path) : 0;
}

static int load_machine_id(struct instance *i) {
        _cleanup_free_ char *path = NULL;
        char text[34];
        int r = join(&path, i->config->state_dir, "machine-id");

        if (r < 0)
                return r;
        if (read_small(path, text, sizeof(text)) >= 32) {
                bool good = true;

                for (size_t k = 0; k < 16 && good; k++)
                        good = sscanf(text + 2 * k, "%2hhx", &i->machine_id[k]) == 1;
                if (good)
                        return 0;
        }
        if (getrandom(i->machine_id, sizeof(i->machine_id), 0) != (ssize_t)sizeof(i->machine_id))
                return -EIO;
        for (size_t k = 0; k < 16; k++)
                (void)sprintf(text + 2 * k, "%02x", i->machine_id[k]);
        r = write_small(path, text);
        return r < 0 ? log_error_errno(r, "cannot write %s", path) : 0;
}

/* --- the runtime directory ------------------------------------------------------------------------ */

/* A socket nobody listens on, or one of our symlinks; anything else is not ours any more. */
static void remove_name(const char *path) {
        _cleanup_close_ int fd = -1;
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        struct stat st;

        if (lstat(path, &st) < 0 || st.st_uid != geteuid())
                return;
        if (S_ISSOCK(st.st_mode) && strlen(path) < sizeof(sa.sun_path)) {
                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void)strcpy(sa.sun_path, path);
                if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 ||
                    errno != ECONNREFUSED)
                        return;
        } else if (!S_ISLNK(st.st_mode)) {
                return;
        }
        if (unlink(path) < 0 && errno != ENOENT)
                (void)log_warning_errno(errno, "cannot remove %s", path);
}

static void remove_recorded_names(const char *runtime_dir) {
        _cleanup_free_ char *names = NULL, *text = malloc(NAMES_MAX_BYTES);
        char *save = NULL;
        ssize_t n;

        if (!text || join(&names, runtime_dir, "names") < 0)
                return;
        n = read_small(names, text, NAMES_MAX_BYTES);
        if (n <= 0)
                return;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                _cleanup_free_ char *path = uri_unescape(line, strlen(line));

                if (path && path[0] == '/')
                        remove_name(path);
        }
}

static int remove_entry(const char *path, const struct stat *st _unused_, int type,
                        struct FTW *ftw _unused_) {
        if ((type == FTW_DP ? rmdir(path) : unlink(path)) < 0 && errno != ENOENT)
                (void)log_warning_errno(errno, "cannot remove %s", path);
        return 0;
}

static void sweep(const char *runtime_dir) {
        static const char *const ours[] = {"private", "documents", "virtiofs.sock", "names"};

        remove_recorded_names(runtime_dir);
        for (size_t k = 0; k < ELEMENTSOF(ours); k++) {
                _cleanup_free_ char *path = NULL;

                if (join(&path, runtime_dir, ours[k]) == 0 && access(path, F_OK) == 0)
                        (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        }
}

static int take_lock(const char *runtime_dir, const char *vm, int *ret_fd) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -1;

        if (join(&path, runtime_dir, "lock") < 0)
                return -ENOMEM;
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return log_error_errno(errno, "cannot open %s", path);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK)
                        return log_error_errno(errno, "cannot lock %s", path);
                log_error("VM '%s' is served already: stop the other sbsupervisor first "
                          "(systemctl --user stop sidebus@%s)", vm, vm);
                return INSTANCE_E_RUNNING;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int make_places(struct instance *i) {
        const char *run = i->config->runtime_dir;

        if (join(&i->private_dir, run, "private") < 0 ||
            join(&i->documents_dir, run, "documents") < 0 ||
            asprintf(&i->share_dir, "%s/doc/by-app/%s", i->documents_dir, i->app_id) < 0)
                return -ENOMEM;
        if (mkdir(i->private_dir, 0700) < 0)
                return log_error_errno(errno, "cannot make %s", i->private_dir);
        if (mkdir(i->documents_dir, 0700) < 0)
                return log_error_errno(errno, "cannot make %s", i->documents_dir);
        return 0;
}

int instance_open(struct instance *i, const struct config *c) {
        int r;

        *i = (struct instance){.config = c, .lock_fd = -1};
        r = make_private_dir(c->runtime_dir);
        if (r == 0)
                r = take_lock(c->runtime_dir, c->vm, &i->lock_fd);
        if (r == 0)
                r = make_private_dir(c->state_dir);
        if (r != 0)
                return r;
        sweep(c->runtime_dir);
        r = load_app_id(i);
        if (r == 0)
                r = load_machine_id(i);
        if (r == 0)
                r = make_places(i);
        return r;
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

        if (!escaped || join(&names, i->config->runtime_dir, "names") < 0 || remember(i, path) < 0)
                return -ENOMEM;
        n = asprintf(&line, "%s\n", escaped);
        if (n < 0)
                return -ENOMEM;
        fd = open(names, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || write(fd, line, (size_t)n) != n)
                return log_error_errno(errno ?: EIO, "cannot write %s", names);
        return 0;
}

/* The lock file goes last, while it is still locked: a new instance makes its own. */
static void remove_runtime_dir(const char *runtime_dir, int lock_fd) {
        _cleanup_free_ char *lock = NULL;

        sweep(runtime_dir);
        if (join(&lock, runtime_dir, "lock") == 0)
                (void)unlink(lock);
        if (rmdir(runtime_dir) < 0 && errno != ENOENT && errno != EBUSY && errno != EACCES)
                (void)log_warning_errno(errno, "cannot remove %s", runtime_dir);
        (void)fd_close(lock_fd);
}

void instance_close(struct instance *i) {
        if (i->lock_fd >= 0)
                remove_runtime_dir(i->config->runtime_dir, TAKE_FD(i->lock_fd));
        for (unsigned k = 0; k < i->n_names; k++) {
                remove_name(i->names[k]);
                free(i->names[k]);
        }
        free(i->private_dir);
        free(i->documents_dir);
        free(i->share_dir);
        *i = (struct instance){.lock_fd = -1};
}

int instance_cleanup(const struct config *c) {
        int fd, r;

        if (access(c->runtime_dir, F_OK) < 0 && errno == ENOENT)
                return 0;
        r = take_lock(c->runtime_dir, c->vm, &fd);
        if (r != 0)
                return r;
        remove_runtime_dir(c->runtime_dir, fd);
        log_info("removed what VM '%s' left in %s", c->vm, c->runtime_dir);
        return 0;
}
