/* SPDX-License-Identifier: MIT */
/*
 * Where a stream listens or connects.  PURE.
 *
 *   unix:PATH          absolute path, at most 107 bytes
 *   vsock:PORT         listening; or connecting to the host (CID 2)
 *   vsock:CID:PORT     connecting
 *
 * Numbers are decimal; CID and PORT 1..4294967294.
 */
#pragma once

#include <stdint.h>
#include <sys/un.h>

enum address_kind {
        ADDRESS_UNIX = 1,
        ADDRESS_VSOCK,
};

struct address {
        enum address_kind kind;
        char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
        uint32_t cid, port; /* vsock; cid is VMADDR_CID_ANY when not given */
};

enum {
        ADDRESS_E_KIND = 1, /* neither unix: nor vsock: */
        ADDRESS_E_RELATIVE, /* unix path not absolute */
        ADDRESS_E_LENGTH,   /* unix path empty or longer than a socket address holds */
        ADDRESS_E_NUMBER,   /* cid or port not a number in range */
};

/* 0 or ADDRESS_E_*. */
int address_parse(const char *s, struct address *ret);
/* One sentence for a person: what is wrong and how it is written. */
const char *address_strerror(int e);
