/* SPDX-License-Identifier: MIT */
#include "sbportal/flood.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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
                if (!c->client || c->bucket.full <= now)
                        place = c;
        }
        return place;
}

int flood_admit(struct flood *f, const char *client, uint64_t now) {
        const struct bucket_rate vm = bucket_per_minute(LIMIT_NOTIFICATIONS_VM),
                                 each = bucket_per_minute(LIMIT_NOTIFICATIONS_CLIENT);
        struct flood_client *c;

        if (!bucket_has(&f->vm, &vm, now))
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
        if (!bucket_take(&c->bucket, &each, now))
                return FLOOD_E_CLIENT;
        bucket_spend(&f->vm, &vm, now);
        return 0;
}
