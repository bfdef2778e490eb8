/* SPDX-License-Identifier: MIT */
#include "systemd/generator/dropin.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The unit's own line of that kind is taken back first. */
#define OWNER(format) DROPIN_ROOTS "ExecStartPost=chown " format " /run/sidebus/bus\n"
#define TAG_MAX 36 /* the device's configuration space: virtio 1.2, section 5.11.4 */

static bool is_letter_or_digit(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static size_t without_newline(const char *bytes, size_t n) {
        return n > 0 && bytes[n - 1] == '\n' ? n - 1 : n;
}

/*
 * Not '%', a specifier; not '\\', '"' or a space, which unit files and mount(8) read in their own
 * ways; not '=' (LABEL=) or '/', a device.  A first '-' would be an option of mount(8).
 */
int dropin_tag(const char *bytes, size_t n, char ret[DROPIN_MAX_BYTES]) {
        n = without_newline(bytes, n);
        if (n == 0 || n > TAG_MAX)
                return DROPIN_E_LENGTH;
        for (size_t i = 0; i < n; i++)
                if (!is_letter_or_digit(bytes[i]) &&
                    (i == 0 || !bytes[i] || !strchr("_.:+@-", bytes[i])))
                        return DROPIN_E_CHARACTER;
        (void)snprintf(ret, DROPIN_MAX_BYTES, "[Mount]\nWhat=%.*s\n", (int)n, bytes);
        return 0;
}

/* Decimal, without leading zeros: "010" is ten to some and eight to others. */
static int parse_id(const char *s, size_t n, uint32_t *ret) {
        uint64_t id = 0;

        if (n == 0 || n > 10)
                return DROPIN_E_LENGTH;
        for (size_t i = 0; i < n; i++) {
                if (s[i] < '0' || s[i] > '9')
                        return DROPIN_E_CHARACTER;
                id = id * 10 + (uint64_t)(s[i] - '0');
        }
        /* (uid_t)-1 and, to 16 bits, -1 are nobody's: user_namespaces(7), chown(2) */
        if ((s[0] == '0' && n > 1) || id >= UINT32_MAX || id == UINT16_MAX)
                return DROPIN_E_NUMBER;
        *ret = (uint32_t)id;
        return 0;
}

int dropin_user(const char *bytes, size_t n, char ret[DROPIN_MAX_BYTES]) {
        uint32_t uid = 0, gid = 0;
        const char *colon;
        int r;

        n = without_newline(bytes, n);
        colon = memchr(bytes, ':', n);
        r = parse_id(bytes, colon ? (size_t)(colon - bytes) : n, &uid);
        if (r == 0 && colon)
                r = parse_id(colon + 1, n - (size_t)(colon - bytes) - 1, &gid);
        if (r != 0)
                return r;
        (void)(colon ? snprintf(ret, DROPIN_MAX_BYTES, OWNER("%u:%u"), uid, gid)
                     : snprintf(ret, DROPIN_MAX_BYTES, OWNER("%u"), uid));
        return 0;
}
