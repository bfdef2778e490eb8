/* SPDX-License-Identifier: MIT */
/*
 * Whether this machine's virtiofsd will do: the Rust one, 1.13 or later.
 */
#pragma once

#include <stdbool.h>

/* "virtiofsd 1.13.2" and so on.  The C daemon of QEMU says it otherwise.  PURE. */
bool virtiofsd_version_is_good(const char *line);

/* Asks path for its version.  If it will not do, says so in one line and returns false. */
bool virtiofsd_is_usable(const char *path);
