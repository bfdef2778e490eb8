/* SPDX-License-Identifier: MIT */
#include "sbrouter/queue.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "common/limits.h"
#include "tests/test.h"

struct rig {
        struct queue q;
        struct queue_pool pool;
        int out, in; /* what is flushed to out is read from in */
};

static struct rig rig_new(void) {
        struct rig g = {.out = -1};
        int p[2];

        CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p), 0);
        g.out = p[0];
        g.in = p[1];
        return g;
}

static void rig_done(struct rig *g) {
        queue_done(&g->q, &g->pool);
        queue_pool_done(&g->pool);
        g->out = fd_close(g->out);
        g->in = fd_close(g->in);
}

#define RIG _cleanup_(rig_done) struct rig g = rig_new()

/* The bytes of message number k: told apart by position and by number. */
static uint8_t byte_of(unsigned k, size_t i) {
        return (uint8_t)(k * 31 + i * 7 + i / 251);
}

static void put(struct rig *g, unsigned k, size_t n, struct fd_list *fds) {
        uint8_t *p = queue_reserve(&g->q, &g->pool, n, fds);

        CHECK(p);
        CHECK_EQ_INT(queue_charge(&g->q, &g->pool, k % 3, n), 0);
        for (size_t i = 0; i < n; i++)
                p[i] = byte_of(k, i);
        queue_commit(&g->q, n);
}

static void put_blob(struct rig *g, unsigned k, size_t n) {
        struct blob *b = blob_new(&g->pool, n + 5, n + 5);

        for (size_t i = 0; i < n; i++)
                b->data[5 + i] = byte_of(k, i);
        CHECK_EQ_INT(queue_charge(&g->q, &g->pool, k % 3, n), 0);
        CHECK_EQ_INT(queue_push_blob(&g->q, &g->pool, b, 5, n), 0);
        blob_unref(b, &g->pool); /* the queue has its own reference */
}

/* Up to n bytes with the descriptors that came with the first of them; closes those. */
static size_t take(struct rig *g, uint8_t *to, size_t n, unsigned *ret_fds) {
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(LIMIT_MESSAGE_FDS * sizeof(int))];
        } ctl;
        struct iovec iov = {to, n};
        struct msghdr mh = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = ctl.buf,
                            .msg_controllen = sizeof(ctl.buf)};
        ssize_t k = recvmsg(g->in, &mh, MSG_CMSG_CLOEXEC);

        *ret_fds = 0;
        for (struct cmsghdr *cm = k > 0 ? CMSG_FIRSTHDR(&mh) : NULL; cm; cm = CMSG_NXTHDR(&mh, cm))
                for (size_t i = 0; i < (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
                        close(fd);
                        (*ret_fds)++;
                }
        return k > 0 ? (size_t)k : 0;
}

struct sent {
        size_t n;
        unsigned n_fds;
};

/* Reads and flushes in turns until all that was put has come, in order and whole. */
static void check_stream(struct rig *g, const struct sent *sent, size_t n_sent, size_t per_read) {
        uint8_t buf[65536];
        size_t k = 0, at = 0;
        int v;

        do {
                size_t n;
                unsigned n_fds;

                v = queue_flush(&g->q, &g->pool, g->out);
                CHECK(v == 0 || v == QUEUE_E_AGAIN);
                while ((n = take(g, buf, per_read, &n_fds)) > 0) {
                        CHECK_EQ_INT(n_fds, 0);
                        for (size_t i = 0; i < n; i++) {
                                if (k >= n_sent || buf[i] != byte_of((unsigned)k, at)) {
                                        CHECK(!"the byte that was sent");
                                        return;
                                }
                                if (++at == sent[k].n)
                                        k++, at = 0;
                        }
                }
        } while (v != 0);
        CHECK_EQ_INT(k, n_sent);
        CHECK_EQ_INT(at, 0);
        CHECK_EQ_INT(g->q.bytes, 0);
        CHECK_EQ_INT(g->q.shares.own + g->q.shares.lent, 0);
        CHECK_EQ_INT(g->q.n_fds, 0);
        CHECK(!g->q.head && !g->q.tail);
}

static void test_small(void) {
        static struct sent sent[1000];

        RIG;
        for (unsigned i = 0; i < ELEMENTSOF(sent); i++) {
                sent[i].n = 1 + i % 700;
                put(&g, i, sent[i].n, NULL);
        }
        check_stream(&g, sent, ELEMENTSOF(sent), 65536);
}

