/* SPDX-License-Identifier: MIT */
/* What the bus itself answers, and new connections. */
#include "tests/bench/fail.h"
#include "tests/bench/workload.h"

/* What is not about the caller itself, and what is answered by an error. */
static const struct question {
        const char *key, *method, *text;
        long number; /* -1: none */
        bool fails;
} questions[] = {
        {"GetId", "GetId", NULL, -1, false},
        {"ListNames", "ListNames", NULL, -1, false},
        {"RequestName", "RequestName", "org.bench.Own", 0, false}, /* it is the owner already */
        {"ReleaseName", "ReleaseName", "org.bench.None", -1, false},
        {"NameHasOwner-none", "NameHasOwner", "org.bench.None", -1, false},
        {"GetNameOwner-none", "GetNameOwner", "org.bench.None", -1, true},
        {"AddMatch-wrong", "AddMatch", "type='none'", -1, true},
};

static void on_answer(struct stream *s, const struct incoming *m) {
        incoming_check(m);
        stream_count_answer(s, m);
}

static void on_error(struct stream *s, const struct incoming *m) {
        if (m->type == TEMPLATE_RETURN)
                fail("what is wrong was answered without an error");
        stream_count_answer(s, m);
}

/* The relay sends back what it gets, so that is what has to count. */
static void on_echo(struct stream *s, const struct incoming *m) {
        s->n += m->type == TEMPLATE_CALL;
}

static uint64_t run_one(struct stream *s, struct template *t, const struct span *span) {
        uint64_t n = 0;

        for (; !span_is_over(span); n++) {
                struct incoming m;

                stream_send(s, t);
                if (s->target->is_relay)
                        stream_next(s, &m);
                else
                        stream_answer(s, s->serial, &m);
        }
        return n;
}

static uint64_t run(struct stream *s, const struct template *t, const struct span *span,
                    unsigned window) {
        uint64_t start = s->n, sent = 0;

        s->answered = s->serial;
        for (;;) {
                uint64_t done = s->n - start;
                bool over = span_is_over(span), moved;

                if (over && done == sent)
                        return done;
                while (!over && sent - done < window && stream_has_room(s)) {
                        stream_queue(s, t, 0);
                        sent++;
                }
                moved = stream_flush(s);
                moved |= stream_pump(s);
                if (!moved)
                        stream_wait(s, s);
        }
}

static struct question find_question(const struct stream *s, const char *key) {
        for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
                if (strcmp(questions[i].key, key) == 0)
                        return questions[i];
        return (struct question){key, key, s->target->is_relay ? ":1.1" : s->name, -1, false};
}

void work_driver(const struct bench *b, const char *key, const char *window) {
        struct question q;
        unsigned n_window = number(window);
        struct stream s;
        struct template t;
        struct span span;
        char row[64];
        uint64_t n;

        stream_open(&s, &b->target, ROLE_ECHO, STREAM_LARGE);
        q = find_question(&s, key);
        s.on_message = b->target.is_relay ? on_echo : q.fails ? on_error : on_answer;
        template_driver(&t, q.method, q.text, q.number);
        span = span_begin(b);
        n = n_window == 1 ? run_one(&s, &t, &span) : run(&s, &t, &span, n_window);
        (void)snprintf(row, sizeof(row), "driver:%s:%u", key, n_window);
        span_report(&span, row, n);
        template_done(&t);
        stream_close(&s);
}

/* Of the relay: a connection and one message there and back. */
static void relay_hello(struct stream *s) {
        struct template t;
        struct incoming m;

        template_driver(&t, "Hello", NULL, -1);
        stream_send(s, &t);
        stream_next(s, &m);
}

void work_connect(const struct bench *b, const char *first, const char *second) {
        struct span span = span_begin(b);
        uint64_t n = 0;

        (void)first, (void)second;
        for (; !span_is_over(&span); n++) {
                struct stream s;

                stream_open(&s, &b->target, ROLE_ECHO, STREAM_SMALL);
                if (b->target.is_relay)
                        relay_hello(&s);
                stream_close(&s);
        }
        span_report(&span, b->target.stepwise ? "connect:stepwise" : "connect", n);
}
