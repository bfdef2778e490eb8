/* SPDX-License-Identifier: MIT */
/*
 * A call gets the same answers whether it goes the fast way or libdbus's: two buses are
 * given the same calls, one of them without their interface, which the fast way leaves.
 */
#include "sbrouter/driver_fast.h"

#include <dbus/dbus.h>
#include <unistd.h>

#include "sbrouter/driver.h"
#include "tests/test.h"
#include "tests/unit/sbrouter/bus.h"
#include "tests/unit/sbrouter/wire.h"

#define CALLS 4000u

struct sides {
        struct bus fast, slow;
        unsigned random;
};

static void sides_init(struct sides *s) {
        bus_init(&s->fast, ROUTER_STANDALONE);
        bus_init(&s->slow, ROUTER_STANDALONE);
        memcpy(s->slow.router.guid, s->fast.router.guid, sizeof(s->slow.router.guid));
        s->random = 1;
}

static void sides_done(struct sides *s) {
        for (unsigned i = 0; i < BUS_CLIENTS; i++) {
                bus_leave(&s->fast, i);
                bus_leave(&s->slow, i);
        }
        bus_hush(&s->fast);
        bus_hush(&s->slow);
        bus_done(&s->fast);
        bus_done(&s->slow);
}

struct question {
        const char *interface, *member, *signature;
        const char *text;
        uint8_t flags;
        bool big_endian;
};

static void write_call(struct wire *w, const struct question *q, bool with_interface) {
        struct wire body = {.big = q->big_endian};

        if (q->text)
                wire_string(&body, q->text);
        wire_begin(w, q->big_endian, MESSAGE_CALL, q->flags);
        wire_text(w, MESSAGE_FIELD_PATH, "o", DRIVER_PATH);
        if (with_interface)
                wire_text(w, MESSAGE_FIELD_INTERFACE, "s", q->interface);
        wire_text(w, MESSAGE_FIELD_MEMBER, "s", q->member);
        wire_text(w, MESSAGE_FIELD_DESTINATION, "s", DRIVER_NAME);
        if (q->signature[0])
                wire_text(w, MESSAGE_FIELD_SIGNATURE, "g", q->signature);
        wire_end(w, body.b, body.n);
}

static void ask(struct bus *b, struct connection *c, const struct question *q,
                bool with_interface) {
        struct message m;
        struct wire w;

        write_call(&w, q, with_interface);
        CHECK_EQ_INT(message_parse(w.b, w.n, &m), 0);
        CHECK_EQ_INT(message_check_body(&m), 0);
        CHECK_EQ_INT(driver_call(&b->router, c, &m), 0);
}

static void describe(DBusMessage *m, char *out, size_t size) {
        size_t n = (size_t)snprintf(out, size, "%d %u->%u %s->%s %s.%s %s %d (%s)",
                                    dbus_message_get_type(m), dbus_message_get_serial(m),
                                    dbus_message_get_reply_serial(m), dbus_message_get_sender(m),
                                    dbus_message_get_destination(m), dbus_message_get_interface(m),
                                    dbus_message_get_member(m), dbus_message_get_error_name(m),
                                    dbus_message_get_no_reply(m), dbus_message_get_signature(m));
        DBusMessageIter it;

        for (bool more = dbus_message_iter_init(m, &it); more && n < size;
             more = dbus_message_iter_next(&it)) {
                uint64_t value = 0;
                int type = dbus_message_iter_get_arg_type(&it);
                const char *s = NULL;

                if (type == DBUS_TYPE_STRING)
                        dbus_message_iter_get_basic(&it, &s);
                else if (dbus_type_is_basic(type))
                        dbus_message_iter_get_basic(&it, &value);
                n += (size_t)snprintf(out + n, size - n, " %s/%llu", s ? s : "-",
                                      (unsigned long long)value);
        }
}

/* All that c was sent, as libdbus reads it; one line each. */
static void hear(struct connection *c, int end, char *out, size_t size) {
        static char data[65536];
        ssize_t n;

        CHECK_EQ_INT(connection_flush(c), 0);
        n = recv(end, data, sizeof(data), MSG_DONTWAIT);
        out[0] = 0;
        for (int at = 0, k; n > 0 && at < n; at += k) {
                DBusMessage *m;
                size_t used = strlen(out);

                k = dbus_message_demarshal_bytes_needed(data + at, (int)n - at);
                CHECK(k > 0);
                m = dbus_message_demarshal(data + at, k, NULL);
                CHECK(m);
                if (!m)
                        return;
                describe(m, out + used, size - used);
                strncat(out, "\n", size - strlen(out) - 1);
                dbus_message_unref(m);
        }
}

/* Both ways, with the same question. */
static void compare(struct sides *s, struct connection *a, int end_a, struct connection *b,
                    int end_b, const struct question *q) {
        static char fast[70000], slow[70000];

        ask(&s->fast, a, q, true);
        ask(&s->slow, b, q, false);
        hear(a, end_a, fast, sizeof(fast));
        hear(b, end_b, slow, sizeof(slow));
        CHECK_EQ_STR(fast, slow);
        CHECK_EQ_INT(a->n_matches, b->n_matches);
        CHECK_EQ_INT(s->fast.router.matches.n, s->slow.router.matches.n);
}

