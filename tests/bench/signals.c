/* SPDX-License-Identifier: MIT */
/* Signals: to many receivers, and past many rules. */
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/workload.h"

#define INTERFACE     "org.bench.Signal"
#define MEMBER        "Tick"
#define SIGNAL_BYTES  60u
#define OWNERS        10u /* of the rules: a connection may not have them all */
#define IN_FLIGHT     16u
#define RULES_AT_ONCE 64u
#define FEW_RULES     1000u /* from here on adding them is measured, too */

/* What arrived, of all receivers. */
struct arrivals {
        uint64_t n;
        uint32_t n_body; /* of the signal: the bus sends others, too */
};

static void on_signal(struct stream *s, const struct incoming *m) {
        struct arrivals *a = s->self;

        if (m->type == TEMPLATE_SIGNAL && m->n_body == a->n_body) {
                s->n++;
                a->n++;
        }
}

static void on_nothing(struct stream *s, const struct incoming *m) {
        (void)s;
        incoming_check(m);
}

/* --- fan-out --------------------------------------------------------------------------------- */

struct crowd {
        struct stream *streams;
        unsigned n;
        int epoll_fd;
        struct arrivals arrivals;
};

static void crowd_open(struct crowd *c, const struct bench *b, unsigned n) {
        c->streams = calloc(n, sizeof(*c->streams));
        c->n = n;
        c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (!c->streams || c->epoll_fd < 0)
                fail("cannot make %u receivers", n);
        for (unsigned i = 0; i < n; i++) {
                struct stream *s = &c->streams[i];
                struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};
                struct incoming m;

                stream_open(s, &b->target, ROLE_SUBSCRIBER, STREAM_SMALL);
                s->on_message = on_signal;
                s->self = &c->arrivals;
                if (!b->target.is_relay)
                        stream_ask(s, "AddMatch",
                                   "type='signal',interface='" INTERFACE "',member='" MEMBER "'",
                                   -1, &m);
                if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) < 0)
                        fail("epoll_ctl");
        }
}

static void crowd_close(struct crowd *c) {
        for (unsigned i = 0; i < c->n; i++)
                stream_close(&c->streams[i]);
        free(c->streams);
        (void)close(c->epoll_fd);
}

static void crowd_read(struct crowd *c) {
        struct epoll_event events[256];
        int n = epoll_wait(c->epoll_fd, events, 256, 10000);

        errno = 0;
        if (n <= 0)
                fail("no signal arrives: %lu did", (unsigned long)c->arrivals.n);
        for (int i = 0; i < n; i++)
                (void)stream_pump(events[i].data.ptr);
}

void work_fanout(const struct bench *b, const char *receivers, const char *second) {
        unsigned n = number(receivers), window = n <= 10 ? IN_FLIGHT : IN_FLIGHT / 4;
        struct words w = {
                .type = TEMPLATE_SIGNAL,
                .path = "/org/bench",
                .interface = INTERFACE,
                .member = MEMBER,
                .signature = "ay",
        };
        struct crowd crowd = {0};
        struct stream emitter;
        struct template t;
        struct span span;
        uint64_t sent = 0;
        char row[64];
        uint8_t *body = body_bytes(SIGNAL_BYTES, &crowd.arrivals.n_body);

        (void)second;
        stream_open(&emitter, &b->target, ROLE_EMITTER, STREAM_SMALL);
        emitter.on_message = on_nothing;
        crowd_open(&crowd, b, n);
        template_init(&t, &w, body, crowd.arrivals.n_body);
        crowd.arrivals.n = 0;
        span = span_begin(b);
        for (;;) {
                bool over = span_is_over(&span);

                if (over && crowd.arrivals.n == sent * n)
                        break;
                while (!over && sent * n - crowd.arrivals.n < (uint64_t)n * window &&
                       stream_has_room(&emitter)) {
                        stream_queue(&emitter, &t, 0);
                        sent++;
                }
                (void)stream_flush(&emitter);
                if (crowd.arrivals.n < sent * n)
                        crowd_read(&crowd);
        }
        (void)snprintf(row, sizeof(row), "fanout:%u", n);
        span_report(&span, row, crowd.arrivals.n);
        crowd_close(&crowd);
        stream_close(&emitter);
        template_done(&t);
}

/* --- one rule of many ------------------------------------------------------------------------ */

#define ONE_INTERFACE "interface='" INTERFACE "',member='" MEMBER "'"

/* Rule i of a kind has i in place of the gap; some say who sends the signal, too. */
static const struct {
        const char *kind;
        bool from_emitter;
        const char *before, *after;
} rule_kinds[] = {
        {"interface", false, "interface='org.bench.I", "'"},
        {"path", false, "path='/org/bench/p", "'"},
        {"arg0", false, ONE_INTERFACE ",arg0='org.bench.a.key.number", "'"},
        /* What GDBus and sd-bus install for a proxy, and for whatever has no path. */
        {"full", true, "path='/org/bench/p", "'," ONE_INTERFACE},
        {"sender", false, "sender='org.bench.S", "'," ONE_INTERFACE},
        {"arg0namespace", false, ONE_INTERFACE ",arg0namespace='org.bench.N", "'"},
        {"path_namespace", false, ONE_INTERFACE ",path_namespace='/org/bench/p", "'"},
        {"arg1", true, "path='/org/bench'," ONE_INTERFACE ",arg1='org.bench.a.key.number", "'"},
};

