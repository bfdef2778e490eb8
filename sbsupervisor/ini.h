/* SPDX-License-Identifier: MIT */
/*
 * The configuration file's syntax (systemd's INI: [Section], Key=value, '#' and ';'
 * comments, whitespace around both sides of '=' dropped).  PURE.
 */
#pragma once

#include <stddef.h>

enum {
        INI_E_SYNTAX = 1, /* the line is neither section, key nor comment; or holds a NUL */
        INI_E_SECTION,    /* a key before the first section */
        INI_E_LENGTH,     /* a line longer than INI_MAX_LINE */
};

#define INI_MAX_LINE 4096

struct ini_line {
        const char *section; /* valid during the call */
        const char *key, *value;
        unsigned number;
};

/*
 * Calls fn for each key of text[0..n).  Stops at the first non-zero result of fn, and
 * returns it; INI_E_* for bad text.  *ret_line is the line's number either way.
 */
int ini_parse(const char *text, size_t n, int (*fn)(void *self, const struct ini_line *line),
              void *self, unsigned *ret_line);
