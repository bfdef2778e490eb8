/* SPDX-License-Identifier: MIT */
#include "sbagent/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/listen.h"
#include "common/log.h"

static int adopt(struct listeners *l, int fd) {
        int flags;

        if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
                log_error("descriptor %d from systemd is not a listening unix stream socket: the "
                          "socket unit needs ListenStream=/PATH and Accept=no",
                          fd);
                return -EINVAL;
        }
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return log_error_errno(errno, "descriptor %d from systemd", fd);
        l->fds[l->n++] = fd;
        return 0;
}

static int adopt_all(struct listeners *l, int n) {
        int r = 0;

        if ((unsigned)n > LIMIT_AGENT_LISTENERS) {
                log_error("%d sockets from systemd: at most %u are possible", n,
                          LIMIT_AGENT_LISTENERS);
                return -E2BIG;
        }
        for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n && r == 0; fd++)
                r = adopt(l, fd);
        return r;
}

/*
 * The directory may be one where others can replace our file, so the mode is set
 * on the very file that is found to be a socket of ours.
 */
static int set_mode(const char *path, unsigned mode) {
        _cleanup_close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        char self[64];
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
                return -EPERM;
        (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        return chmod(self, mode) < 0 ? -errno : 0;
}

static int open_own(struct listeners *l, const struct config *config) {
        int fd = listen_address(&config->listen, SOMAXCONN, 1), r;

        if (fd < 0)
                return fd;
        l->fds[l->n++] = fd;
        l->own_path = config->listen.path;
        r = set_mode(l->own_path, config->mode);
        if (r < 0)
                return log_error_errno(r, "cannot set mode %04o of %s", config->mode,
                                       ESCAPED(l->own_path));
        return 0;
}

int listeners_open(struct listeners *l, const struct config *config, bool explicit_listen) {
        int n = sd_listen_fds(1);

        if (n < 0)
                return log_error_errno(n, "environment LISTEN_FDS");
        if (n > 0 && explicit_listen) {
                log_error("systemd passed a socket and --listen names another: give one of them");
                return -EINVAL;
        }
        if (n > 0)
                return adopt_all(l, n);
        if (!config->has_listen) {
                log_error("no socket to listen on: start sbagent by its socket unit, or use "
                          "--listen unix:PATH");
                return -EDESTADDRREQ;
        }
        return open_own(l, config);
}

void listeners_done(struct listeners *l) {
        for (size_t i = 0; i < l->n; i++)
                l->fds[i] = fd_close(l->fds[i]);
        l->n = 0;
        if (l->own_path)
                (void)unlink(l->own_path);
        l->own_path = NULL;
}
