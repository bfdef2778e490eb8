/* SPDX-License-Identifier: MIT */
/* However the bytes are cut, the answers and the outcome are the same.  First byte: flags. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "sbrouter/sasl.h"

#define GUID "0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct outcome {
        struct sasl sasl;
        struct sasl_reply all, reply;
        size_t used;
        int r;
};

/* Gives the first n bytes, of which o->used are done with, in a buffer of their own. */
static void feed(struct outcome *o, const uint8_t *data, size_t n) {
        _cleanup_free_ uint8_t *copy = malloc(n - o->used + 1);
        size_t used = 0;

        memcpy(copy, data + o->used, n - o->used);
        o->r = sasl_feed(&o->sasl, GUID, copy, n - o->used, &used, &o->reply);
        assert(used <= n - o->used && o->reply.n <= SASL_REPLY_MAX);
        if (o->r != 0)
                return;
        o->used += used;
        assert(o->all.n + o->reply.n <= SASL_REPLY_MAX);
        memcpy(o->all.data + o->all.n, o->reply.data, o->reply.n);
        o->all.n += o->reply.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        struct outcome whole = {.r = 0}, cut = {.r = 0};

        if (n == 0)
                return 0;
        sasl_init(&whole.sasl, data[0] & 3);
        sasl_init(&cut.sasl, data[0] & 3);
        data++, n--;
        feed(&whole, data, n);
        for (size_t i = 1; i <= n && cut.r == 0 && cut.sasl.state != SASL_DONE; i++)
                feed(&cut, data, i);
        assert(whole.r == cut.r && (whole.r != 0 || whole.sasl.state == cut.sasl.state));
        if (whole.r != 0)
                return 0;
        assert(whole.used == cut.used && whole.sasl.fds == cut.sasl.fds);
        assert(whole.all.n == cut.all.n && memcmp(whole.all.data, cut.all.data, cut.all.n) == 0);
        assert(whole.sasl.state != SASL_DONE ||
               memmem(whole.all.data, whole.all.n, "OK " GUID, 35));
        return 0;
}
