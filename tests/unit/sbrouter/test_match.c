/* SPDX-License-Identifier: MIT */
/* The index finds whom a walk over all rules would find: checked with random rules and signals. */
#include "sbrouter/match.h"

#include <unistd.h>

#include "common/limits.h"
#include "tests/test.h"
#include "tests/unit/sbrouter/bus.h"
#include "tests/unit/sbrouter/wire.h"

#define N_RULES 60u

/* More components than are filed by, and what differs in one of those that are not. */
#define DEEP_PATH "/a/b/c/d/e/f/g/h/i"
#define DEEP_NAME "a.b.c.d.e.f.g.h.i"

static const char *const paths[] = {"/",      "/a",      "/a/b",           "/ab",
                                    "/a/b/c", DEEP_PATH, DEEP_PATH "/j/k", DEEP_PATH "j/k"};
static const char *const interfaces[] = {"a.b", "a.c", "d.e.f"};
static const char *const members[] = {"M", "N"};
static const char *const senders[] = {":1.1",    ":1.2",      ":1.99",    "own.one",
                                      "own.two", "not.owned", DRIVER_NAME};
static const char *const strings[] = {
        "x", "", "a.b", "a.b.c", "/a/", "/a/b", ".a.b", DEEP_NAME ".j.k", DEEP_NAME "j.k"};
static const char *const namespaces[] = {"a", "a.b", "a.b.c", DEEP_NAME, DEEP_NAME ".j"};

struct model {
        struct bus bus;
        unsigned random;
        struct {
                unsigned owner;
                struct match_rule *rule; /* NULL: removed */
        } rules[N_RULES];
        unsigned found[BUS_CLIENTS]; /* how often match_each() named each client */
};

#define PICK(m, a) (a)[bus_random(&(m)->random, ELEMENTSOF(a))]

static void add_key(struct model *m, char *text, size_t size, const char *key, const char *value) {
        size_t n = strlen(text);

        if (bus_random(&m->random, 3) == 0)
                (void)snprintf(text + n, size - n, "%s='%s',", key, value);
}

static void random_rule(struct model *m, char *text, size_t size) {
        text[0] = 0;
        add_key(m, text, size, "type", bus_random(&m->random, 4) ? "signal" : "method_call");
        add_key(m, text, size, "sender", PICK(m, senders));
        add_key(m, text, size, "interface", PICK(m, interfaces));
        add_key(m, text, size, "member", PICK(m, members));
        if (bus_random(&m->random, 2))
                add_key(m, text, size, "path", PICK(m, paths));
        else
                add_key(m, text, size, "path_namespace", PICK(m, paths));
        if (bus_random(&m->random, 2))
                add_key(m, text, size, "arg0", PICK(m, strings));
        else if (bus_random(&m->random, 2))
                add_key(m, text, size, "arg0path", PICK(m, strings));
        else
                add_key(m, text, size, "arg0namespace", PICK(m, namespaces));
        add_key(m, text, size, "arg1", PICK(m, strings));
        add_key(m, text, size, "arg2", PICK(m, strings));
        add_key(m, text, size, "arg3", PICK(m, strings));
        if (bus_random(&m->random, 8) == 0)
                add_key(m, text, size, "destination", ":1.1");
}

static struct match_rule *parse(const char *text) {
        struct match_rule *r = NULL;

        CHECK_EQ_INT(match_rule_parse(text, strlen(text), &r), 0);
        return r;
}

static void add_rule(struct model *m, unsigned i) {
        char text[512];

        random_rule(m, text, sizeof(text));
        m->rules[i].owner = bus_random(&m->random, BUS_CLIENTS);
        m->rules[i].rule = parse(text);
        CHECK_EQ_INT(match_add(&m->bus.router, m->bus.c[m->rules[i].owner], parse(text)), 0);
}

