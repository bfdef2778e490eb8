/* SPDX-License-Identifier: MIT */
/*
 * Calls to the bus, in both byte orders, whose answers libdbus reads: what each says, and
 * of any call that there is one answer, of the type that the method's row promises.
 */
#include "sbrouter/driver.h"

#include <dbus/dbus.h>
#include <unistd.h>

#include "common/limits.h"
#include "tests/test.h"
#include "tests/unit/sbrouter/bus.h"
#include "tests/unit/sbrouter/wire.h"

#define CALLS 4000u
#define BUS   DBUS_INTERFACE_DBUS

struct question {
        const char *interface, *member, *signature;
        const char *text; /* each string of the arguments */
        uint32_t number;  /* each number */
        uint8_t flags;
};

static void write_call(struct wire *w, const struct question *q, bool big_endian) {
        struct wire body = {.big = big_endian};

        for (const char *type = q->signature; *type; type++)
                if (*type == 'u')
                        wire_number(&body, q->number);
                else
                        wire_string(&body, q->text);
        wire_begin(w, big_endian, MESSAGE_CALL, q->flags);
        wire_text(w, MESSAGE_FIELD_PATH, "o", DRIVER_PATH);
        if (q->interface)
                wire_text(w, MESSAGE_FIELD_INTERFACE, "s", q->interface);
        wire_text(w, MESSAGE_FIELD_MEMBER, "s", q->member);
        wire_text(w, MESSAGE_FIELD_DESTINATION, "s", DRIVER_NAME);
        if (q->signature[0])
                wire_text(w, MESSAGE_FIELD_SIGNATURE, "g", q->signature);
        wire_end(w, body.b, body.n);
}

static void ask(struct bus *b, struct connection *c, const struct question *q, bool big_endian) {
        struct message m;
        struct wire w;

        write_call(&w, q, big_endian);
        CHECK_EQ_INT(message_parse(w.b, w.n, &m), 0);
        CHECK_EQ_INT(message_check_body(&m), 0);
        CHECK_EQ_INT(driver_call(&b->router, c, &m), 0);
}

/* The values one behind the other, each with a space before it. */
static void describe_values(DBusMessageIter *it, char *out, size_t size) {
        for (int type; (type = dbus_message_iter_get_arg_type(it)) != DBUS_TYPE_INVALID;
             (void)dbus_message_iter_next(it)) {
                size_t used = strlen(out);
                uint64_t value = 0;
                const char *s = NULL;
                DBusMessageIter inner;

                if (type == DBUS_TYPE_STRING) {
                        dbus_message_iter_get_basic(it, &s);
                        (void)snprintf(out + used, size - used, " %s", s);
                } else if (dbus_type_is_basic(type)) {
                        dbus_message_iter_get_basic(it, &value);
                        (void)snprintf(out + used, size - used, " %u", (unsigned)value);
                } else {
                        dbus_message_iter_recurse(it, &inner);
                        describe_values(&inner, out, size);
                }
        }
}

/* An error's name without what all have before it, or the signature; and the values. */
static void describe(DBusMessage *m, char *out, size_t size) {
        const char *error = dbus_message_get_error_name(m);
        DBusMessageIter it;

        (void)snprintf(out, size, "%s",
                       error ? error + strlen(BUS ".Error.") : dbus_message_get_signature(m));
        if (dbus_message_iter_init(m, &it))
                describe_values(&it, out, size);
}

/* What the bus has answered c, as libdbus reads it; NULL: nothing.  Signals are not counted. */
static DBusMessage *read_answer(struct connection *c, int end) {
        static char data[1 << 17];
        DBusMessage *answer = NULL;
        ssize_t n;

        CHECK_EQ_INT(connection_flush(c), 0);
        n = recv(end, data, sizeof(data), MSG_DONTWAIT);
        for (int at = 0, k; n > 0 && at < n; at += k) {
                DBusMessage *m;

                k = dbus_message_demarshal_bytes_needed(data + at, (int)n - at);
                CHECK(k > 0);
                m = dbus_message_demarshal(data + at, k, NULL);
                CHECK(m);
                if (!m)
                        return answer;
                CHECK(dbus_message_has_sender(m, DRIVER_NAME) && dbus_message_get_no_reply(m));
                if (dbus_message_get_type(m) == DBUS_MESSAGE_TYPE_SIGNAL) {
                        dbus_message_unref(m);
                        continue;
                }
                CHECK(!answer && dbus_message_has_destination(m, c->name));
                CHECK_EQ_INT(dbus_message_get_reply_serial(m), 77);
                answer = m;
        }
        return answer;
}

