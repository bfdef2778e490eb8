/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/instance.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/make_dirs.h"
#include "sbsupervisor/spool.h"

#define DEATH_MS        500   /* how long a socket of ours may still be open after its owner was killed */
#define NAMES_MAX_BYTES 65536 /* some ten names of at most PATH_MAX */
#define LOCK_TRIES      8     /* each finds that another instance ended just now */

static int join(char **ret, const char *dir, const char *name) {
        return asprintf(ret, "%s/%s", dir, name) < 0 ? -ENOMEM : 0;
}

static void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

/* How many entries it has; or a negative errno. */
static int count_entries(const char *path) {
        _cleanup_(closedirp) DIR *d = opendir(path);
        int n = 0;

        if (!d)
                return -errno;
        for (struct dirent *entry; (entry = readdir(d));)
                n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        return n;
}

static int check_private_dir(const char *path) {
        struct stat st;

        if (lstat(path, &st) < 0)
                return log_error_errno(errno, "cannot look at %s", path);
        if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
                log_error("%s is not a directory of yours: remove it, or choose another", path);
                return -EPERM;
        }
        /* Not changed here: it may be one that others are meant to read. */
        if (st.st_mode & 077) {
                log_error("%s is open to others: choose another directory, or close it with "
                          "chmod 700", path);
                return -EPERM;
        }
        return 0;
}

