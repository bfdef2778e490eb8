/* SPDX-License-Identifier: MIT */
#include "ipc/ipc.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"

struct ipc_header {
        uint32_t type, n_tail;
};

static const struct ipc_desc {
        const char *name;
        enum ipc_role from, to;
        size_t n_body, max_tail;
        unsigned n_fds;
} descs[IPC_N_TYPES] = {
#define X(n, f, t, body, tail, fds) [IPC_##n] = {#n, IPC_##f, IPC_##t, sizeof(body), tail, fds},
        IPC_MESSAGES(X)
#undef X
};

#define X(n, f, t, body, tail, fds)                                                                \
        _Static_assert(sizeof(body) % 8 == 0, #n ": body is not padded to 8");                     \
        _Static_assert(sizeof(body) <= IPC_MAX_BODY, #n ": body too large");                       \
        _Static_assert((tail) <= IPC_MAX_TAIL && (fds) <= IPC_MAX_FDS, #n ": over the limits");    \
        _Static_assert(IPC_##f != IPC_##t, #n ": from a role to itself");
IPC_MESSAGES(X)
#undef X

union fd_control {
        struct cmsghdr align;
        char buf[CMSG_SPACE(IPC_MAX_FDS * sizeof(int))];
};

static const struct ipc_desc *desc_of(uint32_t type) {
        return type > IPC_NONE && type < IPC_N_TYPES ? &descs[type] : NULL;
}

const char *ipc_type_name(uint32_t type) {
        const struct ipc_desc *d = desc_of(type);

        return d ? d->name : "unknown";
}

const char *ipc_role_name(enum ipc_role role) {
        static const char *const names[IPC_N_ROLES] = {
                [IPC_SUPERVISOR] = "sbsupervisor",
                [IPC_ROUTER] = "sbrouter",
                [IPC_PORTAL] = "sbportal",
        };

        return names[role];
}

int ipc_pair(enum ipc_role a, enum ipc_role b, struct ipc_chan *ret_a, struct ipc_chan *ret_b) {
        int p[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) < 0)
                return -errno;
        *ret_a = (struct ipc_chan){p[0], a, b};
        *ret_b = (struct ipc_chan){p[1], b, a};
        return 0;
}

static void attach_fds(struct msghdr *mh, union fd_control *ctl, const int *fds, unsigned n) {
        struct cmsghdr *cm;

        if (n == 0)
                return;
        mh->msg_control = ctl->buf;
        mh->msg_controllen = CMSG_SPACE(n * sizeof(int));
        cm = CMSG_FIRSTHDR(mh);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(cm), fds, n * sizeof(int));
}

int ipc_send_raw(struct ipc_chan *c, enum ipc_type t, const void *body, size_t n_body,
                 const void *tail, size_t n_tail, const int *fds, unsigned n_fds) {
        const struct ipc_desc *d = desc_of(t);
        struct ipc_header h = {t, (uint32_t)n_tail};
        struct iovec iov[3] = {
                {&h, sizeof(h)},
                {(void *)body, n_body},
                {(void *)tail, n_tail},
        };
        union fd_control ctl = {0};
        struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 3};

        assert(d && d->from == c->self && d->to == c->peer);
        assert(n_body == d->n_body && n_tail <= d->max_tail && n_fds == d->n_fds);

        attach_fds(&mh, &ctl, fds, n_fds);
        log_debug("ipc: to %s: %s, tail %zu, fds %u", ipc_role_name(c->peer), d->name, n_tail, n_fds);
        if (sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
                return 0;
        if (errno == EAGAIN)
                return IPC_E_FULL;
        if (errno == EPIPE || errno == ECONNRESET)
                return IPC_E_GONE;
        return -errno;
}

/* Takes every descriptor out of the control data: counts all, keeps IPC_MAX_FDS. */
static unsigned collect_fds(struct msghdr *mh, struct ipc_msg *m) {
        unsigned n = 0;

        for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
                size_t k;

                if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
                        continue;
                k = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < k; i++, n++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
                        if (n < IPC_MAX_FDS)
                                m->fds[n] = fd;
                        else
                                (void)fd_close(fd);
                }
        }
        return n;
}

