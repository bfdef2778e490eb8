/* SPDX-License-Identifier: MIT */
/* What parses can be written again and parses to the same. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *s = strndup((const char *)data, n);
        struct address a, b;
        char text[160];
        int r;

        assert(s);
        r = address_parse(s, &a);
        if (r != 0) {
                assert(r > 0 && strlen(address_strerror(r)) > 20);
                return 0;
        }
        if (a.kind == ADDRESS_UNIX)
                (void)snprintf(text, sizeof(text), "unix:%s", a.path);
        else if (a.cid == UINT32_MAX)
                (void)snprintf(text, sizeof(text), "vsock:%u", a.port);
        else
                (void)snprintf(text, sizeof(text), "vsock:%u:%u", a.cid, a.port);
        assert(address_parse(text, &b) == 0 && a.kind == b.kind && a.cid == b.cid);
        assert(a.port == b.port && strcmp(a.path, b.path) == 0);
        return 0;
}
