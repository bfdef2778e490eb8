/* SPDX-License-Identifier: MIT */
#pragma once

/* Makes the directory path (absolute) and its parents, as "mkdir -p -m 700" would.  0 or -errno. */
int make_dirs(const char *path);
