/* SPDX-License-Identifier: MIT */
#include "sbrouter/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/limits.h"
#include "common/log.h"
#include "sbrouter/dbus_name.h"
#include "sbrouter/driver.h"
#include "sbrouter/driver_send.h"
#include "sbrouter/match.h"
#include "sbrouter/reply.h"
#include "sbrouter/router.h"

/* From here on sharing a body is cheaper than copying it. */
#define BODY_SHARE_BYTES 8192u

#define ERROR_PREFIX "org.freedesktop.DBus.Error."

/* Who says Hello, as a monitor sees it; dbus-daemon calls them so. */
#define UNNAMED ":not.active.yet"

/* A body that must outlive its message, and the reference to it that is ours. */
struct parcel {
        struct packet packet;
        struct blob *blob;
};

static int parcel_init(struct parcel *p, struct router *r, struct connection *sender,
                       const struct message *m, struct blob *blob, struct fd_list *fds) {
        const char *name = !sender ? DRIVER_NAME : sender->id ? sender->name : UNNAMED;
        size_t n_name = sender && sender->id ? sender->n_name : strlen(name);

        *p = (struct parcel){
                .packet = {
                        .header = r->header,
                        .body = m->body,
                        .n_header = message_stamp(m, name, n_name, r->header),
                        .n_body = m->frame.n_body,
                        .fds = fds,
                        .charge = sender ? sender->id : 0,
                        .is_answer = message_is_reply(m),
                },
        };
        if (m->frame.n_body <= BODY_SHARE_BYTES)
                return 0;
        /* Of a blob that is mostly something else, as a header that was left out, a copy is less. */
        if (blob && blob->cap / 3 <= m->frame.n_body) {
                p->packet.blob = p->blob = blob_ref(blob);
                return 0;
        }
        p->blob = blob_new(&r->pool, m->frame.n_body, m->frame.n_body);
        if (!p->blob)
                return -ENOMEM;
        memcpy(p->blob->data, m->body, m->frame.n_body);
        p->packet.blob = p->blob;
        p->packet.body = p->blob->data;
        return 0;
}

static void parcel_done(struct parcel *p, struct router *r) {
        p->blob = blob_unref(p->blob, &r->pool);
}

struct broadcast {
        struct router *r;
        struct parcel parcel;
};

/* Who cannot take descriptors does not get the signal. */
static void deliver(void *self, struct connection *receiver) {
        struct broadcast *b = self;
        struct packet p = b->parcel.packet;

        /* It chose to be sent this.  Not sbportal, which lives on whatever guests send. */
        if (!receiver->portal && p.n_header + p.n_body <= LIMIT_SIGNAL_BYTES)
                p.charge = 0;
        if (connection_send(receiver, &p) == CONNECTION_E_FULL && p.charge == 0)
                connection_breach(receiver, "it does not read the signals it subscribed to");
}

int route_broadcast(struct router *r, struct connection *sender, const struct message *m,
                    struct blob *blob, struct fd_list *fds) {
        struct broadcast b = {.r = r};
        int v = parcel_init(&b.parcel, r, sender, m, blob, fds);

        if (v == 0)
                match_each(r, sender, m, deliver, &b);
        parcel_done(&b.parcel, r);
        return v;
}

static void show(struct broadcast *b, struct connection *sender, const struct message *m) {
        struct connection *receiver = NULL;

        if (m->destination.s)
                receiver = router_lookup(b->r, m->destination.s, m->destination.n);
        LIST_FOREACH(link, &b->r->watchers) {
                struct connection *c = LIST_OWNER(link, struct connection, watching);

                if (match_watches(b->r, c, sender, receiver, m))
                        deliver(b, c);
        }
}

int route_to_watchers(struct router *r, struct connection *sender, const struct message *m,
                      struct blob *blob, struct fd_list *fds) {
        struct broadcast b = {.r = r};
        int v;

        if (list_empty(&r->watchers))
                return 0;
        v = parcel_init(&b.parcel, r, sender, m, blob, fds);
        if (v == 0)
                show(&b, sender, m);
        parcel_done(&b.parcel, r);
        return v;
}

/* Answers a call with an error, if its caller waits for an answer. */
static int refuse(struct router *r, struct connection *c, const struct message *m,
                  const char *error, const char *text) {
        return message_wants_reply(m) ? driver_error(r, c, m->serial, error, text) : 0;
}