static void remove_rule(struct model *m, unsigned i) {
        struct match_rule *rule = m->rules[i].rule;

        CHECK_EQ_INT(match_remove(&m->bus.router, m->bus.c[m->rules[i].owner], rule), 0);
        m->rules[i].rule = match_rule_free(rule);
}

static void on_found(void *self, struct connection *receiver) {
        struct model *m = self;

        for (unsigned i = 0; i < BUS_CLIENTS; i++)
                m->found[i] += m->bus.c[i] == receiver;
}

/* Who a rule's sender is, told without the name table: client 1 owns own.one, client 2 both. */
static bool is_from(const char *wanted, int sender) {
        if (!wanted)
                return true;
        if (sender < 0)
                return strcmp(wanted, DRIVER_NAME) == 0;
        if (strcmp(wanted, sender == 0 ? ":1.1" : sender == 1 ? ":1.2" : "?") == 0)
                return true;
        return (sender == 1 && strcmp(wanted, "own.one") == 0) ||
               (sender == 2 && strcmp(wanted, "own.two") == 0);
}

static void random_signal(struct model *m, struct wire *w, struct message *ret) {
        struct wire body = {0};
        unsigned n_args = bus_random(&m->random, 5);
        char signature[] = "ssss";
        bool is_path = bus_random(&m->random, 3) == 0;

        if (n_args > 0)
                wire_string(&body, is_path ? PICK(m, paths) : PICK(m, strings));
        for (unsigned i = 1; i < n_args; i++)
                wire_string(&body, PICK(m, strings));
        signature[0] = is_path ? 'o' : 's';
        signature[n_args] = 0;
        wire_begin(w, false, MESSAGE_SIGNAL, 0);
        wire_text(w, MESSAGE_FIELD_PATH, "o", PICK(m, paths));
        wire_text(w, MESSAGE_FIELD_INTERFACE, "s", PICK(m, interfaces));
        wire_text(w, MESSAGE_FIELD_MEMBER, "s", PICK(m, members));
        wire_text(w, MESSAGE_FIELD_SIGNATURE, "g", signature);
        wire_end(w, body.b, body.n);
        CHECK_EQ_INT(message_parse(w->b, w->n, ret), 0);
        CHECK_EQ_INT(message_check_body(ret), 0);
}

static unsigned check_signal(struct model *m) {
        int sender = (int)bus_random(&m->random, BUS_CLIENTS + 1) - 1;
        unsigned n = 0;
        struct message msg;
        struct wire w;

        random_signal(m, &w, &msg);
        memset(m->found, 0, sizeof(m->found));
        match_each(&m->bus.router, sender < 0 ? NULL : m->bus.c[sender], &msg, on_found, m);
        for (unsigned k = 0; k < BUS_CLIENTS; k++) {
                bool wanted = false;

                for (unsigned i = 0; i < N_RULES; i++) {
                        const struct match_rule *r = m->rules[i].rule;
                        struct body_args args;

                        message_args(&msg, &args);
                        wanted |= r && m->rules[i].owner == k && match_rule_fits(r, &msg, &args) &&
                                  !match_rule_get(r, MATCH_DESTINATION) &&
                                  is_from(match_rule_get(r, MATCH_SENDER), sender);
                }
                CHECK_EQ_INT(m->found[k], wanted); /* once, however many rules of it fit */
                n += wanted;
        }
        return n;
}

