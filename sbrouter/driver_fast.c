/* SPDX-License-Identifier: MIT */
#include "sbrouter/driver_fast.h"

#include <dbus/dbus.h>
#include <string.h>

#include "sbrouter/driver_send.h"
#include "sbrouter/driver_write.h"
#include "sbrouter/match.h"
#include "sbrouter/match_rule.h"
#include "sbrouter/router.h"

struct call {
        struct router *r;
        struct connection *c;
        const struct message *m;
        const char *text; /* its only argument, if that is one string */
        size_t n_text;
};

static int answer(const struct call *call, const char *text, const uint32_t *number) {
        struct driver_words w = {
                .type = MESSAGE_RETURN,
                .reply_serial = call->m->serial,
                .texts = {text},
                .number = number,
                .number_type = DBUS_TYPE_BOOLEAN,
        };

        return message_wants_reply(call->m) ? driver_send_words(call->r, call->c, &w) : 0;
}

static int hello(const struct call *call) {
        struct connection *c = call->c;
        int v;

        if (c->id != 0 || (c->listener && (router_is_full(call->r) || router_peer_lags(call->r))))
                return DRIVER_FAST_E_LEFT;
        router_register(call->r, c);
        v = answer(call, c->name, NULL); /* that is first: a client learns its name from it */
        if (v == 0)
                v = driver_name_owner_changed(call->r, c->name, NULL, c);
        return v < 0 ? v : driver_name_acquired(call->r, c, c->name);
}

static int ping(const struct call *call) {
        return answer(call, NULL, NULL);
}

static int get_id(const struct call *call) {
        return answer(call, call->r->guid, NULL);
}

static int get_name_owner(const struct call *call) {
        const struct connection *owner = router_lookup(call->r, call->text, call->n_text);

        return owner ? answer(call, owner->name, NULL) : DRIVER_FAST_E_LEFT;
}

static int name_has_owner(const struct call *call) {
        uint32_t yes = router_lookup(call->r, call->text, call->n_text) != NULL;

        return yes ? answer(call, NULL, &yes) : DRIVER_FAST_E_LEFT;
}

static int add_match(const struct call *call) {
        struct match_rule *rule;
        int v = match_rule_parse(call->text, call->n_text, &rule);

        if (v == 0)
                v = match_add(call->r, call->c, rule);
        if (v != 0)
                return v > 0 ? DRIVER_FAST_E_LEFT : v;
        return answer(call, NULL, NULL);
}

static int remove_match(const struct call *call) {
        _cleanup_(match_rule_freep) struct match_rule *rule = NULL;
        int v = match_rule_parse(call->text, call->n_text, &rule);

        if (v == 0)
                v = match_remove(call->r, call->c, rule);
        if (v != 0)
                return v > 0 ? DRIVER_FAST_E_LEFT : v;
        return answer(call, NULL, NULL);
}

/* texts are compared with their lengths: most differ in that. */
#define TEXT(s) {s, sizeof(s) - 1}

static const struct method {
        struct message_string interface, member, signature;
        bool unnamed; /* for who has no name yet, and for nobody else */
        bool acts;    /* also when nobody wants its answer */
        int (*fn)(const struct call *call);
} methods[] = {
        {TEXT(DBUS_INTERFACE_DBUS), TEXT("AddMatch"), TEXT("s"), false, true, add_match},
        {TEXT(DBUS_INTERFACE_DBUS), TEXT("RemoveMatch"), TEXT("s"), false, true, remove_match},
        {TEXT(DBUS_INTERFACE_DBUS), TEXT("GetNameOwner"), TEXT("s"), false, false, get_name_owner},
        {TEXT(DBUS_INTERFACE_DBUS), TEXT("NameHasOwner"), TEXT("s"), false, false, name_has_owner},
        {TEXT(DBUS_INTERFACE_DBUS), TEXT("Hello"), TEXT(""), true, false, hello},
        {TEXT(DBUS_INTERFACE_DBUS), TEXT("GetId"), TEXT(""), false, false, get_id},
        {TEXT(DBUS_INTERFACE_PEER), TEXT("Ping"), TEXT(""), false, false, ping},
};

static bool is_same(const struct message_string *a, const struct message_string *b) {
        return a->s && a->n == b->n && memcmp(a->s, b->s, b->n) == 0;
}

static const struct method *find(const struct message *m) {
        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (is_same(&m->member, &methods[i].member) &&
                    is_same(&m->interface, &methods[i].interface) &&
                    is_same(&m->signature, &methods[i].signature))
                        return &methods[i];
        return NULL;
}

int driver_fast(struct router *r, struct connection *c, const struct message *m) {
        const struct method *method = find(m);
        struct call call = {.r = r, .c = c, .m = m};

        if (!method || method->unnamed != (c->id == 0) || m->n_fds > 0 ||
            (!method->acts && !message_wants_reply(m)))
                return DRIVER_FAST_E_LEFT;
        if (method->signature.n > 0) { /* one string, found valid: its length and its bytes */
                call.n_text = wire_u32(m->body, m->frame.big_endian);
                call.text = (const char *)m->body + 4;
        }
        return method->fn(&call);
}
