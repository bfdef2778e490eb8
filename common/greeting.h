/* SPDX-License-Identifier: MIT */
/*
 * The line that may open a guest stream (docs/PROTOCOL.guest.md).  PURE.
 *
 *   SIDEBUS/1 CLIENT uid=1000 pid=4242\n
 *   SIDEBUS/1 OK token=0123456789abcdef0123456789abcdef\n
 *   SIDEBUS/1 ERROR Version unknown version\n
 *
 * Keys and values are [A-Za-z0-9_.-]; unknown keys are ignored, a key given twice
 * is an error.  A stream whose first byte is NUL has no line: SASL follows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"

enum greeting_verb {
        GREETING_CLIENT = 1, /* a D-Bus client's stream follows */
        GREETING_ATTACH,     /* reserved: the guest's own session bus follows */
        GREETING_FD,         /* reserved: a side stream */
};

enum {
        GREETING_E_MORE = 1, /* no newline yet, and the line may still become good */
        GREETING_E_LINE,     /* too long, or not of this form */
        GREETING_E_VERSION,  /* SIDEBUS/ but not version 1 */
        GREETING_E_VERB,     /* unknown verb */
        GREETING_E_KEY,      /* a key twice, or a value out of its range */
};

struct greeting {
        enum greeting_verb verb;
        bool has_uid, has_pid;
        uint32_t uid, pid;
        size_t n; /* bytes of the line with its newline */
};

/* Parses the opening line in data[0..n).  0 or GREETING_E_*. */
int greeting_parse(const void *data, size_t n, struct greeting *ret);
/* The <name> and <text> of the answering ERROR line. */
const char *greeting_error_name(int e);
/* Writes the CLIENT line with its newline to buf; its length.  pid 0 (not known) is left out. */
size_t greeting_format_client(char buf[LIMIT_GREETING_LINE], uint32_t uid, uint32_t pid);
size_t greeting_format_ok(char buf[LIMIT_GREETING_LINE], const char *token);
size_t greeting_format_error(char buf[LIMIT_GREETING_LINE], int e);

struct greeting_answer {
        bool ok;
        char token[33];                    /* when ok; empty if the host gave none */
        char text[LIMIT_GREETING_LINE];    /* when not: "<name> <text>" */
        size_t n;
};

/* The host's answer, read by sbagent.  0 or GREETING_E_MORE/_LINE/_VERSION. */
int greeting_answer_parse(const void *data, size_t n, struct greeting_answer *ret);
