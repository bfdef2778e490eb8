/* SPDX-License-Identifier: MIT */
/*
 * Log lines that a guest can cause, at most LIMIT_LOG_LINES_SECOND of them a second;
 * how many were left out is said when there is room again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"

struct guest_log {
        uint64_t window; /* second in which the count below began */
        unsigned lines;
        unsigned left_out;
};

/*
 * Whether a line may be written at now (seconds of any clock that does not go back).
 * *ret_left_out: lines suppressed before this one, to be said now; 0: nothing to say.
 */
bool guest_log_admit(struct guest_log *l, uint64_t now, unsigned *ret_left_out);

/* guest_log_admit() by the monotonic clock; says itself what was left out. */
bool guest_log_may(struct guest_log *l);

#define guest_log_warning(l, ...)                                                                  \
        do {                                                                                       \
                if (guest_log_may(l))                                                              \
                        log_warning(__VA_ARGS__);                                                  \
        } while (0)