static int refuse_unknown(struct router *r, struct connection *c, const struct message *m) {
        char text[DBUS_NAME_MAX + 64];

        (void)snprintf(text, sizeof(text), "nobody owns the name %s", m->destination.s);
        /* The two errors of dbus-daemon: only without the flag it looks for a service to start. */
        return refuse(r, c, m,
                      m->flags & MESSAGE_NO_AUTO_START ? ERROR_PREFIX "NameHasNoOwner"
                                                       : ERROR_PREFIX "ServiceUnknown",
                      text);
}

static const struct {
        const char *error, *text;
} undelivered[CONNECTION_N_E] = {
        [CONNECTION_E_FULL] = {ERROR_PREFIX "LimitsExceeded",
                               "the recipient has too many unread messages"},
        [CONNECTION_E_FULL_FDS] = {ERROR_PREFIX "LimitsExceeded",
                                   "the recipient has too many unread file descriptors"},
        [CONNECTION_E_NO_FDS] = {ERROR_PREFIX "NotSupported",
                                 "the recipient cannot receive file descriptors"},
        [CONNECTION_E_TOO_LONG] = {ERROR_PREFIX "LimitsExceeded",
                                   "the message is too long for this recipient"},
};

/*
 * What connection_send() refused.  The caller learns it: of a call its sender, of an
 * answer its receiver, who gets the error in its place.
 */
static int undeliverable(struct router *r, struct connection *c, struct connection *receiver,
                         const struct message *m, int why) {
        if (message_is_reply(m))
                return driver_error(r, receiver, m->reply_serial, undelivered[why].error,
                                    undelivered[why].text);
        if (m->type != MESSAGE_CALL)
                return 0;
        if (message_wants_reply(m))
                (void)reply_take(r, c, m->serial, receiver);
        return refuse(r, c, m, undelivered[why].error, undelivered[why].text);
}

/* A monitor's copy, too, comes this way: nobody waits for that. */
int route_undelivered(struct router *r, struct connection *receiver, const struct message *m) {
        const char *error = undelivered[CONNECTION_E_FULL_FDS].error;
        static const char text[] = "too many file descriptors on this machine are unread";
        struct connection *sender;

        if (!m->destination.s || router_lookup(r, m->destination.s, m->destination.n) != receiver)
                return 0;
        if (message_is_reply(m))
                return driver_error(r, receiver, m->reply_serial, error, text);
        sender = router_lookup(r, m->sender.s, m->sender.n);
        if (!sender || !reply_take(r, sender, m->serial, receiver))
                return 0;
        return driver_error(r, sender, m->serial, error, text);
}

/* Whether m may go to receiver; 0, or what to tell the caller by refuse(). */
static int admit(struct router *r, struct connection *c, struct connection *receiver,
                 const struct message *m) {
        if (message_is_reply(m) && !reply_take(r, receiver, m->reply_serial, c))
                return REPLY_E_SERIAL;
        if (message_wants_reply(m))
                return reply_expect(r, c, m->serial, receiver);
        return 0;
}

static int unicast(struct router *r, struct connection *c, const struct message *m,
                   struct blob *blob, struct fd_list *fds) {
        struct connection *receiver = router_lookup(r, m->destination.s, m->destination.n);
        struct parcel parcel _uninitialized_;
        int v;

        if (!receiver)
                return refuse_unknown(r, c, m);
        if (receiver->dead) /* else those who wait for it could become more while it is taken off */
                return message_wants_reply(m) ? reply_fail(r, c, m->serial) : 0;
        v = admit(r, c, receiver, m);
        if (v == REPLY_E_LIMIT)
                return refuse(r, c, m, ERROR_PREFIX "LimitsExceeded",
                              "too many calls of this connection wait for an answer");
        if (v == REPLY_E_SERIAL) /* an answer nobody asked for is dropped: refuse() ignores it */
                return refuse(r, c, m, ERROR_PREFIX "AccessDenied",
                              "a call with this serial already waits for its answer");
        if (v == 0)
                v = parcel_init(&parcel, r, c, m, blob, fds);
        if (v < 0)
                return v;
        v = connection_send(receiver, &parcel.packet);
        parcel_done(&parcel, r);
        return v > 0 ? undeliverable(r, c, receiver, m, v) : v;
}

