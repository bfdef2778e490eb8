/* SPDX-License-Identifier: MIT */
/*
 * One client of a bus: its socket, the messages that it has read, and those that wait
 * to be sent.  As cheap as it can be, because it shares the machine with the bus.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/template.h"

#define STREAM_QUEUE 128u        /* messages that wait to be sent */
#define STREAM_SMALL (16u << 10) /* read buffers */
#define STREAM_LARGE (1u << 20)

/* What a stream is to the relay, which knows no names; it says the byte again, but for an echo. */
enum role {
        ROLE_CALLER = 'a', /* gets what the next callee sends, and the other way round */
        ROLE_CALLEE = 'b',
        ROLE_ECHO = 'e', /* gets back what it sends */
        ROLE_EMITTER = 'p',
        ROLE_SUBSCRIBER = 's',
};

/* Where the bus is and how we talk to it. */
struct target {
        const char *address; /* unix:path=PATH or vsock:CID:PORT */
        bool is_relay;       /* the bare relay: no authentication, no driver */
        bool stepwise;       /* wait for each answer of the authentication, as libdbus does */
        bool one_by_one;     /* one send per message, as all D-Bus libraries do */
};

struct incoming {
        uint8_t type;
        uint32_t serial, n_header, n_body;
        const uint8_t *header; /* the body is behind it only when the whole message is there */
};

struct stream {
        int fd;
        const struct target *target;
        char name[32];
        uint32_t serial; /* of the last message that was sent or queued */
        uint32_t answered; /* the call that stream_count_answer() saw last */

        uint8_t *in;
        size_t cap, head, tail;
        size_t n_skip; /* bytes of a large body that are still to be read, and dropped */
        struct incoming skipped;
        uint8_t skipped_header[512];

        struct {
                const struct template *t;
                uint8_t header[TEMPLATE_HEADER];
        } * queue;
        unsigned first, n_queued;
        size_t n_sent; /* bytes of the first that have left */

        uint64_t n; /* the user's: messages that counted */
        void (*on_message)(struct stream *s, const struct incoming *m);
        void *self;
};

/* Connects, authenticates and says Hello; cap bytes of read buffer.  Ends the process on failure.
 */
void stream_open(struct stream *s, const struct target *target, enum role role, size_t cap);
void stream_close(struct stream *s);

/* Blocking: sends t; the next whole message; the answer to serial, which must be no error. */
void stream_send(struct stream *s, struct template *t);
void stream_next(struct stream *s, struct incoming *ret);
void stream_answer(struct stream *s, uint32_t serial, struct incoming *ret);
/* A call to the bus and its answer. */
void stream_ask(struct stream *s, const char *member, const char *text, long number,
                struct incoming *ret);

/* A text field of m's header, or NULL; ret_number (NULL: none) is for numbers. */
const char *incoming_field(const struct incoming *m, uint8_t code, uint32_t *ret_number);
/* Ends the process if m is an error. */
void incoming_check(const struct incoming *m);
/* Counts m if it is an answer, which must be the next call's after s->answered. */
void stream_count_answer(struct stream *s, const struct incoming *m);

/* Not blocking. */
static inline bool stream_has_room(const struct stream *s) {
        return s->n_queued < STREAM_QUEUE;
}
void stream_queue(struct stream *s, const struct template *t, uint32_t reply_serial);
/* Whether anything moved. */
bool stream_flush(struct stream *s);
/* One read, and on_message for each message that it completes. */
bool stream_pump(struct stream *s);
/* Until one of them (b may be a) can be read or written; at most some seconds. */
void stream_wait(const struct stream *a, const struct stream *b);
