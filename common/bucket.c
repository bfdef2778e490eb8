/* SPDX-License-Identifier: MIT */
#include "common/bucket.h"

#define MINUTE UINT64_C(60000000)

struct bucket_rate bucket_per_minute(unsigned n) {
        return (struct bucket_rate){.burst = n, .pause = MINUTE / n};
}

bool bucket_has(const struct bucket *b, const struct bucket_rate *rate, uint64_t now) {
        return b->full <= now + (rate->burst - 1) * rate->pause;
}

void bucket_spend(struct bucket *b, const struct bucket_rate *rate, uint64_t now) {
        b->full = (b->full > now ? b->full : now) + rate->pause;
}

bool bucket_take(struct bucket *b, const struct bucket_rate *rate, uint64_t now) {
        if (!bucket_has(b, rate, now))
                return false;
        bucket_spend(b, rate, now);
        return true;
}
