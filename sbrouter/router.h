/* SPDX-License-Identifier: MIT */
/*
 * The bus as a whole: its connections, its indexes, and the way of a message
 * through it.
 *
 *   connection reads -> route_message() -> route_to_watchers() to those who debug
 *                                       -> driver_call()     to org.freedesktop.DBus
 *                                       -> unicast()         to a name
 *                                       -> route_broadcast() a signal to nobody in particular
 *   ... -> connection_send() -> flush_dirty(), each connection once a turn
 *
 * Whoever does not keep up pays: a receiver that fills its queue by broadcasts or
 * by what it asks the bus is closed.  What others send to it is theirs: a call that
 * does not fit gets LimitsExceeded, a signal is lost, and nobody else is held up.
 * What the whole bus holds is bounded apart: room.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ipc/ipc.h"
#include "sbrouter/connection.h"
#include "sbrouter/list.h"
#include "sbrouter/liveness.h"
#include "sbrouter/loop.h"
#include "sbrouter/match.h"
#include "sbrouter/message.h"
#include "sbrouter/queue.h"
#include "sbrouter/room.h"
#include "sbrouter/table.h"

#define DRIVER_NAME "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

enum router_bus {
        ROUTER_UNCONFIGURED,
        ROUTER_VM = IPC_BUS_VM,
        ROUTER_PRIVATE = IPC_BUS_PRIVATE,
        ROUTER_STANDALONE,
};

/* Those that --standalone may be told to have; for a VM they are what limits.h says. */
struct router_limits {
        unsigned connections;
        size_t queue_bytes; /* of what others send to one receiver, and of signals */
};

struct router {
        struct loop loop;
        enum router_bus bus;
        char guid[33], machine_id[33];
        uint32_t own_uid, own_pid; /* read before the sandbox closed */
        uint32_t peer_pid;         /* private bus: every connection's pid; 0: not known yet */
        struct router_limits limits;

        struct ipc_chan ipc;
        struct loop_source ipc_source;

        struct table_key key;
        struct table by_id, names, replies;
        struct match_index matches;
        uint64_t last_id, stamp;
        uint32_t serial; /* of the driver's broadcasts */

        struct list listeners, connections, half_open, backlog, dirty, dying;
        struct list watchers; /* who sees what is for others: nearly always empty */
        unsigned n_accepted; /* connections that came through a listener */
        struct liveness liveness;

        struct queue_pool pool;
        unsigned n_partial_fds;     /* received, and their message is not complete */
        uint64_t recounted;         /* the turn in which fd_room.c asked the kernel about all */
        size_t backlog_bytes; /* read, and waiting for their turn */
        unsigned n_checks;    /* connections with a large message that is being checked */
        struct room room;
        bool no_room;         /* a message was refused, as too much is unread, in this turn; */
        bool no_fd_room;      /* or as too many descriptors are */
        struct connection *lagging; /* a peer of ours that was seen far behind, or NULL */
        uint8_t *scratch; /* ROUTER_SCRATCH bytes: what recvmsg() fills, for everybody */
        uint8_t *header;  /* room for one stamped header */

        unsigned turn_work; /* LIMIT_TURN_WORK, of what is said; tests have shorter turns */
        unsigned work; /* of that, by the connection that is being fed or reaped */

        uint64_t log_second; /* the second in which log_lines were written */
        unsigned log_lines, log_dropped;
};

#define ROUTER_SCRATCH 262144u /* one full socket buffer per read, whatever the messages' size */

/* 0 or a negative errno.  r is fit for router_done() in either case. */
int router_init(struct router *r);
void router_done(struct router *r);
void router_configure(struct router *r, enum router_bus bus, const uint8_t machine_id[16]);
/* 0 when loop.stop was set, or a negative errno. */
int router_run(struct router *r);

/* Whether limits.connections are past Hello; the supervisor's and sbportal's do not count. */
bool router_is_full(const struct router *r);
/* Gives c, which said Hello, its unique name. */
void router_register(struct router *r, struct connection *c);
/* Takes c off the bus, so that the others see it go; its stream stays.  0 or a negative errno. */
int router_unregister(struct router *r, struct connection *c);

/* How much work one connection may cause now, before it is the others' turn. */
unsigned router_turn_share(const struct router *r);

/* Whose connection answers to this name now; NULL: nobody's (the driver's too). */
struct connection *router_by_id(struct router *r, uint64_t id);
struct connection *router_lookup(struct router *r, const char *name, size_t n);

/* Whether sbportal (or the supervisor) has so much to read that guests must not cause more. */
bool router_peer_lags(struct router *r);

/* Whether a line that a guest caused may be logged now; counts what may not. */
bool router_may_log(struct router *r);