static int receive_packet(struct ipc_chan *c, struct ipc_msg *m, size_t *ret_n, unsigned *ret_fds) {
        union fd_control ctl;
        struct iovec iov = {m->buf, sizeof(m->buf)};
        struct msghdr mh = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = ctl.buf,
                .msg_controllen = sizeof(ctl.buf),
        };
        ssize_t n = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return IPC_E_EMPTY;
        if (n < 0)
                return errno == ECONNRESET ? IPC_E_GONE : -errno;
        *ret_fds = collect_fds(&mh, m);
        *ret_n = (size_t)n;
        if (n == 0) /* no valid message is empty */
                return *ret_fds > 0 ? IPC_E_VIOLATION : IPC_E_GONE;
        return mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? IPC_E_VIOLATION : 0;
}

static int check_packet(const struct ipc_chan *c, struct ipc_msg *m, size_t n, unsigned n_fds) {
        const struct ipc_desc *d;
        struct ipc_header h;

        if (n < sizeof(h))
                return IPC_E_VIOLATION;
        memcpy(&h, m->buf, sizeof(h));
        d = desc_of(h.type);
        if (!d || d->from != c->peer || d->to != c->self || n_fds != d->n_fds ||
            h.n_tail > d->max_tail || n != sizeof(h) + d->n_body + h.n_tail)
                return IPC_E_VIOLATION;
        m->type = h.type;
        m->n_tail = h.n_tail;
        m->tail = m->buf + sizeof(h) + d->n_body;
        return 0;
}

int ipc_recv(struct ipc_chan *c, struct ipc_msg *m) {
        unsigned n_fds = 0;
        size_t n = 0;
        int r;

        m->type = IPC_NONE;
        for (unsigned i = 0; i < IPC_MAX_FDS; i++)
                m->fds[i] = -1;
        r = receive_packet(c, m, &n, &n_fds);
        if (r == 0)
                r = check_packet(c, m, n, n_fds);
        if (r != 0)
                ipc_msg_done(m);
        else
                log_debug("ipc: from %s: %s, %zu bytes, fds %u", ipc_role_name(c->peer),
                          ipc_type_name(m->type), n, n_fds);
        return r;
}

const void *ipc_body_raw(const struct ipc_msg *m, enum ipc_type t) {
        assert(m->type == t);
        return m->buf + sizeof(struct ipc_header);
}

int ipc_take_fd(struct ipc_msg *m, unsigned i) {
        assert(i < IPC_MAX_FDS && m->fds[i] >= 0);
        return TAKE_FD(m->fds[i]);
}

void ipc_msg_done(struct ipc_msg *m) {
        for (unsigned i = 0; i < IPC_MAX_FDS; i++)
                m->fds[i] = fd_close(m->fds[i]);
}

static int dispatch(const struct ipc_handler *table, struct ipc_msg *m, void *self) {
        while (table->type != m->type) {
                assert(table->fn); /* else ipc_check_table() was not called at start */
                table++;
        }
        return table->fn(self, m);
}

int ipc_drain(struct ipc_chan *c, const struct ipc_handler *table, void *self) {
        for (;;) {
                struct ipc_msg m;
                int r = ipc_recv(c, &m);

                if (r != 0)
                        return r == IPC_E_EMPTY ? 0 : r;
                r = dispatch(table, &m, self);
                ipc_msg_done(&m);
                if (r != 0)
                        return r;
                if (c->fd < 0) /* the handler ended the channel */
                        return 0;
        }
}

int ipc_check_table(const struct ipc_handler *table, size_t n, enum ipc_role self) {
        unsigned seen[IPC_N_TYPES] = {0};

        for (size_t i = 0; i < n; i++)
                if (table[i].fn)
                        seen[table[i].type]++;
        for (uint32_t t = 1; t < IPC_N_TYPES; t++)
                if (seen[t] != (descs[t].to == self ? 1u : 0u))
                        return -EINVAL;
        return n > 0 && !table[n - 1].fn ? 0 : -EINVAL; /* terminated */
}
