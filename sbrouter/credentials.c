/* SPDX-License-Identifier: MIT */
#include "sbrouter/credentials.h"

#include <errno.h>
#include <sys/socket.h>

int credentials_of_socket(int fd, struct credentials *ret) {
        struct ucred uc;
        socklen_t n = sizeof(uc);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &uc, &n) < 0)
                return -errno;
        *ret = (struct credentials){
                .has_uid = true,
                .has_pid = uc.pid > 0, /* 0: of another pid namespace */
                .uid = uc.uid,
                .pid = (uint32_t)uc.pid,
        };
        return 0;
}
