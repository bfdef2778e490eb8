/* SPDX-License-Identifier: MIT */
#include "sbrouter/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "common/greeting.h"
#include "common/limits.h"
#include "common/log.h"
#include "sbrouter/driver.h"
#include "sbrouter/listener.h"
#include "sbrouter/message.h"
#include "sbrouter/route.h"
#include "sbrouter/router.h"

/* An unfinished message longer than this is read in place instead of being copied twice. */
#define PART_BYTES 16384u
/* The first allocation for it; it doubles as bytes arrive, whatever its header announced. */
#define IN_START_BYTES 65536u

/* Of one unfinished message and of the first that follows it in the same read. */
#define PENDING_FDS (2 * LIMIT_MESSAGE_FDS)

union fd_control {
        struct cmsghdr align;
        char buf[CMSG_SPACE(LIMIT_MESSAGE_FDS * sizeof(int))];
};

static int on_event(struct loop_source *s, uint32_t events);

int connection_new(struct router *r, int take_fd, struct connection **ret) {
        struct connection *c = calloc(1, sizeof(*c));
        int v;

        if (!c) {
                (void)fd_close(take_fd);
                return -ENOMEM;
        }
        c->source = (struct loop_source){.fd = take_fd, .fn = on_event};
        c->router = r;
        c->stage = CONNECTION_SASL;
        struct list *links[] = {&c->half_open, &c->dirty, &c->dying,  &c->backlog, &c->names,
                                &c->matches,   &c->calls, &c->serves, &c->held,    &c->watching};
        for (size_t i = 0; i < ELEMENTSOF(links); i++)
                list_init(links[i]);
        list_append(&r->connections, &c->link);
        v = loop_add(&r->loop, &c->source, EPOLLIN);
        if (v < 0) {
                connection_free(c);
                return v;
        }
        *ret = c;
        return 0;
}

static void drop_pending_fds(struct connection *c) {
        for (unsigned i = 0; i < c->n_fds; i++)
                (void)fd_close(c->fds[i]);
        c->n_fds = 0;
}

struct connection *connection_free(struct connection *c) {
        int fd = c->source.fd;

        if (c->listener) {
                c->router->n_accepted--;
                if (!list_empty(&c->half_open))
                        c->listener->n_half_open--;
        }
        struct list *links[] = {&c->half_open, &c->dirty,    &c->dying,
                                &c->backlog,   &c->watching, &c->link};
        for (size_t i = 0; i < ELEMENTSOF(links); i++)
                list_remove(links[i]);
        driver_forget(c);
        assert(list_empty(&c->names) && list_empty(&c->matches) && list_empty(&c->calls) &&
               list_empty(&c->serves));
        loop_remove(&c->router->loop, &c->source);
        (void)fd_close(fd);
        drop_pending_fds(c);
        free(c->fds);
        free(c->part);
        blob_unref(c->in, &c->router->pool);
        c->router->lent -= c->out.shares.lent;
        if (c->router->lagging == c)
                c->router->lagging = NULL;
        queue_done(&c->out, &c->router->pool);
        free(c);
        return NULL;
}

void connection_close(struct connection *c) {
        if (c->dead)
                return;
        c->dead = true;
        list_append(&c->router->dying, &c->dying);
}

void connection_breach(struct connection *c, const char *what) {
        if (!c->dead && router_may_log(c->router))
                log_warning("connection %s closed: %s", c->id ? c->name : "(new)", what);
        connection_close(c);
}

/* --- output ------------------------------------------------------------------------------- */

static int append_packet(struct connection *c, const struct packet *p) {
        size_t n_copied = p->blob ? 0 : p->n_body;
        int v;

        if (c->out.bytes == 0)
                c->read_at = c->router->loop.now;
        v = shares_add(&c->out.shares, p->charge, p->n_header + p->n_body);
        uint8_t *out;

        if (v < 0)
                return v;
        if (p->charge != 0)
                c->router->lent += p->n_header + p->n_body;
        out = queue_reserve(&c->out, &c->router->pool, p->n_header + n_copied, p->fds);
        if (!out)
                return -ENOMEM;
        memcpy(out, p->header, p->n_header);
        if (n_copied > 0)
                memcpy(out + p->n_header, p->body, n_copied);
        queue_commit(&c->out, p->n_header + n_copied);
        if (!p->blob)
                return 0;
        return queue_push_blob(&c->out, &c->router->pool, p->blob,
                               (size_t)((const uint8_t *)p->body - p->blob->data), p->n_body);
}

