/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/inlet.h"

#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "tests/test.h"

#define AUTH   "\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"
#define N_AUTH (sizeof(AUTH) - 1)

struct rig {
        sd_event *event;
        struct inlet inlet;
        int peer, reader; /* who is not believed, and what sd-bus would read */
        sd_event_source *reading;
        bool drops; /* the reader finds no message in it */
        char *got;  /* what it has read */
        size_t n_got;
        unsigned n_got_fds;
        unsigned n_breaches;
        int error;
        char why[128];
};

static void on_breach(void *userdata, int error, const char *why) {
        struct rig *g = userdata;

        g->error = error;
        g->n_breaches++;
        (void)snprintf(g->why, sizeof(g->why), "%s", why);
}

/* Forward: what came through goes to g->got. */
static int on_reader(sd_event_source *source, int fd, uint32_t events, void *userdata);

static void rig_open(struct rig *g, bool takes_fds) {
        int p[2];

        *g = (struct rig){.peer = -1, .reader = -1};
        g->got = malloc(2 * LIMIT_INLET_BYTES);
        CHECK(g->got && sd_event_new(&g->event) >= 0);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) == 0);
        g->peer = p[0];
        CHECK_EQ_INT(inlet_open(&g->inlet, g->event, p[1], INLET_FROM_CLIENT, takes_fds, on_breach,
                                g, &g->reader),
                     0);
        CHECK(sd_event_add_io(g->event, &g->reading, g->reader, EPOLLIN, on_reader, g) >= 0);
        close(p[1]);
}

static void rig_done(struct rig *g) {
        inlet_close(&g->inlet);
        inlet_close(&g->inlet); /* once more does nothing */
        g->reading = sd_event_source_disable_unref(g->reading);
        free(g->got);
        g->peer = fd_close(g->peer);
        g->reader = fd_close(g->reader);
        g->event = sd_event_unref(g->event);
}

static void turn(struct rig *g) {
        while (sd_event_run(g->event, 0) > 0)
                ;
}

static void say_with(struct rig *g, const void *data, size_t n, unsigned n_fds) {
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(64 * sizeof(int))];
        } c = {0};
        struct iovec iov = {(void *)data, n};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
        int zero = STDIN_FILENO;

        if (n_fds > 0) {
                mh.msg_control = c.buf;
                mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c.align = (struct cmsghdr){CMSG_LEN(n_fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
                for (unsigned k = 0; k < n_fds; k++)
                        memcpy(CMSG_DATA(&c.align) + k * sizeof(int), &zero, sizeof(int));
        }
        CHECK_EQ_INT(sendmsg(g->peer, &mh, MSG_NOSIGNAL), n);
}

static void say(struct rig *g, const void *data, size_t n) {
        say_with(g, data, n, 0);
        turn(g);
}

static void take_fds(struct rig *g, struct msghdr *mh) {
        for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm))
                for (size_t k = 0; k < (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int); k++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(cm) + k * sizeof(int), sizeof(int));
                        close(fd);
                        g->n_got_fds++;
                }
}

/* As sd-bus does: reads, and says what it takes for a message. */
static int on_reader(sd_event_source *source, int fd, uint32_t events _unused_, void *userdata) {
        struct rig *g = userdata;
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(64 * sizeof(int))];
        } c;
        struct iovec iov = {g->got + g->n_got, 2 * LIMIT_INLET_BYTES - g->n_got};
        struct msghdr mh = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = c.buf,
                            .msg_controllen = sizeof(c.buf)};
        ssize_t n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n <= 0)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        take_fds(g, &mh);
        g->n_got += (size_t)n;
        if (!g->drops)
                inlet_delivered(&g->inlet);
        return 0;
}

/* What came through since the last time: its length, or -1, and how many descriptors with it. */
static ssize_t heard(struct rig *g, void *buf, size_t size, unsigned *ret_fds) {
        size_t n = g->n_got < size ? g->n_got : size;

        *ret_fds = g->n_got_fds;
        memcpy(buf, g->got, n);
        memmove(g->got, g->got + n, g->n_got - n);
        g->n_got -= n;
        g->n_got_fds = 0;
        return n > 0 ? (ssize_t)n : -1;
}