static void test_model(void) {
        static struct model m;
        unsigned n = 0, n_signals = 0;
        uint32_t answer;

        m = (struct model){.random = 1};
        bus_init(&m.bus, ROUTER_STANDALONE);
        CHECK_EQ_INT(name_request(&m.bus.router, m.bus.c[1], "own.one", 0, &answer), 0);
        CHECK_EQ_INT(name_request(&m.bus.router, m.bus.c[2], "own.two", 0, &answer), 0);
        CHECK_EQ_INT(name_request(&m.bus.router, m.bus.c[3], "own.two", 0, &answer), 0);
        CHECK_EQ_INT(answer, NAME_IN_QUEUE); /* who waits for a name does not send for it */
        for (unsigned round = 0; round < 10000; round++) {
                unsigned i = bus_random(&m.random, N_RULES);

                if (m.rules[i].rule)
                        remove_rule(&m, i);
                else if (round % 4) /* few rules at times, so that most signals find nobody */
                        add_rule(&m, i);
                n += check_signal(&m);
                n_signals += BUS_CLIENTS;
        }
        CHECK(n > n_signals / 10 && n < n_signals * 9 / 10); /* the test decides something */
        for (unsigned k = 0; k < BUS_CLIENTS; k++)
                match_remove_all(&m.bus.router, m.bus.c[k]);
        for (unsigned i = 0; i < N_RULES; i++)
                m.rules[i].rule = match_rule_free(m.rules[i].rule);
        CHECK_EQ_INT(check_signal(&m), 0);
        CHECK_EQ_INT(m.bus.router.matches.n, 0);
        CHECK_EQ_INT(m.bus.router.matches.n_used, 0);
        for (unsigned f = 0; f < MATCH_N_FORMS; f++)
                CHECK_EQ_INT(m.bus.router.matches.n_rules[f], 0);
        bus_done(&m.bus);
}

/* --- what a signal meets --------------------------------------------------------------------- */

#define I_M "interface='t.n7',member='n7'"

/* Rules that differ in a number: the signal below fits the one with 7. */
static const struct {
        const char *before, *after;
} flat[] = {
        {"path='/p/n", "/x'"},
        {"interface='t.n", "'"},
        {"member='n", "'"},
        {"sender='own.n", "'"},
        {"arg0='k.n", "'"},
        {"arg1='n", "'"},
        {"arg2='n", "'"},
        {"arg0namespace='k.n", "'"},
        {"path_namespace='/p/n", "'"},
        {"sender='own.n", "'," I_M}, /* GDBus's and sd-bus's without a path */
        {"sender='own.n7',path='/p/n", "/x'," I_M},
        {"sender=':1.2',path_namespace='/p/n", "'"},
        {"arg0namespace='k.n", "'," I_M},
        {"path_namespace='/p/n", "'," I_M},
        {"path='/p/n7/x',arg1='n", "'," I_M},
        {"sender='own.n7',arg0='k.n7',arg1='n7',arg2='n", "'," I_M},
};

static void number_seven(struct wire *w, struct message *ret) {
        struct wire body = {0};

        wire_string(&body, "k.n7");
        wire_string(&body, "n7");
        wire_string(&body, "n7");
        wire_begin(w, false, MESSAGE_SIGNAL, 0);
        wire_text(w, MESSAGE_FIELD_PATH, "o", "/p/n7/x");
        wire_text(w, MESSAGE_FIELD_INTERFACE, "s", "t.n7");
        wire_text(w, MESSAGE_FIELD_MEMBER, "s", "n7");
        wire_text(w, MESSAGE_FIELD_SIGNATURE, "g", "sss");
        wire_end(w, body.b, body.n);
        CHECK_EQ_INT(message_parse(w->b, w->n, ret), 0);
}

/* Of so many rules a signal meets the one that fits it. */
static void test_flat(void) {
        static struct model m;
        struct router *r = &m.bus.router;
        struct message msg;
        struct wire w;
        uint32_t answer;

        bus_init(&m.bus, ROUTER_STANDALONE);
        CHECK_EQ_INT(name_request(r, m.bus.c[1], "own.n7", 0, &answer), 0);
        number_seven(&w, &msg);
        for (size_t f = 0; f < ELEMENTSOF(flat); f++) {
                for (unsigned i = 0; i < LIMIT_MATCHES; i++) {
                        char text[256];

                        (void)snprintf(text, sizeof(text), "%s%u%s", flat[f].before, i,
                                       flat[f].after);
                        CHECK_EQ_INT(match_add(r, m.bus.c[0], parse(text)), 0);
                }
                m.found[0] = 0;
                r->work = 0;
                match_each(r, m.bus.c[1], &msg, on_found, &m);
                CHECK_EQ_INT(m.found[0], 1);
                if (r->work > 3) /* one rule, one receiver, some places */
                        printf("# %s: %u\n", flat[f].before, r->work);
                CHECK(r->work == 2 || r->work == 3);
                match_remove_all(r, m.bus.c[0]);
        }
        bus_leave(&m.bus, 1);
        bus_done(&m.bus);
}