/* Answers a message whose descriptors are lost with an error, to whoever waits for it. */
static int refuse_fds(struct router *r, struct connection *c, const struct message *m) {
        const char *error = ERROR_PREFIX "NotSupported",
                   *text = "file descriptors cannot be passed out of this virtual machine";
        struct connection *receiver;

        if (!message_is_reply(m))
                return refuse(r, c, m, error, text);
        receiver = m->destination.s ? router_lookup(r, m->destination.s, m->destination.n) : NULL;
        if (!receiver || !reply_take(r, receiver, m->reply_serial, c))
                return 0;
        return driver_error(r, receiver, m->reply_serial, error, text);
}

/* The descriptors that m announces, out of those that came.  Too few: breach, *ret is NULL. */
static int take_fds(struct connection *c, const struct message *m, struct fd_list **ret) {
        if (m->n_fds == 0)
                return 0;
        if (!c->has_fds || c->n_fds < m->n_fds) {
                connection_breach(c, "a message announces descriptors that did not come with it");
                return 0;
        }
        *ret = fd_list_new(c->fds, m->n_fds);
        if (!*ret)
                return -ENOMEM;
        c->n_fds -= m->n_fds;
        c->router->n_partial_fds -= m->n_fds;
        memmove(c->fds, c->fds + m->n_fds, c->n_fds * sizeof(int));
        return 0;
}

static bool is_for_driver(const struct message *m) {
        if (!m->destination.s)
                return m->type == MESSAGE_CALL;
        return m->destination.n == strlen(DRIVER_NAME) && strcmp(m->destination.s, DRIVER_NAME) == 0;
}

static bool is_hello(const struct message *m) {
        return is_for_driver(m) && m->type == MESSAGE_CALL && strcmp(m->member.s, "Hello") == 0 &&
               (!m->interface.s || strcmp(m->interface.s, DBUS_INTERFACE_DBUS) == 0);
}

static int ask_driver(struct router *r, struct connection *c, const struct message *m) {
        size_t before = c->out.bytes;
        int v = driver_call(r, c, m);

        r->work += LIMIT_TURN_CALL + (unsigned)((c->out.bytes - before) / LIMIT_TURN_ANSWER);
        return v;
}

static int route(struct router *r, struct connection *c, const struct message *m,
                 struct blob *blob, struct fd_list *fds) {
        int v;

        if (m->type > MESSAGE_SIGNAL) /* a future type: to be ignored, and never passed on */
                return 0;
        if (c->is_monitor) {
                connection_breach(c, "a monitor must not send");
                return 0;
        }
        v = route_to_watchers(r, c, m, blob, fds);
        if (v < 0)
                return v;
        if (c->id == 0 && !is_hello(m)) {
                connection_breach(c, "it did not say Hello first");
                return 0;
        }
        if (is_for_driver(m))
                return ask_driver(r, c, m);
        if (m->destination.s)
                return unicast(r, c, m, blob, fds);
        return m->type == MESSAGE_SIGNAL ? route_broadcast(r, c, m, blob, fds) : 0;
}

/* 0 or BODY_E_*; the turn is charged for it. */
static int check_body(struct router *r, const struct message *m) {
        size_t n_steps;
        int e = message_check_body_counted(m, &n_steps);

        r->work += (unsigned)((n_steps + message_header_steps(m)) / LIMIT_TURN_STEPS);
        return e;
}

int route_message(struct router *r, struct connection *c, const uint8_t *data,
                  const struct message_frame *frame, struct blob *blob) {
        _cleanup_(fd_list_unrefp) struct fd_list *fds = NULL;
        struct message m _uninitialized_;
        int v;

        v = message_parse(data, frame->n, &m);
        if (v > 0) {
                connection_breach(c, message_strerror(v));
                return 0;
        }
        v = blob ? 0 : check_body(r, &m);
        if (v > 0) {
                connection_breach(c, body_strerror(v));
                return 0;
        }
        if (m.n_fds > 0 && c->drops_fds && c->sasl.fds && c->id != 0)
                return refuse_fds(r, c, &m);
        v = take_fds(c, &m, &fds);
        if (v < 0 || c->dead)
                return v;
        return route(r, c, &m, blob, fds);
}