/*
 * Only what is the receiver's own can end it, so nobody else's bytes are among those.
 * Others share the same room again: each may have a quarter of what is left of it, so
 * some is left for whoever comes next.  An answer was asked for and has to find room
 * whatever others did.
 */
static bool is_full(const struct connection *c, const struct packet *p) {
        const struct shares *s = &c->out.shares;

        if (p->charge == 0) /* guests cause the bus's signals: a peer of ours may fall far behind */
                return s->own > (c->listener ? LIMIT_QUEUE_BYTES : LIMIT_PEER_QUEUE_BYTES);
        if (p->is_answer)
                return shares_of(s, p->charge) > LIMIT_QUEUE_BYTES;
        return s->lent > LIMIT_QUEUE_BYTES ||
               shares_of(s, p->charge) > (LIMIT_QUEUE_BYTES - s->lent) / 4;
}

/*
 * What clients send one another never fills the bus: then somebody would have to be
 * closed for what others sent.  A receiver with little unread is served all the same.
 */
static bool is_bus_full(const struct connection *c, const struct packet *p) {
        size_t n = p->n_header + p->n_body;

        if (p->charge == 0 || c->router->lent + n <= LIMIT_LENT_BYTES ||
            c->out.shares.lent + n <= LIMIT_LENT_SURE)
                return false;
        c->router->no_room = true;
        return true;
}

int connection_send(struct connection *c, const struct packet *p) {
        if (c->dead)
                return 0;
        if (p->fds && !c->has_fds)
                return CONNECTION_E_NO_FDS;
        if (p->fds && c->out.n_fds + p->fds->n > LIMIT_QUEUE_FDS)
                return CONNECTION_E_FULL_FDS;
        if (c->portal && p->charge != 0 && p->n_header + p->n_body > LIMIT_GATE_BYTES)
                return CONNECTION_E_TOO_LONG;
        if (is_full(c, p) || is_bus_full(c, p))
                return CONNECTION_E_FULL;
        if (!c->listener && c->out.shares.own > LIMIT_PEER_QUEUE_BYTES / 2)
                c->router->lagging = c;
        if (list_empty(&c->dirty))
                list_append(&c->router->dirty, &c->dirty);
        return append_packet(c, p);
}

/* Bytes that belong to the greeting or to SASL, not to a message. */
static int send_raw(struct connection *c, const void *data, size_t n) {
        struct packet p = {.header = data, .n_header = n};

        return n > 0 ? connection_send(c, &p) : 0;
}

int connection_drain(struct connection *c) {
        size_t bytes = c->out.bytes, lent = c->out.shares.lent;
        int v = queue_flush(&c->out, &c->router->pool, c->source.fd);

        c->router->lent -= lent - c->out.shares.lent;
        if (c->out.bytes < bytes)
                c->read_at = c->router->loop.now;
        return v;
}

