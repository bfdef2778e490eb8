/* SPDX-License-Identifier: MIT */
#include "sbrouter/room.h"

#include <sys/epoll.h>

#include "common/limits.h"
#include "sbrouter/fd_room.h"
#include "sbrouter/holder.h"
#include "sbrouter/router.h"

void room_open(struct router *r) {
        size_t ceiling = r->pool.bytes + LIMIT_TURN_BYTES;

        r->room.ceiling = ceiling < LIMIT_BUS_BYTES ? ceiling : LIMIT_BUS_BYTES;
}

bool room_is_left(const struct router *r) {
        return r->pool.bytes <= r->room.ceiling;
}

bool room_is_short(const struct router *r) {
        return r->pool.bytes > LIMIT_BUS_BYTES;
}

bool room_is_over(const struct router *r) {
        unsigned n = r->limits.connections;
        size_t more = n > LIMIT_CONNECTIONS ? (n - LIMIT_CONNECTIONS) * (size_t)LIMIT_COPY_BYTES : 0;

        return r->pool.bytes > LIMIT_BUS_BRIM + more;
}

/*
 * Whether there may be room soon without anybody's end: a burst that all are reading is
 * nobody's fault.  most holds the most, and is not waited for if it does not read, or is late.
 * A message that is being checked goes on its way: as nothing is read meanwhile, that has an end.
 */
static bool is_emptying(struct router *r, const struct connection *most) {
        struct room *room = &r->room;
        uint64_t now = r->loop.now;

        if (holder_is_late(most))
                return false;
        if (r->n_checks > 0)
                return true;
        if (most->out.bytes > 0 && now - most->read_at > LIMIT_CROWD_MS)
                return false;
        if (room->short_at != 0 && now - room->short_at < LIMIT_CROWD_MS)
                return true;
        if (room->short_at != 0 && room->sent < LIMIT_CROWD_BYTES << room->n_borne)
                return false;
        if (room->short_at != 0 && room->n_borne < LIMIT_CROWD_DOUBLINGS)
                room->n_borne++;
        room->short_at = now;
        room->sent = 0;
        return true;
}

/* Nobody could go on with a message meanwhile: that is not what they are late by. */
static void forget_pause(struct router *r) {
        uint64_t paused = r->loop.now - r->room.short_since;

        LIST_FOREACH(link, &r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);

                c->in_since += paused;
                c->fds_since += paused;
        }
        r->room.short_since = 0;
}

static void note_ease(struct router *r) {
        if (r->room.short_since != 0)
                forget_pause(r);
        if (r->room.short_at != 0)
                r->room.eased_at = r->loop.now;
        r->room.short_at = 0;
        if (r->loop.now - r->room.eased_at >= LIMIT_STALL_SECONDS * 1000u)
                r->room.n_borne = 0;
}

void room_enforce(struct router *r) {
        struct connection *c;

        if (room_is_short(r) && r->room.short_since == 0)
                r->room.short_since = r->loop.now;
        while (room_is_short(r) && (c = holder_of_most(r)) && !is_emptying(r, c)) {
                connection_breach(c, "the bus is out of room, and it holds the most of it");
                connection_drop(c);
        }
        if (!room_is_short(r))
                note_ease(r);
        c = r->no_room ? holder_that_hangs(r) : NULL;
        if (c)
                connection_breach(c, "others have no room, and what was sent to it waits for long");
        r->no_room = false;
        fd_room_settle(r);
}

/* If there is some in the next turn, that is soon; else nobody looks whether c has more. */
int room_put_off(struct router *r, struct connection *c) {
        r->loop.first++; /* it may have been among the last: the next turn begins elsewhere */
        if (!room_is_short(r))
                return 0;
        r->room.paused = true;
        /* Whose peer is gone is told of always; by edges, once. */
        return loop_change(&r->loop, &c->source, (c->source.events & ~(uint32_t)EPOLLIN) | EPOLLET);
}

int room_resume(struct router *r) {
        if (!r->room.paused || room_is_short(r))
                return 0;
        r->room.paused = false;
        LIST_FOREACH(link, &r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);
                int v;

                if (c->dead) /* and still being taken off: it has no stream any more */
                        continue;
                v = loop_change(&r->loop, &c->source,
                                (c->source.events & ~(uint32_t)EPOLLET) | EPOLLIN);
                if (v < 0)
                        return v;
        }
        return 0;
}

void room_note_peak(struct router *r) {
        if (r->pool.bytes > r->room.peak)
                r->room.peak = r->pool.bytes;
}

void room_trim(struct router *r) {
        bool is_much;

        room_note_peak(r);
        is_much = r->room.peak - r->pool.bytes > LIMIT_TRIM_BYTES;
        if (r->room.trim_at == 0 && is_much)
                r->room.trim_at = r->loop.now + LIMIT_TRIM_MS;
        if (r->room.trim_at == 0 || r->room.trim_at > r->loop.now)
                return;
        r->room.trim_at = 0;
        r->room.peak = r->pool.bytes;
        if (is_much)
                queue_pool_trim(&r->pool);
}
