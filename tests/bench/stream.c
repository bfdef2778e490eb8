/* SPDX-License-Identifier: MIT */
#include "tests/bench/stream.h"

#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <linux/vm_sockets.h>
#include <unistd.h>

#include "tests/bench/fail.h"

/* From here on a body is not kept: what is in it was compared once already. */
#define SKIP_FROM     4096u
#define IOV_PER_SEND  64
#define STALL_SECONDS 10

enum {
        FIELD_ERROR_NAME = 4,
        FIELD_REPLY_SERIAL = 5,
};

/* --- connecting ------------------------------------------------------------------------------ */

static int connect_vsock(unsigned cid, unsigned port) {
        struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, (struct sockaddr *)&vm, sizeof(vm)) < 0)
                fail("cannot connect to vsock:%u:%u", cid, port);
        return fd;
}

static int connect_unix(const char *path) {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || strlen(path) >= sizeof(un.sun_path))
                fail("cannot make a socket for %s", path);
        memcpy(un.sun_path, path, strlen(path) + 1);
        while (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
                if (errno != EAGAIN) /* a full backlog */
                        fail("cannot connect to %s", path);
                (void)usleep(100);
        }
        return fd;
}

static int connect_to(const char *address) {
        unsigned cid, port;

        if (sscanf(address, "vsock:%u:%u", &cid, &port) == 2)
                return connect_vsock(cid, port);
        if (strncmp(address, "unix:path=", 10) == 0)
                return connect_unix(address + 10);
        errno = EINVAL;
        fail("%s is neither unix:path=PATH nor vsock:CID:PORT", address);
}

static void send_all(int fd, const void *data, size_t n) {
        const uint8_t *p = data;

        while (n > 0) {
                ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

                if (k < 0)
                        fail("cannot send");
                p += k;
                n -= (size_t)k;
        }
}

static void make_room(struct stream *s) {
        if (s->head == s->tail)
                s->head = s->tail = 0;
        if (s->head > 0 && s->cap - s->tail < SKIP_FROM) {
                memmove(s->in, s->in + s->head, s->tail - s->head);
                s->tail -= s->head;
                s->head = 0;
        }
}

static void fill(struct stream *s) {
        ssize_t k;

        make_room(s);
        if (s->tail == s->cap)
                fail("a message over %zu bytes", s->cap);
        k = recv(s->fd, s->in + s->tail, s->cap - s->tail, 0);
        if (k <= 0)
                fail("%s was disconnected", s->name);
        s->tail += (size_t)k;
}

static void expect_line(struct stream *s, const char *start) {
        for (;;) {
                uint8_t *line = s->in + s->head;
                uint8_t *end = memmem(line, s->tail - s->head, "\r\n", 2);

                if (end && strncmp((char *)line, start, strlen(start)) != 0)
                        fail("authentication: not %s but %.*s", start, (int)(end - line), line);
                if (end) {
                        s->head = (size_t)(end - s->in) + 2;
                        return;
                }
                fill(s);
        }
}

/* "AUTH EXTERNAL" and our uid in hexadecimal, behind the NUL. */
static size_t auth_line(char line[128]) {
        char uid[16];
        size_t n = 1 + (size_t)sprintf(line + 1, "AUTH EXTERNAL ");

        line[0] = 0;
        (void)snprintf(uid, sizeof(uid), "%u", (unsigned)geteuid());
        for (const char *p = uid; *p; p++)
                n += (size_t)sprintf(line + n, "%02x", (unsigned char)*p);
        return n + (size_t)sprintf(line + n, "\r\n");
}

static void authenticate(struct stream *s, struct template *hello) {
        bool fds = strncmp(s->target->address, "unix:", 5) == 0;
        const char *negotiate = fds ? "NEGOTIATE_UNIX_FD\r\n" : "";
        uint8_t out[256 + TEMPLATE_HEADER];
        char line[128];
        size_t n = auth_line(line);

        if (s->target->stepwise) {
                send_all(s->fd, line, n);
                expect_line(s, "OK ");
                send_all(s->fd, negotiate, strlen(negotiate));
                if (fds)
                        expect_line(s, "AGREE_UNIX_FD");
                n = (size_t)sprintf((char *)out, "BEGIN\r\n");
        } else { /* all at once, as sd-bus does */
                memcpy(out, line, n);
                n += (size_t)sprintf((char *)out + n, "%sBEGIN\r\n", negotiate);
        }
        put_u32(hello->header + 8, ++s->serial);
        memcpy(out + n, hello->header, hello->n_header);
        send_all(s->fd, out, n + hello->n_header);
        if (s->target->stepwise)
                return;
        expect_line(s, "OK ");
        if (fds)
                expect_line(s, "AGREE_UNIX_FD");
}