/* What it meets for nothing is counted: rules that are all the same, and their arguments. */
static void test_work(void) {
        static struct model m;
        struct router *r = &m.bus.router;
        char text[LIMIT_MATCH_RULE_BYTES] = "arg0path='/q'";
        struct message msg;
        struct wire w;
        uint32_t answer;

        bus_init(&m.bus, ROUTER_STANDALONE);
        number_seven(&w, &msg);
        for (unsigned i = 0; i < 100; i++)
                CHECK_EQ_INT(match_add(r, m.bus.c[0], parse(text)), 0);
        r->work = 0;
        match_each(r, m.bus.c[1], &msg, on_found, &m);
        CHECK_EQ_INT(r->work, 100);
        for (unsigned i = 3; i < 3 + 2 * LIMIT_TURN_ARGS; i++)
                (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), ",arg%u=x", i);
        CHECK_EQ_INT(match_add(r, m.bus.c[0], parse(text)), 0);
        r->work = 0;
        match_each(r, m.bus.c[1], &msg, on_found, &m);
        CHECK_EQ_INT(r->work, 100 + 1 + 2);
        match_remove_all(r, m.bus.c[0]);
        /* And places where no rule is. */
        for (unsigned i = 0; i < LIMIT_NAMES; i++) {
                (void)snprintf(text, sizeof(text), "own.n%u", i);
                CHECK_EQ_INT(name_request(r, m.bus.c[1], text, 0, &answer), 0);
        }
        CHECK_EQ_INT(match_add(r, m.bus.c[0], parse("sender='not.owned'")), 0);
        r->work = 0;
        match_each(r, m.bus.c[1], &msg, on_found, &m);
        CHECK_EQ_INT(r->work, (LIMIT_NAMES + 1) / LIMIT_TURN_CHAINS);
        /* Of two namespaces one is looked for. */
        CHECK_EQ_INT(match_add(r, m.bus.c[0],
                               parse("sender='not.owned',arg0namespace='zz',path_namespace='/zz'")),
                     0);
        r->work = 0;
        match_each(r, m.bus.c[1], &msg, on_found, &m);
        CHECK_EQ_INT(r->work, 3 * (LIMIT_NAMES + 1) / LIMIT_TURN_CHAINS); /* "k", "k.n7" */
        bus_leave(&m.bus, 0);
        bus_leave(&m.bus, 1);
        bus_done(&m.bus);
}

/* A rule with a name is about whoever owns it now. */
static void test_new_owner(void) {
        static struct model m;
        struct router *r = &m.bus.router;
        struct message msg;
        struct wire w;
        uint32_t answer;

        bus_init(&m.bus, ROUTER_STANDALONE);
        number_seven(&w, &msg);
        CHECK_EQ_INT(match_add(r, m.bus.c[0], parse("sender='own.one'," I_M)), 0);
        for (unsigned owner = 1; owner < BUS_CLIENTS; owner++) {
                CHECK_EQ_INT(name_request(r, m.bus.c[owner], "own.one", 0, &answer), 0);
                CHECK_EQ_INT(answer, NAME_PRIMARY_OWNER);
                for (unsigned i = 1; i < BUS_CLIENTS; i++) {
                        m.found[0] = 0;
                        match_each(r, m.bus.c[i], &msg, on_found, &m);
                        CHECK_EQ_INT(m.found[0], i == owner);
                }
                CHECK_EQ_INT(name_release(r, m.bus.c[owner], "own.one", &answer), 0);
        }
        match_remove_all(r, m.bus.c[0]);
        bus_done(&m.bus);
}

