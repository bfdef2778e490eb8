/* SPDX-License-Identifier: MIT */
#include "sbportal/flood.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE 60000u

/* Whether a bucket of size tokens, full again at full, has one. */
static bool has_token(uint64_t full, uint64_t now, unsigned size) {
        return full <= now + (uint64_t)(size - 1) * (MINUTE / size);
}

static uint64_t take_token(uint64_t full, uint64_t now, unsigned size) {
        return (full > now ? full : now) + MINUTE / size;
}

void flood_done(struct flood *f) {
        for (size_t i = 0; i < FLOOD_CLIENTS; i++) {
                free(f->clients[i].client);
                f->clients[i] = (struct flood_client){0};
        }
}

/* client's bucket, or a place for one: free, or of a bucket that is full. */
static struct flood_client *find(struct flood *f, const char *client, uint64_t now) {
        struct flood_client *place = NULL;

        for (size_t i = 0; i < FLOOD_CLIENTS; i++) {
                struct flood_client *c = &f->clients[i];

                if (c->client && strcmp(c->client, client) == 0)
                        return c;
                if (!c->client || c->full <= now)
                        place = c;
        }
        return place;
}

int flood_admit(struct flood *f, const char *client, uint64_t now) {
        struct flood_client *c;

        if (!has_token(f->vm_full, now, LIMIT_NOTIFICATIONS_VM))
                return FLOOD_E_VM;
        c = find(f, client, now);
        assert(c); /* as the header says */
        if (!c->client || strcmp(c->client, client) != 0) {
                char *name = strdup(client);

                if (!name)
                        return -ENOMEM;
                free(c->client);
                *c = (struct flood_client){.client = name};
        }
        if (!has_token(c->full, now, LIMIT_NOTIFICATIONS_CLIENT))
                return FLOOD_E_CLIENT;
        c->full = take_token(c->full, now, LIMIT_NOTIFICATIONS_CLIENT);
        f->vm_full = take_token(f->vm_full, now, LIMIT_NOTIFICATIONS_VM);
        return 0;
}
