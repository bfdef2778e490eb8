/* SPDX-License-Identifier: MIT */
#include "common/sandbox_root.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "common/cleanup.h"
#include "common/id_map.h"
#include "common/sandbox_layer.h"
#include "common/sanitized.h"

int sandbox_root_unshare(void) {
        uid_t uid = geteuid();
        gid_t gid = getegid();

        if (unshare(SANDBOX_CLONE_FLAGS) < 0)
                return -errno;
        return id_map_write(uid, gid);
}

bool sandbox_root_is_prepared(void) {
        _cleanup_close_ int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
        char map[128] = "";
        unsigned count;

        return fd >= 0 && read(fd, map, sizeof(map) - 1) > 0 &&
               sscanf(map, "%*u %*u %u", &count) == 1 && count == 1;
}

#ifdef SANITIZED
/*
 * The leak checker reads of its own threads in /proc, by the numbers that they have in here; so the
 * root stays, and /proc is this process namespace's.  Never in a release build.
 */
int sandbox_root_empty(void) {
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        if (getpid() != 1) /* /proc is right as it is */
                return 0;
        return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ? -errno
                                                                                          : 0;
}
#else
#define FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* /proc: a directory that is there, for by it the ids were mapped. */
int sandbox_root_empty(void) {
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/proc", "tmpfs", FLAGS, "mode=555,size=4k,nr_inodes=1") < 0 ||
            chdir("/proc") < 0)
                return -errno;
        /* The old root lies on the new one then, under the same name: below that there is nothing.
         */
        if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
                return -errno;
        return 0;
}
#endif
