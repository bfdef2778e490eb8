# SPDX-License-Identifier: MIT
"""Where a dbus-daemon 1.16 and a dbus-broker 37 come from, beside this release's own.

Debian 12 has 1.14 and 33: there Debian 13's are unpacked (see foreign.py), and the router is
compared with both.
"""

import os

from . import foreign

PROGRAMS = {"dbus-daemon": (1, 16), "dbus-broker": (37,)}
SUITE = "trixie"
PACKAGES = (*PROGRAMS, "libapparmor1", "libaudit1", "libc6", "libcap-ng0", "libcap2", "libdbus-1-3",
            "libexpat1", "libgcc-s1", "libpcre2-8-0", "libselinux1", "libsystemd0")


def _are_new(directory):
    """Whether both are, in this directory, or ("") as this machine has them."""
    found = {name: foreign.version(os.path.join(directory, name)) for name in PROGRAMS}
    return all(v is not None and v >= PROGRAMS[name] for name, v in found.items())


def _directory(build):
    return os.path.join(os.path.abspath(build), SUITE + "-buses")


def find(build):
    """The directory with the two programs, "" when this machine's own are new; else None."""
    return next((d for d in ("", _directory(build)) if _are_new(d)), None)


def fetch(build):
    """The same, unpacked below BUILD when this release's are older."""
    found = find(build)
    if found is not None:
        return found
    directory = _directory(build)
    foreign.fresh(directory, SUITE, PACKAGES, ["usr/bin/" + name for name in PROGRAMS])
    if not _are_new(directory):
        raise RuntimeError(f"{directory}: its programs do not start")
    return directory
