# SPDX-License-Identifier: MIT
"""Where an xdg-desktop-portal comes from to which a program says its application id.

That is host.portal.Registry, of 1.19.4.  Debian 12 has 1.16: there Debian 13's is taken, with the
document portal and the permission store that belong to it (see foreign.py).
"""

import os

from . import foreign

NATIVE = "/usr/libexec"
PROGRAMS = ("xdg-desktop-portal", "xdg-document-portal", "xdg-permission-store")
MINIMUM = (1, 19, 4)
SUITE = "trixie"
PACKAGES = ("xdg-desktop-portal", "libatomic1", "libblkid1", "libc6", "libcap2", "libffi8",
            "libfuse3-4", "libgcc-s1", "libglib2.0-0t64", "libgudev-1.0-0", "libjson-glib-1.0-0",
            "libmount1", "libpcre2-8-0", "libpipewire-0.3-0t64", "libselinux1", "libsystemd0",
            "libudev1", "zlib1g")


def version(libexec):
    """(major, minor, micro) of the xdg-desktop-portal there; None when it does not start."""
    return foreign.version(os.path.join(libexec, PROGRAMS[0]), r"\d+\.\d+\.\d+")


def registers(libexec=NATIVE):
    """Whether programs say their application id to the one there."""
    found = version(libexec)
    return found is not None and found >= MINIMUM


def _directory(build):
    return os.path.join(os.path.abspath(build), SUITE + "-portal")


def find(build):
    """The directory with the three programs; None when there is none."""
    return next((d for d in (NATIVE, _directory(build)) if registers(d)), None)


def fetch(build):
    """The same, unpacked below BUILD when this release's is too old."""
    found = find(build)
    if found:
        return found
    directory = _directory(build)
    foreign.fresh(directory, SUITE, PACKAGES, ["usr/libexec/" + name for name in PROGRAMS])
    if not registers(directory):
        raise RuntimeError(f"{directory}/{PROGRAMS[0]} does not start")
    return directory
