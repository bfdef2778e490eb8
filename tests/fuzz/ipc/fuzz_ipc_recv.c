/* SPDX-License-Identifier: MIT */
/*
 * A packet with any bytes and descriptors, between any two roles, either way: a verdict, or a valid
 * message, which is the same when it is sent on; and no descriptor left.
 */
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

/* What was received is a message that its sender could have made: the same bytes again. */
static void check_round_trip(struct ipc_chan *from, struct ipc_chan *to, const struct ipc_msg *m) {
        size_t n_body = (size_t)(m->tail - m->buf) - 8;
        unsigned n_fds = 0;
        struct ipc_msg again;

        while (n_fds < IPC_MAX_FDS && m->fds[n_fds] >= 0)
                n_fds++;
        assert(ipc_send_raw(from, m->type, m->buf + 8, n_body, m->tail, m->n_tail, m->fds, n_fds) ==
               0);
        assert(ipc_recv(to, &again) == 0);
        assert(again.type == m->type && again.n_tail == m->n_tail);
        assert(memcmp(again.buf, m->buf, 8 + n_body + m->n_tail) == 0);
        for (unsigned i = 0; i < IPC_MAX_FDS; i++)
                assert((again.fds[i] >= 0) == (m->fds[i] >= 0));
        ipc_msg_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        /* First byte: how many descriptors ride along, and who receives of whom. */
        enum ipc_role self = n > 0 ? (data[0] >> 3) % IPC_N_ROLES : IPC_ROUTER;
        enum ipc_role child = n > 0 && data[0] & 0x80 ? IPC_PORTAL : IPC_ROUTER;
        enum ipc_role peer = self == IPC_SUPERVISOR ? child : IPC_SUPERVISOR;
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
                check_round_trip(&a, &b, &m);
        }
        ipc_msg_done(&m);
        close(a.fd);
        close(b.fd);
        assert(lowest_free() == before);
        return 0;
}
