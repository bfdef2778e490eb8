/* SPDX-License-Identifier: MIT */
/* What comes out is harmless, whatever went in; escaping and unescaping are inverse. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_log(const uint8_t *data, size_t n, size_t size) {
        _cleanup_free_ char *buf = malloc(size);

        assert(buf && escape_log(buf, size, data, n) == buf && strlen(buf) < size);
        for (const char *p = buf; *p; p++)
                assert(*p >= ' ' && *p <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *s = strndup((const char *)data, n), *escaped = NULL, *back = NULL;
        _cleanup_free_ char *shown = NULL, *again = NULL, *path = NULL, *raw = NULL, *lines = NULL;
        size_t max = n ? data[0] : 0;

        assert(s);
        check_log(data, n, 4 + max);
        check_log(data, n, 4 * n + 4);
        assert((escaped = uri_escape_path(s)) && (back = uri_unescape(escaped, strlen(escaped))));
        assert(strcmp(back, s) == 0);
        assert((shown = escape_display(s, max)) && strlen(shown) <= max);
        for (const char *p = shown; *p; p++)
                assert((unsigned char)*p >= ' ' && *p != 0x7f);
        assert((again = escape_display(shown, max)) && strcmp(again, shown) == 0);
        assert((lines = escape_lines(s, max)) && strlen(lines) <= max);
        for (const char *p = lines; *p; p++)
                assert(((unsigned char)*p >= ' ' && *p != 0x7f) || *p == '\n');
        path = uri_to_path(s);
        assert(!path || path[0] == '/');
        raw = uri_unescape((const char *)data, n);
        assert(!raw || strlen(raw) <= n);
        return 0;
}
