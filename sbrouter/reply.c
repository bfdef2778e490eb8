/* SPDX-License-Identifier: MIT */
#include "sbrouter/reply.h"

#include <errno.h>

#include "common/limits.h"
#include "sbrouter/driver_send.h"
#include "sbrouter/router.h"

struct reply {
        struct table_node node;
        struct list call;  /* on caller->calls */
        struct list serve; /* on callee->serves */
        struct connection *caller, *callee;
        uint32_t serial;
};

static uint64_t reply_hash(struct router *r, const struct connection *caller, uint32_t serial) {
        uint64_t data[2] = {caller->id, serial};

        return table_hash(&r->key, data, sizeof(data));
}

static struct reply *find(struct router *r, const struct connection *caller, uint32_t serial,
                          uint64_t hash) {
        TABLE_FOREACH_HASH(node, &r->replies, hash) {
                struct reply *reply = LIST_OWNER(node, struct reply, node);

                if (reply->caller == caller && reply->serial == serial)
                        return reply;
        }
        return NULL;
}

static void reply_free(struct router *r, struct reply *reply) {
        table_remove(&r->replies, &reply->node);
        list_remove(&reply->call);
        list_remove(&reply->serve);
        reply->caller->n_calls--;
        free(reply);
}

int reply_expect(struct router *r, struct connection *caller, uint32_t serial,
                 struct connection *callee) {
        uint64_t hash = reply_hash(r, caller, serial);
        struct reply *reply;

        if (caller->n_calls >= LIMIT_PENDING_REPLIES)
                return REPLY_E_LIMIT;
        if (find(r, caller, serial, hash))
                return REPLY_E_SERIAL;
        reply = malloc(sizeof(*reply));
        if (!reply)
                return -ENOMEM;
        reply->caller = caller;
        reply->callee = callee;
        reply->serial = serial;
        table_insert(&r->replies, &reply->node, hash);
        list_append(&caller->calls, &reply->call);
        list_append(&callee->serves, &reply->serve);
        caller->n_calls++;
        return 0;
}

bool reply_take(struct router *r, struct connection *caller, uint32_t serial,
                struct connection *callee) {
        struct reply *reply = find(r, caller, serial, reply_hash(r, caller, serial));

        if (!reply || reply->callee != callee)
                return false;
        reply_free(r, reply);
        return true;
}

int reply_fail(struct router *r, struct connection *caller, uint32_t serial) {
        /* The text is dbus-daemon's: there are tests that compare it. */
        return driver_error(r, caller, serial, "org.freedesktop.DBus.Error.NoReply",
                            "Message recipient disconnected from message bus without replying");
}

int reply_fail_next(struct router *r, struct connection *callee) {
        struct reply *reply = LIST_OWNER(callee->serves.next, struct reply, serve);
        struct connection *caller = reply->caller;
        uint32_t serial = reply->serial;

        reply_free(r, reply);
        return reply_fail(r, caller, serial);
}

int reply_remove_all(struct router *r, struct connection *c) {
        while (!list_empty(&c->calls))
                reply_free(r, LIST_OWNER(c->calls.next, struct reply, call));
        while (!list_empty(&c->serves)) {
                int v = reply_fail_next(r, c);

                if (v < 0)
                        return v;
        }
        return 0;
}
