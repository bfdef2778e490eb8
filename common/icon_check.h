/* SPDX-License-Identifier: MIT */
/*
 * Whether an icon from a guest may reach the host's own image loaders: a PNG or a JPEG,
 * by its header, of at most ICON_CHECK_PIXELS a side.  Everything else is refused; SVG
 * above all, a document that names other files.  PURE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ICON_CHECK_PIXELS 512u /* as the host's portal: more is no icon, and a loader unpacks it */

bool icon_check(const void *data, size_t n);