static const struct question methods[] = {
        {DBUS_INTERFACE_DBUS, "GetNameOwner", "s", NULL, 0, false},
        {DBUS_INTERFACE_DBUS, "NameHasOwner", "s", NULL, 0, false},
        {DBUS_INTERFACE_DBUS, "AddMatch", "s", NULL, 0, false},
        {DBUS_INTERFACE_DBUS, "RemoveMatch", "s", NULL, 0, false},
        {DBUS_INTERFACE_DBUS, "Hello", "", NULL, 0, false},
        {DBUS_INTERFACE_DBUS, "GetId", "", NULL, 0, false},
        {DBUS_INTERFACE_PEER, "Ping", "", NULL, 0, false},
        {DBUS_INTERFACE_DBUS, "ListNames", "", NULL, 0, false},
        {DBUS_INTERFACE_DBUS, "NoSuchMethod", "", NULL, 0, false},
};

static const char *const texts[] = {
        ":1.1",
        ":1.2",
        ":1.6",
        ":1.7",
        ":1.01",
        ":1.",
        ":",
        "",
        "org.freedesktop.DBus",
        "own.one",
        "not.owned",
        "not a name",
        "ä",
        "type='signal'",
        "type='signal',interface='a.b'",
        "interface='a.b',type='signal'",
        "arg0='x',member='M'",
        "type='nonsense'",
        "member=M",
        "=",
        "type='signal',",
        "path='/a',path_namespace='/a'",
        "arg64='x'",
        "sender=':1.1'",
};

static void test_same(void) {
        static const uint8_t flags[] = {0, 0, 0, MESSAGE_NO_REPLY_EXPECTED, MESSAGE_NO_AUTO_START};
        struct sides s;
        uint32_t answer;

        sides_init(&s);
        CHECK_EQ_INT(name_request(&s.fast.router, s.fast.c[1], "own.one", 0, &answer), 0);
        CHECK_EQ_INT(name_request(&s.slow.router, s.slow.c[1], "own.one", 0, &answer), 0);
        for (unsigned i = 0; i < CALLS; i++) {
                struct question q = methods[bus_random(&s.random, ELEMENTSOF(methods))];
                unsigned k = bus_random(&s.random, BUS_CLIENTS);

                if (bus_random(&s.random, 20) == 0) /* a wrong signature, now and then */
                        q.signature = q.signature[0] ? "" : "s";
                if (q.signature[0])
                        q.text = texts[bus_random(&s.random, ELEMENTSOF(texts))];
                q.flags = flags[bus_random(&s.random, ELEMENTSOF(flags))];
                q.big_endian = bus_random(&s.random, 2);
                compare(&s, s.fast.c[k], s.fast.ends[k], s.slow.c[k], s.slow.ends[k], &q);
        }
        sides_done(&s);
}

static struct connection *newcomer(struct bus *b, int *ret_end) {
        struct connection *c = NULL;
        int p[2];

        CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p), 0);
        CHECK_EQ_INT(connection_new(&b->router, p[0], &c), 0);
        *ret_end = p[1];
        return c;
}

/* Nothing but Hello from one without a name; and each of the others hears the same of it. */
static void test_hello(void) {
        struct question rule = methods[2], other = methods[5], hello = methods[4];
        struct sides s;
        struct connection *a, *b;
        int end_a, end_b;

        sides_init(&s);
        rule.text = "type='signal',member='NameOwnerChanged'";
        compare(&s, s.fast.c[0], s.fast.ends[0], s.slow.c[0], s.slow.ends[0], &rule);
        a = newcomer(&s.fast, &end_a);
        b = newcomer(&s.slow, &end_b);
        compare(&s, a, end_a, b, end_b, &other);
        compare(&s, a, end_a, b, end_b, &hello);
        compare(&s, a, end_a, b, end_b, &other);
        compare(&s, a, end_a, b, end_b, &hello);
        other.flags = MESSAGE_NO_REPLY_EXPECTED; /* and what client 0 heard of the newcomer */
        compare(&s, s.fast.c[0], s.fast.ends[0], s.slow.c[0], s.slow.ends[0], &other);
        CHECK_EQ_STR(a->name, b->name);
        sides_done(&s);
        (void)close(end_a);
        (void)close(end_b);
}

/* The fast way takes the calls it is for; and that it leaves the others is what compare() relies
 * on. */
static void test_taken(void) {
        struct sides s;

        sides_init(&s);
        for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
                struct question q = methods[i];
                bool expected = i < 4 || i == 5 || i == 6;
                struct message m;
                struct wire w;

                if (q.signature[0])
                        q.text = i < 2 ? ":1.1" : "type='signal'";
                write_call(&w, &q, true);
                CHECK_EQ_INT(message_parse(w.b, w.n, &m), 0);
                CHECK_EQ_INT(driver_fast(&s.fast.router, s.fast.c[0], &m),
                             expected ? 0 : DRIVER_FAST_E_LEFT);
                write_call(&w, &q, false);
                CHECK_EQ_INT(message_parse(w.b, w.n, &m), 0);
                CHECK_EQ_INT(driver_fast(&s.fast.router, s.fast.c[0], &m), DRIVER_FAST_E_LEFT);
        }
        sides_done(&s);
}

TEST_MAIN({"4000 calls, right and wrong: the same answers both ways", test_same},
          {"Hello, before it and after it: the same answers and the same signals", test_hello},
          {"which calls are taken, and which are left", test_taken})