static void bus_end(struct bus *b) {
        for (unsigned i = 0; i < BUS_CLIENTS; i++)
                bus_leave(b, i);
        bus_hush(b);
        bus_done(b);
}

static const struct {
        struct question q;
        const char *answer;
} cases[] = {
        {{BUS, "GetNameOwner", "s", "own.one", 0, 0}, "s :1.2"},
        {{BUS, "GetNameOwner", "s", ":1.3", 0, 0}, "s :1.3"},
        {{BUS, "GetNameOwner", "s", DRIVER_NAME, 0, 0}, "s " DRIVER_NAME},
        {{BUS, "GetNameOwner", "s", "not.owned", 0, 0},
         "NameHasNoOwner nobody owns the name not.owned"},
        {{BUS, "GetNameOwner", "s", ":1.03", 0, 0}, "NameHasNoOwner nobody owns the name :1.03"},
        {{BUS, "GetNameOwner", "s", "ä", 0, 0}, "NameHasNoOwner nobody owns the name ä"},
        {{NULL, "GetNameOwner", "s", "own.one", 0, 0}, "s :1.2"},
        {{BUS, "GetNameOwner", "", NULL, 0, 0}, "InvalidArgs GetNameOwner takes (s), not ()"},
        {{BUS, "GetNameOwner", "ss", "a", 0, 0}, "InvalidArgs GetNameOwner takes (s), not (ss)"},
        {{BUS, "NameHasOwner", "s", "own.one", 0, 0}, "b 1"},
        {{BUS, "NameHasOwner", "s", DRIVER_NAME, 0, 0}, "b 1"},
        {{BUS, "NameHasOwner", "s", "not.owned", 0, 0}, "b 0"},
        {{BUS, "NameHasOwner", "s", "", 0, 0}, "b 0"},
        {{BUS, "ListQueuedOwners", "s", "own.one", 0, 0}, "as :1.2 :1.3"},
        {{BUS, "ListQueuedOwners", "s", ":1.4", 0, 0}, "as :1.4"},
        {{BUS, "ListQueuedOwners", "s", DRIVER_NAME, 0, 0}, "as " DRIVER_NAME},
        {{BUS, "ListQueuedOwners", "s", "no.one", 0, 0},
         "NameHasNoOwner nobody owns the name no.one"},
        {{BUS, "ListActivatableNames", "", NULL, 0, 0}, "as " DRIVER_NAME},
        {{BUS, "GetConnectionUnixUser", "s", ":1.1", 0, 0}, "u 1000"},
        {{BUS, "GetConnectionUnixUser", "s", ":1.2", 0, 0},
         "Failed this connection's user id is not known"},
        {{BUS, "GetConnectionUnixProcessID", "s", ":1.1", 0, 0}, "u 42"},
        {{BUS, "GetConnectionUnixProcessID", "s", "own.one", 0, 0},
         "UnixProcessIdUnknown this connection's process id is not known"},
        {{BUS, "GetConnectionCredentials", "s", ":1.1", 0, 0},
         "a{sv} UnixUserID 1000 ProcessID 42"},
        {{BUS, "GetConnectionCredentials", "s", ":1.2", 0, 0}, "a{sv}"},
        {{BUS, "GetConnectionCredentials", "s", ":1.3", 0, 0}, "a{sv} ProcessID 7"},
        {{BUS, "GetConnectionCredentials", "s", ":1.7", 0, 0},
         "NameHasNoOwner nobody owns the name :1.7"},
        {{BUS, "RequestName", "su", "new.one", NAME_DO_NOT_QUEUE, 0}, "u 1"},
        {{BUS, "RequestName", "su", "new.one", 0, 0}, "u 4"},
        {{BUS, "RequestName", "su", "own.one", NAME_DO_NOT_QUEUE, 0}, "u 3"},
        {{BUS, "RequestName", "su", ":1.1", 0, 0}, "InvalidArgs not a name that can be owned"},
        {{BUS, "RequestName", "s", "new.one", 0, 0}, "InvalidArgs RequestName takes (su), not (s)"},
        {{BUS, "ReleaseName", "s", "new.one", 0, 0}, "u 1"},
        {{BUS, "ReleaseName", "s", "new.one", 0, 0}, "u 2"},
        {{BUS, "ReleaseName", "s", "own.one", 0, 0}, "u 3"},
        {{BUS, "StartServiceByName", "su", "own.one", 0, 0}, "u 2"},
        {{BUS, "StartServiceByName", "su", "no.one", 0, 0},
         "ServiceUnknown nobody owns the name no.one, and this bus starts no services"},
        {{BUS, "AddMatch", "s", "type='signal',interface='a.b'", 0, 0}, ""},
        {{BUS, "AddMatch", "s", "type='nonsense'", 0, 0},
         "MatchRuleInvalid match rule: Invalid value in match rule"},
        {{BUS, "RemoveMatch", "s", "interface='a.b',type='signal'", 0, 0}, ""},
        {{BUS, "RemoveMatch", "s", "interface='a.b',type='signal'", 0, 0},
         "MatchRuleNotFound no such match rule"},
        {{BUS, "Hello", "", NULL, 0, 0}, "Failed Hello was said already"},
        {{BUS, "NoSuchMethod", "", NULL, 0, 0}, "UnknownMethod the bus has no method NoSuchMethod"},
        {{NULL, "NoSuchMethod", "", NULL, 0, 0},
         "UnknownMethod the bus has no method NoSuchMethod"},
        {{"a.b", "GetId", "", NULL, 0, 0}, "UnknownInterface the bus has no interface a.b"},
        {{DBUS_INTERFACE_PEER, "GetId", "", NULL, 0, 0},
         "UnknownMethod the bus has no method GetId"},
        {{DBUS_INTERFACE_PEER, "Ping", "", NULL, 0, 0}, ""},
        {{DBUS_INTERFACE_PEER, "GetMachineId", "", NULL, 0, 0},
         "s 30313233343536373839616263646566"},
        {{DRIVER_STATS, "GetStats", "", NULL, 0, 0},
         "AccessDenied GetStats is for a debug socket only"},
};