static ssize_t heard_bytes(struct rig *g, void *buf, size_t size) {
        unsigned n_fds;
        ssize_t n = heard(g, buf, size, &n_fds);

        CHECK_EQ_INT(n_fds, 0);
        return n;
}

/* A message of size bytes, of which each is told apart. */
static char *message(uint32_t size) {
        char *m = calloc(1, size);
        uint32_t n_body = size - 16;

        CHECK(m != NULL);
        for (uint32_t k = 16; k < size; k++)
                m[k] = (char)(k * 7);
        memcpy(m, "l\1\0\1", 4);
        memcpy(m + 4, &n_body, 4);
        return m;
}

#define RIG                                                                                        \
        _cleanup_(rig_done) struct rig g;                                                          \
        rig_open(&g, true)

/* --- what passes ----------------------------------------------------------------------------- */

static void test_pieces(void) {
        _cleanup_free_ char *m = message(100);
        char buf[512];

        RIG;
        for (size_t k = 0; k < N_AUTH; k++)
                say(&g, &AUTH[k], 1);
        CHECK_EQ_INT(heard_bytes(&g, buf, sizeof(buf)), N_AUTH);
        CHECK(memcmp(buf, AUTH, N_AUTH) == 0);
        for (size_t k = 0; k < 99; k++) {
                say(&g, m + k, 1);
                CHECK_EQ_INT(heard_bytes(&g, buf, sizeof(buf)), -1); /* only what is complete */
        }
        say(&g, m + 99, 1);
        CHECK_EQ_INT(heard_bytes(&g, buf, sizeof(buf)), 100);
        CHECK(memcmp(buf, m, 100) == 0);
        CHECK_EQ_INT(g.n_breaches, 0);
}

static void test_together(void) {
        _cleanup_free_ char *m = message(100), *empty = message(16);
        char all[N_AUTH + 316], buf[512];

        RIG;
        memcpy(all, AUTH, N_AUTH);
        memcpy(all + N_AUTH, m, 100);
        memcpy(all + N_AUTH + 100, empty, 16);
        memcpy(all + N_AUTH + 116, m, 100);
        memcpy(all + N_AUTH + 216, m, 100);
        say(&g, all, sizeof(all));
        CHECK_EQ_INT(heard_bytes(&g, buf, sizeof(buf)), sizeof(all));
        CHECK(memcmp(buf, all, sizeof(all)) == 0);
}

/* The reader is slower: nothing is lost, and no more than one message is kept meanwhile. */
static void test_large(void) {
        _cleanup_free_ char *m = message(LIMIT_INLET_BYTES), *buf = malloc(LIMIT_INLET_BYTES);
        size_t sent = 0;

        RIG;
        say(&g, AUTH, N_AUTH);
        CHECK_EQ_INT(heard_bytes(&g, buf, N_AUTH), N_AUTH);
        CHECK(sd_event_source_set_enabled(g.reading, SD_EVENT_OFF) >= 0);
        while (sent < LIMIT_INLET_BYTES) {
                ssize_t k = send(g.peer, m + sent, LIMIT_INLET_BYTES - sent, MSG_DONTWAIT);

                sent += k > 0 ? (size_t)k : 0;
                turn(&g);
        }
        CHECK_EQ_INT(g.n_got, 0);
        CHECK(sd_event_source_set_enabled(g.reading, SD_EVENT_ON) >= 0);
        turn(&g);
        CHECK_EQ_INT(heard_bytes(&g, buf, LIMIT_INLET_BYTES), LIMIT_INLET_BYTES);
        CHECK(memcmp(buf, m, LIMIT_INLET_BYTES) == 0);
        CHECK_EQ_INT(g.n_breaches, 0);
}

static void test_fds(void) {
        _cleanup_free_ char *m = message(100);
        unsigned n_fds, before;
        char buf[512];

        RIG;
        before = test_count_fds();
        say(&g, AUTH, N_AUTH);
        CHECK_EQ_INT(heard_bytes(&g, buf, sizeof(buf)), N_AUTH);
        for (unsigned k = 1; k <= LIMIT_MESSAGE_FDS; k++) {
                say_with(&g, m, 40, k);
                say(&g, m + 40, 60);
                CHECK_EQ_INT(heard(&g, buf, sizeof(buf), &n_fds), 100);
                CHECK_EQ_INT(n_fds, k);
                say(&g, m, 100);
                CHECK_EQ_INT(heard(&g, buf, sizeof(buf), &n_fds), 100);
                CHECK_EQ_INT(n_fds, 0);
        }
        CHECK_EQ_INT(test_count_fds(), before);
        CHECK_EQ_INT(g.n_breaches, 0);
}

