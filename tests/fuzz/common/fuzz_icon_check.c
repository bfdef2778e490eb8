/* SPDX-License-Identifier: MIT */
/* What is taken for an icon starts as one and is small; whatever follows does not change that. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/icon_check.h"
#include "common/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ uint8_t *longer = malloc(n + 16);
        bool taken = icon_check(data, n);

        assert(longer);
        if (n > 0)
                memcpy(longer, data, n);
        memset(longer + n, 0xff, 16);
        if (!taken)
                return 0;
        assert(n >= 14 && n <= LIMIT_ICON_BYTES);
        assert(memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0 || memcmp(data, "\xff\xd8\xff", 3) == 0);
        assert(data[0] == 0xff || (data[16] | data[17] | data[20] | data[21]) == 0);
        assert(n + 16 > LIMIT_ICON_BYTES || icon_check(longer, n + 16));
        return 0;
}