static void test_answers(void) {
        struct bus b;
        uint32_t answer;

        bus_init(&b, ROUTER_STANDALONE);
        b.c[0]->credentials = (struct credentials){true, true, 1000, 42};
        b.c[2]->credentials = (struct credentials){.has_pid = true, .pid = 7};
        for (unsigned i = 1; i < 3; i++)
                CHECK_EQ_INT(name_request(&b.router, b.c[i], "own.one", 0, &answer), 0);
        for (unsigned big_endian = 0; big_endian < 2; big_endian++)
                for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                        char said[2000] = "nothing";
                        DBusMessage *m;

                        ask(&b, b.c[0], &cases[i].q, big_endian);
                        m = read_answer(b.c[0], b.ends[0]);
                        if (m) {
                                describe(m, said, sizeof(said));
                                dbus_message_unref(m);
                        }
                        CHECK_EQ_STR(said, cases[i].answer);
                }
        bus_end(&b);
}

/* More than fits into the buffer of an ordinary answer. */
static void test_list_names(void) {
        static const struct question question = {BUS, "ListNames", "", NULL, 0, 0};
        DBusMessage *m;
        struct bus b;
        char **names = NULL;
        unsigned found = 0;
        int n = 0;

        bus_init(&b, ROUTER_STANDALONE);
        for (unsigned i = 0; i < LIMIT_NAMES; i++) {
                char name[250];
                uint32_t answer;

                (void)snprintf(name, sizeof(name), "t.n%u.x%0200u", i, i);
                CHECK_EQ_INT(name_request(&b.router, b.c[1], name, 0, &answer), 0);
        }
        ask(&b, b.c[0], &question, false);
        m = read_answer(b.c[0], b.ends[0]);
        CHECK(m && dbus_message_get_args(m, NULL, DBUS_TYPE_ARRAY, DBUS_TYPE_STRING, &names, &n,
                                         DBUS_TYPE_INVALID));
        CHECK_EQ_INT(n, 1 + BUS_CLIENTS + LIMIT_NAMES);
        for (int i = 0; i < n; i++)
                found += strcmp(names[i], DRIVER_NAME) == 0 ||
                         router_lookup(&b.router, names[i], strlen(names[i]));
        CHECK_EQ_INT(found, n);
        dbus_free_string_array(names);
        if (m)
                dbus_message_unref(m);
        bus_end(&b);
}

