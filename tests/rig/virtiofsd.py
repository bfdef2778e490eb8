# SPDX-License-Identifier: MIT
"""Where a Rust virtiofsd comes from: this release, or Debian 13.

Debian 12 has only the C virtiofsd, which cannot translate user ids.  There the Rust one of
Debian 13 is taken (see foreign.py).
"""

import os
import re
import shutil
import subprocess

from . import foreign

NATIVE = "/usr/libexec/virtiofsd"
MINIMUM = (1, 13)
SUITE = "trixie"
PACKAGES = ("virtiofsd", "libc6", "libgcc-s1", "libcap-ng0", "libseccomp2")


def version(path):
    """(major, minor) of a Rust virtiofsd; None for anything else."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20,
                              check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"virtiofsd (\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2])) if match else None


def _good(path):
    found = version(path)
    return found is not None and found >= MINIMUM


def unpacked(build):
    """The path of Debian 13's, unpacked below BUILD and started through its own loader."""
    directory = os.path.join(os.path.abspath(build), SUITE)
    wrapper = os.path.join(directory, "virtiofsd")
    if _good(wrapper):
        return wrapper
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    foreign.unpack(SUITE, PACKAGES, directory)
    foreign.wrap(directory, "usr/libexec/virtiofsd", "virtiofsd")
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