/* A directory that is ours alone.  Its parents are made too, as "mkdir -p" would. */
static int make_private_dir(const char *path) {
        int r = make_dirs(path);

        if (r < 0)
                return log_error_errno(r, "cannot make %s", path);
        return check_private_dir(path);
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

/* The id, then the name of the VM that it was made from. */
static int check_app_id(struct instance *i, const char *path, char *text) {
        char made[APP_ID_MAX + 1], *vm = strchr(text, '\n');

        if (vm) {
                *vm++ = '\0';
                vm[strcspn(vm, "\n")] = '\0';
        }
        if (!vm_app_id_is_valid(text)) {
                log_error("%s does not hold an application id: remove the file to start anew "
                          "(the VM then loses its documents)", path);
                return -EBADMSG;
        }
        vm_app_id(i->config->vm, made);
        if (vm && *vm ? strcmp(vm, i->config->vm) != 0 : strcmp(text, made) != 0) {
                log_error("the state in %s belongs to %s%s, not to VM '%s': choose another "
                          "--state-dir", i->config->state_dir, vm && *vm ? "VM " : "",
                          vm && *vm ? ESCAPED(vm) : ESCAPED(text), i->config->vm);
                return -EEXIST;
        }
        (void)strcpy(i->app_id, text);
        return 0;
}

static int load_app_id(struct instance *i) {
        _cleanup_free_ char *path = NULL;
        char text[APP_ID_MAX + VM_NAME_MAX + 3];
        ssize_t n;
        int r = join(&path, i->config->state_dir, "app-id");

        if (r < 0)
                return r;
        n = read_small(path, text, sizeof(text));
        if (n > 0)
                return check_app_id(i, path, text);
        if (n < 0 && n != -ENOENT)
                return log_error_errno((int)n, "cannot read %s", path);
        vm_app_id(i->config->vm, i->app_id);
        (void)snprintf(text, sizeof(text), "%s\n%s\n", i->app_id, i->config->vm);
        r = write_small(path, text);
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
        for (size_t k = 0; k < ELEMENTSOF(left); k++) {
                _cleanup_free_ char *path = NULL;
                struct stat st;

                if (join(&path, runtime_dir, left[k].name) < 0 || lstat(path, &st) < 0 ||
                    (st.st_mode & S_IFMT) != left[k].type)
                        continue;
                if ((left[k].type == S_IFDIR ? rmdir(path) : unlink(path)) < 0 && errno != ENOENT)
                        (void)log_warning_errno(errno, "cannot remove %s", path);
        }
}

static bool is_lock(const char *path) {
        struct stat st;

        return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
               st.st_size == 0;
}

/* What sweep() may clear: a directory that holds nothing, or our lock. */
static int check_runtime_dir(const char *runtime_dir) {
        _cleanup_free_ char *lock = NULL;

        if (join(&lock, runtime_dir, "lock") < 0)
                return -ENOMEM;
        /* Twice: another instance may have made its lock, or removed it, between the two looks. */
        for (unsigned k = 0; k < 2; k++) {
                int n;

                if (is_lock(lock))
                        return 0;
                n = count_entries(runtime_dir);
                if (n < 0)
                        return n == -ENOENT ? n : log_error_errno(n, "cannot read %s", runtime_dir);
                if (n == 0)
                        return 0;
        }
        log_error("%s holds files that are not of sidebus: choose another --runtime-dir, or empty it",
                  runtime_dir);
        return -EEXIST;
}

/*
 * -EAGAIN when it was removed by its last owner before we had it, -ENOENT when that owner took the
 * directory away, too; neither is logged.
 */
static int lock_once(const char *path, int *ret_fd) {
        _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        struct stat ours, now;

        if (fd < 0)
                return errno == ENOENT ? -ENOENT : log_error_errno(errno, "cannot open %s", path);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? INSTANCE_E_RUNNING
                                            : log_error_errno(errno, "cannot lock %s", path);
        if (fstat(fd, &ours) < 0)
                return -errno;
        if (lstat(path, &now) < 0 || now.st_dev != ours.st_dev || now.st_ino != ours.st_ino)
                return -EAGAIN;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Makes the directory where make is set.  Only who has its lock may clear it. */
static int lock_runtime_dir(const struct config *c, bool make, int *ret_fd) {
        _cleanup_free_ char *path = NULL;
        int r = -EAGAIN;

        if (join(&path, c->runtime_dir, "lock") < 0)
                return -ENOMEM;
        for (unsigned k = 0; k < LOCK_TRIES && (r == -EAGAIN || r == -ENOENT); k++) {
                r = make ? make_private_dir(c->runtime_dir) : check_private_dir(c->runtime_dir);
                if (r == 0)
                        r = check_runtime_dir(c->runtime_dir);
                if (r == 0)
                        r = lock_once(path, ret_fd);
        }
        if (r == INSTANCE_E_RUNNING)
                log_error("VM '%s' is served already: stop the other sbsupervisor first "
                          "(systemctl --user stop sidebus@%s)", c->vm, c->vm);
        else if (r == -EAGAIN || r == -ENOENT)
                log_error("cannot lock %s: other instances come and go", path);
        return r;
}

/* Two instances with one state would both write the VM's documents.  This lock stays there. */
static int lock_state_dir(const struct config *c, int *ret_fd) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (join(&path, c->state_dir, "lock") < 0)
                return -ENOMEM;
        r = lock_once(path, ret_fd);
        if (r == INSTANCE_E_RUNNING)
                log_error("the state in %s is in use by another sbsupervisor: stop that first, or "
                          "choose another --state-dir", c->state_dir);
        else if (r == -EAGAIN || r == -ENOENT)
                log_error("%s vanished", path);
        return r;
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

        *i = (struct instance){.config = c, .lock_fd = -1, .state_lock_fd = -1};
        r = lock_runtime_dir(c, true, &i->lock_fd);
        if (r == 0)
                r = make_private_dir(c->state_dir);
        if (r == 0)
                r = lock_state_dir(c, &i->state_lock_fd);
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

/*
 * The lock file goes last, while it is still locked: a new instance makes its own.  Beside what is
 * not ours it stays, as the sign that the directory is.
 */
static void remove_runtime_dir(const char *runtime_dir, int lock_fd) {
        _cleanup_free_ char *lock = NULL;

        sweep(runtime_dir);
        if (count_entries(runtime_dir) > 1)
                log_warning("%s is not removed: there is something else in it", runtime_dir);
        else if (join(&lock, runtime_dir, "lock") == 0 && unlink(lock) == 0 &&
                 rmdir(runtime_dir) < 0 && errno != ENOENT && errno != EBUSY && errno != EACCES &&
                 errno != ENOTEMPTY) /* a new instance is there already */
                (void)log_warning_errno(errno, "cannot remove %s", runtime_dir);
        (void)fd_close(lock_fd);
}

void instance_close(struct instance *i) {
        if (i->lock_fd >= 0) {
                (void)fd_close(i->state_lock_fd);
                remove_runtime_dir(i->config->runtime_dir, TAKE_FD(i->lock_fd));
        }
        for (unsigned k = 0; k < i->n_names; k++) {
                remove_name(i->names[k]);
                free(i->names[k]);
        }
        free(i->private_dir);
        free(i->documents_dir);
        free(i->share_dir);
        *i = (struct instance){.lock_fd = -1, .state_lock_fd = -1};
}

int instance_cleanup(const struct config *c) {
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