/* Blobs, segments larger than the pool's, and more than a socket holds. */
static void test_mixed(void) {
        static struct sent sent[60];

        for (size_t per_read = 1000; per_read < 65536; per_read *= 3) {
                RIG;
                for (unsigned i = 0; i < ELEMENTSOF(sent); i++) {
                        sent[i].n = i % 3 == 0 ? 200 : i % 3 == 1 ? 20000 + i : 70000 + 13 * i;
                        if (i % 3 == 2)
                                put_blob(&g, i, sent[i].n);
                        else
                                put(&g, i, sent[i].n, NULL);
                }
                check_stream(&g, sent, ELEMENTSOF(sent), per_read);
        }
}

/* Descriptors of the messages that start in bytes [from, to) of the stream. */
static unsigned fds_within(const struct sent *sent, size_t n_sent, size_t from, size_t to) {
        unsigned n = 0;

        for (size_t i = 0, start = 0; i < n_sent; start += sent[i++].n)
                if (start >= from && start < to)
                        n += sent[i].n_fds;
        return n;
}

static void test_descriptors(void) {
        static struct sent sent[40];

        RIG;
        for (unsigned i = 0; i < ELEMENTSOF(sent); i++) {
                struct fd_list *l = NULL;
                int fds[LIMIT_MESSAGE_FDS];

                sent[i].n = 1 + 997 * i;
                sent[i].n_fds = i % 4 == 0 ? 1 + i % LIMIT_MESSAGE_FDS : 0;
                for (unsigned k = 0; k < sent[i].n_fds; k++)
                        fds[k] = open("/dev/null", O_RDONLY | O_CLOEXEC);
                if (sent[i].n_fds > 0)
                        l = fd_list_new(fds, sent[i].n_fds);
                put(&g, i, sent[i].n, l);
                fd_list_unref(l);
        }
        uint8_t buf[65536];
        size_t got = 0, total = 0;
        unsigned fds = 0, all = 0;

        for (unsigned i = 0; i < ELEMENTSOF(sent); i++)
                total += sent[i].n, all += sent[i].n_fds;
        CHECK_EQ_INT(g.q.bytes, total);
        CHECK_EQ_INT(g.q.n_fds, all);
        for (int v = QUEUE_E_AGAIN; v == QUEUE_E_AGAIN;) {
                size_t n;
                unsigned k;

                v = queue_flush(&g.q, &g.pool, g.out);
                while ((n = take(&g, buf, sizeof(buf), &k)) > 0) {
                        CHECK_EQ_INT(k, fds_within(sent, ELEMENTSOF(sent), got, got + n));
                        got += n;
                        fds += k;
                }
        }
        CHECK_EQ_INT(got, total);
        CHECK_EQ_INT(fds, all);
        CHECK_EQ_INT(g.q.n_fds, 0);
}

/* What is never sent is released all the same: test_run() counts the descriptors. */
static void test_never_sent(void) {
        int fds[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC),
                      open("/dev/null", O_RDONLY | O_CLOEXEC)};
        struct fd_list *l = fd_list_new(fds, 2);

        RIG;
        put(&g, 0, 100, l);
        put(&g, 1, 100, l); /* one list, two receivers' worth of references */
        CHECK_EQ_INT(l->ref, 3);
        fd_list_unref(l);
        put_blob(&g, 2, 100000);
        CHECK_EQ_INT(g.q.n_fds, 4);
}

/* A message is taken out of the head, with its body in a blob: the next follows, and the sums are right. */
static void test_dropped(void) {
        struct sent sent[] = {{100, 0}, {70, 0}};
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        struct fd_list *l = fd_list_new(&fd, 1);
        size_t n;

        RIG;
        put(&g, 7, 50, l);
        put_blob(&g, 8, 100000);
        put(&g, 0, sent[0].n, NULL);
        put(&g, 1, sent[1].n, NULL);
        CHECK_EQ_INT(g.pool.n_fds, 1);
        CHECK_EQ_INT(*queue_head(&g.q, &n), byte_of(7, 0));
        CHECK_EQ_INT(n, 50);
        queue_drop(&g.q, &g.pool, 100050);
        CHECK_EQ_INT(l->ref, 1);
        fd_list_unref(l);
        CHECK_EQ_INT(g.q.n_fds + g.pool.n_fds, 0);
        check_stream(&g, sent, 2, 65536);
        CHECK(!queue_head(&g.q, &n));
}

