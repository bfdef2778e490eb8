/* SPDX-License-Identifier: MIT */
#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/test.h"

/* A packet as a peer of ours would never send it. */
struct packet {
        uint32_t type, n_tail;
        uint8_t rest[IPC_MAX_BODY + IPC_MAX_TAIL + 64];
};

struct rig {
        struct ipc_chan supervisor, router; /* two ends of one pair */
};

static struct rig rig_new(void) {
        struct rig g;

        CHECK_EQ_INT(ipc_pair(IPC_SUPERVISOR, IPC_ROUTER, &g.supervisor, &g.router), 0);
        return g;
}

static void rig_done(struct rig *g) {
        g->supervisor.fd = fd_close(g->supervisor.fd);
        g->router.fd = fd_close(g->router.fd);
}

#define RIG _cleanup_(rig_done) struct rig g = rig_new()

static void send_raw(int fd, const void *data, size_t n, unsigned n_fds) {
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(64 * sizeof(int))];
        } ctl = {0};
        struct iovec iov = {(void *)data, n};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
        int zero = STDIN_FILENO;

        if (n_fds > 0) {
                mh.msg_control = ctl.buf;
                mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                ctl.align = (struct cmsghdr){CMSG_LEN(n_fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
                for (unsigned i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(&ctl.align) + i * sizeof(int), &zero, sizeof(int));
        }
        CHECK_EQ_INT(sendmsg(fd, &mh, 0), n);
}

/* What the router says to a packet of n bytes from the supervisor; no descriptor may stay. */
static int receive_raw(uint32_t type, uint32_t n_tail, size_t n, unsigned n_fds) {
        struct packet p = {type, n_tail, {0}};
        unsigned before;
        struct ipc_msg m;
        int r;

        RIG;
        before = test_count_fds();
        send_raw(g.supervisor.fd, &p, n, n_fds);
        r = ipc_recv(&g.router, &m);
        if (r != 0)
                CHECK_EQ_INT(test_count_fds(), before);
        else
                CHECK_EQ_INT(test_count_fds(), before + n_fds);
        ipc_msg_done(&m);
        CHECK_EQ_INT(test_count_fds(), before);
        ipc_msg_done(&m); /* once more does nothing */
        return r;
}

/* --- what works --------------------------------------------------------------------------------
 */

static void test_round_trip(void) {
        static const struct ipc_router_config config = {IPC_ABI, IPC_BUS_VM, "0123456789abcde"};
        static const struct ipc_ready ready = {IPC_ABI, 0};
        struct ipc_msg m;

        RIG;
        CHECK_EQ_INT(ipc_send_ROUTER_CONFIG(&g.supervisor, &config, NULL, 0, NULL, 0), 0);
        CHECK_EQ_INT(ipc_recv(&g.router, &m), 0);
        CHECK_EQ_INT(m.type, IPC_ROUTER_CONFIG);
        CHECK_EQ_INT(m.n_tail, 0);
        CHECK(memcmp(ipc_body(&m, ROUTER_CONFIG), &config, sizeof(config)) == 0);
        CHECK((uintptr_t)ipc_body(&m, ROUTER_CONFIG) % 8 == 0);
        ipc_msg_done(&m);
        CHECK_EQ_INT(ipc_recv(&g.router, &m), IPC_E_EMPTY);
        CHECK_EQ_INT(ipc_send_ROUTER_READY(&g.router, &ready, NULL, 0, NULL, 0), 0);
        CHECK_EQ_INT(ipc_recv(&g.supervisor, &m), 0);
        CHECK_EQ_INT(ipc_body(&m, ROUTER_READY)->abi, IPC_ABI);
        ipc_msg_done(&m);
}

/* The descriptor that arrives is another number for the same file, and close-on-exec. */
static void test_descriptor(void) {
        static const struct ipc_router_listen listen = {IPC_LISTEN_GUEST | IPC_LISTEN_CID, 42};
        _cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), received = -1;
        struct stat a, b;
        struct ipc_msg m;

        RIG;
        CHECK_EQ_INT(ipc_send_ROUTER_LISTEN(&g.supervisor, &listen, NULL, 0, &fd, 1), 0);
        CHECK_EQ_INT(ipc_recv(&g.router, &m), 0);
        CHECK_EQ_INT(ipc_body(&m, ROUTER_LISTEN)->cid, 42);
        received = ipc_take_fd(&m, 0);
        CHECK_EQ_INT(m.fds[0], -1);
        ipc_msg_done(&m);
        CHECK(received >= 0 && received != fd);
        CHECK(fstat(fd, &a) == 0 && fstat(received, &b) == 0 && a.st_rdev == b.st_rdev);
        CHECK(fcntl(received, F_GETFD) & FD_CLOEXEC);
}

