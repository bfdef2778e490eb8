/* SPDX-License-Identifier: MIT */
/*
 * The system call filter of a profile.
 */
#pragma once

#include <stdbool.h>

struct sandbox_profile;

/* For good, for this process and what comes of it.  0 or a negative errno. */
int sandbox_filter_load(const struct sandbox_profile *profile);

/* Whether the filter lets the call of this number through, with some arguments at least. */
bool sandbox_filter_names(const struct sandbox_profile *profile, int nr);
