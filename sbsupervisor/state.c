/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/state.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "sbsupervisor/desktop_entry.h"
#include "sbsupervisor/place.h"

#define STATE_E_NEW 2 /* beside STATE_E_*, in here: it has no app-id yet, and may get one */

/* --- the VM's ids, fixed at the first start --------------------------------------------------- */

/* The id, then the name of the VM that it was made from. */
static int check_app_id(struct state *s, const char *path, char *text) {
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
        vm_app_id(s->config->vm, made);
        if (vm && *vm ? strcmp(vm, s->config->vm) != 0 : strcmp(text, made) != 0) {
                log_error("the state in %s belongs to %s%s, not to VM '%s': choose another "
                          "--state-dir", s->config->state_dir, vm && *vm ? "VM " : "",
                          vm && *vm ? ESCAPED(vm) : ESCAPED(text), s->config->vm);
                return -EEXIST;
        }
        (void)strcpy(s->app_id, text);
        return 0;
}

static int make_app_id(struct state *s, const char *path) {
        char text[APP_ID_MAX + VM_NAME_MAX + 3];
        int r;

        vm_app_id(s->config->vm, s->app_id);
        (void)snprintf(text, sizeof(text), "%s\n%s\n", s->app_id, s->config->vm);
        r = place_write(path, text);
        return r < 0 ? log_error_errno(r, "cannot write %s", path) : 0;
}

/*
 * A directory with an app-id of ours was empty once; without one it must be so now: STATE_E_NEW.
 * Changes nothing.
 */
static int find_app_id(struct state *s, const char *path) {
        static const char *const beginnings[] = {"lock", "app-id", "app-id.new", NULL};
        char text[APP_ID_MAX + VM_NAME_MAX + 3];

        s->app_id[0] = '\0';
        /* Twice: another instance may have made its app-id, and more, between the two looks. */
        for (unsigned k = 0; k < 2; k++) {
                ssize_t n = place_read(path, text, sizeof(text));

                if (n > 0)
                        return check_app_id(s, path, text);
                if (n < 0 && n != -ENOENT)
                        return log_error_errno((int)n, "cannot read %s", path);
                n = place_count(s->config->state_dir, beginnings);
                if (n == 0 || n == -ENOENT) /* gone: whoever locks it finds out */
                        return STATE_E_NEW;
        }
        log_error("%s holds files that are not of sidebus: choose another --state-dir, or empty it",
                  s->config->state_dir);
        return -EEXIST;
}

static int load_machine_id(struct state *s) {
        _cleanup_free_ char *path = NULL;
        char text[34];
        int r = place_join(&path, s->config->state_dir, "machine-id");

        if (r < 0)
                return r;
        if (place_read(path, text, sizeof(text)) >= 32) {
                bool good = true;

                for (size_t k = 0; k < 16 && good; k++)
                        good = sscanf(text + 2 * k, "%2hhx", &s->machine_id[k]) == 1;
                if (good)
                        return 0;
        }
        if (getrandom(s->machine_id, sizeof(s->machine_id), 0) != (ssize_t)sizeof(s->machine_id))
                return -EIO;
        for (size_t k = 0; k < 16; k++)
                (void)sprintf(text + 2 * k, "%02x", s->machine_id[k]);
        r = place_write(path, text);
        return r < 0 ? log_error_errno(r, "cannot write %s", path) : 0;
}

/* --- forgetting ------------------------------------------------------------------------------- */

static void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

/* The tables of the portal daemons: regular files, one for each kind of permission. */
static void remove_tables(const char *state_dir) {
        _cleanup_free_ char *path = NULL;
        _cleanup_(closedirp) DIR *d = NULL;

        if (place_join(&path, state_dir, "flatpak/db") < 0)
                return;
        d = opendir(path);
        if (!d)
                return;
        for (struct dirent *entry; (entry = readdir(d));)
                place_remove(path, entry->d_name, S_IFREG);
}

/* All but what says whose directory it is. */
static void forget(const char *state_dir) {
        static const struct {
                const char *name;
                mode_t type;
        } made[] = {
                {"flatpak/db", S_IFDIR},     {"flatpak", S_IFDIR},    {"machine-id", S_IFREG},
                {"machine-id.new", S_IFREG}, {"app-id.new", S_IFREG}, {"policy", S_IFREG},
                {"policy.new", S_IFREG},
        };

        remove_tables(state_dir);
        for (size_t k = 0; k < ELEMENTSOF(made); k++)
                place_remove(state_dir, made[k].name, made[k].type);
}

/* The lock goes last, while it is still locked: a new instance makes its own. */
static void remove_state_dir(const char *dir) {
        static const char *const signs[] = {"lock", "app-id", NULL};

        forget(dir);
        if (place_count(dir, signs) != 0) {
                log_warning("%s is not removed: there is something else in it", dir);
                return;
        }
        place_remove(dir, "app-id", S_IFREG);
        place_remove(dir, "lock", S_IFREG);
        if (rmdir(dir) < 0 && errno != ENOENT && errno != ENOTEMPTY)
                (void)log_warning_errno(errno, "cannot remove %s", dir);
}

/* --- birth and death -------------------------------------------------------------------------- */

/* Two instances with one state would both write the VM's documents. */
static int lock_state_dir(const struct config *c, int *ret_fd) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (place_join(&path, c->state_dir, "lock") < 0)
                return -ENOMEM;
        r = place_lock(path, ret_fd);
        if (r == PLACE_E_LOCKED)
                log_error("the state in %s is in use by another sbsupervisor: stop that first, or "
                          "choose another --state-dir", c->state_dir);
        else if (r == -EAGAIN || r == -ENOENT)
                log_error("%s vanished", path);
        return r == PLACE_E_LOCKED ? STATE_E_RUNNING : r;
}

/* Looks before it locks: a directory of the person's does not even get a lock. */
static int claim(struct state *s) {
        _cleanup_free_ char *path = NULL;
        int r = place_join(&path, s->config->state_dir, "app-id");

        if (r == 0)
                r = find_app_id(s, path);
        if (r < 0)
                return r;
        r = lock_state_dir(s->config, &s->lock_fd);
        if (r == 0)
                r = find_app_id(s, path);
        return r == STATE_E_NEW ? make_app_id(s, path) : r;
}

int state_open(struct state *s, const struct config *c) {
        int r;

        *s = (struct state){.config = c, .lock_fd = -1};
        r = place_make(c->state_dir);
        if (r == 0)
                r = claim(s);
        if (r == 0 && c->disposable)
                forget(c->state_dir); /* of an instance that was killed, or was not disposable */
        return r == 0 ? load_machine_id(s) : r;
}

void state_close(struct state *s) {
        /* Without an app-id it was refused: it is not ours. */
        if (s->lock_fd >= 0 && s->config->disposable && s->app_id[0]) {
                (void)desktop_entry_remove(s->app_id);
                remove_state_dir(s->config->state_dir);
        }
        (void)fd_close(s->lock_fd);
        *s = (struct state){.lock_fd = -1};
}

int state_cleanup(const struct config *c) {
        struct state s = {.config = c, .lock_fd = -1};
        int r;

        if (!c->disposable || (access(c->state_dir, F_OK) < 0 && errno == ENOENT))
                return 0;
        r = place_check(c->state_dir);
        if (r == 0)
                r = claim(&s);
        state_close(&s);
        return r;
}
