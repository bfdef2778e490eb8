/* SPDX-License-Identifier: MIT */
#include "sbportal/guest_log.h"

#include "common/clock.h"
#include "common/limits.h"

bool guest_log_admit(struct guest_log *l, uint64_t now, unsigned *ret_left_out) {
        *ret_left_out = 0;
        if (now != l->window) {
                l->window = now;
                l->lines = 0;
                *ret_left_out = l->left_out;
                l->left_out = 0;
        }
        if (l->lines >= LIMIT_LOG_LINES_SECOND) {
                if (l->left_out < UINT32_MAX)
                        l->left_out++;
                return false;
        }
        l->lines++;
        return true;
}

bool guest_log_may(struct guest_log *l) {
        unsigned left_out;
        bool may;

        may = guest_log_admit(l, clock_usec() / 1000000, &left_out);
        if (left_out > 0)
                log_warning("%u more lines like these were left out", left_out);
        return may;
}
