/* SPDX-License-Identifier: MIT */
/*
 * Command lines from one table: parsing, --help and --version come from it.
 */
#pragma once

#include <stdbool.h>

struct option_row {
        const char *name; /* without the dashes: "listen" */
        const char *arg;  /* what --help calls the value; NULL: a flag */
        const char *help; /* one line */
        /*
         * Stores the value (NULL for a flag).  0, or a negative errno after it
         * logged what is wrong with the value.
         */
        int (*set)(void *self, const char *value);
};

enum {
        OPTIONS_E_DONE = 1, /* --help or --version was answered: exit 0 */
        OPTIONS_E_USAGE,    /* logged; exit EXIT_USAGE */
};

#define EXIT_USAGE 2

/*
 * "--name value" and "--name=value"; no short options, no abbreviations, no operands.
 * table ends with a row without name.  summary is --help's first line.
 * Returns 0, OPTIONS_E_*, or what a set() returned.
 */
int options_parse(const struct option_row *table, const char *program, const char *summary,
                  int argc, char **argv, void *self);