int connection_flush(struct connection *c) {
        int v = connection_drain(c);

        list_remove(&c->dirty);
        if (v == QUEUE_E_GONE) {
                connection_close(c);
                return 0;
        }
        if (v < 0 || c->dead)
                return v;
        return loop_change(&c->router->loop, &c->source,
                           v == QUEUE_E_AGAIN ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* --- input, by stage: each takes what is complete, and says how much that was --------------- */

static int make_token(char token[33]) {
        uint8_t bytes[16];

        if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
                return -errno;
        for (size_t i = 0; i < sizeof(bytes); i++)
                (void)snprintf(token + 2 * i, 3, "%02x", bytes[i]);
        return 0;
}

static int refuse_greeting(struct connection *c, int e) {
        char line[LIMIT_GREETING_LINE];
        int v = send_raw(c, line, greeting_format_error(line, e));

        connection_breach(c, "its opening line was refused");
        return v;
}

static int feed_greeting(struct connection *c, const uint8_t *data, size_t n, size_t *ret_used) {
        char line[LIMIT_GREETING_LINE], token[33];
        struct greeting g;
        int v;

        if (data[0] == 0) { /* a plain D-Bus client: the NUL is SASL's */
                c->stage = CONNECTION_SASL;
                return 0;
        }
        v = greeting_parse(data, n, &g);
        if (v == GREETING_E_MORE)
                return 0;
        if (v == 0 && g.verb != GREETING_CLIENT)
                v = GREETING_E_VERB;
        if (v > 0)
                return refuse_greeting(c, v);
        v = make_token(token);
        if (v < 0)
                return v;
        c->credentials = (struct credentials){g.has_uid, g.has_pid, g.uid, g.pid};
        c->stage = CONNECTION_SASL;
        *ret_used = g.n;
        return send_raw(c, line, greeting_format_ok(line, token));
}

static int feed_sasl(struct connection *c, const uint8_t *data, size_t n, size_t *ret_used) {
        struct sasl_reply reply;
        int e = sasl_feed(&c->sasl, c->router->guid, data, n, ret_used, &reply);
        int v = send_raw(c, reply.data, reply.n);

        if (e > 0) {
                connection_breach(c, sasl_strerror(e));
                return v;
        }
        if (c->sasl.state == SASL_DONE) {
                c->stage = CONNECTION_MESSAGES;
                c->has_fds = c->sasl.fds;
        }
        return v;
}

static int feed_message(struct connection *c, const uint8_t *data, size_t n, size_t *ret_used) {
        struct message_frame frame;
        int v = message_frame(data, n, &frame);

        if (v == MESSAGE_E_MORE)
                return 0;
        if (v > 0) {
                connection_breach(c, message_strerror(v));
                return 0;
        }
        if (c->id == 0 && frame.n > LIMIT_DRIVER_BYTES) {
                connection_breach(c, "a message before Hello is too long");
                return 0;
        }
        if (n < frame.n)
                return 0;
        *ret_used = frame.n;
        return route_message(c->router, c, data, &frame, NULL);
}

/* Up to LIMIT_TURN_MESSAGES units of work.  1: there may be more; 0; or a negative errno. */
static int feed(struct connection *c, const uint8_t *data, size_t n, size_t *ret_used) {
        static int (*const stages[CONNECTION_N_STAGES])(struct connection *, const uint8_t *, size_t,
                                                        size_t *) = {
                [CONNECTION_GREETING] = feed_greeting,
                [CONNECTION_SASL] = feed_sasl,
                [CONNECTION_MESSAGES] = feed_message,
        };

        *ret_used = 0;
        c->router->work = 0;
        while (*ret_used < n && !c->dead) {
                uint8_t stage = c->stage;
                size_t used = 0;
                int v;

                if (c->router->work++ >= LIMIT_TURN_MESSAGES)
                        return 1;
                v = stages[stage](c, data + *ret_used, n - *ret_used, &used);

                if (v < 0)
                        return v;
                *ret_used += used;
                if (used == 0 && stage == c->stage)
                        break; /* no whole unit is left */
        }
        return 0;
}

/* --- input, from the socket ----------------------------------------------------------------- */

static int keep_part(struct connection *c, const uint8_t *data, size_t n) {
        c->part = malloc(n);
        if (!c->part)
                return -ENOMEM;
        memcpy(c->part, data, n);
        c->n_part = n;
        c->part_at = 0;
        return 0;
}

/* Keeps what feed() could not use: the start of something. */
static int keep_rest(struct connection *c, const uint8_t *data, size_t n) {
        struct message_frame frame;

        if (c->stage == CONNECTION_MESSAGES && message_frame(data, n, &frame) == 0 &&
            frame.n > PART_BYTES) {
                size_t cap = n * 2 > IN_START_BYTES ? n * 2 : IN_START_BYTES;

                c->in = blob_new(&c->router->pool, cap < frame.n ? cap : frame.n, frame.n);
                if (!c->in)
                        return -ENOMEM;
                memcpy(c->in->data, data, n);
                c->n_in = n;
                c->need_in = frame.n;
                return 0;
        }
        return keep_part(c, data, n);
}

/* Every descriptor of the packet, to c->fds.  One too many: breach. */
static int collect_fds(struct connection *c, struct msghdr *mh) {
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
                        if (c->fds && c->n_fds < PENDING_FDS) {
                                c->fds[c->n_fds++] = fd;
                        } else {
                                (void)fd_close(fd);
                                connection_breach(c, "it sent too many descriptors");
                        }
                }
        }
        if (mh->msg_flags & MSG_CTRUNC)
                connection_breach(c, "it sent descriptors that it may not send");
        return 0;
}

