#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A disk with a quota: a directory of the person's in which SIZE bytes have room, and no more.

It is btrfs, in a file, whose quotas are of directories: all the kernel has to have is btrfs.  Only
root can make one.  Where root has started the tests it is there before them (see person.py); an
ordinary user's tests ask sudo for it, as those of tests/vm do.

quota.py DIRECTORY UID: makes it there.
"""

import os
import shutil
import subprocess
import sys

SIZE = 2 << 20
VARIABLE = "SIDEBUS_TEST_QUOTA"  # where it is


def make(directory, uid):
    """As root.  The person's part of it."""
    os.makedirs(directory, exist_ok=True)
    image, place = directory + ".image", os.path.join(directory, "person")
    with open(image, "wb") as f:
        f.truncate(64 << 20)
    for argv in (["mkfs.btrfs", "--quiet", "--mixed", image],
                 ["mount", "-o", "loop,nosuid,nodev", image, directory],
                 ["btrfs", "--quiet", "subvolume", "create", place],
                 ["btrfs", "quota", "enable", directory],
                 ["btrfs", "qgroup", "limit", str(SIZE), place]):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")
    os.chown(place, uid, -1)
    return place


class _BySudo:
    """One that an ordinary user's test has asked for."""

    def __init__(self, directory):
        self.directory = directory
        self.place = os.path.join(directory, "person")
        self._sudo(sys.executable, os.path.abspath(__file__), directory, str(os.getuid()))

    @staticmethod
    def _sudo(*argv):
        done = subprocess.run(["sudo", "-n", *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"no disk with a quota, for which it takes root: {done.stderr}"

    def close(self):
        self._sudo("umount", self.directory)


def directory(env):
    """It, empty."""
    place = os.environ.get(VARIABLE)
    if place is None:
        assert shutil.which("sudo"), \
            "no disk with a quota: run make check as root, or as a user with sudo"
        return env.closing(_BySudo(env.directory())).place
    assert os.path.isdir(place), "no disk with a quota (see the first lines)"
    for name in os.listdir(place):
        path = os.path.join(place, name)
        (shutil.rmtree if os.path.isdir(path) else os.unlink)(path)
    return place


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]))
