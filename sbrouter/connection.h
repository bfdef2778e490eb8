/* SPDX-License-Identifier: MIT */
/*
 * One client of the bus: its stream, how far it got (greeting, SASL, Hello), what
 * of an unfinished message was read, what waits to be written, and everything that
 * it owns on the bus and that therefore goes when it goes.
 *
 * A connection ends in steps.  connection_close() may be called from anywhere: the
 * connection is dead, nothing is read from or queued for it any more.  At the end of
 * the turn its stream is closed and its buffers are released; it is taken off the bus
 * name by name, in as many turns as that takes, one name of each that ends at a time, and
 * then released itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "sbrouter/credentials.h"
#include "sbrouter/list.h"
#include "sbrouter/loop.h"
#include "sbrouter/queue.h"
#include "sbrouter/sasl.h"
#include "sbrouter/table.h"

struct listener;
struct router;

enum connection_stage {
        CONNECTION_GREETING, /* a SIDEBUS/1 line or a NUL byte */
        CONNECTION_SASL,
        CONNECTION_MESSAGES,
        CONNECTION_N_STAGES
};

enum {
        CONNECTION_E_FULL = 1, /* LIMIT_QUEUE_BYTES, the sender's share, or no room on the bus */
        CONNECTION_E_FULL_FDS, /* LIMIT_QUEUE_FDS, or its share of LIMIT_BUS_FDS */
        CONNECTION_E_NO_FDS,   /* did not negotiate descriptors */
        CONNECTION_E_TOO_LONG, /* LIMIT_GATE_BYTES, to sbportal */
        CONNECTION_N_E
};

struct connection {
        struct loop_source source;
        struct router *router;
        struct listener *listener; /* whose half-open count it is in, or NULL */

        struct list link; /* on router->connections */
        uint64_t id;      /* of the unique name; 0: no Hello yet */
        struct table_node by_id;
        uint8_t n_name;
        char name[24]; /* ":1." and at most 20 digits; empty: no Hello yet */

        uint8_t stage;
        bool dead;
        bool can_fds; /* the transport passes descriptors and its owner allows it */
        bool has_fds; /* and the client asked for it */
        bool drops_fds; /* it may send them to sbagent, which has no way to pass them on */
        bool vsock;   /* it came by AF_VSOCK; */
        uint32_t n_probes; /* and so often it was asked whether it is there: liveness.c */
        bool portal;  /* sbportal's: may own the portal's names on the VM bus */
        bool may_debug;  /* came by IPC_LISTEN_DEBUG: may watch others, and ask for statistics */
        bool is_monitor; /* it only watches: no name, and nothing to say */
        struct credentials credentials;
        struct sasl sasl;

        struct list half_open; /* on router->half_open until Hello; never for a ROUTER_PEER */
        uint64_t deadline;     /* of that, in ms */
        struct list dirty;     /* on router->dirty: has output that this turn must flush */
        struct list dying;     /* on router->dying: dead, to be released */

        struct blob *part; /* read, and not fed yet: less than one small message, or a backlog */
        size_t n_part;
        size_t part_at;      /* what of a backlog was fed */
        struct list backlog; /* on router->backlog: part has messages that wait for their turn, */
        struct body_check *check; /* or in is complete, and checked so far; part is behind it then */
        struct blob *in; /* an unfinished large message, read in place, */
        uint64_t in_since; /* ms: and its first bytes came then */
        size_t n_in, need_in;
        bool sends_large; /* its last message was; the next will be, mostly */
        int *fds; /* received, their message is not complete yet */
        unsigned n_fds;
        uint64_t fds_since; /* ms: the first of them came */

        struct queue out;
        uint64_t read_at;  /* ms: when it last took some of that, or had nothing to take */
        uint64_t waits_at; /* ms: what waited then for it, */
        size_t n_waiting;  /* of that so many bytes, is not all taken */
        uint64_t unread_fds_at; /* ms: when it last took a descriptor, or had none to take */
        uint32_t serial; /* of what the driver sent to it */

        uint64_t stamp; /* the last broadcast that it was given */
        struct list names, matches, calls, serves, held;
        unsigned n_names, n_matches, n_calls, n_held;
        unsigned match_weight; /* of its rules: match.h */
        unsigned n_eavesdrop; /* of its rules, those that let it watch */
        struct list watching; /* on router->watchers: it sees what is for others, too */
};

/* What one message looks like on its way out; everything is borrowed. */
struct packet {
        const void *header, *body;
        size_t n_header, n_body;
        struct blob *blob; /* body lies in it, or NULL: then it is copied */
        struct fd_list *fds;
        uint64_t charge; /* whose bytes they are in the queue: a connection's id; 0: the receiver's */
        bool is_answer;  /* the receiver asked for it */
};

/* Takes fd, also on failure.  The caller sets what the connection may do.  0 or a negative errno. */
int connection_new(struct router *r, int take_fd, struct connection **ret);
/* Its stream and its buffers, of a connection that is dead: nothing is left of them afterwards. */
void connection_discard(struct connection *c);
/* Only the router's turn and connection_new()'s failing callers may release. */
struct connection *connection_free(struct connection *c);

void connection_close(struct connection *c);
/* The peer broke a rule: one log line (rate-limited), then connection_close(). */
void connection_breach(struct connection *c, const char *what);

/*
 * Queues p for the end of the turn.  What others send counts against its sender, and
 * one sender gets at most a fifth of LIMIT_QUEUE_BYTES; what is already queued
 * counts, not p, so one message of any legal size passes (to sbportal: of
 * LIMIT_GATE_BYTES) unless the bus is full of unread ones.  When memory fails, c is closed.
 * 0 (also when c is dead) or CONNECTION_E_*.
 */
int connection_send(struct connection *c, const struct packet *p);
/* A longer message is read in place instead of being copied twice. */
#define CONNECTION_PART_BYTES 16384u

/*
 * Handles what is complete of data until router->work is router_turn_share(), and as long as
 * room_is_left(); *ret_used bytes of it.  1: there may be more; 0; or a negative errno.
 */
int connection_feed(struct connection *c, const uint8_t *data, size_t n, size_t *ret_used);
/* What is queued for it, or was read of it, goes at once: it is dead. */
void connection_drop(struct connection *c);
/* Reads once, and handles what came.  0 (also when nothing is there) or a negative errno. */
int connection_read(struct connection *c);
/*
 * Goes on with the check of its message, or feeds the next of its backlog; nothing is read until
 * there is neither.  0 or a negative errno.
 */
int connection_work(struct connection *c);
/* It waits for no turn any more; nothing if it did not. */
void connection_end_backlog(struct connection *c);
/* What was checked of its message is forgotten; nothing if none is. */
void connection_end_check(struct connection *c);
/* Sends what the socket takes now, as queue_flush() does. */
int connection_drain(struct connection *c);
/* The same; a dead peer is closed.  0 or a negative errno. */
int connection_flush(struct connection *c);
