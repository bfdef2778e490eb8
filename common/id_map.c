/* SPDX-License-Identifier: MIT */
#include "common/id_map.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

static int write_file(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return -errno;
        return 0;
}

static int write_map(const char *path, unsigned id) {
        char map[64];

        (void)snprintf(map, sizeof(map), "%u %u 1", id, id);
        return write_file(path, map);
}

int id_map_write(uid_t uid, gid_t gid) {
        /* Before the groups: else who is unprivileged may not map one. */
        int r = write_file("/proc/self/setgroups", "deny");

        if (r == 0)
                r = write_map("/proc/self/uid_map", uid);
        return r == 0 ? write_map("/proc/self/gid_map", gid) : r;
}
