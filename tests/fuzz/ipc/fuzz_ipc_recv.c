/* SPDX-License-Identifier: MIT */
/* A packet with any bytes and descriptors: a valid message or a verdict, and no descriptor left. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The lowest free descriptor: the same before and after when nothing leaked. */
static int lowest_free(void) {
        int fd = dup(STDERR_FILENO);

        return fd < 0 ? -errno : (close(fd), fd);
}

static void send_raw(int fd, const uint8_t *data, size_t n, unsigned n_fds) {
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(7 * sizeof(int))];
        } ctl = {0};
        struct iovec iov = {(void *)data, n};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

        if (n_fds > 0) {
                mh.msg_control = ctl.buf;
                mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                ctl.align = (struct cmsghdr){CMSG_LEN(n_fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
                for (unsigned i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(&ctl.align) + i * sizeof(int), &fd, sizeof(int));
        }
        (void)sendmsg(fd, &mh,
                      MSG_DONTWAIT | MSG_NOSIGNAL); /* over the socket's size: nothing comes */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        /* First byte: how many descriptors ride along, and who receives. */
        enum ipc_role self = n > 0 ? (data[0] >> 3) % IPC_N_ROLES : IPC_ROUTER;
        enum ipc_role peer = self == IPC_SUPERVISOR ? IPC_ROUTER : IPC_SUPERVISOR;
        int before = lowest_free(), r;
        struct ipc_chan a, b;
        struct ipc_msg m;

        assert(ipc_pair(peer, self, &a, &b) == 0);
        if (n > 1)
                send_raw(a.fd, data + 1, n - 1, data[0] & 7);
        r = ipc_recv(&b, &m);
        assert(r == 0 || r == IPC_E_EMPTY || r == IPC_E_VIOLATION);
        if (r == 0) {
                assert(ipc_body_raw(&m, m.type) == m.buf + 8 && m.tail + m.n_tail == m.buf + n - 1);
                assert(m.n_tail <= IPC_MAX_TAIL);
        }
        ipc_msg_done(&m);
        close(a.fd);
        close(b.fd);
        assert(lowest_free() == before);
        return 0;
}
