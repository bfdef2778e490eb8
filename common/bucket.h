/* SPDX-License-Identifier: MIT */
/*
 * How often something may happen: so many times in a row, and then once in each pause.  PURE.
 *
 * A token bucket, kept as the time at which it is full again (the generic cell rate
 * algorithm), so that there is nothing to refill; one of zeros is full.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bucket {
        uint64_t full; /* microseconds of the caller's clock */
};

struct bucket_rate {
        unsigned burst; /* not 0 */
        uint64_t pause; /* microseconds */
};

/* n at once, and as many again in a minute; n is not 0. */
struct bucket_rate bucket_per_minute(unsigned n);

/* Whether it may happen once more at now, in microseconds. */
bool bucket_has(const struct bucket *b, const struct bucket_rate *rate, uint64_t now);
/* It happens. */
void bucket_spend(struct bucket *b, const struct bucket_rate *rate, uint64_t now);
/* The two together: whether it may, and so does. */
bool bucket_take(struct bucket *b, const struct bucket_rate *rate, uint64_t now);