/* Up to n bytes into to.  *ret_n is 0 when there is nothing (more): c may be dead then. */
static int receive(struct connection *c, uint8_t *to, size_t n, size_t *ret_n) {
        struct iovec iov = {to, n};
        union fd_control ctl;
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t k;

        *ret_n = 0;
        if (c->can_fds) {
                mh.msg_control = ctl.buf;
                mh.msg_controllen = sizeof(ctl.buf);
        }
        k = recvmsg(c->source.fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (k < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (k <= 0) {
                connection_close(c);
                return 0;
        }
        *ret_n = (size_t)k;
        return collect_fds(c, &mh);
}

/* With nothing unfinished, no message is left that could claim them. */
static void check_stray_fds(struct connection *c) {
        if (c->n_fds > 0 && !c->part && !c->in)
                connection_breach(c, "it sent descriptors that no message announced");
}

static int read_large(struct connection *c) {
        struct message_frame frame;
        struct blob *b;
        size_t n;
        int v;

        if (c->n_in == c->in->cap) {
                size_t cap = c->n_in * 2 < c->need_in ? c->n_in * 2 : c->need_in;

                v = blob_grow(&c->in, &c->router->pool, cap);
                if (v < 0)
                        return v;
        }
        n = (c->in->cap < c->need_in ? c->in->cap : c->need_in) - c->n_in;
        v = receive(c, c->in->data + c->n_in, n, &n);
        c->n_in += n;
        if (v < 0 || c->dead || c->n_in < c->need_in)
                return v;
        b = TAKE_PTR(c->in);
        v = message_frame(b->data, c->need_in, &frame);
        assert(v == 0); /* keep_rest() parsed the same bytes */
        v = route_message(c->router, c, b->data, &frame, b);
        blob_unref(b, &c->router->pool);
        check_stray_fds(c);
        return v;
}

static int read_small(struct connection *c) {
        uint8_t *scratch = c->router->scratch;
        size_t n = c->n_part, got, used;
        int v;

        if (n > 0)
                memcpy(scratch, c->part, n);
        v = receive(c, scratch + n, ROUTER_SCRATCH - n, &got);
        if (v < 0 || c->dead || got == 0)
                return v;
        free(c->part);
        c->part = NULL;
        c->n_part = 0;
        v = feed(c, scratch, n + got, &used);
        if (v < 0 || c->dead)
                return v < 0 ? v : 0;
        if (v > 0) {
                list_append(&c->router->backlog, &c->backlog);
                return keep_part(c, scratch + used, n + got - used);
        }
        if (used < n + got)
                v = keep_rest(c, scratch + used, n + got - used);
        check_stray_fds(c);
        return v;
}

int connection_work(struct connection *c) {
        _cleanup_free_ uint8_t *done = NULL;
        size_t used, n;
        int v = feed(c, c->part + c->part_at, c->n_part - c->part_at, &used);

        c->part_at += used;
        if (v == 1 && !c->dead)
                return 0;
        list_remove(&c->backlog);
        if (v < 0 || c->dead)
                return v < 0 ? v : 0;
        done = TAKE_PTR(c->part);
        n = c->n_part - c->part_at;
        c->n_part = 0;
        if (n > 0)
                v = keep_rest(c, done + c->part_at, n);
        check_stray_fds(c);
        return v;
}

static int on_event(struct loop_source *s, uint32_t events) {
        struct connection *c = LIST_OWNER(s, struct connection, source);
        int v = 0;

        if (c->dead)
                return 0;
        if (events & EPOLLOUT)
                v = connection_flush(c);
        if (v < 0 || c->dead || !(events & ~(uint32_t)EPOLLOUT) || !list_empty(&c->backlog))
                return v;
        return c->in ? read_large(c) : read_small(c);
}
