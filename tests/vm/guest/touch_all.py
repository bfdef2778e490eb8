#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""touch_all.py PATH: what this user may do with a file, as JSON: {"read": …, "write": …, …}.

Each value is "ok" or the errno's name.  The file's bytes stay as they are.
"""

import errno
import json
import mmap
import os
import sys


def attempt(function):
    try:
        function()
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]


def opened(path, flags, then=lambda fd: None):
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        then(fd)
    finally:
        os.close(fd)


def append_nothing_lost(path):
    size = os.stat(path).st_size
    opened(path, os.O_WRONLY | os.O_APPEND, lambda fd: os.write(fd, b"+"))
    os.truncate(path, size)


def mapped(path, flags, access):
    return lambda: opened(path, os.O_RDWR if access & mmap.PROT_WRITE else os.O_RDONLY,
                          lambda fd: mmap.mmap(fd, 1, flags, access).close())


def main():
    path = sys.argv[1]
    both = mmap.PROT_READ | mmap.PROT_WRITE
    print(json.dumps({
        "read": attempt(lambda: opened(path, os.O_RDONLY, lambda fd: os.read(fd, 1))),
        "write": attempt(lambda: opened(path, os.O_WRONLY)),
        "append": attempt(lambda: append_nothing_lost(path)),
        "fsync": attempt(lambda: opened(path, os.O_RDWR, os.fsync)),
        "mmap private": attempt(mapped(path, mmap.MAP_PRIVATE, mmap.PROT_READ)),
        "mmap shared": attempt(mapped(path, mmap.MAP_SHARED, both)),
        "execute": attempt(lambda: os.execv(path, [path])),
    }))


if __name__ == "__main__":
    main()
