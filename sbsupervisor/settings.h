/* SPDX-License-Identifier: MIT */
/*
 * Everything that a person can set: a row for each option of the command line and each key of the
 * configuration file, with the one function that takes its value.
 *
 * A value that cannot be is logged, with where it stands and what would be right, and is -EINVAL.
 */
#pragma once

#include "common/options.h"

struct config;

struct settings_key {
        const char *section, *key; /* NULL ends */
        int (*set)(void *config, const char *value);
};

extern const struct option_row settings_options[];
extern const struct settings_key settings_keys[];

/* A copy of value in place of what *field has.  0, or -ENOMEM, logged. */
int settings_replace(char **field, const char *value);

/* A key of [Portals] that is in no row: the name of a portal or of a method. */
int settings_set_portal(struct config *c, const char *key, const char *value);
