/* SPDX-License-Identifier: MIT */
/*
 * How many notifications a minute: per client, and of the whole VM.  PURE.
 *
 * LIMIT_NOTIFICATIONS_* at once, and as many a minute from then on.
 */
#pragma once

#include <stdint.h>

#include "common/bucket.h"
#include "common/limits.h"

enum {
        FLOOD_E_CLIENT = 1, /* this client's are used up */
        FLOOD_E_VM,         /* the VM's are */
};

/*
 * A bucket that is full is the same as none; one that is not gave something during the last
 * minute, and in a minute the VM's gives twice its size at most: what it holds and what it gets.
 */
#define FLOOD_CLIENTS (2 * LIMIT_NOTIFICATIONS_VM)

struct flood {
        struct bucket vm;
        struct flood_client {
                char *client; /* NULL: a free place */
                struct bucket bucket;
        } clients[FLOOD_CLIENTS];
};

void flood_done(struct flood *f);

/* One more of client at now, in microseconds.  0: counted; FLOOD_E_*: not, and not counted; -ENOMEM. */
int flood_admit(struct flood *f, const char *client, uint64_t now);
