/* SPDX-License-Identifier: MIT */
#include "sbagent/host.h"

#include "common/limits.h"

#define FIRST_DELAY_MS 100u
#define HUNG_UP_MAX    8u /* a guest can make the host close a few; all of them is the host's end */
#define BUSY_USEC      20000u /* a host that works empties its queue in less */

bool host_may_try(const struct host *h, uint64_t now) {
        return now >= h->next_try && !h->probing;
}

bool host_begin(struct host *h) {
        if (h->state != HOST_DOWN)
                return false;
        h->probing = true;
        return true;
}

bool host_succeeded(struct host *h) {
        bool changed = h->state != HOST_UP;

        *h = (struct host){.state = HOST_UP};
        return changed;
}

bool host_failed(struct host *h, bool probe, uint64_t now, uint32_t random) {
        bool changed = h->state != HOST_DOWN;
        uint64_t delay;

        /* Many attempts that were under way at once fail together: that is one failure. */
        if (!changed && !probe)
                return false;
        h->delay_ms = changed ? FIRST_DELAY_MS : h->delay_ms * 2;
        if (h->delay_ms > LIMIT_AGENT_BACKOFF_MS)
                h->delay_ms = LIMIT_AGENT_BACKOFF_MS;
        delay = (uint64_t)h->delay_ms * 1000;
        h->next_try = now + delay - random % (delay / 2);
        h->state = HOST_DOWN;
        h->n_hung_up = 0;
        h->probing = false;
        return changed;
}

static void pause_all(struct host *h, uint64_t now, uint32_t random) {
        h->next_try = now + BUSY_USEC - random % (BUSY_USEC / 2);
}

bool host_hung_up(struct host *h, bool probe, uint64_t now, uint32_t random) {
        if (h->state != HOST_UP || ++h->n_hung_up >= HUNG_UP_MAX)
                return host_failed(h, probe, now, random);
        pause_all(h, now, random);
        return false;
}

void host_busy(struct host *h, bool probe, uint64_t now, uint32_t random) {
        if (h->state == HOST_DOWN)
                (void)host_failed(h, probe, now, random);
        else
                pause_all(h, now, random);
}

void host_abandoned(struct host *h, bool probe) {
        if (probe && h->state == HOST_DOWN)
                h->probing = false;
}