static void test_limit(void) {
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        for (unsigned i = 0; i < LIMIT_MATCHES; i++) /* the same one again counts again */
                CHECK_EQ_INT(match_add(&b.router, b.c[0], parse("member='M'")), 0);
        CHECK_EQ_INT(match_add(&b.router, b.c[0], parse("member='M'")), MATCH_E_LIMIT);
        CHECK_EQ_INT(match_add(&b.router, b.c[1], parse("member='M'")), 0);
        _cleanup_(match_rule_freep) struct match_rule *same = parse(" member =M");
        _cleanup_(match_rule_freep) struct match_rule *other = parse("member='N'");
        _cleanup_(match_rule_freep) struct match_rule *all = parse("");
        CHECK_EQ_INT(match_remove(&b.router, b.c[0], same), 0);
        CHECK_EQ_INT(match_add(&b.router, b.c[0], parse("")), 0);
        CHECK_EQ_INT(match_remove(&b.router, b.c[0], other), MATCH_E_NOT_FOUND);
        CHECK_EQ_INT(match_remove(&b.router, b.c[1], all), MATCH_E_NOT_FOUND); /* another's */
        CHECK_EQ_INT(match_remove(&b.router, b.c[1], same), 0);
        CHECK_EQ_INT(match_remove(&b.router, b.c[1], same), MATCH_E_NOT_FOUND);
        CHECK_EQ_INT(match_remove(&b.router, b.c[0], all), 0);
        match_remove_all(&b.router, b.c[0]);
        CHECK_EQ_INT(b.c[0]->n_matches, 0);
        bus_done(&b);
}

#define N_GREEDY (LIMIT_MATCHES_BUS / LIMIT_MATCHES)

/* Some use the bus's rules up: who comes then still gets its few. */
static void test_bus_limit(void) {
        struct connection *greedy[N_GREEDY], *c;
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        c = b.c[0];
        for (unsigned k = 0; k < N_GREEDY; k++) {
                CHECK_EQ_INT(connection_new(&b.router, dup(b.ends[1]), &greedy[k]), 0);
                router_register(&b.router, greedy[k]);
                for (unsigned i = 0; i < LIMIT_MATCHES; i++)
                        CHECK_EQ_INT(match_add(&b.router, greedy[k], parse("member='M'")), 0);
        }
        CHECK_EQ_INT(b.router.matches.n, LIMIT_MATCHES_BUS);
        for (unsigned i = 0; i < LIMIT_MATCHES_SURE; i++)
                CHECK_EQ_INT(match_add(&b.router, c, parse("member='M'")), 0);
        CHECK_EQ_INT(match_add(&b.router, c, parse("member='M'")), MATCH_E_BUS_LIMIT);
        match_remove_all(&b.router, greedy[0]);
        CHECK_EQ_INT(match_add(&b.router, c, parse("member='M'")), 0);
        for (unsigned k = 0; k < N_GREEDY; k++)
                match_remove_all(&b.router, greedy[k]);
        match_remove_all(&b.router, c);
        CHECK_EQ_INT(b.router.matches.n, 0);
        bus_done(&b);
}

/* --- who watches ----------------------------------------------------------------------------- */

/* A signal from client 0 (":1.1"), as it is in the rules below. */
static struct message signal_to(const char *destination) {
        struct message m = {
                .type = MESSAGE_SIGNAL,
                .path = {"/a", 2},
                .interface = {"a.b", 3},
                .member = {"M", 1},
                .signature = {"", 0},
        };

        if (destination)
                m.destination = (struct message_string){destination, (uint32_t)strlen(destination)};
        return m;
}

