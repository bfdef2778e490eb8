/* SPDX-License-Identifier: MIT */
#include "common/address.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

/* Digits from *s up to end, 1..4294967294; *s is left at end.  (4294967295 is "any".) */
static bool parse_number(const char **s, char end, uint32_t *ret) {
        uint64_t v = 0;
        const char *p = *s;

        for (; *p >= '0' && *p <= '9'; p++) {
                v = v * 10 + (uint64_t)(*p - '0');
                if (v >= UINT32_MAX)
                        return false;
        }
        if (v == 0 || *p != end)
                return false;
        *ret = (uint32_t)v;
        *s = p;
        return true;
}

static int parse_vsock(const char *s, struct address *a) {
        a->kind = ADDRESS_VSOCK;
        a->cid = VMADDR_CID_ANY;
        if (strchr(s, ':')) {
                if (!parse_number(&s, ':', &a->cid))
                        return ADDRESS_E_NUMBER;
                s++;
        }
        return parse_number(&s, '\0', &a->port) ? 0 : ADDRESS_E_NUMBER;
}

static int parse_unix(const char *s, struct address *a) {
        size_t n = strlen(s);

        if (n == 0 || n >= sizeof(a->path))
                return ADDRESS_E_LENGTH;
        if (s[0] != '/')
                return ADDRESS_E_RELATIVE;
        a->kind = ADDRESS_UNIX;
        memcpy(a->path, s, n + 1);
        return 0;
}

int address_parse(const char *s, struct address *ret) {
        struct address a = {0};
        int r;

        if (strncmp(s, "unix:", 5) == 0)
                r = parse_unix(s + 5, &a);
        else if (strncmp(s, "vsock:", 6) == 0)
                r = parse_vsock(s + 6, &a);
        else
                r = ADDRESS_E_KIND;
        if (r == 0)
                *ret = a;
        return r;
}

const char *address_strerror(int e) {
        static const char *const texts[] = {
                [0] = "the address is valid",
                [ADDRESS_E_KIND] = "an address is unix:PATH, vsock:PORT or vsock:CID:PORT",
                [ADDRESS_E_RELATIVE] = "the path of a unix: address begins with '/'",
                [ADDRESS_E_LENGTH] = "the path of a unix: address has 1 to 107 bytes",
                [ADDRESS_E_NUMBER] = "the numbers of a vsock: address are decimal, 1 to 4294967294",
        };

        return e >= 0 && (size_t)e < sizeof(texts) / sizeof(texts[0]) ? texts[e] : "unknown error";
}
