/* SPDX-License-Identifier: MIT */
/* Any text becomes markup of two tags, well-formed, which stays what it is. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/markup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The length of one of the words at s, or 0. */
static size_t one_of(const char *s, const char *const *words) {
        for (; *words; words++)
                if (strncmp(s, *words, strlen(*words)) == 0)
                        return strlen(*words);
        return 0;
}

static void check_well_formed(const char *s) {
        static const char *const tags[] = {"<b>", "<i>", "</b>", "</i>", NULL};
        static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;", NULL};
        char open[16];
        unsigned depth = 0;

        for (size_t k; *s; s += k) {
                assert((unsigned char)*s >= ' ' && *s != 0x7f);
                k = *s == '<' ? one_of(s, tags) : *s == '&' ? one_of(s, entities) : 1;
                assert(k > 0);
                if (k == 3) {
                        assert(depth < sizeof(open));
                        open[depth++] = s[1];
                } else if (*s == '<') {
                        assert(depth > 0 && open[--depth] == s[2]);
                }
        }
        assert(depth == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *s = strndup((const char *)data, n), *once = NULL, *twice = NULL;
        size_t max = n ? data[0] : 0;

        assert(s && (once = markup_clean(s, max)) && strlen(once) <= max);
        check_well_formed(once);
        assert((twice = markup_clean(once, max)) && strcmp(once, twice) == 0);
        return 0;
}
