/* SPDX-License-Identifier: MIT */
#include "common/child_options.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"

int child_options_set_ipc_fd(void *self, const char *value) {
        char *end;
        long fd;

        errno = 0;
        fd = strtol(value, &end, 10);
        if (errno != 0 || *end || end == value || fd <= STDERR_FILENO || fd > INT_MAX ||
            fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0) {
                log_error("--ipc-fd %s: not a descriptor that was passed", ESCAPED(value));
                return -EINVAL;
        }
        ((struct child_options *)self)->ipc_fd = (int)fd;
        return 0;
}

int child_options_set_in_namespaces(void *self, const char *value _unused_) {
        ((struct child_options *)self)->place = SANDBOX_PREPARED;
        return 0;
}

int child_options_set_waive(void *self, const char *value) {
        if (sandbox_layer_parse(value, &((struct child_options *)self)->waived) == 0)
                return 0;
        log_error("--waive %s: " SANDBOX_LAYER_CHOICE, ESCAPED(value));
        return -EINVAL;
}
