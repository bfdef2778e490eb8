/* SPDX-License-Identifier: MIT */
#include "sbrouter/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "common/greeting.h"
#include "common/limits.h"
#include "common/log.h"
#include "sbrouter/driver.h"
#include "sbrouter/fd_room.h"
#include "sbrouter/listener.h"
#include "sbrouter/message.h"
#include "sbrouter/route.h"
#include "sbrouter/router.h"

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
        c->router->n_partial_fds -= c->n_fds;
        c->n_fds = 0;
}

void connection_discard(struct connection *c) {
        int fd = c->source.fd;

        if (fd < 0)
                return;
        /* The reason it was refused for may still be in its queue. */
        (void)connection_drain(c);
        if (c->listener) /* what accept4() made was never given to anybody */
                loop_forget(&c->source);
        else
                loop_remove(&c->router->loop, &c->source);
        (void)fd_close(fd);
        drop_pending_fds(c);
        connection_drop(c);
        list_remove(&c->dirty);
}

struct connection *connection_free(struct connection *c) {
        connection_discard(c);
        if (c->listener) {
                c->router->n_accepted--;
                if (!list_empty(&c->half_open))
                        c->listener->n_half_open--;
        }
        struct list *links[] = {&c->half_open, &c->dying, &c->watching, &c->link};
        for (size_t i = 0; i < ELEMENTSOF(links); i++)
                list_remove(links[i]);
        driver_forget(c);
        assert(list_empty(&c->names) && list_empty(&c->matches) && list_empty(&c->calls) &&
               list_empty(&c->serves));
        if (c->router->lagging == c)
                c->router->lagging = NULL;
        free(c->fds);
        free(c);
        return NULL;
}

void connection_drop(struct connection *c) {
        connection_end_backlog(c);
        connection_end_check(c);
        c->part = blob_unref(c->part, &c->router->pool);
        c->in = blob_unref(c->in, &c->router->pool);
        queue_done(&c->out, &c->router->pool);
}

void connection_close(struct connection *c) {
        if (c->dead)
                return;
        c->dead = true;
        drop_pending_fds(c); /* others may need the room in this turn */
        list_append(&c->router->dying, &c->dying);
}

void connection_breach(struct connection *c, const char *what) {
        if (!c->dead && router_may_log(c->router))
                log_warning("connection %s closed: %s", c->id ? c->name : "(new)", what);
        connection_close(c);
}

/* --- output ------------------------------------------------------------------------------- */

/* It has nothing to take yet. */
static void note_waiting(struct connection *c, const struct packet *p) {
        uint64_t now = c->router->loop.now;

        if (c->out.bytes == 0) {
                c->read_at = c->waits_at = now;
                c->n_waiting = 0;
        }
        if (p->fds && c->out.n_fds + c->out.n_sent_fds == 0)
                c->unread_fds_at = now;
}

/* It took n bytes: who takes less than comes has always some that wait for long. */
static void note_taken(struct connection *c, size_t n) {
        uint64_t now = c->router->loop.now;

        if (n == 0)
                return;
        c->read_at = now;
        if (n < c->n_waiting) {
                c->n_waiting -= n;
                return;
        }
        c->waits_at = now;
        c->n_waiting = c->out.bytes;
}

static int append_packet(struct connection *c, const struct packet *p) {
        size_t n_copied = p->blob ? 0 : p->n_body;
        uint8_t *out;
        int v;

        note_waiting(c, p);
        v = queue_charge(&c->out, &c->router->pool, p->charge, p->n_header + p->n_body);
        if (v < 0)
                return v;
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
        size_t room = c->router->limits.queue_bytes;

        if (p->charge == 0) /* guests cause the bus's signals: a peer of ours may fall far behind */
                return s->own > (c->listener ? room : LIMIT_PEER_QUEUE_BYTES);
        if (p->is_answer)
                return shares_of(s, p->charge) > room;
        return s->lent > room || shares_of(s, p->charge) > (room - s->lent) / 4;
}

/*
 * What clients send one another never fills the bus: then somebody would have to be
 * closed for what others sent.  A receiver with little unread is served all the same.
 */
static bool is_bus_full(const struct connection *c, const struct packet *p) {
        const struct queue_pool *pool = &c->router->pool;
        /* A body that waits in another queue already takes no more. */
        size_t more = !p->blob ? p->n_body : p->blob->queued ? 0 : p->blob->cap;

        if (p->charge == 0)
                return c->listener && room_is_over(c->router);
        if ((pool->queued + p->n_header + more <= LIMIT_UNREAD_BYTES ||
             c->out.memory + p->n_header + p->n_body <= LIMIT_UNREAD_SURE) &&
            !room_is_over(c->router))
                return false;
        c->router->no_room = true;
        return true;
}

