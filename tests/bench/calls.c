/* SPDX-License-Identifier: MIT */
/* Calls from one client to another, answered with the same body; and with a descriptor. */
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/workload.h"

#define FIELD_SENDER 7

struct pair {
        struct stream caller, callee;
        struct template call, answer;
};

static void on_call(struct stream *s, const struct incoming *m) {
        const struct pair *p = s->self;

        if (m->type != TEMPLATE_CALL)
                return;
        s->n++;
        stream_queue(s, &p->answer, m->serial);
}

static void on_answer(struct stream *s, const struct incoming *m) {
        incoming_check(m);
        stream_count_answer(s, m);
}

/* The next message of type, whose body must be t's. */
static void take(struct stream *s, enum template_type type, const struct template *t,
                 struct incoming *ret) {
        do {
                stream_next(s, ret);
                incoming_check(ret);
        } while (ret->type != type);
        if (ret->n_body != t->n_body ||
            (t->n_body > 0 && memcmp(ret->header + ret->n_header, t->body, t->n_body) != 0))
                fail("a body arrived that was not sent");
}

/* One call, looked at: who sent it, and what is in it. */
static void try(struct pair *p) {
        const char *sender;
        struct incoming m;

        stream_send(&p->caller, &p->call);
        take(&p->callee, TEMPLATE_CALL, &p->call, &m);
        sender = incoming_field(&m, FIELD_SENDER, NULL);
        if (!p->caller.target->is_relay && (!sender || strcmp(sender, p->caller.name) != 0))
                fail("the sender is %s and not %s", sender ? sender : "nobody", p->caller.name);
        put_u32(p->answer.header + p->answer.reply_serial_at, m.serial);
        stream_send(&p->callee, &p->answer);
        take(&p->caller, TEMPLATE_RETURN, &p->answer, &m);
}

static void pair_open(struct pair *p, const struct bench *b, uint32_t n_bytes) {
        size_t cap = n_bytes + 2 * STREAM_LARGE; /* one whole message, to be looked at */
        uint32_t n = 0;
        struct words call = {
                .type = TEMPLATE_CALL,
                .path = "/org/bench/Echo",
                .interface = "org.bench.Echo",
                .member = "Echo",
                .signature = n_bytes > 0 ? "ay" : NULL,
        };
        struct words answer = {
                .type = TEMPLATE_RETURN, .is_reply = true, .signature = call.signature};
        uint8_t *body = n_bytes > 0 ? body_bytes(n_bytes, &n) : NULL;

        stream_open(&p->caller, &b->target, ROLE_CALLER, cap);
        stream_open(&p->callee, &b->target, ROLE_CALLEE, cap);
        call.destination = p->callee.name;
        answer.destination = p->caller.name;
        template_init(&p->call, &call, body, n);
        body = n_bytes > 0 ? body_bytes(n_bytes, &n) : NULL;
        template_init(&p->answer, &answer, body, n);
        p->caller.on_message = on_answer;
        p->callee.on_message = on_call;
        p->callee.self = p;
        try(p);
        p->caller.n = p->callee.n = 0;
}

static void pair_close(struct pair *p) {
        stream_close(&p->caller);
        stream_close(&p->callee);
        template_done(&p->call);
        template_done(&p->answer);
}

/* window calls in flight until the span is over; how many were answered. */
static uint64_t run(struct pair *p, const struct span *span, unsigned window) {
        uint64_t start = p->caller.n, sent = 0;

        p->caller.answered = p->caller.serial;
        for (;;) {
                uint64_t done = p->caller.n - start;
                bool over = span_is_over(span), moved;

                if (over && done == sent)
                        return done;
                while (!over && sent - done < window && stream_has_room(&p->caller)) {
                        stream_queue(&p->caller, &p->call, 0);
                        sent++;
                }
                moved = stream_flush(&p->caller);
                moved |= stream_pump(&p->callee);
                moved |= stream_flush(&p->callee);
                moved |= stream_pump(&p->caller);
                if (!moved)
                        stream_wait(&p->caller, &p->callee);
        }
}