void format_rule(char out[RULE_BYTES], const char *kind, const char *sender, unsigned i) {
        size_t k = 0;

        while (strcmp(rule_kinds[k].kind, kind) != 0)
                if (++k == sizeof(rule_kinds) / sizeof(rule_kinds[0]))
                        fail("no such kind of rule: %s", kind);
        (void)snprintf(out, RULE_BYTES, "type='signal',%s%s%s%s%u%s",
                       rule_kinds[k].from_emitter ? "sender='" : "",
                       rule_kinds[k].from_emitter ? sender : "",
                       rule_kinds[k].from_emitter ? "'," : "", rule_kinds[k].before, i,
                       rule_kinds[k].after);
}

void add_rules(struct stream *s, const char *kind, const char *sender, unsigned first,
               unsigned last) {
        unsigned asked = first, answered = first;

        while (answered < last) {
                struct incoming m;

                for (; asked < last && asked - answered < RULES_AT_ONCE; asked++) {
                        struct template t;
                        char rule[RULE_BYTES];

                        format_rule(rule, kind, sender, asked);
                        template_driver(&t, "AddMatch", rule, -1);
                        stream_send(s, &t);
                        template_done(&t);
                }
                stream_next(s, &m);
                incoming_check(&m);
                answered += m.type == TEMPLATE_RETURN;
        }
}

/* For the kind whose rules name a sender. */
static void own_name(struct stream *emitter, unsigned i) {
        char name[64];
        struct incoming m;

        (void)snprintf(name, sizeof(name), "org.bench.S%u", i);
        stream_ask(emitter, "RequestName", name, 0, &m);
}

/* The signal that rule i of the kind, and no other, fits. */
static void signal_for(struct template *t, const char *kind, unsigned i) {
        char path[64] = "/org/bench", interface[64] = INTERFACE, arg0[64] = "org.bench.nobodys.key",
             arg1[64] = "";
        struct words w = {
                .type = TEMPLATE_SIGNAL,
                .path = path,
                .interface = interface,
                .member = MEMBER,
                .signature = "s",
        };
        uint32_t n;
        uint8_t *body;

        if (strcmp(kind, "interface") == 0)
                (void)snprintf(interface, sizeof(interface), "org.bench.I%u", i);
        else if (strcmp(kind, "arg0") == 0)
                (void)snprintf(arg0, sizeof(arg0), "org.bench.a.key.number%u", i);
        else if (strcmp(kind, "arg1") == 0)
                (void)snprintf(arg1, sizeof(arg1), "org.bench.a.key.number%u", i);
        else if (strcmp(kind, "arg0namespace") == 0)
                (void)snprintf(arg0, sizeof(arg0), "org.bench.N%u.key", i);
        else if (strcmp(kind, "sender") != 0) /* work_match() makes it the name's owner */
                (void)snprintf(path, sizeof(path), "/org/bench/p%u", i);
        if (strcmp(kind, "arg1") == 0) {
                w.signature = "ss";
                body = body_texts("org.bench.a.key", arg1, &n);
        } else {
                body = body_text(arg0, &n);
        }
        template_init(t, &w, body, n);
}

static uint64_t run(struct stream *emitter, struct stream *receiver, const struct template *t,
                    const struct span *span) {
        uint64_t start = receiver->n, sent = 0;

        for (;;) {
                uint64_t done = receiver->n - start;
                bool over = span_is_over(span), moved;

                if (over && done == sent)
                        return done;
                while (!over && sent - done < IN_FLIGHT && stream_has_room(emitter)) {
                        stream_queue(emitter, t, 0);
                        sent++;
                }
                moved = stream_flush(emitter);
                moved |= stream_pump(receiver);
                if (!moved)
                        stream_wait(emitter, receiver);
        }
}

void work_match(const struct bench *b, const char *kind, const char *rules) {
        unsigned n_rules = number(rules), wanted = n_rules / 2;
        struct stream owners[OWNERS], emitter;
        struct arrivals arrivals;
        struct template t;
        struct span span;
        char row[64];

        stream_open(&emitter, &b->target, ROLE_EMITTER, STREAM_SMALL);
        emitter.on_message = on_nothing;
        if (strcmp(kind, "sender") == 0)
                own_name(&emitter, wanted);
        signal_for(&t, kind, wanted);
        arrivals = (struct arrivals){.n_body = t.n_body};
        span = span_begin(b);
        for (unsigned i = 0; i < OWNERS; i++) {
                stream_open(&owners[i], &b->target, ROLE_SUBSCRIBER, STREAM_LARGE);
                owners[i].on_message = on_signal;
                owners[i].self = &arrivals;
                add_rules(&owners[i], kind, emitter.name, n_rules / OWNERS * i,
                          n_rules / OWNERS * (i + 1));
        }
        (void)snprintf(row, sizeof(row), "add-match:%s:%u", kind, n_rules);
        if (n_rules >= FEW_RULES)
                span_report(&span, row, n_rules);
        span = span_begin(b);
        (void)snprintf(row, sizeof(row), "match:%s:%u", kind, n_rules);
        span_report(&span, row, run(&emitter, &owners[wanted / (n_rules / OWNERS)], &t, &span));
        for (unsigned i = 0; i < OWNERS; i++)
                stream_close(&owners[i]);
        stream_close(&emitter);
        template_done(&t);
}
