# SPDX-License-Identifier: MIT
"""The numbers of common/limits.h, for the tests that reach them."""

import os
import re


def limits(env):
    """[(heading of its section, name without LIMIT_, value)], in the header's order."""
    found, section = [], None
    with open(os.path.join(env.source, "common", "limits.h"), encoding="utf-8") as f:
        for line in f:
            heading = re.match(r"/\* --- (.*?) -*\s*\*/", line)
            row = re.match(r"#define LIMIT_(\w+)\s+(\d+)u\b", line)
            if heading:
                section = heading[1].strip()
            if row:
                found.append((section, row[1], int(row[2])))
    return found


def limit(env, name):
    return next(value for _, key, value in limits(env) if key == name)