static void test_end(void) {
        _cleanup_free_ char *m = message(100);
        char buf[512];

        RIG;
        say(&g, AUTH, N_AUTH);
        CHECK_EQ_INT(heard_bytes(&g, buf, sizeof(buf)), N_AUTH);
        say(&g, m, 100);
        say(&g, m, 50); /* half a message, and gone */
        g.peer = fd_close(g.peer);
        turn(&g);
        CHECK_EQ_INT(heard_bytes(&g, buf, sizeof(buf)), 100);
        CHECK_EQ_INT(recv(g.reader, buf, sizeof(buf), MSG_DONTWAIT),
                     0); /* its reader sees the end */
        CHECK_EQ_INT(g.n_breaches, 0);
}

static void test_reader_leaves(void) {
        _cleanup_free_ char *m = message(100);

        RIG;
        g.reading = sd_event_source_disable_unref(g.reading);
        g.reader = fd_close(g.reader);
        say(&g, AUTH, N_AUTH);
        CHECK_EQ_INT(g.n_breaches, 0);
        (void)send(g.peer, m, 100, MSG_NOSIGNAL);
        turn(&g);
}

/* --- what does not --------------------------------------------------------------------------- */

/* Ended once, with these words, and nothing that follows is read. */
static void check_breach(const void *data, size_t n, unsigned n_fds, const char *why) {
        unsigned before = test_count_fds();
        char buf[512];

        {
                RIG;
                say(&g, AUTH, N_AUTH);
                CHECK_EQ_INT(heard_bytes(&g, buf, sizeof(buf)), N_AUTH);
                say_with(&g, data, n, n_fds);
                turn(&g);
                CHECK_EQ_INT(g.n_breaches, 1);
                CHECK_EQ_STR(g.why, why);
                CHECK_EQ_INT(g.error, 0);
                say(&g, data, n);
                CHECK_EQ_INT(g.n_breaches, 1);
                CHECK_EQ_INT(heard_bytes(&g, buf, sizeof(buf)), -1);
                CHECK(g.inlet.size <= LIMIT_INLET_BYTES || g.inlet.n == FRAME_FIXED);
        }
        CHECK_EQ_INT(test_count_fds(), before);
}

static void test_too_long(void) {
        check_breach("l\1\0\1\xf1\xff\x1f\0\1\0\0\0\0\0\0\0", 16, 0,
                     "a message of 2097153 bytes, where 2097152 are the limit");
        check_breach("B\1\0\1\xff\xff\xff\xff\0\0\0\1\0\0\0\0", 16, 0,
                     "a message of 4294967311 bytes, where 2097152 are the limit");
        check_breach("l\1\0\1\0\0\0\0\1\0\0\0\xff\xff\xff\xff", 16, 3,
                     "a message of 4294967312 bytes, where 2097152 are the limit");
}

