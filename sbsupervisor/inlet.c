/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/inlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/cleanup.h"

#define HANDSHAKE_CHUNK 512u

union control {
        struct cmsghdr align;
        char buf[CMSG_SPACE(LIMIT_MESSAGE_FDS * sizeof(int))];
};

enum {
        INLET_E_AGAIN = 1, /* nothing to read now, or no room to write */
        INLET_E_GONE,      /* the peer has left */
        INLET_E_BREACH,    /* said; nothing more is read */
};

static void stop_reading(struct inlet *i) {
        i->readable = sd_event_source_disable_unref(i->readable);
        i->writable = sd_event_source_disable_unref(i->writable);
        i->idle = sd_event_source_disable_unref(i->idle);
}

static int end_reading(struct inlet *i, int error, const char *why) {
        stop_reading(i);
        i->on_breach(i->userdata, error, why);
        return INLET_E_BREACH;
}

static int breach(struct inlet *i, const char *why) {
        return end_reading(i, 0, why);
}

/* --- to sd-bus ------------------------------------------------------------------------------- */

static void forget_fds(struct inlet *i) {
        for (unsigned k = 0; k < i->n_fds; k++)
                i->fds[k] = fd_close(i->fds[k]);
        i->n_fds = 0;
}

static void begin_message(struct inlet *i) {
        forget_fds(i);
        free(i->data);
        i->data = NULL;
        i->n = i->n_sent = 0;
        i->size = FRAME_FIXED;
}

