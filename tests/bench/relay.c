/* SPDX-License-Identifier: MIT */
/*
 * relay SOCKET: the least that a bus can do.  It reads, finds the ends of messages by their
 * headers, and writes them on; it checks nothing, names nobody and keeps no account.  What
 * it costs is what the kernel asks for carrying the bytes.
 *
 * The first byte of a stream is its role (stream.h): a caller and the next callee get each
 * other's messages, an echo its own, every subscriber those of an emitter.  Whose role others
 * depend on is told that it has it.
 */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/vm_sockets.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/stream.h"

#define READ_BYTES      262144u
#define EVENTS_PER_TURN 64

struct end {
        int fd, carried; /* carried: a descriptor that came with the last read, or -1 */
        char role;
        bool waits; /* for writability */
        struct end *partner, *next;
        uint8_t *in, *out;
        size_t n_in, cap_in, out_at, n_out, cap_out;
};

struct relay {
        int epoll_fd, listen_fd;
        struct end *caller, *subscribers;
};

static void grow(uint8_t **p, size_t *cap, size_t n) {
        if (n <= *cap)
                return;
        *cap = n + n / 2;
        *p = realloc(*p, *cap);
        if (!*p)
                fail("out of memory");
}

static void want_write(struct relay *r, struct end *e, bool wanted) {
        struct epoll_event ev = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = e};

        if (e->waits != wanted && epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, e->fd, &ev) < 0)
                fail("epoll_ctl");
        e->waits = wanted;
}

static size_t send_some(int fd, const uint8_t *data, size_t n, int carried) {
        struct iovec iov = {(void *)data, n};
        union {
                char buf[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } ctl = {0};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t k;

        if (carried >= 0) {
                mh.msg_control = ctl.buf;
                mh.msg_controllen = sizeof(ctl.buf);
                ctl.align = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
                memcpy(CMSG_DATA(&ctl.align), &carried, sizeof(carried));
        }
        k = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
        return k > 0 ? (size_t)k : 0;
}

/* Now what the socket takes; the rest when it takes more. */
static void put(struct relay *r, struct end *e, const uint8_t *data, size_t n, int carried) {
        if (e->n_out == 0) {
                size_t k = send_some(e->fd, data, n, carried);

                data += k;
                n -= k;
                e->out_at = 0;
        }
        if (n == 0)
                return;
        grow(&e->out, &e->cap_out, e->out_at + e->n_out + n);
        memcpy(e->out + e->out_at + e->n_out, data, n);
        e->n_out += n;
        want_write(r, e, true);
}

static void drain(struct relay *r, struct end *e) {
        size_t k = send_some(e->fd, e->out + e->out_at, e->n_out, -1);

        e->out_at += k;
        e->n_out -= k;
        want_write(r, e, e->n_out > 0);
}

static void forward(struct relay *r, struct end *e, const uint8_t *data, size_t n) {
        if (e->role == ROLE_ECHO)
                put(r, e, data, n, -1);
        else if (e->role == ROLE_EMITTER)
                for (struct end *s = r->subscribers; s; s = s->next)
                        put(r, s, data, n, -1);
        else if (e->partner)
                put(r, e->partner, data, n, e->carried);
        if (e->carried >= 0)
                (void)close(e->carried);
        e->carried = -1;
}

static void end_free(struct relay *r, struct end *e) {
        for (struct end **s = &r->subscribers; *s; s = &(*s)->next)
                if (*s == e) {
                        *s = e->next;
                        break;
                }
        if (e->partner)
                e->partner->partner = NULL;
        if (r->caller == e)
                r->caller = NULL;
        (void)close(e->fd);
        free(e->in);
        free(e->out);
        free(e);
}

static bool take_role(struct relay *r, struct end *e) {
        if (recv(e->fd, &e->role, 1, 0) != 1)
                return false;
        if (e->role == ROLE_CALLER)
                r->caller = e;
        if (e->role == ROLE_CALLEE && r->caller) {
                e->partner = r->caller;
                r->caller->partner = e;
                r->caller = NULL;
        }
        if (e->role == ROLE_SUBSCRIBER) {
                e->next = r->subscribers;
                r->subscribers = e;
        }
        return e->role == ROLE_ECHO || send(e->fd, &e->role, 1, MSG_NOSIGNAL) == 1;
}

/* Bytes of the whole messages at the start of what was read. */
static size_t whole_messages(const struct end *e) {
        size_t at = 0;

        while (e->n_in - at >= 16) {
                const uint8_t *b = e->in + at;
                size_t n = 16 + (size_t)align_to(get_u32(b + 12), 8) + get_u32(b + 4);

                if (e->n_in - at < n)
                        break;
                at += n;
        }
        return at;
}

static bool readable(struct relay *r, struct end *e) {
        union {
                char buf[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } ctl;
        struct msghdr mh = {
                .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf)};
        struct iovec iov;
        size_t whole;
        ssize_t k;

        if (e->role == 0)
                return take_role(r, e);
        grow(&e->in, &e->cap_in, e->n_in + READ_BYTES);
        iov = (struct iovec){e->in + e->n_in, e->cap_in - e->n_in};
        mh.msg_iov = &iov;
        k = recvmsg(e->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (k < 0 && errno == EAGAIN)
                return true;
        if (k <= 0)
                return false;
        if (CMSG_FIRSTHDR(&mh))
                memcpy(&e->carried, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(int));
        e->n_in += (size_t)k;
        whole = whole_messages(e);
        if (whole == 0)
                return true;
        forward(r, e, e->in, whole);
        e->n_in -= whole;
        memmove(e->in, e->in + whole, e->n_in);
        return true;
}

static void take_one(struct relay *r) {
        int fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        struct end *e = calloc(1, sizeof(*e));
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = e};

        if (fd < 0 || !e || epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
                fail("cannot accept");
        e->fd = fd;
        e->carried = -1;
}

static int listen_at(const char *address) {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};
        bool vsock = sscanf(address, "vsock:%u", &vm.svm_port) == 1;
        int fd = socket(vsock ? AF_VSOCK : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), v;

        if (fd < 0 || strlen(address) >= sizeof(un.sun_path))
                fail("cannot make a socket for %s", address);
        memcpy(un.sun_path, address, strlen(address) + 1);
        v = vsock ? bind(fd, (struct sockaddr *)&vm, sizeof(vm))
                  : bind(fd, (struct sockaddr *)&un, sizeof(un));
        if (v < 0 || listen(fd, SOMAXCONN) < 0)
                fail("cannot listen at %s", address);
        return fd;
}

static void turn(struct relay *r) {
        struct epoll_event events[EVENTS_PER_TURN];
        int n = epoll_wait(r->epoll_fd, events, EVENTS_PER_TURN, -1);

        for (int i = 0; i < n; i++) {
                struct end *e = events[i].data.ptr;

                if (!e) {
                        take_one(r);
                        continue;
                }
                if (events[i].events & EPOLLOUT)
                        drain(r, e);
                if ((events[i].events & ~(uint32_t)EPOLLOUT) && !readable(r, e))
                        end_free(r, e);
        }
}

int main(int argc, char **argv) {
        struct epoll_event ev = {.events = EPOLLIN};
        struct relay r = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};

        if (argc != 2 || r.epoll_fd < 0)
                fail("relay PATH, or vsock:PORT");
        r.listen_fd = listen_at(argv[1]);
        if (epoll_ctl(r.epoll_fd, EPOLL_CTL_ADD, r.listen_fd, &ev) < 0)
                fail("epoll_ctl");
        for (;;)
                turn(&r);
}