void stream_open(struct stream *s, const struct target *target, enum role role, size_t cap) {
        struct incoming m;
        struct template hello;
        char byte = (char)role;

        memset(s, 0, sizeof(*s));
        s->target = target;
        s->fd = connect_to(target->address);
        s->cap = cap;
        s->in = malloc(cap);
        if (!s->in)
                fail("out of memory");
        if (target->is_relay) {
                send_all(s->fd, &byte, 1);
                if (role != ROLE_ECHO && recv(s->fd, &byte, 1, MSG_WAITALL) != 1)
                        fail("the relay does not take %c", role);
                return;
        }
        template_driver(&hello, "Hello", NULL, -1);
        authenticate(s, &hello);
        stream_answer(s, s->serial, &m);
        (void)snprintf(s->name, sizeof(s->name), "%s", (const char *)m.header + m.n_header + 4);
}

void stream_close(struct stream *s) {
        (void)close(s->fd);
        free(s->in);
        free(s->queue);
        memset(s, 0, sizeof(*s));
        s->fd = -1;
}

/* --- one message at a time ------------------------------------------------------------------- */

void stream_send(struct stream *s, struct template *t) {
        struct iovec iov[2] = {{t->header, t->n_header}, {t->body, t->n_body}};
        struct msghdr mh = {.msg_iov = iov, .msg_iovlen = t->n_body > 0 ? 2 : 1};
        ssize_t k;

        put_u32(t->header + 8, ++s->serial);
        k = sendmsg(s->fd, &mh, MSG_NOSIGNAL);
        if (k < (ssize_t)t->n_header)
                fail("cannot send");
        send_all(s->fd, t->body + ((size_t)k - t->n_header), t->n_header + t->n_body - (size_t)k);
}

/* The message at the head, if its header is there. */
static bool peek(const struct stream *s, struct incoming *ret) {
        const uint8_t *b = s->in + s->head;
        size_t n = s->tail - s->head;

        if (n < 16)
                return false;
        *ret = (struct incoming){
                .type = b[1],
                .serial = get_u32(b + 8),
                .n_header = 16 + align_to(get_u32(b + 12), 8),
                .n_body = get_u32(b + 4),
                .header = b,
        };
        return n >= ret->n_header;
}

void stream_next(struct stream *s, struct incoming *ret) {
        while (!peek(s, ret) || s->tail - s->head < (size_t)ret->n_header + ret->n_body)
                fill(s);
        s->head += (size_t)ret->n_header + ret->n_body;
}

const char *incoming_field(const struct incoming *m, uint8_t code, uint32_t *ret_number) {
        uint32_t at = 16, end = 16 + get_u32(m->header + 12);

        while (at < end) {
                const uint8_t *f = m->header + (at = align_to(at, 8));
                uint32_t n = f[2] == 'u' ? 0 : f[2] == 'g' ? f[4] + 2u : get_u32(f + 4) + 5;

                if (f[0] == code && f[2] == 'u' && ret_number)
                        *ret_number = get_u32(f + 4);
                if (f[0] == code)
                        return (const char *)f + (f[2] == 'g' ? 5 : 8);
                at += f[2] == 'u' ? 8 : 4 + n;
        }
        return NULL;
}

void incoming_check(const struct incoming *m) {
        const char *name =
                m->type == TEMPLATE_ERROR ? incoming_field(m, FIELD_ERROR_NAME, NULL) : NULL;

        errno = 0;
        if (name)
                fail("the bus answered %s", name);
}

void stream_count_answer(struct stream *s, const struct incoming *m) {
        uint32_t serial = 0;

        if (m->type != TEMPLATE_RETURN && m->type != TEMPLATE_ERROR)
                return;
        (void)incoming_field(m, FIELD_REPLY_SERIAL, &serial);
        errno = 0;
        if (serial != s->answered + 1)
                fail("call %u was answered, and not %u", serial, s->answered + 1);
        s->answered = serial;
        s->n++;
}

void stream_answer(struct stream *s, uint32_t serial, struct incoming *ret) {
        uint32_t answered = 0;

        do {
                stream_next(s, ret);
                answered = 0;
                if (ret->type == TEMPLATE_RETURN || ret->type == TEMPLATE_ERROR)
                        (void)incoming_field(ret, FIELD_REPLY_SERIAL, &answered);
        } while (answered != serial);
        incoming_check(ret);
}

void stream_ask(struct stream *s, const char *member, const char *text, long number,
                struct incoming *ret) {
        struct template t;

        template_driver(&t, member, text, number);
        stream_send(s, &t);
        template_done(&t);
        stream_answer(s, s->serial, ret);
}

/* --- many messages in flight ----------------------------------------------------------------- */

