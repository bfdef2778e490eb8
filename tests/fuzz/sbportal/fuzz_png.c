/* SPDX-License-Identifier: MIT */
/* Any numbers over any bytes: refused, or an icon that the gate lets pass. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/icon_check.h"
#include "sbportal/png.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        struct png_pixels p = {0};
        _cleanup_free_ void *png = NULL;
        int32_t numbers[4];
        size_t size;

        if (n < sizeof(numbers))
                return 0;
        memcpy(numbers, data, sizeof(numbers));
        p.width = numbers[0];
        p.height = numbers[1];
        p.stride = numbers[2];
        p.channels = numbers[3];
        p.data = data + sizeof(numbers);
        p.n = n - sizeof(numbers);
        if (png_from_pixels(&p, &png, &size) == 0)
                assert(icon_check(png, size));
        return 0;
}