static const struct {
        const char *rule, *destination;
        bool monitor, eavesdropper; /* whether it is seen by client 2, if that is one */
} watching[] = {
        {"member='M'", ":1.2", true, false}, /* no eavesdrop='true' */
        {"eavesdrop='true',member='M'", ":1.2", true, true},
        {"eavesdrop='false',member='M'", ":1.2", true, false},
        {"eavesdrop='true',member='N'", ":1.2", false, false},
        {"eavesdrop='true',sender=':1.1'", ":1.2", true, true},
        {"eavesdrop='true',sender=':1.2'", ":1.2", false, false},
        {"eavesdrop='true',sender='own.one'", ":1.2", true, true},
        {"eavesdrop='true',destination=':1.2'", "own.two", true, true},
        {"eavesdrop='true',destination='own.two'", ":1.2", true, true},
        {"eavesdrop='true',destination='own.one'", ":1.2", false, false},
        {"eavesdrop='true',destination='not.owned'", "not.owned", true, true},
        {"eavesdrop='true',destination='org.freedesktop.DBus'", "org.freedesktop.DBus", true, true},
        {"eavesdrop='true'", NULL, true, false},   /* what is for all comes by the index */
        {"eavesdrop='true'", ":1.3", true, false}, /* it is the receiver */
};

static void test_watching(void) {
        uint32_t answer;
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        struct connection *c = b.c[2];
        CHECK_EQ_INT(name_request(&b.router, b.c[0], "own.one", 0, &answer), 0);
        CHECK_EQ_INT(name_request(&b.router, b.c[1], "own.two", 0, &answer), 0);
        for (size_t i = 0; i < ELEMENTSOF(watching); i++) {
                const char *to = watching[i].destination;
                struct message m = signal_to(to);
                struct connection *receiver = to ? router_lookup(&b.router, to, strlen(to)) : NULL;

                CHECK_EQ_INT(match_add(&b.router, c, parse(watching[i].rule)), 0);
                c->is_monitor = true;
                CHECK_EQ_INT(match_watches(&b.router, c, b.c[0], receiver, &m),
                             watching[i].monitor);
                c->is_monitor = false;
                CHECK_EQ_INT(match_watches(&b.router, c, b.c[0], receiver, &m),
                             watching[i].eavesdropper);
                match_remove_all(&b.router, c);
        }
        c->is_monitor = true; /* without a rule: everything */
        struct message any = signal_to("not.owned");
        CHECK(match_watches(&b.router, c, NULL, NULL, &any));
        c->is_monitor = false;
        bus_leave(&b, 0);
        bus_leave(&b, 1);
        bus_done(&b);
}

/* A rule makes a watcher of who came by a debug socket, as long as it has one. */
static void test_watchers(void) {
        struct match_rule *rule;
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        CHECK_EQ_INT(match_add(&b.router, b.c[0], parse("eavesdrop='true'")), 0);
        CHECK(list_empty(&b.router.watchers));
        b.c[1]->may_debug = true;
        CHECK_EQ_INT(match_add(&b.router, b.c[1], parse("eavesdrop='false'")), 0);
        CHECK(list_empty(&b.router.watchers));
        for (unsigned i = 0; i < 2; i++)
                CHECK_EQ_INT(match_add(&b.router, b.c[1], parse("eavesdrop='true'")), 0);
        rule = parse("eavesdrop='true'");
        for (unsigned left = 2; left > 0; left--) {
                CHECK(!list_empty(&b.router.watchers));
                CHECK_EQ_INT(match_remove(&b.router, b.c[1], rule), 0);
        }
        CHECK(list_empty(&b.router.watchers));
        match_rule_free(rule);
        bus_leave(&b, 0);
        bus_leave(&b, 1);
        bus_done(&b);
}

TEST_MAIN({"the index agrees with a walk over all rules", test_model},
          {"a signal meets the rules that fit it", test_flat},
          {"what it meets for nothing is counted", test_work},
          {"a name's new owner is the sender", test_new_owner}, {"limit and removal", test_limit},
          {"limit of the bus", test_bus_limit},
          {"what a monitor and an eavesdropper see", test_watching}, {"who watches", test_watchers})
