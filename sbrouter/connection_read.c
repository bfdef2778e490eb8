/* SPDX-License-Identifier: MIT */
/*
 * From a connection's socket to whole messages.  Small ones are read many at a time into
 * the buffer that all connections share, and handled there; what is left over is kept.  A
 * large one is read into a buffer of its own, in which it is checked, in as many turns as that
 * takes, and then travels on.
 */
#include "sbrouter/connection.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/limits.h"
#include "sbrouter/fd_room.h"
#include "sbrouter/message.h"
#include "sbrouter/route.h"
#include "sbrouter/router.h"

/* The first allocation for a large message; it doubles as bytes arrive, whatever was announced. */
#define IN_START_BYTES 73728u
/*
 * Behind a large message comes another, mostly: this much of it, for its header, goes through
 * the shared buffer, so that no more of its body is copied than that.
 */
#define AHEAD_BYTES 4096u
/* Of what is left of LIMIT_BACKLOG_BYTES: 64 full reads come before the first that is cut. */
#define BACKLOG_SHARE 64u

/* Of one unfinished message and of the first that follows it in the same read. */
#define PENDING_FDS (2 * LIMIT_MESSAGE_FDS)

union fd_control {
        struct cmsghdr align;
        char buf[CMSG_SPACE(LIMIT_MESSAGE_FDS * sizeof(int))];
};

static int keep_part(struct connection *c, const uint8_t *data, size_t n) {
        c->part = blob_new(&c->router->pool, n, n);
        if (!c->part)
                return -ENOMEM;
        memcpy(c->part->data, data, n);
        c->n_part = n;
        c->part_at = 0;
        return 0;
}

/* What has to wait for the next turn: whole messages, or what is behind the one that is checked. */
static int keep_backlog(struct connection *c, const uint8_t *data, size_t n) {
        int v = n > 0 ? keep_part(c, data, n) : 0;

        if (v < 0)
                return v;
        list_append(&c->router->backlog, &c->backlog);
        c->router->backlog_bytes += c->part ? c->part->cap : 0;
        return 0;
}

void connection_end_backlog(struct connection *c) {
        if (list_empty(&c->backlog))
                return;
        list_remove(&c->backlog);
        c->router->backlog_bytes -= c->part ? c->part->cap : 0;
}

/*
 * What a turn has no time for waits in memory.  Each gets a share of what is left for that, so
 * some is left for whoever comes next; the least is so little that few turns are too short for it.
 */
static size_t may_read(const struct connection *c) {
        size_t held = c->router->backlog_bytes, share;

        if (c->sends_large)
                return AHEAD_BYTES;
        share = held < LIMIT_BACKLOG_BYTES ? (LIMIT_BACKLOG_BYTES - held) / BACKLOG_SHARE : 0;
        if (!c->listener || share > ROUTER_SCRATCH - c->n_part)
                return ROUTER_SCRATCH - c->n_part;
        return share > AHEAD_BYTES ? share : AHEAD_BYTES;
}

/* Keeps what connection_feed() could not use: the start of something. */
static int keep_rest(struct connection *c, const uint8_t *data, size_t n) {
        struct message_frame frame;

        if (c->stage == CONNECTION_MESSAGES && message_frame(data, n, &frame) == 0 &&
            frame.n > CONNECTION_PART_BYTES) {
                size_t cap = n * 2 > IN_START_BYTES ? n * 2 : IN_START_BYTES;

                c->in = blob_new(&c->router->pool, cap < frame.n ? cap : frame.n, frame.n);
                if (!c->in)
                        return -ENOMEM;
                memcpy(c->in->data, data, n);
                c->n_in = n;
                c->in_since = c->router->loop.now;
                c->need_in = frame.n;
                c->sends_large = true;
                return 0;
        }
        return keep_part(c, data, n);
}

