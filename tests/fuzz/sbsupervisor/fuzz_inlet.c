/* SPDX-License-Identifier: MIT */
/* A stream of any bytes in any pieces: what passes are whole messages, and what was said before. */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "sbsupervisor/inlet.h"

#define MAX_INPUT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void on_breach(void *userdata, int error, const char *why) {
        assert(error == 0);
        assert(why);
        ++*(unsigned *)userdata;
}

/* How much of the input is a handshake and whole messages behind it. */
static size_t measure(const uint8_t *data, size_t n, bool *ret_wrong) {
        struct handshake h = {.last = INLET_FROM_CLIENT};
        size_t at = handshake_take(&h, data, n);
        uint64_t size;

        *ret_wrong = false;
        if (!handshake_is_over(&h))
                return at;
        while (n - at >= FRAME_FIXED) {
                *ret_wrong = frame_size(data + at, LIMIT_INLET_BYTES, &size) != 0;
                if (*ret_wrong || size > n - at)
                        return at;
                at += size;
        }
        return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        size_t piece = n > 0 ? data[0] + 1u : 1, n_out = 0, n_expected;
        uint8_t out[MAX_INPUT];
        unsigned n_breaches = 0;
        struct inlet inlet;
        sd_event *event;
        int p[2], reader;
        bool wrong;

        if (n < 2 || n > MAX_INPUT)
                return 0;
        data++;
        n--;
        assert(sd_event_new(&event) >= 0);
        assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) == 0);
        assert(inlet_open(&inlet, event, p[1], INLET_FROM_CLIENT, false, on_breach, &n_breaches,
                          &reader) == 0);
        for (size_t at = 0; at < n && n_breaches == 0; at += piece) { /* else nobody reads */
                (void)send(p[0], data + at, n - at < piece ? n - at : piece, MSG_NOSIGNAL);
                while (sd_event_run(event, 0) > 0) {
                        ssize_t k = recv(reader, out + n_out, sizeof(out) - n_out, MSG_DONTWAIT);

                        n_out += k > 0 ? (size_t)k : 0;
                }
        }
        n_expected = measure(data, n, &wrong);
        assert(n_out == n_expected && memcmp(out, data, n_out) == 0);
        assert(n_breaches == (wrong ? 1u : 0u));
        inlet_close(&inlet);
        close(p[0]);
        close(p[1]);
        close(reader);
        sd_event_unref(event);
        return 0;
}