/* Descriptors that were sent count until they are said to be received, or the queue is gone. */
static void test_received(void) {
        RIG;
        for (unsigned i = 1; i <= 2; i++) {
                int fds[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC),
                              open("/dev/null", O_RDONLY | O_CLOEXEC)};
                struct fd_list *l = fd_list_new(fds, 2);

                put(&g, i, 100, l);
                fd_list_unref(l);
                CHECK_EQ_INT(queue_flush(&g.q, &g.pool, g.out), 0);
                CHECK_EQ_INT(g.q.n_fds, 0);
                CHECK_EQ_INT(g.q.n_sent_fds, 2 * i);
                CHECK_EQ_INT(g.q.most_sent_fds, 2);
                CHECK_EQ_INT(g.pool.n_fds, 2 * i);
        }
        queue_received(&g.q, &g.pool, 1);
        CHECK_EQ_INT(g.pool.n_fds, 1);
        CHECK_EQ_INT(g.q.most_sent_fds, 2);
        queue_received(&g.q, &g.pool, 0);
        CHECK_EQ_INT(g.pool.n_fds + g.q.most_sent_fds, 0);
}

/* A reader that does not read: what it gets in the end is whole. */
static void test_full(void) {
        struct sent sent[] = {{3000000, 0}, {10, 0}};
        size_t left;

        RIG;
        put(&g, 0, sent[0].n, NULL);
        CHECK_EQ_INT(queue_flush(&g.q, &g.pool, g.out), QUEUE_E_AGAIN);
        left = g.q.bytes;
        CHECK(left > 0 && left < sent[0].n);
        for (unsigned i = 0; i < 3; i++) /* the socket takes nothing more */
                CHECK_EQ_INT(queue_flush(&g.q, &g.pool, g.out), QUEUE_E_AGAIN);
        CHECK(g.q.bytes > 0 && g.q.bytes <= left);
        put(&g, 1, sent[1].n, NULL);
        check_stream(&g, sent, 2, 65536);
}

static void test_gone(void) {
        RIG;
        put(&g, 0, 100, NULL);
        g.in = fd_close(g.in);
        CHECK_EQ_INT(queue_flush(&g.q, &g.pool, g.out), QUEUE_E_GONE);
}

static void test_blob(void) {
        struct queue_pool pool = {0};
        struct blob *b = blob_new(&pool, 100, 1000000), *c;

        memcpy(b->data, "kept", 5);
        CHECK_EQ_INT(blob_grow(&b, &pool, 1000000), 0);
        CHECK_EQ_STR((char *)b->data, "kept");
        CHECK(b->cap >= 1000000);
        CHECK_EQ_INT(blob_grow(&b, &pool, 10), 0); /* never smaller */
        CHECK(b->cap >= 1000000);
        CHECK(blob_ref(b) == b);
        CHECK(!blob_unref(b, &pool));
        CHECK_EQ_INT(b->ref, 1);
        CHECK(!blob_unref(b, &pool));
        c = blob_new(&pool, 65536, 500000); /* the spare one comes back */
        CHECK(c == b && c->ref == 1 && c->cap >= 500000);
        blob_unref(c, &pool);
        c = blob_new(&pool, 20000, 20000); /* but not for something much smaller */
        CHECK(c != b && c->cap < 40000);
        blob_unref(c, &pool);
        CHECK(!blob_unref(NULL, &pool));
        CHECK_EQ_INT(pool.bytes, 0);
        queue_pool_done(&pool);
}

/* The newest come back first, the oldest go when there are too many, and never more than 4 MiB stay. */
static void test_spares(void) {
        _cleanup_(queue_pool_done) struct queue_pool pool = {0};
        struct blob *b[SPARE_BLOBS + 1];

        for (unsigned i = 0; i < ELEMENTSOF(b); i++)
                b[i] = blob_new(&pool, 100000 + i, 100000);
        for (unsigned i = 0; i < ELEMENTSOF(b); i++)
                blob_unref(b[i], &pool);
        CHECK_EQ_INT(pool.bytes, 0);
        CHECK_EQ_INT(pool.n_blobs, SPARE_BLOBS);
        for (unsigned i = ELEMENTSOF(b); i-- > 1;)
                CHECK(blob_new(&pool, 100000, 100000) == b[i]);
        CHECK_EQ_INT(pool.n_blobs, 0);
        CHECK_EQ_INT(pool.spare_bytes, 0);
        for (unsigned i = 1; i < ELEMENTSOF(b); i++)
                blob_unref(b[i], &pool);
        for (unsigned i = 0; i < 6; i++)
                b[i] = blob_new(&pool, 1000000, 1000000);
        for (unsigned i = 0; i < 6; i++)
                blob_unref(b[i], &pool);
        CHECK_EQ_INT(pool.spare_bytes, 4000000);
        CHECK_EQ_INT(pool.n_blobs, 4);
        b[0] = blob_new(&pool, 5000000, 5000000); /* too large to be kept */
        blob_unref(b[0], &pool);
        CHECK_EQ_INT(pool.n_blobs, 4);
}