static const char *const texts[] = {":1.1",
                                    ":1.6",
                                    ":",
                                    "",
                                    "own.one",
                                    "org.freedesktop.DBus",
                                    "ä",
                                    "type='signal'",
                                    "arg0='x',member='M'",
                                    "type='nonsense'",
                                    "="};

/* Only strings and numbers; what takes others the fuzzer calls. */
static const struct driver_method *pick_method(unsigned *random) {
        const struct driver_method *row;
        unsigned n = 0;

        while (driver_methods[n].interface.s)
                n++;
        do
                row = &driver_methods[bus_random(random, n)];
        while (strspn(row->in, "su") != strlen(row->in));
        return row;
}

static void check_any(const struct driver_method *row, const struct question *q, DBusMessage *m) {
        bool wanted = !(q->flags & MESSAGE_NO_REPLY_EXPECTED);

        CHECK(wanted == (m != NULL));
        if (!m)
                return;
        if (dbus_message_get_type(m) == DBUS_MESSAGE_TYPE_ERROR)
                CHECK(dbus_message_has_signature(m, "s"));
        else
                CHECK(strcmp(q->signature, row->in) == 0 &&
                      dbus_message_has_signature(m, row->out));
        dbus_message_unref(m);
}

static void test_any(void) {
        static const uint8_t flags[] = {0, 0, 0, MESSAGE_NO_REPLY_EXPECTED, MESSAGE_NO_AUTO_START};
        unsigned random = 1;
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        for (unsigned i = 0; i < BUS_CLIENTS; i++)
                b.c[i]->may_debug = i % 2;
        for (unsigned i = 0; i < CALLS; i++) {
                const struct driver_method *row = pick_method(&random);
                unsigned k = bus_random(&random, BUS_CLIENTS);
                struct question q = {
                        .interface = bus_random(&random, 3) > 0 ? row->interface.s : NULL,
                        .member = row->member.s,
                        .signature = bus_random(&random, 20) == 0 ? "us" : row->in,
                        .text = texts[bus_random(&random, ELEMENTSOF(texts))],
                        .number = bus_random(&random, 9),
                        .flags = flags[bus_random(&random, ELEMENTSOF(flags))],
                };

                ask(&b, b.c[k], &q, bus_random(&random, 2));
                check_any(row, &q, read_answer(b.c[k], b.ends[k]));
        }
        bus_end(&b);
}

/* The name that Hello gives is in its answer, and the answer is for that name already. */
static void test_hello(void) {
        static const struct question hello = {BUS, "Hello", "", NULL, 0, 0};
        char said[100] = "";
        struct connection *c = NULL;
        DBusMessage *m;
        struct bus b;
        int p[2];

        bus_init(&b, ROUTER_STANDALONE);
        CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p), 0);
        CHECK_EQ_INT(connection_new(&b.router, p[0], &c), 0);
        ask(&b, c, &hello, false);
        m = read_answer(c, p[1]);
        if (m)
                describe(m, said, sizeof(said));
        CHECK_EQ_STR(said, "s :1.7");
        CHECK_EQ_STR(c->name, ":1.7");
        if (m)
                dbus_message_unref(m);
        bus_end(&b);
        (void)close(p[1]);
}

TEST_MAIN({"each method, and each error: what is answered", test_answers},
          {"a list of names that is long", test_list_names},
          {"4000 calls, right and wrong: one answer each, of the promised type", test_any},
          {"Hello gives a name", test_hello})
