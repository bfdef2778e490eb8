/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/virtiofsd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "sbsupervisor/privops.h"

#define ANSWER_MS 5000 /* it prints one line; a loaded machine may need a second */

/* 1.13 brought --translate-uid, without which a guest user cannot enter the share. */
bool virtiofsd_version_is_good(const char *line) {
        char major[5], minor[5];

        return sscanf(line, "virtiofsd %4[0-9].%4[0-9]", major, minor) == 2 &&
               (atoi(major) > 1 || (atoi(major) == 1 && atoi(minor) >= 13));
}

static int ask_version(const char *path, char *ret, size_t size) {
        const char *const argv[] = {path, "--version", NULL};
        const char *const envp[] = {"PATH=/usr/bin:/bin", NULL};
        _cleanup_close_ int read_end = -1, write_end = -1, pidfd = -1;
        struct privop_spawn s = {
                .path = path,
                .argv = argv,
                .envp = envp,
        };
        struct pollfd wait = {.events = POLLIN};
        ssize_t n = -1;
        pid_t pid;
        int p[2], r;

        if (pipe2(p, O_CLOEXEC) < 0)
                return -errno;
        read_end = p[0];
        write_end = p[1];
        s.log_fd = write_end;
        r = privop_spawn(&s, &pid, &pidfd);
        if (r != 0)
                return r;
        write_end = fd_close(write_end);
        wait.fd = read_end;
        if (poll(&wait, 1, ANSWER_MS) == 1)
                n = read(read_end, ret, size - 1);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        ret[n > 0 ? n : 0] = '\0';
        ret[strcspn(ret, "\n")] = '\0';
        return 0;
}

bool virtiofsd_is_usable(const char *path) {
        char version[128] = "";
        int r = ask_version(path, version, sizeof(version));

        if (r != 0) {
                log_warning("no virtiofsd at %s: the guest gets no documents over virtio-fs "
                            "(install the package virtiofsd, 1.13 or later)", path);
                return false;
        }
        if (!virtiofsd_version_is_good(version)) {
                log_warning("%s is '%s', and the Rust virtiofsd 1.13 or later is needed: the guest "
                            "gets no documents over virtio-fs", path, ESCAPED(version));
                return false;
        }
        return true;
}
