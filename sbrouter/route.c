/* SPDX-License-Identifier: MIT */
#include "sbrouter/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* A body that must outlive its message, and the reference to it that is ours. */
struct parcel {
        struct packet packet;
        struct blob *blob;
};

static int parcel_init(struct parcel *p, struct router *r, struct connection *sender,
                       const struct message *m, struct blob *blob, struct fd_list *fds) {
        const char *name = sender ? sender->name : DRIVER_NAME;
        size_t n_name = sender ? sender->n_name : strlen(DRIVER_NAME);

        *p = (struct parcel){
                .packet = {
                        .header = r->header,
                        .body = m->body,
                        .n_header = message_stamp(m, name, n_name, 0, r->header),
                        .n_body = m->frame.n_body,
                        .fds = fds,
                        .charge = sender ? sender->id : 0,
                        .is_answer = message_is_reply(m),
                },
        };
        if (m->frame.n_body <= BODY_SHARE_BYTES)
                return 0;
        if (blob) {
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

static int deliver(void *self, struct connection *receiver) {
        struct broadcast *b = self;
        struct packet p = b->parcel.packet;
        int v;

        if (!receiver->portal) /* it chose to be sent this; sbportal lives on whatever guests send */
                p.charge = 0;
        v = connection_send(receiver, &p);
        if (v == CONNECTION_E_FULL && p.charge == 0)
                connection_breach(receiver, "it does not read the signals it subscribed to");
        return v < 0 ? v : 0; /* who cannot take descriptors does not get the signal */
}

int route_broadcast(struct router *r, struct connection *sender, const struct message *m,
                    struct blob *blob, struct fd_list *fds) {
        struct broadcast b = {.r = r};
        int v = parcel_init(&b.parcel, r, sender, m, blob, fds);

        if (v == 0)
                v = match_each(r, sender, m, deliver, &b);
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
        return refuse(r, c, m, ERROR_PREFIX "ServiceUnknown", text);
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
        memmove(c->fds, c->fds + m->n_fds, c->n_fds * sizeof(int));
        return 0;
}

static bool is_for_driver(const struct message *m) {
        if (!m->destination.s)
                return m->type == MESSAGE_CALL;
        return m->destination.n == strlen(DRIVER_NAME) && strcmp(m->destination.s, DRIVER_NAME) == 0;
}

static int route(struct router *r, struct connection *c, const struct message *m,
                 struct blob *blob, struct fd_list *fds) {
        if (m->type > MESSAGE_SIGNAL) /* a future type: to be ignored, and never passed on */
                return 0;
        if (is_for_driver(m) || !m->destination.s)
                r->work += LIMIT_TURN_SLOW - 1;
        if (is_for_driver(m))
                return driver_call(r, c, m);
        if (c->id == 0)
                return refuse(r, c, m, ERROR_PREFIX "AccessDenied", "the first call must be Hello");
        if (m->destination.s)
                return unicast(r, c, m, blob, fds);
        return m->type == MESSAGE_SIGNAL ? route_broadcast(r, c, m, blob, fds) : 0;
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
        v = message_check_body(&m);
        if (v > 0) {
                connection_breach(c, body_strerror(v));
                return 0;
        }
        v = take_fds(c, &m, &fds);
        if (v < 0 || c->dead)
                return v;
        return route(r, c, &m, blob, fds);
}
