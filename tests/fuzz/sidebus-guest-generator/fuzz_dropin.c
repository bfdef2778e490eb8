/* SPDX-License-Identifier: MIT */
/* Whatever the credential, a drop-in has one section and the settings meant. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "systemd/generator/dropin.h"

#define OWNER(format) \
        "[Socket]\nExecStartPost=\nExecStartPost=chown " format " /run/sidebus/bus\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Lines of the text; each character is one that stands for itself in a unit file. */
static unsigned count_lines(const char *text) {
        unsigned lines = 0;

        for (const char *p = text; *p; p++) {
                assert(*p == '\n' || (*p > ' ' && *p < 0x7f && !strchr("%\\\"'#;$/", *p)));
                lines += *p == '\n';
        }
        return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        char text[DROPIN_MAX_BYTES], again[DROPIN_MAX_BYTES];
        const char *bytes = (const char *)data;
        unsigned uid, gid;

        if (dropin_tag(bytes, n, text) == 0) {
                size_t length = strlen(text);

                assert(strncmp(text, "[Mount]\nWhat=", 13) == 0 && count_lines(text) == 2);
                assert(text[13] != '-' && !strchr(text + 13, '='));
                assert(dropin_tag(text + 13, length - 13, again) == 0 && strcmp(text, again) == 0);
        }
        if (dropin_user(bytes, n, text) == 0) {
                int found = sscanf(text, OWNER("%u:%u"), &uid, &gid);

                (void)(found == 2 ? snprintf(again, sizeof(again), OWNER("%u:%u"), uid, gid)
                                  : snprintf(again, sizeof(again), OWNER("%u"), uid));
                assert(found >= 1 && strcmp(text, again) == 0);
        }
        return 0;
}