static void test_garbage(void) {
        check_breach("what is this then?", 18, 0, "what is no D-Bus message");
        check_breach("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, 2, "what is no D-Bus message");
        check_breach(AUTH, N_AUTH, 0, "what is no D-Bus message");
}

static void test_too_many_fds(void) {
        _cleanup_free_ char *m = message(100);

        check_breach(m, 100, LIMIT_MESSAGE_FDS + 1,
                     "a message with more descriptors than one may have");
        check_breach(m, 100, 64, "a message with more descriptors than one may have");
}

/* Nobody's fault but ours. */
static void test_no_room(void) {
        _cleanup_free_ char *m = message(100);
        unsigned before = test_count_fds();
        struct rlimit old, low;
        char buf[512];

        {
                RIG;
                say(&g, AUTH, N_AUTH);
                CHECK_EQ_INT(heard_bytes(&g, buf, sizeof(buf)), N_AUTH);
                say_with(&g, m, 100, LIMIT_MESSAGE_FDS);
                CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
                low = (struct rlimit){test_count_fds() + LIMIT_MESSAGE_FDS / 2, old.rlim_max};
                CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
                turn(&g);
                CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
                CHECK_EQ_INT(g.n_breaches, 1);
                CHECK_EQ_INT(g.error, -EMFILE);
                CHECK_EQ_STR(g.why, "no descriptor is left: set LimitNOFILE= of the unit higher");
        }
        CHECK_EQ_INT(test_count_fds(), before);
}

static void test_many_fds_in_pieces(void) {
        _cleanup_free_ char *m = message(100);
        unsigned before = test_count_fds();

        {
                RIG;
                say(&g, AUTH, N_AUTH);
                for (unsigned k = 0; k < 10; k++)
                        say_with(&g, m + 10 * k, 10, 2);
                turn(&g);
                CHECK_EQ_STR(g.why, "a message with more descriptors than one may have");
        }
        CHECK_EQ_INT(test_count_fds(), before);
}

static void test_endless_handshake(void) {
        RIG;
        for (unsigned k = 0; k < 1000 && g.n_breaches == 0; k++) {
                char buf[1024];

                say(&g, AUTH, N_AUTH - 1); /* never its last byte */
                (void)heard_bytes(&g, buf, sizeof(buf));
        }
        CHECK_EQ_STR(g.why, "a handshake without an end");
}

static void test_early_fd(void) {
        unsigned before = test_count_fds();

        for (size_t at = 0; at < N_AUTH; at++) {
                RIG;
                if (at > 0)
                        say_with(&g, AUTH, at, 0);
                say_with(&g, &AUTH[at], N_AUTH - at, 1);
                turn(&g);
                CHECK_EQ_STR(g.why, "a descriptor before the first message");
        }
        CHECK_EQ_INT(test_count_fds(), before);
}

/* What the reader drops would leave its descriptors open: the peer ends with the first. */
static void test_dropped(void) {
        _cleanup_free_ char *m = message(100);

        RIG;
        say(&g, AUTH, N_AUTH);
        g.drops = true;
        say_with(&g, m, 100, 1);
        say_with(&g, m, 100, 1);
        turn(&g);
        CHECK_EQ_STR(g.why, "what is no D-Bus message inside");
        CHECK_EQ_INT(g.n_got, N_AUTH + 100);
}

/* One after the other, and the first not together with the handshake. */
static void test_one_at_a_time(void) {
        _cleanup_free_ char *m = message(100);
        char all[N_AUTH + 100];

        RIG;
        memcpy(all, AUTH, N_AUTH);
        memcpy(all + N_AUTH, m, 100);
        say_with(&g, all, sizeof(all), 0);
        while (g.n_got < N_AUTH)
                CHECK(sd_event_run(g.event, 0) > 0);
        CHECK_EQ_INT(g.n_got, N_AUTH);
        turn(&g);
        CHECK_EQ_INT(g.n_got, sizeof(all));
        CHECK_EQ_INT(g.n_breaches, 0);
}

static void test_no_fds(void) {
        _cleanup_free_ char *m = message(100);
        _cleanup_(rig_done) struct rig g;

        rig_open(&g, false);
        g.drops = true; /* nobody need say that it got them */
        say(&g, AUTH, N_AUTH);
        say(&g, m, 100);
        say(&g, m, 100);
        CHECK_EQ_INT(g.n_got, N_AUTH + 200);
        CHECK_EQ_INT(g.n_breaches, 0);
        say_with(&g, m, 100, 1);
        turn(&g);
        CHECK_EQ_STR(g.why, "a descriptor, where none belongs");
}

TEST_MAIN({"messages, byte by byte", test_pieces}, {"all at once", test_together},
          {"the largest, to a slow reader", test_large},
          {"descriptors stay with their message", test_fds},
          {"the peer's end is the reader's", test_end}, {"the reader's end", test_reader_leaves},
          {"longer than the limit: ended by its header", test_too_long},
          {"no message", test_garbage}, {"17 descriptors, and 64", test_too_many_fds},
          {"no room for 16 descriptors", test_no_room},
          {"20 descriptors, two at a time", test_many_fds_in_pieces},
          {"a handshake without an end", test_endless_handshake},
          {"a descriptor in the handshake", test_early_fd}, {"what the reader drops", test_dropped},
          {"one after the other", test_one_at_a_time},
          {"descriptors where none belong", test_no_fds})
