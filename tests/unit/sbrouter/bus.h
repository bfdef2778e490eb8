/* SPDX-License-Identifier: MIT */
/*
 * A router with clients that are past Hello, without its event loop: what the
 * indexes (names, match rules, pending replies) are tested in.
 */
#pragma once

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "sbrouter/name.h"
#include "sbrouter/reply.h"
#include "sbrouter/router.h"

#define BUS_CLIENTS 6u

struct bus {
        struct router router;
        struct connection *c[BUS_CLIENTS];
        int ends[BUS_CLIENTS]; /* the clients' ends of the streams */
};

static inline void bus_init(struct bus *b, enum router_bus kind) {
        int v = router_init(&b->router);

        assert(v == 0);
        router_configure(&b->router, kind, (const uint8_t *)"0123456789abcdef");
        for (unsigned i = 0; i < BUS_CLIENTS; i++) {
                int p[2];

                v = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p);
                assert(v == 0);
                v = connection_new(&b->router, p[0], &b->c[i]);
                assert(v == 0);
                b->ends[i] = p[1];
                router_register(&b->router, b->c[i]);
        }
}

/* Client i leaves as it does in a turn of the router, and others may hear of it. */
static inline void bus_leave(struct bus *b, unsigned i) {
        int v;

        match_remove_all(&b->router, b->c[i]);
        v = name_release_all(&b->router, b->c[i]);
        assert(v == 0);
        v = reply_remove_all(&b->router, b->c[i]);
        assert(v == 0);
}

/* Throws away what was queued for the clients. */
static inline void bus_hush(struct bus *b) {
        for (unsigned i = 0; i < BUS_CLIENTS; i++) {
                queue_done(&b->c[i]->out, &b->router.pool);
                list_remove(&b->c[i]->dirty);
        }
}

static inline void bus_done(struct bus *b) {
        router_done(&b->router);
        for (unsigned i = 0; i < BUS_CLIENTS; i++)
                close(b->ends[i]);
}

/* What client i was told since the last time: "NameLost(a.b) NameAcquired(c.d) ". */
static inline void bus_heard(struct bus *b, unsigned i, char *ret, size_t size) {
        static uint8_t buf[65536];
        int v = connection_flush(b->c[i]);
        ssize_t n = recv(b->ends[i], buf, sizeof(buf), MSG_DONTWAIT);

        assert(v == 0);
        ret[0] = 0;
        for (size_t at = 0; n > 0 && at < (size_t)n;) {
                struct body_args args;
                struct message m;
                size_t used = strlen(ret);

                v = message_parse(buf + at, (size_t)n - at, &m);
                assert(v == 0 && message_check_body(&m) == 0);
                message_args(&m, &args);
                used += (size_t)snprintf(ret + used, size - used, "%s(", m.member.s);
                for (unsigned k = 0; body_args_get(&args, k)->s && used < size; k++)
                        used += (size_t)snprintf(ret + used, size - used, "%s%s", k ? "," : "",
                                                 body_args_get(&args, k)->s);
                assert(used < size);
                (void)snprintf(ret + used, size - used, ") ");
                at += m.frame.n;
        }
}

/* The same numbers in every run. */
static inline unsigned bus_random(unsigned *state, unsigned below) {
        *state = *state * 1103515245u + 12345u;
        return (*state >> 12) % below;
}
