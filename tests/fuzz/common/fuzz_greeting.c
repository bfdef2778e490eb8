/* SPDX-License-Identifier: MIT */
/* A line that is good stays good with anything after it, and is never good without its end. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/greeting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_opening(const uint8_t *data, size_t n) {
        char buf[LIMIT_GREETING_LINE];
        struct greeting g, again;
        int r = greeting_parse(data, n, &g);

        assert(r != GREETING_E_MORE || n < LIMIT_GREETING_LINE);
        if (r != 0)
                return;
        assert(g.n <= n && g.n <= LIMIT_GREETING_LINE && data[g.n - 1] == '\n');
        assert(greeting_parse(data, g.n, &again) == 0 && again.n == g.n && again.verb == g.verb);
        assert(greeting_parse(data, g.n - 1, &again) == GREETING_E_MORE);
        if (g.verb == GREETING_CLIENT && g.has_uid && g.has_pid) {
                size_t k = greeting_format_client(buf, g.uid, g.pid);

                assert(greeting_parse(buf, k, &again) == 0 && again.n == k);
                assert(again.uid == g.uid && again.pid == g.pid && again.verb == g.verb);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        char buf[LIMIT_GREETING_LINE];
        struct greeting_answer a, again;

        check_opening(data, n);
        if (greeting_answer_parse(data, n, &a) != 0)
                return 0;
        assert(a.n <= n && a.ok == (a.text[0] == '\0'));
        if (a.ok) {
                size_t k = greeting_format_ok(buf, a.token);

                assert(greeting_answer_parse(buf, k, &again) == 0 &&
                       strcmp(again.token, a.token) == 0);
        }
        return 0;
}
