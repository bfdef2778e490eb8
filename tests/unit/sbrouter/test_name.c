/* SPDX-License-Identifier: MIT */
/* Names: random requests and releases against a model written from the specification's text. */
#include "sbrouter/name.h"

#include "common/limits.h"
#include "tests/test.h"
#include "tests/unit/sbrouter/bus.h"

static const char *const names[] = {"a.b", "c.d.e"};

/* Who claims a name, the owner first. */
struct claims {
        unsigned n;
        struct {
                unsigned client;
                uint32_t flags;
        } q[BUS_CLIENTS];
};

static unsigned position(const struct claims *c, unsigned client) {
        unsigned i = 0;

        while (i < c->n && c->q[i].client != client)
                i++;
        return i;
}

static void leave_queue(struct claims *c, unsigned i) {
        for (c->n--; i < c->n; i++)
                c->q[i] = c->q[i + 1];
}

static void join_queue(struct claims *c, unsigned at, unsigned client, uint32_t flags) {
        for (unsigned i = c->n++; i > at; i--)
                c->q[i] = c->q[i - 1];
        c->q[at].client = client;
        c->q[at].flags = flags;
}

static uint32_t model_request(struct claims *c, unsigned client, uint32_t flags) {
        unsigned i = position(c, client);
        bool replaces = c->n > 0 && (flags & NAME_REPLACE_EXISTING) &&
                        (c->q[0].flags & NAME_ALLOW_REPLACEMENT);

        if (c->n > 0 && i == 0) {
                c->q[0].flags = flags;
                return NAME_ALREADY_OWNER;
        }
        if (c->n > 0 && !replaces && !(flags & NAME_DO_NOT_QUEUE)) {
                if (i < c->n)
                        c->q[i].flags = flags;
                else
                        join_queue(c, c->n, client, flags);
                return NAME_IN_QUEUE;
        }
        if (i < c->n)
                leave_queue(c, i);
        if (c->n > 0 && !replaces)
                return NAME_EXISTS;
        if (c->n > 0 && (c->q[0].flags & NAME_DO_NOT_QUEUE))
                leave_queue(c, 0);
        join_queue(c, 0, client, flags);
        return NAME_PRIMARY_OWNER;
}

static uint32_t model_release(struct claims *c, unsigned client) {
        unsigned i = position(c, client);

        if (c->n == 0)
                return NAME_NON_EXISTENT;
        if (i == c->n)
                return NAME_NOT_OWNER;
        leave_queue(c, i);
        return NAME_RELEASED;
}

static void check_claims(struct bus *b, const char *s, const struct claims *c) {
        struct name *name = name_find(&b->router, s, strlen(s));
        unsigned i = 0;

        CHECK_EQ_INT(name != NULL, c->n > 0);
        CHECK(name_owner(&b->router, s, strlen(s)) == (c->n > 0 ? b->c[c->q[0].client] : NULL));
        if (!name)
                return;
        LIST_FOREACH (link, &name->claims) {
                struct name_claim *claim = LIST_OWNER(link, struct name_claim, queued);

                CHECK(i < c->n && claim->c == b->c[c->q[i].client] &&
                      claim->flags == c->q[i].flags);
                i++;
        }
        CHECK_EQ_INT(i, c->n);
}

static void test_model(void) {
        unsigned random = 1, answers[5] = {0};
        struct claims claims[ELEMENTSOF(names)] = {{0}};
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        for (unsigned round = 0; round < 20000; round++) {
                unsigned client = bus_random(&random, BUS_CLIENTS);
                unsigned k = bus_random(&random, ELEMENTSOF(names));
                uint32_t flags = bus_random(&random, 8), answer = 0, expected;

                if (bus_random(&random, 50) == 0) {
                        bus_leave(&b, client);
                        for (unsigned i = 0; i < ELEMENTSOF(names); i++)
                                (void)model_release(&claims[i], client);
                } else if (bus_random(&random, 3) == 0) {
                        expected = model_release(&claims[k], client);
                        CHECK_EQ_INT(name_release(&b.router, b.c[client], names[k], &answer), 0);
                        CHECK_EQ_INT(answer, expected);
                } else {
                        expected = model_request(&claims[k], client, flags);
                        CHECK_EQ_INT(name_request(&b.router, b.c[client], names[k], flags, &answer),
                                     0);
                        CHECK_EQ_INT(answer, expected);
                        answers[expected]++;
                }
                for (unsigned i = 0; i < ELEMENTSOF(names); i++)
                        check_claims(&b, names[i], &claims[i]);
                bus_hush(&b);
        }
        for (unsigned i = 1; i < ELEMENTSOF(answers); i++)
                CHECK(answers[i] > 100);
        bus_done(&b);
}