/* A queue of one message takes little memory; what comes behind it may take more. */
static void test_segments(void) {
        RIG;

        put(&g, 0, 200, NULL);
        CHECK(g.pool.bytes <= 1024);
        for (unsigned k = 1; k < 30; k++)
                put(&g, k, 200, NULL);
        CHECK(g.pool.bytes > 30 * 200 && g.pool.bytes < 20000);
        queue_done(&g.q, &g.pool);
        CHECK_EQ_INT(g.pool.bytes, 0);
}

/* What lies in a queue takes little more memory than it has bytes, and all of that is counted. */
static void test_memory(void) {
        for (size_t large = 8193; large <= 65536; large *= 2)
                for (size_t small = 1; small < large; small *= 5) {
                        RIG;
                        for (unsigned k = 0; k < 100; k++) {
                                put(&g, k, 150, NULL);
                                put_blob(&g, k, large);
                                put(&g, k, small, NULL);
                        }
                        CHECK(g.q.memory > g.q.bytes && g.q.memory < g.q.bytes / 2 * 5);
                        CHECK_EQ_INT(g.pool.bytes, g.q.memory);
                        CHECK_EQ_INT(g.pool.queued, g.q.memory);
                        for (int v = QUEUE_E_AGAIN; v != 0;) {
                                uint8_t buf[65536];
                                unsigned n_fds;

                                v = queue_flush(&g.q, &g.pool, g.out);
                                CHECK_EQ_INT(g.pool.queued, g.q.memory);
                                (void)take(&g, buf, sizeof(buf), &n_fds);
                        }
                        CHECK_EQ_INT(g.q.memory, 0);
                        CHECK_EQ_INT(g.pool.bytes, 0);
                }
}

/* Descriptors begin a segment each, and most of their messages are short. */
static void test_memory_of_descriptors(void) {
        RIG;
        for (unsigned k = 0; k < LIMIT_QUEUE_FDS; k++) {
                int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
                struct fd_list *l = fd_list_new(&fd, 1);

                put(&g, k, 100, l);
                fd_list_unref(l);
        }
        CHECK(g.pool.bytes <= LIMIT_QUEUE_FDS * 1024);
}

/* One body in two queues is there once: in each of them, and for all. */
static void test_memory_shared(void) {
        struct queue other = {0};
        struct blob *b;

        RIG;
        b = blob_new(&g.pool, 100000, 100000);
        CHECK_EQ_INT(g.pool.queued, 0); /* read, but nobody's yet */
        CHECK_EQ_INT(queue_push_blob(&g.q, &g.pool, b, 0, 100000), 0);
        CHECK_EQ_INT(queue_push_blob(&other, &g.pool, b, 0, 100000), 0);
        blob_unref(b, &g.pool);
        CHECK(g.q.memory >= 100000 && other.memory == g.q.memory);
        CHECK(g.pool.queued >= 100000 && g.pool.queued < 101000);
        CHECK_EQ_INT(g.pool.bytes, g.pool.queued);
        queue_done(&other, &g.pool);
        CHECK(g.pool.queued >= 100000);
        queue_done(&g.q, &g.pool);
        CHECK_EQ_INT(g.pool.queued, 0);
}

TEST_MAIN({"small messages", test_small}, {"small, large and shared", test_mixed},
          {"descriptors go with their message", test_descriptors},
          {"what is never sent", test_never_sent}, {"what is dropped", test_dropped},
          {"descriptors that were sent", test_received}, {"the reader does not read", test_full},
          {"the reader is gone", test_gone}, {"blobs", test_blob},
          {"spare blobs", test_spares}, {"segments of two sizes", test_segments},
          {"memory is counted, and little more than the bytes", test_memory},
          {"memory of messages with descriptors", test_memory_of_descriptors},
          {"what is shared is counted once", test_memory_shared})