/* Descriptors go with the first byte, as sd-bus itself sends them. */
static ssize_t send_some(struct inlet *i) {
        struct iovec iov = {i->data + i->n_sent, i->n - i->n_sent};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
        union control c = {0};

        if (i->n_fds > 0) {
                mh.msg_control = c.buf;
                mh.msg_controllen = CMSG_SPACE(i->n_fds * sizeof(int));
                c.align =
                        (struct cmsghdr){CMSG_LEN(i->n_fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
                memcpy(CMSG_DATA(&c.align), i->fds, i->n_fds * sizeof(int));
        }
        return sendmsg(i->to, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What follows stays in the peer's socket until this has arrived. */
static int await(struct inlet *i, enum inlet_awaits what) {
        int r = 0;

        i->awaits = what;
        if (what != INLET_AWAITS_NOTHING)
                r = sd_event_source_set_enabled(i->idle, SD_EVENT_ONESHOT);
        return r < 0 ? r : 0;
}

/* All of a complete message, or INLET_E_AGAIN. */
static int pass_on(struct inlet *i) {
        while (i->n_sent < i->n) {
                ssize_t n = send_some(i);

                if (n < 0 && errno == EPIPE) /* sd-bus has closed its end: it says why */
                        return INLET_E_GONE;
                if (n < 0)
                        return errno == EAGAIN ? INLET_E_AGAIN : -errno;
                i->n_sent += (uint64_t)n;
                forget_fds(i);
        }
        begin_message(i);
        if (i->passing_handshake)
                return await(i, handshake_is_over(&i->handshake) ? INLET_AWAITS_HANDSHAKE
                                                                 : INLET_AWAITS_NOTHING);
        return await(i, i->takes_fds ? INLET_AWAITS_MESSAGE : INLET_AWAITS_NOTHING);
}

/* --- from the peer --------------------------------------------------------------------------- */

static bool has_room(const struct inlet *i) {
        _cleanup_close_ int fd = fcntl(i->from, F_DUPFD_CLOEXEC, 3);

        return fd >= 0;
}

/*
 * The kernel gives no more than there is room for, be it in the message or in this process, and
 * says so when there were more.
 */
static int take_fds(struct inlet *i, struct msghdr *mh) {
        for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
                size_t k = cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS
                                   ? (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int)
                                   : 0;

                for (size_t j = 0; j < k; j++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(cm) + j * sizeof(int), sizeof(int));
                        if (i->n_fds < ELEMENTSOF(i->fds)) {
                                i->fds[i->n_fds++] = fd;
                        } else {
                                (void)fd_close(fd);
                                mh->msg_flags |= MSG_CTRUNC;
                        }
                }
        }
        if ((mh->msg_flags & MSG_CTRUNC) && !has_room(i))
                return end_reading(i, -EMFILE,
                                   "no descriptor is left: set LimitNOFILE= of the unit higher");
        if (mh->msg_flags & MSG_CTRUNC)
                return breach(i, "a message with more descriptors than one may have");
        return i->n_fds > 0 && !i->takes_fds ? breach(i, "a descriptor, where none belongs") : 0;
}

/* At most max bytes behind those that are there. */
static int receive(struct inlet *i, size_t max) {
        struct iovec iov = {i->data + i->n, max};
        union control c;
        struct msghdr mh = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = c.buf,
                .msg_controllen = sizeof(c.buf),
        };
        ssize_t n = recvmsg(i->from, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return INLET_E_AGAIN;
        if (n <= 0)
                return n == 0 || errno == ECONNRESET ? INLET_E_GONE : -errno;
        i->n += (uint64_t)n;
        return take_fds(i, &mh);
}

static int make_room(struct inlet *i, uint64_t size) {
        uint8_t *data = realloc(i->data, size);

        if (!data)
                return -ENOMEM;
        i->data = data;
        return 0;
}

/* Lines; what follows the last one stays in the socket, and is the first message. */
static int read_handshake(struct inlet *i) {
        int r = make_room(i, HANDSHAKE_CHUNK);
        ssize_t n;

        if (r < 0)
                return r;
        n = recv(i->from, i->data, HANDSHAKE_CHUNK, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return INLET_E_AGAIN;
        if (n <= 0)
                return n == 0 || errno == ECONNRESET ? INLET_E_GONE : -errno;
        n = (ssize_t)handshake_take(&i->handshake, i->data, (size_t)n);
        i->n_handshake += (uint64_t)n;
        if (i->n_handshake > LIMIT_SASL_LINE)
                return breach(i, "a handshake without an end");
        r = receive(i, (size_t)n);
        if (r == 0 && (i->n_fds > 0 || i->n != (uint64_t)n)) /* less: descriptors come behind it */
                return breach(i, "a descriptor before the first message");
        return r;
}

static int measure(struct inlet *i) {
        char why[96];
        int r = frame_size(i->data, LIMIT_INLET_BYTES, &i->size);

        if (r == FRAME_E_FORM)
                return breach(i, "what is no D-Bus message");
        if (r == FRAME_E_SIZE) {
                (void)snprintf(why, sizeof(why), "a message of %llu bytes, where %u are the limit",
                               (unsigned long long)i->size, LIMIT_INLET_BYTES);
                return breach(i, why);
        }
        return make_room(i, i->size);
}

static int read_message(struct inlet *i) {
        int r = i->data ? 0 : make_room(i, FRAME_FIXED);

        while (r == 0 && i->n < i->size) {
                r = receive(i, i->size - i->n);
                if (r == 0 && i->n == FRAME_FIXED)
                        r = measure(i);
        }
        return r;
}

/* --- both ------------------------------------------------------------------------------------ */

/* sd-bus learns of the end as if it had read the stream itself. */
static int end(struct inlet *i) {
        stop_reading(i);
        (void)shutdown(i->to, SHUT_WR);
        return 0;
}

static int settle(struct inlet *i, int r) {
        bool is_full = r == INLET_E_AGAIN && i->n_sent < i->n && i->n == i->size;
        bool waits = is_full || i->awaits != INLET_AWAITS_NOTHING;

        if (r == INLET_E_GONE)
                r = end(i);
        else if (r >= 0 && i->readable)
                r = sd_event_source_set_enabled(i->readable, waits ? SD_EVENT_OFF : SD_EVENT_ON);
        if (r >= 0 && i->writable)
                r = sd_event_source_set_enabled(i->writable, is_full ? SD_EVENT_ON : SD_EVENT_OFF);
        if (r < 0)
                (void)end_reading(i, r, strerror(-r));
        return 0;
}

static int on_readable(sd_event_source *s _unused_, int fd _unused_, uint32_t events _unused_,
                       void *userdata) {
        struct inlet *i = userdata;
        bool in_handshake = !handshake_is_over(&i->handshake);
        int r = in_handshake ? read_handshake(i) : read_message(i);

        i->passing_handshake = in_handshake;
        if (r == 0 && in_handshake)
                i->size = i->n;
        return settle(i, r == 0 ? pass_on(i) : r);
}

static int on_writable(sd_event_source *s _unused_, int fd _unused_, uint32_t events _unused_,
                       void *userdata) {
        return settle(userdata, pass_on(userdata));
}

/* sd-bus's sources come before this one: what it has not handed on by now it has dropped. */
static int on_idle(sd_event_source *s _unused_, void *userdata) {
        struct inlet *i = userdata;

        if (i->awaits == INLET_AWAITS_MESSAGE) {
                (void)breach(i, "what is no D-Bus message inside");
                return 0;
        }
        i->awaits = INLET_AWAITS_NOTHING;
        return settle(i, 0);
}

void inlet_delivered(struct inlet *i) {
        if (i->awaits != INLET_AWAITS_MESSAGE)
                return;
        i->awaits = INLET_AWAITS_NOTHING;
        if (i->idle && sd_event_source_set_enabled(i->idle, SD_EVENT_OFF) >= 0)
                (void)settle(i, 0);
}

static int add_sources(struct inlet *i, sd_event *event) {
        int r = sd_event_add_io(event, &i->readable, i->from, EPOLLIN, on_readable, i);

        if (r >= 0)
                r = sd_event_add_io(event, &i->writable, i->to, EPOLLOUT, on_writable, i);
        if (r >= 0)
                r = sd_event_source_set_enabled(i->writable, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(event, &i->idle, on_idle, i);
        if (r >= 0)
                r = sd_event_source_set_priority(i->idle, SD_EVENT_PRIORITY_IDLE);
        return r < 0 ? r : sd_event_source_set_enabled(i->idle, SD_EVENT_OFF);
}

int inlet_open(struct inlet *i, sd_event *event, int fd, const char *last_line, bool takes_fds,
               inlet_breach_t on_breach, void *userdata, int *ret_fd) {
        _cleanup_close_ int out = -1;
        int p[2], r;

        *i = (struct inlet){
                .from = fcntl(fd, F_DUPFD_CLOEXEC, 3),
                .to = -1,
                .handshake.last = last_line,
                .size = FRAME_FIXED,
                .takes_fds = takes_fds,
                .on_breach = on_breach,
                .userdata = userdata,
        };
        if (i->from < 0)
                return -errno;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) < 0)
                return -errno;
        i->to = p[0];
        out = p[1];
        r = add_sources(i, event);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(out);
        return 0;
}

void inlet_close(struct inlet *i) {
        if (!i->on_breach)
                return; /* never opened */
        stop_reading(i);
        begin_message(i);
        i->from = fd_close(i->from);
        i->to = fd_close(i->to);
        i->on_breach = NULL;
}