/* Every descriptor of the packet, to c->fds.  One too many: breach. */
static void collect_fds(struct connection *c, struct msghdr *mh) {
        for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
                size_t n;

                if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                if (!c->fds)
                        c->fds = malloc(PENDING_FDS * sizeof(int));
                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
                        if (c->n_fds == 0)
                                c->fds_since = c->router->loop.now;
                        if (!c->dead && c->fds && c->n_fds < PENDING_FDS) {
                                c->fds[c->n_fds++] = fd;
                                c->router->n_partial_fds++;
                        } else {
                                (void)fd_close(fd);
                                connection_breach(c, "it sent too many descriptors");
                        }
                }
        }
        if (mh->msg_flags & MSG_CTRUNC && !c->drops_fds)
                connection_breach(c, "it sent descriptors that it may not send");
}

/*
 * Up to as many bytes as iov has room for.  *ret_n is 0 when there is nothing (more):
 * c may be dead then.
 */
static void receive(struct connection *c, struct iovec *iov, size_t n_iov, size_t *ret_n) {
        union fd_control ctl _uninitialized_;
        struct msghdr mh = {.msg_iov = iov, .msg_iovlen = n_iov};
        ssize_t k;

        *ret_n = 0;
        if (c->can_fds) {
                mh.msg_control = ctl.buf;
                mh.msg_controllen = sizeof(ctl.buf);
        }
        k = recvmsg(c->source.fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (k < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (k <= 0) {
                connection_close(c);
                return;
        }
        *ret_n = (size_t)k;
        collect_fds(c, &mh);
}

/* With nothing unfinished, no message is left that could claim them. */
static void check_stray_fds(struct connection *c) {
        if (c->n_fds > 0 && !c->part && !c->in)
                connection_breach(c, "it sent descriptors that no message announced");
}

/* What one read brought, and whether the socket may have more. */
struct reading {
        size_t n;
        bool more;
};

/* The first n bytes of the scratch are the stream's next. */
static int take_scratch(struct connection *c, size_t n) {
        uint8_t *scratch = c->router->scratch;
        size_t used;
        int v = connection_feed(c, scratch, n, &used);

        if (v < 0 || c->dead)
                return v < 0 ? v : 0;
        if (v > 0)
                return keep_backlog(c, scratch + used, n - used);
        if (used < n)
                v = keep_rest(c, scratch + used, n - used);
        check_stray_fds(c);
        return v;
}

/* --- a large message ------------------------------------------------------------------------ */

void connection_end_check(struct connection *c) {
        if (!c->check)
                return;
        c->check = body_check_free(c->check);
        c->router->n_checks--;
}

/* It is complete: its header is looked at, and the check of its body begins. */
static int begin_check(struct connection *c) {
        struct router *r = c->router;
        struct message m _uninitialized_;
        int v = message_parse(c->in->data, c->need_in, &m);

        if (v > 0) {
                connection_breach(c, message_strerror(v));
                return 0;
        }
        r->work += (unsigned)(message_header_steps(&m) / LIMIT_TURN_STEPS);
        c->check = message_check_new(&m);
        if (!c->check)
                return -ENOMEM;
        r->n_checks++;
        return 0;
}

static int route_large(struct connection *c) {
        struct blob *b = TAKE_PTR(c->in);
        struct message_frame frame;
        int v = message_frame(b->data, c->need_in, &frame);

        assert(v == 0); /* keep_rest() parsed the same bytes */
        v = route_message(c->router, c, b->data, &frame, b);
        blob_unref(b, &c->router->pool);
        return v;
}

/* The check goes on; c->check is still there if the turn was over first, else it has ended. */
static int go_on(struct connection *c) {
        struct router *r = c->router;
        unsigned share = router_turn_share(r);
        size_t left = r->work < share ? share - r->work : 0, n_steps;
        int v = body_check_continue(c->check, left * LIMIT_TURN_STEPS, &n_steps);

        r->work += (unsigned)(n_steps / LIMIT_TURN_STEPS);
        if (v == BODY_E_MORE)
                return 0;
        connection_end_check(c);
        if (v == 0)
                return route_large(c);
        connection_breach(c, body_strerror(v));
        return 0;
}

static int grow_in(struct connection *c) {
        size_t cap = c->n_in * 2 < c->need_in ? c->n_in * 2 : c->need_in;

        return c->n_in == c->in->cap ? blob_grow(&c->in, &c->router->pool, cap) : 0;
}

/* Into its place, and of what follows the message the start. */
static int read_large(struct connection *c, struct reading *ret) {
        struct iovec iov[2];
        size_t want, behind;
        int v = grow_in(c);

        if (v < 0)
                return v;
        want = (c->in->cap < c->need_in ? c->in->cap : c->need_in) - c->n_in;
        iov[0] = (struct iovec){c->in->data + c->n_in, want};
        iov[1] = (struct iovec){c->router->scratch, AHEAD_BYTES};
        receive(c, iov, c->n_in + want == c->need_in ? 2 : 1, &ret->n);
        if (c->dead)
                return 0;
        behind = ret->n > want ? ret->n - want : 0;
        ret->more = ret->n == want || behind == AHEAD_BYTES;
        c->n_in += ret->n - behind;
        if (c->n_in < c->need_in)
                return 0;
        v = begin_check(c);
        if (v == 0 && c->check)
                v = go_on(c);
        if (v < 0 || c->dead)
                return v;
        if (c->check)
                return keep_backlog(c, c->router->scratch, behind);
        if (behind > 0)
                return take_scratch(c, behind);
        check_stray_fds(c);
        return 0;
}

static int read_small(struct connection *c, struct reading *ret) {
        uint8_t *scratch = c->router->scratch;
        size_t n = c->n_part;
        struct iovec iov = {scratch + n, may_read(c)};

        if (n > 0)
                memcpy(scratch, c->part->data, n);
        receive(c, &iov, 1, &ret->n);
        if (c->dead || ret->n == 0)
                return 0;
        c->part = blob_unref(c->part, &c->router->pool);
        c->n_part = 0;
        ret->more = ret->n == iov.iov_len;
        return take_scratch(c, n + ret->n);
}

/* --- turns ---------------------------------------------------------------------------------- */

/* The messages in part are handled, or wait on.  There may be none. */
static int feed_backlog(struct connection *c) {
        struct blob *done;
        size_t used = 0, n;
        int v = 0;

        if (c->part)
                v = connection_feed(c, c->part->data + c->part_at, c->n_part - c->part_at, &used);
        c->part_at += used;
        if (v == 1 && !c->dead)
                return 0;
        connection_end_backlog(c);
        if (v < 0 || c->dead)
                return v < 0 ? v : 0;
        done = TAKE_PTR(c->part);
        n = done ? c->n_part - c->part_at : 0;
        c->n_part = 0;
        if (n > 0)
                v = keep_rest(c, done->data + c->part_at, n);
        blob_unref(done, &c->router->pool);
        check_stray_fds(c);
        return v;
}

static int work(struct connection *c) {
        int v = 0;

        c->router->work = 0;
        if (c->check && !c->dead)
                v = go_on(c);
        if (v == 0 && c->check && !c->dead)
                return 0;
        if (v == 0)
                return feed_backlog(c);
        connection_end_backlog(c);
        return v;
}

/* For what it says there is no memory: that ends it, and nobody else. */
static int end_without_memory(struct connection *c, int v) {
        if (v != -ENOMEM)
                return v;
        connection_breach(c, "there is no memory for what it says");
        return 0;
}

int connection_work(struct connection *c) {
        return end_without_memory(c, work(c));
}

/* The pieces of large messages are read together, up to what a read of small ones may bring. */
int connection_read(struct connection *c) {
        struct reading reading;
        size_t n = 0;
        int v;

        c->router->work = 0;
        do {
                reading = (struct reading){0};
                v = c->in ? read_large(c, &reading) : read_small(c, &reading);
                n += reading.n;
        } while (v == 0 && reading.more && c->in && !c->check && !c->dead && n < ROUTER_SCRATCH &&
                 room_is_left(c->router));
        fd_room_enforce(c->router);
        return end_without_memory(c, v);
}
