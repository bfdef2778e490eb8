# SPDX-License-Identifier: MIT
"""Where a Rust virtiofsd comes from: this release, or Debian 13.

Debian 12 has only the C virtiofsd, which cannot translate user ids.  There the Rust one of
Debian 13 is taken (see foreign.py).
"""

import os

from . import foreign

NATIVE = "/usr/libexec/virtiofsd"
MINIMUM = (1, 13)
SUITE = "trixie"
PACKAGES = ("virtiofsd", "libc6", "libgcc-s1", "libcap-ng0", "libseccomp2")


def version(path):
    """(major, minor) of a Rust virtiofsd; None for anything else."""
    return foreign.version(path, r"^virtiofsd \d+\.\d+")


def _good(path):
    found = version(path)
    return found is not None and found >= MINIMUM


def unpacked(build):
    """The path of Debian 13's, unpacked below BUILD and started through its own loader."""
    directory = os.path.join(os.path.abspath(build), SUITE)
    wrapper = os.path.join(directory, "virtiofsd")
    if _good(wrapper):
        return wrapper
    foreign.fresh(directory, SUITE, PACKAGES, ["usr/libexec/virtiofsd"])
    if not _good(wrapper):
        raise RuntimeError(f"{wrapper} does not start")
    return wrapper


def fetch(build):
    """The path of a Rust virtiofsd, unpacked below BUILD when this release has none."""
    return NATIVE if _good(NATIVE) else unpacked(build)


def find(build):
    """The same without fetching; None when there is none."""
    for path in (NATIVE, os.path.join(os.path.abspath(build), SUITE, "virtiofsd")):
        if _good(path):
            return path
    return None