int connection_send(struct connection *c, const struct packet *p) {
        if (c->dead)
                return 0;
        if (p->fds && !c->has_fds)
                return CONNECTION_E_NO_FDS;
        if (p->fds && !fd_room_for(c, p->fds->n))
                return CONNECTION_E_FULL_FDS;
        if (c->portal && p->charge != 0 && p->n_header + p->n_body > LIMIT_GATE_BYTES)
                return CONNECTION_E_TOO_LONG;
        if (is_full(c, p) || is_bus_full(c, p))
                return CONNECTION_E_FULL;
        if (!c->listener && c->out.shares.own > LIMIT_PEER_QUEUE_BYTES / 2)
                c->router->lagging = c;
        if (list_empty(&c->dirty))
                list_append(&c->router->dirty, &c->dirty);
        if (append_packet(c, p) < 0) { /* of which there may be half: nothing can follow */
                connection_breach(c, "there is no memory for what it is sent");
                queue_done(&c->out, &c->router->pool);
        }
        return 0;
}

/* Bytes that belong to the greeting or to SASL, not to a message. */
static int send_raw(struct connection *c, const void *data, size_t n) {
        struct packet p = {.header = data, .n_header = n};

        return n > 0 ? connection_send(c, &p) : 0;
}

int connection_drain(struct connection *c) {
        size_t bytes = c->out.bytes;
        int v = queue_flush(&c->out, &c->router->pool, c->source.fd);

        c->router->room.sent += bytes - c->out.bytes;
        note_taken(c, bytes - c->out.bytes);
        return v;
}

/* Of a message that was found valid; with our SENDER it may be longer than one that is taken. */
static size_t stamped_length(const uint8_t *head) {
        bool big_endian = head[0] == 'B';
        size_t n_header = MESSAGE_FIXED + wire_u32(head + 12, big_endian);

        return (n_header + 7) / 8 * 8 + wire_u32(head + 4, big_endian);
}

/* The message at the head is one whose descriptors the kernel does not take: that alone is lost. */
static int drop_head(struct connection *c) {
        size_t n;
        const uint8_t *head = queue_head(&c->out, &n);
        size_t length = stamped_length(head);
        struct message m;
        int v = message_parse(head, n, &m);

        if (router_may_log(c->router))
                log_warning("a message for %s is dropped: too many descriptors were sent and not received",
                            c->name);
        v = v == 0 ? route_undelivered(c->router, c, &m) : 0;
        if (c->out.bytes > 0) /* c may be who is told: with no memory for that it has ended */
                queue_drop(&c->out, &c->router->pool, length);
        return v;
}

int connection_flush(struct connection *c) {
        int v = connection_drain(c);

        list_remove(&c->dirty);
        while (v == QUEUE_E_FDS) {
                v = drop_head(c);
                if (v == 0)
                        v = connection_drain(c);
        }
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

/*
 * GDBus takes a refusal for the end: it closes the connection at the first call with a descriptor,
 * and its program ends with that.  So sbagent's clients are promised what only single calls are
 * denied then, each by an error (route.c).
 */
static void drop_fds(struct connection *c) {
        c->drops_fds = true;
        sasl_init(&c->sasl, SASL_ALLOW_FDS | SASL_ALLOW_ANONYMOUS);
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
        if (!c->can_fds)
                drop_fds(c);
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
                c->has_fds = c->sasl.fds && c->can_fds;
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
        c->sends_large = frame.n > CONNECTION_PART_BYTES;
        return route_message(c->router, c, data, &frame, NULL);
}

int connection_feed(struct connection *c, const uint8_t *data, size_t n, size_t *ret_used) {
        static int (*const stages[CONNECTION_N_STAGES])(struct connection *, const uint8_t *, size_t,
                                                        size_t *) = {
                [CONNECTION_GREETING] = feed_greeting,
                [CONNECTION_SASL] = feed_sasl,
                [CONNECTION_MESSAGES] = feed_message,
        };
        unsigned share = router_turn_share(c->router);

        *ret_used = 0;
        while (*ret_used < n && !c->dead) {
                uint8_t stage = c->stage;
                size_t used = 0;
                int v;

                if (c->router->work >= share || !room_is_left(c->router))
                        return 1;
                c->router->work += LIMIT_TURN_MESSAGE;
                v = stages[stage](c, data + *ret_used, n - *ret_used, &used);

                if (v < 0)
                        return v;
                *ret_used += used;
                if (used == 0 && stage == c->stage)
                        break; /* no whole unit is left */
        }
        return 0;
}

static int on_event(struct loop_source *s, uint32_t events) {
        struct connection *c = LIST_OWNER(s, struct connection, source);
        int v = 0;

        if (c->dead)
                return 0;
        if (events & EPOLLOUT)
                v = connection_flush(c);
        if (v < 0 || c->dead || !(events & ~(uint32_t)EPOLLOUT))
                return v;
        if (!list_empty(&c->backlog))
                return room_is_short(c->router) ? room_put_off(c->router, c) : 0;
        if (!room_is_left(c->router))
                return room_put_off(c->router, c);
        return connection_read(c);
}
