/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/frame.h"

#include <string.h>

/* The line is not part of itself but for its first byte: a match begins anew with that alone. */
size_t handshake_take(struct handshake *h, const void *data, size_t n) {
        const char *bytes = data;

        for (size_t i = 0; i < n; i++) {
                if (bytes[i] == h->last[h->n_matched])
                        h->n_matched++;
                else
                        h->n_matched = bytes[i] == h->last[0];
                if (handshake_is_over(h))
                        return i + 1;
        }
        return n;
}

bool handshake_is_over(const struct handshake *h) {
        return !h->last[h->n_matched];
}

static uint32_t read_u32(const uint8_t *p, bool is_big) {
        return is_big ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
                      : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* Byte order, type, flags, version, length of the body, serial, length of the fields. */
int frame_size(const uint8_t fixed[FRAME_FIXED], size_t max, uint64_t *ret) {
        bool is_big = fixed[0] == 'B';
        uint64_t n_fields = read_u32(fixed + 12, is_big);

        if ((!is_big && fixed[0] != 'l') || fixed[3] != 1)
                return FRAME_E_FORM;
        *ret = FRAME_FIXED + (n_fields + 7) / 8 * 8 + read_u32(fixed + 4, is_big);
        return *ret > max ? FRAME_E_SIZE : 0;
}
