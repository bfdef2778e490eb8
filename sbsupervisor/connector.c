/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/connector.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-login.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "sbsupervisor/privops.h"
#include "sbsupervisor/vm_name.h"

#define SYSTEMD      "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define MANAGER      "org.freedesktop.systemd1.Manager"

#define MANAGER_USEC    5000000u /* a scope takes milliseconds; a start does not wait for ever */
#define SCOPE_STOP_USEC 5000000u /* it takes no SIGTERM; our unit, stopped meanwhile, ends it */

/* --- the scope ------------------------------------------------------------------------------- */

char *connector_scope(const char *app_id, unsigned number) {
        char *name;

        /* Such an id has no byte that a unit's name would escape. */
        assert(vm_app_id_is_valid(app_id));
        return asprintf(&name, "app-sidebus-%s-%08x.scope", app_id, number) < 0 ? NULL : name;
}

/* The answer to StartTransientUnit, and the end of the job it names. */
struct job {
        char *path;
        bool done;
};

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct job *job = userdata;
        const char *path;

        if (sd_bus_message_read(m, "uoss", NULL, &path, NULL, NULL) >= 0 && job->path &&
            strcmp(path, job->path) == 0)
                job->done = true;
        return 0;
}

static int wait_job(sd_bus *bus, const struct job *job) {
        uint64_t now = clock_usec(), end = now + MANAGER_USEC;
        int r = 1;

        while (r >= 0 && !job->done && (now = clock_usec()) < end) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, end - now);
        }
        return r < 0 ? r : job->done ? 0 : -ETIMEDOUT;
}

static int new_call(sd_bus *bus, const char *member, sd_bus_message **ret) {
        int r = sd_bus_message_new_method_call(bus, ret, SYSTEMD, SYSTEMD_PATH, MANAGER, member);

        /* On a bus that systemd is not on, its name stands for a program that fails. */
        return r < 0 ? r : sd_bus_message_set_auto_start(*ret, false);
}

static int ask(sd_bus *bus, sd_bus_message *m, sd_bus_message **ret_reply) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call(bus, m, MANAGER_USEC, &error, ret_reply);

        if (r < 0)
                log_debug("systemd of the session: %s", ESCAPED(error.message ?: strerror(-r)));
        return r < 0 ? r : 0;
}

/* Without a subscriber systemd tells nobody of its jobs. */
static int subscribe(sd_bus *bus, struct job *job, sd_bus_slot **ret_slot) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_match_signal(bus, ret_slot, SYSTEMD, SYSTEMD_PATH, MANAGER, "JobRemoved",
                                    on_job_removed, job);

        if (r >= 0)
                r = new_call(bus, "Subscribe", &m);
        return r < 0 ? r : ask(bus, m, NULL);
}

static int start_scope(sd_bus *bus, const char *name, const char *app_id, pid_t pid,
                       char **ret_job) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const char *path;
        int r = new_call(bus, "StartTransientUnit", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "ssa(sv)a(sa(sv))", name, "fail", 5,
                                          "Description", "s", app_id,
                                          "PIDs", "au", 1, (uint32_t)pid,
                                          "Slice", "s", "app.slice",
                                          "CollectMode", "s", "inactive-or-failed",
                                          "TimeoutStopUSec", "t", (uint64_t)SCOPE_STOP_USEC, 0);
        if (r >= 0)
                r = ask(bus, m, &reply);
        if (r >= 0)
                r = sd_bus_message_read_basic(reply, 'o', &path);
        if (r < 0)
                return r;
        *ret_job = strdup(path);
        return *ret_job ? 0 : -ENOMEM;
}

/* What xdg-desktop-portal will ask, and with the same function. */
static bool is_in_scope(pid_t pid, const char *name) {
        _cleanup_free_ char *unit = NULL;
        int r = sd_pid_get_user_unit(pid, &unit);

        log_debug("the connector is in %s", r < 0 ? "no unit of the session" : unit);
        return r >= 0 && strcmp(unit, name) == 0;
}

static int enter_scope(sd_bus *bus, const char *app_id, pid_t pid) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        _cleanup_free_ char *name = NULL, *path = NULL;
        struct job job = {0};
        unsigned number;
        int r;

        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
                return -EIO;
        name = connector_scope(app_id, number);
        if (!name)
                return -ENOMEM;
        r = subscribe(bus, &job, &slot);
        if (r >= 0)
                r = start_scope(bus, name, app_id, pid, &path);
        job.path = path;
        if (r >= 0)
                r = wait_job(bus, &job);
        if (r == -ENOMEM)
                return r;
        return r >= 0 && is_in_scope(pid, name) ? 0 : CONNECTOR_E_MANAGER;
}

/* --- the connection -------------------------------------------------------------------------- */

/* Where session's other end listens. */
static int bus_socket(sd_bus *session, struct sockaddr_un *ret, socklen_t *ret_n) {
        int fd = sd_bus_get_fd(session);

        *ret_n = sizeof(*ret);
        if (fd < 0)
                return fd;
        if (getpeername(fd, (struct sockaddr *)ret, ret_n) < 0)
                return -errno;
        return ret->sun_family == AF_UNIX && *ret_n > offsetof(struct sockaddr_un, sun_path)
                       ? 0
                       : CONNECTOR_E_BUS;
}

int connector_open(struct connector *c, sd_bus *session, const char *app_id, int *ret_fd) {
        _cleanup_close_ int fd = -1;
        struct sockaddr_un sa;
        socklen_t n;
        int r = bus_socket(session, &sa, &n);

        if (r != 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        r = privop_connect_apart(fd, (struct sockaddr *)&sa, n, &c->pid, &c->pidfd, &c->hold);
        if (r < 0)
                return r;
        r = enter_scope(session, app_id, c->pid);
        if (r != 0) {
                connector_close(c);
                return r;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

void connector_forget(struct connector *c) {
        (void)fd_close(c->hold);
        (void)fd_close(c->pidfd);
        *c = (struct connector){.pidfd = -1, .hold = -1};
}

void connector_close(struct connector *c) {
        if (c->pid > 0) {
                /* Not reaped yet: the pid is still its own.  A debugger may hold what is dead, too. */
                (void)kill(c->pid, SIGKILL);
                connector_forget(c);
        }
}