static void test_not_taken(void) {
        static const struct ipc_router_peer peer = {IPC_PEER_PORTAL, 0};
        int fd = STDIN_FILENO;
        unsigned before;
        struct ipc_msg m;

        RIG;
        before = test_count_fds();
        CHECK_EQ_INT(ipc_send_ROUTER_PEER(&g.supervisor, &peer, NULL, 0, &fd, 1), 0);
        CHECK_EQ_INT(ipc_recv(&g.router, &m), 0);
        CHECK_EQ_INT(test_count_fds(), before + 1);
        ipc_msg_done(&m);
        CHECK_EQ_INT(test_count_fds(), before);
}

static void test_tail(void) {
        static char tail[IPC_MAX_TAIL];
        struct ipc_portal_config config = {IPC_ABI, 0, {0}};
        struct ipc_chan supervisor, portal;
        int fds[2] = {STDIN_FILENO, STDIN_FILENO};
        struct ipc_msg m;

        memset(tail, 't', sizeof(tail));
        CHECK_EQ_INT(ipc_pair(IPC_SUPERVISOR, IPC_PORTAL, &supervisor, &portal), 0);
        for (size_t n = 0; n <= sizeof(tail); n += 512) {
                CHECK_EQ_INT(ipc_send_PORTAL_CONFIG(&supervisor, &config, tail, n, fds, 2), 0);
                CHECK_EQ_INT(ipc_recv(&portal, &m), 0);
                CHECK_EQ_INT(m.n_tail, n);
                CHECK(memcmp(m.tail, tail, n) == 0);
                ipc_msg_done(&m);
        }
        close(supervisor.fd);
        close(portal.fd);
}

static void test_gone(void) {
        static const struct ipc_router_pid pid = {1, 0};
        static const struct ipc_ready ready = {IPC_ABI, 0};
        struct ipc_msg m;

        RIG;
        CHECK_EQ_INT(ipc_recv(&g.router, &m), IPC_E_EMPTY);
        CHECK_EQ_INT(ipc_send_ROUTER_PID(&g.supervisor, &pid, NULL, 0, NULL, 0), 0);
        g.supervisor.fd = fd_close(g.supervisor.fd);
        CHECK_EQ_INT(ipc_recv(&g.router, &m), 0); /* what was said before still counts */
        ipc_msg_done(&m);
        CHECK_EQ_INT(ipc_recv(&g.router, &m), IPC_E_GONE);
        CHECK_EQ_INT(ipc_recv(&g.router, &m), IPC_E_GONE);
        CHECK_EQ_INT(ipc_send_ROUTER_READY(&g.router, &ready, NULL, 0, NULL, 0), IPC_E_GONE);
}

/* A peer that does not read: full, never blocked, and nothing of what was accepted is lost. */
static void test_full(void) {
        struct ipc_router_pid pid = {0, 0};
        unsigned n = 0, k = 0;
        struct ipc_msg m;
        int r;

        RIG;
        while ((r = ipc_send_ROUTER_PID(&g.supervisor, &pid, NULL, 0, NULL, 0)) == 0 && n < 100000)
                pid.pid = ++n;
        CHECK_EQ_INT(r, IPC_E_FULL);
        CHECK(n > 0);
        while (ipc_recv(&g.router, &m) == 0) {
                CHECK_EQ_INT(ipc_body(&m, ROUTER_PID)->pid, k);
                ipc_msg_done(&m);
                k++;
        }
        CHECK_EQ_INT(k, n);
        CHECK_EQ_INT(ipc_send_ROUTER_PID(&g.supervisor, &pid, NULL, 0, NULL, 0), 0);
}