static void test_refused(void) {
        static const char *const bad[] = {
                "",      "a", "a.", ":1.1", ":1.7", "1.a", "a..b", "a b.c", "org.freedesktop.DBus",
                "\xff.a"};
        uint32_t answer = 77;
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                for (uint32_t flags = 0; flags < 8; flags++) {
                        CHECK_EQ_INT(name_request(&b.router, b.c[0], bad[i], flags, &answer),
                                     NAME_E_INVALID);
                        CHECK_EQ_INT(name_release(&b.router, b.c[0], bad[i], &answer),
                                     NAME_E_INVALID);
                }
        CHECK_EQ_INT(answer, 77);
        CHECK_EQ_INT(b.router.names.n, 0);
        bus_done(&b);
}

static void test_limit(void) {
        uint32_t answer;
        struct bus b;
        char s[32];

        bus_init(&b, ROUTER_STANDALONE);
        CHECK_EQ_INT(name_request(&b.router, b.c[1], "other.s", NAME_ALLOW_REPLACEMENT, &answer),
                     0);
        for (unsigned i = 0; i < LIMIT_NAMES; i++) {
                (void)snprintf(s, sizeof(s), "n.n%u", i);
                CHECK_EQ_INT(name_request(&b.router, b.c[0], s, 0, &answer), 0);
                CHECK_EQ_INT(answer, NAME_PRIMARY_OWNER);
        }
        CHECK_EQ_INT(name_request(&b.router, b.c[0], "one.more", 0, &answer), NAME_E_LIMIT);
        /* Nor may it wait for one, nor take one. */
        for (uint32_t flags = 0; flags < 8; flags++) {
                int v = name_request(&b.router, b.c[0], "other.s", flags, &answer);

                if ((flags & NAME_DO_NOT_QUEUE) && !(flags & NAME_REPLACE_EXISTING))
                        CHECK(v == 0 && answer == NAME_EXISTS);
                else
                        CHECK_EQ_INT(v, NAME_E_LIMIT);
        }
        CHECK_EQ_INT(name_request(&b.router, b.c[0], "n.n0", 0, &answer),
                     0); /* what it has, it has */
        CHECK_EQ_INT(answer, NAME_ALREADY_OWNER);
        CHECK_EQ_INT(name_release(&b.router, b.c[0], "n.n0", &answer), 0);
        CHECK_EQ_INT(name_request(&b.router, b.c[0], "one.more", 0, &answer), 0);
        bus_leave(&b, 0);
        CHECK_EQ_INT(b.c[0]->n_names, 0);
        CHECK_EQ_INT(b.router.names.n, 1);
        bus_done(&b);
}

static void check_heard(struct bus *b, unsigned client, const char *expected) {
        char text[512];

        bus_heard(b, client, text, sizeof(text));
        CHECK_EQ_STR(text, expected);
}

#define CHANGED(name, before, after) "NameOwnerChanged(" name "," before "," after ") "

