/* SPDX-License-Identifier: MIT */
/* Whatever the file holds: a key is never empty or spaced, lines are counted, nothing is read past the end. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "sbsupervisor/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int on_key(void *self, const struct ini_line *l) {
        unsigned *last = self;

        assert(l->number > *last && l->section[0]);
        assert(!l->key[0] || !strchr(" \t\r", l->key[0]));
        assert(!strchr(l->key, '=') && !strchr(l->value, '\n'));
        *last = l->number;
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        unsigned last = 0, line = 0;
        int r = ini_parse((const char *)data, n, on_key, &last, &line);

        assert(r >= 0 && r <= INI_E_LENGTH && last <= line);
        return 0;
}