/* --- what must not work ---------------------------------------------------------------------- */

static void test_types(void) {
        static const uint32_t bad[] = {
                IPC_NONE,          IPC_N_TYPES, 99,
                0x80000000,        0xffffffff,  IPC_ROUTER_READY, /* the router's own to send */
                IPC_PORTAL_CONFIG, /* from the supervisor, but to somebody else */
                IPC_PORTAL_READY,  /* neither from nor to */
        };

        CHECK_EQ_INT(receive_raw(IPC_ROUTER_PID, 0, 16, 0), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                for (unsigned n_fds = 0; n_fds <= 2; n_fds++)
                        for (size_t n = 8; n <= 72; n += 8)
                                CHECK_EQ_INT(receive_raw(bad[i], 0, n, n_fds), IPC_E_VIOLATION);
}

static void test_sizes(void) {
        static const uint32_t tails[] = {1,          8,          IPC_MAX_TAIL, IPC_MAX_TAIL + 1,
                                         0x7fffffff, 0xfffffff8, 0xffffffff};

        for (size_t n = 1; n <= 200; n++)
                CHECK_EQ_INT(receive_raw(IPC_ROUTER_CONFIG, 0, n, 0),
                             n == 32 ? 0 : IPC_E_VIOLATION);
        /* Longer than any message: the kernel cuts it, and that is seen. */
        CHECK_EQ_INT(receive_raw(IPC_ROUTER_CONFIG, 0, sizeof(struct packet), 0), IPC_E_VIOLATION);
        for (size_t i = 0; i < ELEMENTSOF(tails); i++) {
                CHECK_EQ_INT(receive_raw(IPC_ROUTER_CONFIG, tails[i], 32, 0), IPC_E_VIOLATION);
                if (tails[i] <= IPC_MAX_TAIL) /* true, and more than the row allows */
                        CHECK_EQ_INT(receive_raw(IPC_ROUTER_CONFIG, tails[i], 32 + tails[i], 0),
                                     IPC_E_VIOLATION);
        }
}

/* A tail that is shorter or longer than it says, where a tail is allowed. */
static void test_lying_tail(void) {
        for (int lie = -2; lie <= 2; lie++) {
                struct packet p = {IPC_PORTAL_CONFIG, (uint32_t)(16 + lie), {0}};
                struct ipc_chan supervisor, portal;
                struct ipc_msg m;

                CHECK_EQ_INT(ipc_pair(IPC_SUPERVISOR, IPC_PORTAL, &supervisor, &portal), 0);
                send_raw(supervisor.fd, &p, 8 + sizeof(struct ipc_portal_config) + 16, 2);
                CHECK_EQ_INT(ipc_recv(&portal, &m), lie == 0 ? 0 : IPC_E_VIOLATION);
                ipc_msg_done(&m);
                close(supervisor.fd);
                close(portal.fd);
        }
}

static void test_descriptor_counts(void) {
        static const unsigned many[] = {2, 3, IPC_MAX_FDS, IPC_MAX_FDS + 1, 40, 64};

        CHECK_EQ_INT(receive_raw(IPC_ROUTER_LISTEN, 0, 16, 1), 0);
        CHECK_EQ_INT(receive_raw(IPC_ROUTER_LISTEN, 0, 16, 0), IPC_E_VIOLATION);
        for (size_t i = 0; i < ELEMENTSOF(many); i++) {
                CHECK_EQ_INT(receive_raw(IPC_ROUTER_LISTEN, 0, 16, many[i]), IPC_E_VIOLATION);
                CHECK_EQ_INT(receive_raw(IPC_ROUTER_PID, 0, 16, many[i]), IPC_E_VIOLATION);
        }
        CHECK_EQ_INT(receive_raw(IPC_ROUTER_PID, 0, 16, 1), IPC_E_VIOLATION);
}

static void test_empty_packet(void) {
        struct ipc_msg m;

        RIG;
        send_raw(g.supervisor.fd, "", 0, 0);
        CHECK_EQ_INT(ipc_recv(&g.router, &m),
                     IPC_E_GONE); /* as the end of file, which it looks like */
        send_raw(g.supervisor.fd, "", 0, 1);
        CHECK_EQ_INT(ipc_recv(&g.router, &m), IPC_E_VIOLATION);
        send_raw(g.supervisor.fd, "", 0, 40);
        CHECK_EQ_INT(ipc_recv(&g.router, &m), IPC_E_VIOLATION);
}

/* --- dispatch --------------------------------------------------------------------------------- */

struct seen {
        struct rig *rig;
        unsigned n_config, n_pid;
        int answer;
};

static int on_config(void *self, struct ipc_msg *m) {
        struct seen *s = self;

        s->n_config += ipc_body(m, ROUTER_CONFIG)->bus == IPC_BUS_PRIVATE;
        return 0;
}

static int on_fd(void *self _unused_, struct ipc_msg *m) {
        (void)fd_close(ipc_take_fd(m, 0));
        return 0;
}

static int on_pid(void *self, struct ipc_msg *m) {
        struct seen *s = self;

        s->n_pid += ipc_body(m, ROUTER_PID)->pid;
        if (s->answer < 0) /* the handler ends the channel */
                s->rig->router.fd = fd_close(s->rig->router.fd);
        return s->answer > 0 ? s->answer : 0;
}

static const struct ipc_handler handlers[] = {
        {IPC_ROUTER_CONFIG, on_config}, {IPC_ROUTER_LISTEN, on_fd}, {IPC_ROUTER_PEER, on_fd},
        {IPC_ROUTER_PID, on_pid},       {IPC_NONE, NULL},
};

static void test_drain(void) {
        static const struct ipc_router_config config = {IPC_ABI, IPC_BUS_PRIVATE, {0}};
        static const struct ipc_router_pid pid = {5, 0};
        struct seen seen = {0};

        RIG;
        seen.rig = &g;
        CHECK_EQ_INT(ipc_drain(&g.router, handlers, &seen), 0); /* nothing there */
        CHECK_EQ_INT(ipc_send_ROUTER_CONFIG(&g.supervisor, &config, NULL, 0, NULL, 0), 0);
        CHECK_EQ_INT(ipc_send_ROUTER_PID(&g.supervisor, &pid, NULL, 0, NULL, 0), 0);
        CHECK_EQ_INT(ipc_send_ROUTER_PID(&g.supervisor, &pid, NULL, 0, NULL, 0), 0);
        CHECK_EQ_INT(ipc_drain(&g.router, handlers, &seen), 0);
        CHECK_EQ_INT(seen.n_config, 1);
        CHECK_EQ_INT(seen.n_pid, 10);
        /* What a handler returns stops it. */
        seen.answer = 77;
        CHECK_EQ_INT(ipc_send_ROUTER_PID(&g.supervisor, &pid, NULL, 0, NULL, 0), 0);
        CHECK_EQ_INT(ipc_send_ROUTER_PID(&g.supervisor, &pid, NULL, 0, NULL, 0), 0);
        CHECK_EQ_INT(ipc_drain(&g.router, handlers, &seen), 77);
        CHECK_EQ_INT(seen.n_pid, 15);
        /* So does a breach, after the good message before it. */
        seen.answer = 0;
        send_raw(g.supervisor.fd, "garbage", 7, 3);
        CHECK_EQ_INT(ipc_drain(&g.router, handlers, &seen), IPC_E_VIOLATION);
        CHECK_EQ_INT(seen.n_pid, 20);
        CHECK_EQ_INT(ipc_send_ROUTER_PID(&g.supervisor, &pid, NULL, 0, NULL, 0), 0);
        seen.answer = -1;
        CHECK_EQ_INT(ipc_drain(&g.router, handlers, &seen), 0);
        CHECK_EQ_INT(seen.n_pid, 25);
}

static void test_drain_gone(void) {
        struct seen seen = {0};

        RIG;
        g.supervisor.fd = fd_close(g.supervisor.fd);
        CHECK_EQ_INT(ipc_drain(&g.router, handlers, &seen), IPC_E_GONE);
}

static void test_check_table(void) {
        struct ipc_handler t[8];

        CHECK_EQ_INT(ipc_check_table(handlers, ELEMENTSOF(handlers), IPC_ROUTER), 0);
        CHECK_EQ_INT(ipc_check_table(handlers, ELEMENTSOF(handlers), IPC_PORTAL), -EINVAL);
        CHECK_EQ_INT(ipc_check_table(handlers, ELEMENTSOF(handlers), IPC_SUPERVISOR), -EINVAL);
        /* One short: not terminated; and no table at all. */
        CHECK_EQ_INT(ipc_check_table(handlers, ELEMENTSOF(handlers) - 1, IPC_ROUTER), -EINVAL);
        CHECK_EQ_INT(ipc_check_table(handlers, 0, IPC_ROUTER), -EINVAL);
        /* Each row once missing, once there twice, once of another role. */
        for (size_t i = 0; i + 1 < ELEMENTSOF(handlers); i++) {
                memcpy(t, handlers, sizeof(handlers));
                memmove(&t[i], &t[i + 1], (ELEMENTSOF(handlers) - 1 - i) * sizeof(t[0]));
                CHECK_EQ_INT(ipc_check_table(t, ELEMENTSOF(handlers) - 1, IPC_ROUTER), -EINVAL);
                memcpy(t + 1, handlers, sizeof(handlers));
                t[0] = handlers[i];
                CHECK_EQ_INT(ipc_check_table(t, ELEMENTSOF(handlers) + 1, IPC_ROUTER), -EINVAL);
                memcpy(t, handlers, sizeof(handlers));
                t[i].type = IPC_PORTAL_CONFIG;
                CHECK_EQ_INT(ipc_check_table(t, ELEMENTSOF(handlers), IPC_ROUTER), -EINVAL);
        }
}

static void test_names(void) {
        CHECK_EQ_STR(ipc_type_name(IPC_ROUTER_CONFIG), "ROUTER_CONFIG");
        CHECK_EQ_STR(ipc_type_name(IPC_NONE), "unknown");
        CHECK_EQ_STR(ipc_type_name(IPC_N_TYPES), "unknown");
        CHECK_EQ_STR(ipc_type_name(UINT32_MAX), "unknown");
        for (uint32_t t = 1; t < IPC_N_TYPES; t++)
                CHECK(strcmp(ipc_type_name(t), "unknown") != 0);
        for (enum ipc_role r = 0; r < IPC_N_ROLES; r++)
                CHECK(ipc_role_name(r) && ipc_role_name(r)[0] == 's');
}

static void test_pair(void) {
        RIG;
        for (unsigned i = 0; i < 2; i++) {
                int fd = i == 0 ? g.supervisor.fd : g.router.fd;

                CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
                CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
        }
        CHECK(g.supervisor.self == IPC_SUPERVISOR && g.supervisor.peer == IPC_ROUTER);
        CHECK(g.router.self == IPC_ROUTER && g.router.peer == IPC_SUPERVISOR);
}

TEST_MAIN({"a pair", test_pair}, {"there and back", test_round_trip},
          {"a descriptor", test_descriptor}, {"a descriptor nobody takes", test_not_taken},
          {"tails up to the limit", test_tail}, {"the peer is gone", test_gone},
          {"the peer does not read", test_full},
          {"unknown types, wrong direction, other role", test_types},
          {"short, overlong, over the row's tail", test_sizes},
          {"a lying tail length", test_lying_tail},
          {"descriptors: none, one too many, 40", test_descriptor_counts},
          {"an empty packet", test_empty_packet}, {"handling until empty", test_drain},
          {"handling what is gone", test_drain_gone}, {"completeness of a table", test_check_table},
          {"names", test_names})