void stream_queue(struct stream *s, const struct template *t, uint32_t reply_serial) {
        unsigned i = (s->first + s->n_queued++) % STREAM_QUEUE;

        if (!s->queue)
                s->queue = malloc(STREAM_QUEUE * sizeof(*s->queue));
        if (!s->queue)
                fail("out of memory");
        memcpy(s->queue[i].header, t->header, t->n_header);
        put_u32(s->queue[i].header + 8, ++s->serial);
        if (t->reply_serial_at > 0)
                put_u32(s->queue[i].header + t->reply_serial_at, reply_serial);
        s->queue[i].t = t;
}

static int gather(struct stream *s, struct iovec iov[IOV_PER_SEND], size_t *ret_bytes) {
        size_t sent = s->n_sent;
        int n = 0;

        *ret_bytes = 0;
        for (unsigned k = 0; k < s->n_queued && n + 2 <= IOV_PER_SEND; k++) {
                unsigned i = (s->first + k) % STREAM_QUEUE;
                const struct template *t = s->queue[i].t;
                size_t of_header = sent < t->n_header ? sent : t->n_header,
                       of_body = sent - of_header;

                if (of_header < t->n_header)
                        iov[n++] = (struct iovec){s->queue[i].header + of_header,
                                                  t->n_header - of_header};
                if (of_body < t->n_body)
                        iov[n++] = (struct iovec){t->body + of_body, t->n_body - of_body};
                *ret_bytes += t->n_header + t->n_body - sent;
                sent = 0;
                if (s->target->one_by_one)
                        break;
        }
        return n;
}

static void consume(struct stream *s, size_t n) {
        s->n_sent += n;
        while (s->n_queued > 0) {
                const struct template *t = s->queue[s->first].t;
                size_t whole = (size_t)t->n_header + t->n_body;

                if (s->n_sent < whole)
                        return;
                s->n_sent -= whole;
                s->first = (s->first + 1) % STREAM_QUEUE;
                s->n_queued--;
        }
}

bool stream_flush(struct stream *s) {
        bool moved = false;

        while (s->n_queued > 0) {
                struct iovec iov[IOV_PER_SEND];
                struct msghdr mh = {.msg_iov = iov};
                size_t want;
                ssize_t k;

                mh.msg_iovlen = (size_t)gather(s, iov, &want);
                k = sendmsg(s->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (k < 0 && errno == EAGAIN)
                        return moved;
                if (k < 0)
                        fail("%s cannot send", s->name);
                moved = true;
                consume(s, (size_t)k);
                if ((size_t)k < want)
                        return true;
        }
        return moved;
}

static ssize_t receive(struct stream *s, void *to, size_t n) {
        ssize_t k = recv(s->fd, to, n, MSG_DONTWAIT);

        if (k < 0 && errno == EAGAIN)
                return 0;
        if (k <= 0)
                fail("%s was disconnected", s->name);
        return k;
}

static bool skip(struct stream *s) {
        static uint8_t sink[STREAM_LARGE];
        ssize_t k = receive(s, sink, s->n_skip < sizeof(sink) ? s->n_skip : sizeof(sink));

        s->n_skip -= (size_t)k;
        if (s->n_skip == 0)
                s->on_message(s, &s->skipped);
        return k > 0;
}

/* The rest of the large message at the head will be read, and dropped. */
static void skip_rest(struct stream *s, const struct incoming *m) {
        if (m->n_header > sizeof(s->skipped_header))
                fail("a header over %zu bytes", sizeof(s->skipped_header));
        memcpy(s->skipped_header, m->header, m->n_header);
        s->skipped = *m;
        s->skipped.header = s->skipped_header;
        s->n_skip = (size_t)m->n_header + m->n_body - (s->tail - s->head);
        s->head = s->tail = 0;
}

bool stream_pump(struct stream *s) {
        struct incoming m;
        ssize_t k;

        if (s->n_skip > 0)
                return skip(s);
        make_room(s);
        k = receive(s, s->in + s->tail, s->cap - s->tail);
        s->tail += (size_t)k;
        while (k > 0 && peek(s, &m)) {
                size_t whole = (size_t)m.n_header + m.n_body;

                if (s->tail - s->head < whole && m.n_body < SKIP_FROM)
                        break;
                if (s->tail - s->head < whole) {
                        skip_rest(s, &m);
                        break;
                }
                s->head += whole;
                s->on_message(s, &m);
        }
        return k > 0;
}

void stream_wait(const struct stream *a, const struct stream *b) {
        struct pollfd fds[2] = {
                {a->fd, (short)(POLLIN | (a->n_queued > 0 ? POLLOUT : 0)), 0},
                {b->fd, (short)(POLLIN | (b->n_queued > 0 ? POLLOUT : 0)), 0},
        };

        errno = 0;
        if (poll(fds, a == b ? 1 : 2, STALL_SECONDS * 1000) == 0)
                fail("nothing moves: %s has %lu, %s has %lu", a->name, (unsigned long)a->n, b->name,
                     (unsigned long)b->n);
}