/* Client 5 subscribed to NameOwnerChanged; the others hear only of their own names. */
static void test_announced(void) {
        struct match_rule *rule = NULL;
        uint32_t answer;
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        CHECK_EQ_INT(match_rule_parse("member='NameOwnerChanged'", 25, &rule), 0);
        CHECK_EQ_INT(match_add(&b.router, b.c[5], rule), 0);
        CHECK_EQ_INT(name_request(&b.router, b.c[0], "a.b", NAME_ALLOW_REPLACEMENT, &answer), 0);
        check_heard(&b, 0, "NameAcquired(a.b) ");
        check_heard(&b, 5, CHANGED("a.b", "", ":1.1"));
        CHECK_EQ_INT(name_request(&b.router, b.c[1], "a.b", 0, &answer), 0); /* waits */
        check_heard(&b, 1, "");
        CHECK_EQ_INT(name_request(&b.router, b.c[2], "a.b", NAME_REPLACE_EXISTING, &answer), 0);
        check_heard(&b, 0, "NameLost(a.b) ");
        check_heard(&b, 1, "");
        check_heard(&b, 2, "NameAcquired(a.b) ");
        check_heard(&b, 5, CHANGED("a.b", ":1.1", ":1.3"));
        CHECK_EQ_INT(name_release(&b.router, b.c[1], "a.b", &answer), 0); /* waits no more */
        check_heard(&b, 1, "");
        check_heard(&b, 5, "");
        CHECK_EQ_INT(name_release(&b.router, b.c[2], "a.b", &answer), 0);
        check_heard(&b, 2, "NameLost(a.b) ");
        check_heard(&b, 0, "NameAcquired(a.b) ");
        check_heard(&b, 5, CHANGED("a.b", ":1.3", ":1.1"));
        b.c[0]->dead = true; /* who is gone is told nothing */
        bus_leave(&b, 0);
        check_heard(&b, 5, CHANGED("a.b", ":1.1", ""));
        CHECK_EQ_INT(b.c[0]->out.bytes, 0);
        b.c[0]->dead = false;
        bus_done(&b);
}

/* Only sbportal's connection may be asked for the person's files, and only on the VM bus. */
static void test_reserved(void) {
        static const struct {
                const char *s;
                bool reserved;
        } rows[] = {
                {"org.freedesktop.portal.Desktop", true},
                {"org.freedesktop.portal.Documents", true},
                {"org.freedesktop.portal.x", true},
                {"org.freedesktop.impl.portal.PermissionStore", true},
                {"org.freedesktop.host.portal.Registry", true},
                {"org.freedesktop.portals.Desktop", false},
                {"org.freedesktop.Portal.Desktop", false},
                {"com.org.freedesktop.portal.Desktop", false},
                {"org.freedesktop.Notifications", true},
                {"org.freedesktop.ScreenSaver", true},
                {"org.freedesktop.Notifications.x", false},
                {"org.freedesktop.secrets", false},
        };
        static const enum router_bus kinds[] = {ROUTER_VM, ROUTER_PRIVATE, ROUTER_STANDALONE};

        for (size_t k = 0; k < ELEMENTSOF(kinds); k++) {
                struct bus b;

                bus_init(&b, kinds[k]);
                b.c[1]->portal = true;
                for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                        for (uint32_t flags = 0; flags < 8; flags++) {
                                bool refused = rows[i].reserved && kinds[k] == ROUTER_VM;
                                uint32_t answer;

                                CHECK_EQ_INT(
                                        name_request(&b.router, b.c[0], rows[i].s, flags, &answer),
                                        refused ? NAME_E_RESERVED : 0);
                                if (!refused)
                                        CHECK_EQ_INT(
                                                name_release(&b.router, b.c[0], rows[i].s, &answer),
                                                0);
                                CHECK_EQ_INT(
                                        name_request(&b.router, b.c[1], rows[i].s, flags, &answer),
                                        0);
                                CHECK_EQ_INT(answer, NAME_PRIMARY_OWNER);
                                CHECK_EQ_INT(name_release(&b.router, b.c[1], rows[i].s, &answer),
                                             0);
                        }
                bus_done(&b);
        }
}

TEST_MAIN({"against a model", test_model}, {"names that nobody may own", test_refused},
          {"limit", test_limit}, {"who is told of a change", test_announced},
          {"the portal's names", test_reserved})
