/* SPDX-License-Identifier: MIT */
/*
 * Whether the host answers, shared by all clients of the agent.  PURE.
 *
 * While it is thought to be there every client connects at once.  After a failure
 * one client at a time tries (the probe), 100 ms later, then 200 ms, doubling to
 * LIMIT_AGENT_BACKOFF_MS, each less up to half of it at random so that the agents
 * of many guests do not knock together; the others wait for what it finds.
 * A host whose queue of connections is full is not down: everybody waits a moment.
 * Nor is one that closed a connection without an answer, while it answers others.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum host_state {
        HOST_UNKNOWN,
        HOST_UP,
        HOST_DOWN,
};

struct host {
        enum host_state state;
        bool probing;      /* when down: somebody is trying */
        uint32_t delay_ms; /* when down: between the last failure and the next try */
        unsigned n_hung_up; /* when up: attempts since the last success that ended so */
        uint64_t next_try; /* not before; microseconds, CLOCK_MONOTONIC */
};

/* May a client try now?  Then host_begin(), whose result belongs to the attempt. */
bool host_may_try(const struct host *h, uint64_t now);
bool host_begin(struct host *h);

/*
 * How the attempt ended; probe is what host_begin() said.  Both return whether the
 * state is another now.
 */
bool host_succeeded(struct host *h);
bool host_failed(struct host *h, bool probe, uint64_t now, uint32_t random);
/* It took the connection, and closed it without an answer.  As host_failed(). */
bool host_hung_up(struct host *h, bool probe, uint64_t now, uint32_t random);
/* connect() said that the host's queue is full. */
void host_busy(struct host *h, bool probe, uint64_t now, uint32_t random);
/* Its client left before anything was known. */
void host_abandoned(struct host *h, bool probe);
