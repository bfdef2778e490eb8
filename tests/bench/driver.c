/* SPDX-License-Identifier: MIT */
/* What the bus itself answers, and new connections. */
#include "tests/bench/fail.h"
#include "tests/bench/workload.h"

static void on_answer(struct stream *s, const struct incoming *m) {
        incoming_check(m);
        s->n += m->type == TEMPLATE_RETURN;
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

/* Methods that need an argument are asked about the caller itself. */
static const char *argument(const struct stream *s, const char *method) {
        static const char *const without[] = {"GetId", "ListNames"};

        for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
                if (strcmp(method, without[i]) == 0)
                        return NULL;
        return s->target->is_relay ? ":1.1" : s->name;
}

void work_driver(const struct bench *b, const char *method, const char *window) {
        unsigned n_window = number(window);
        struct stream s;
        struct template t;
        struct span span;
        char row[64];
        uint64_t n;

        stream_open(&s, &b->target, ROLE_ECHO, STREAM_LARGE);
        s.on_message = b->target.is_relay ? on_echo : on_answer;
        template_driver(&t, method, argument(&s, method), -1);
        span = span_begin(b);
        n = n_window == 1 ? run_one(&s, &t, &span) : run(&s, &t, &span, n_window);
        (void)snprintf(row, sizeof(row), "driver:%s:%u", method, n_window);
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