/* The same with one in flight, and small: both wait in their reads, as programs do. */
static uint64_t run_one(struct pair *p, const struct span *span) {
        uint64_t n = 0;

        for (; !span_is_over(span); n++) {
                struct incoming m;

                stream_send(&p->caller, &p->call);
                do
                        stream_next(&p->callee, &m);
                while (m.type != TEMPLATE_CALL);
                put_u32(p->answer.header + p->answer.reply_serial_at, m.serial);
                stream_send(&p->callee, &p->answer);
                do
                        stream_next(&p->caller, &m);
                while (m.type != TEMPLATE_RETURN);
        }
        return n;
}

void work_call(const struct bench *b, const char *bytes, const char *window) {
        uint32_t n_bytes = number(bytes), n_window = number(window);
        bool one = n_window == 1 && n_bytes <= 4096;
        struct bench warm = *b;
        struct pair p = {0};
        struct span span;
        char row[64];
        uint64_t n;

        pair_open(&p, b, n_bytes);
        warm.seconds = b->seconds / 8;
        span = span_begin(&warm);
        n = one ? run_one(&p, &span) : run(&p, &span, n_window);
        span = span_begin(b);
        n = one ? run_one(&p, &span) : run(&p, &span, n_window);
        (void)snprintf(row, sizeof(row), "call%s:%u:%u", b->target.one_by_one ? "-each" : "",
                       n_bytes, n_window);
        span_report(&span, row, n);
        pair_close(&p);
}

/* --- descriptors ----------------------------------------------------------------------------- */

union control {
        char buf[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
};

static void send_fd(struct stream *s, struct template *t, int fd) {
        struct iovec iov[2] = {{t->header, t->n_header}, {t->body, t->n_body}};
        union control ctl = {0};
        struct msghdr mh = {
                .msg_iov = iov,
                .msg_iovlen = 2,
                .msg_control = ctl.buf,
                .msg_controllen = CMSG_SPACE(sizeof(int)),
        };
        struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);

        *cm = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
        put_u32(t->header + 8, ++s->serial);
        if (sendmsg(s->fd, &mh, MSG_NOSIGNAL) != (ssize_t)(t->n_header + t->n_body))
                fail("cannot send a descriptor");
}

/* The descriptor of the next call or answer, which is all that s is sent. */
static int receive_fd(struct stream *s, uint32_t *ret_serial) {
        uint8_t data[1024];
        struct iovec iov = {data, sizeof(data)};
        union control ctl;
        struct msghdr mh = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = ctl.buf,
                .msg_controllen = sizeof(ctl.buf),
        };
        ssize_t n = recvmsg(s->fd, &mh, MSG_CMSG_CLOEXEC);
        const struct cmsghdr *cm = n > 16 ? CMSG_FIRSTHDR(&mh) : NULL;
        int fd;

        if (!cm || cm->cmsg_type != SCM_RIGHTS)
                fail("no descriptor came");
        memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
        *ret_serial = get_u32(data + 8);
        return fd;
}

/* What came with pair_open() is read, so that the next byte is the next message's. */
static void use_fds(struct pair *p) {
        struct words call = {
                .type = TEMPLATE_CALL,
                .path = "/org/bench/Echo",
                .interface = "org.bench.Echo",
                .member = "Fd",
                .destination = p->callee.name,
                .signature = "h",
                .n_fds = 1,
        };
        struct words answer = {
                .type = TEMPLATE_RETURN,
                .is_reply = true,
                .destination = p->caller.name,
                .signature = "h",
                .n_fds = 1,
        };
        uint32_t n;
        uint8_t *body = body_fd_index(&n);

        template_init(&p->call, &call, body, n);
        body = body_fd_index(&n);
        template_init(&p->answer, &answer, body, n);
}

void work_fd(const struct bench *b, const char *first, const char *second) {
        int fd = memfd_create("bench", MFD_CLOEXEC);
        struct pair p = {0};
        struct span span;
        uint64_t n = 0;

        (void)first, (void)second;
        pair_open(&p, b, 0);
        use_fds(&p);
        span = span_begin(b);
        for (; !span_is_over(&span); n++) {
                uint32_t serial;
                int got;

                send_fd(&p.caller, &p.call, fd);
                got = receive_fd(&p.callee, &serial);
                put_u32(p.answer.header + p.answer.reply_serial_at, serial);
                send_fd(&p.callee, &p.answer, got);
                (void)close(got);
                (void)close(receive_fd(&p.caller, &serial));
        }
        span_report(&span, "fd", n);
        pair_close(&p);
        (void)close(fd);
}
