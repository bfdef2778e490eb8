# SPDX-License-Identifier: MIT
"""Where a Rust virtiofsd comes from: this release, or Debian 13.

Debian 12 has only the C virtiofsd, which cannot translate user ids.  There the Rust one of
Debian 13 is taken from the mirror that this machine's apt already uses, checked by apt with
Debian's keys, only unpacked (below the build directory), and started through its own loader.
"""

import glob
import os
import re
import shutil
import subprocess

NATIVE = "/usr/libexec/virtiofsd"
MINIMUM = (1, 13)
SUITE = "trixie"
PACKAGES = ("virtiofsd", "libc6", "libgcc-s1", "libcap-ng0", "libseccomp2")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

WRAPPER = """#!/bin/sh
# virtiofsd of Debian 13 with its own loader and libraries
here=$(dirname "$(readlink -f "$0")")
exec "$here/{loader}" --library-path "{libraries}" "$here/usr/libexec/virtiofsd" "$@"
"""


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


def mirror():
    """The Debian archive this machine's apt uses."""
    lines = []
    for name in glob.glob("/etc/apt/sources.list.d/*.sources"):
        with open(name, encoding="utf-8") as f:
            lines += re.findall(r"^URIs:\s*(.*)$", f.read(), re.MULTILINE)
    for name in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]:
        if os.path.exists(name):
            with open(name, encoding="utf-8") as f:
                lines += re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)", f.read(), re.MULTILINE)
    for uri in " ".join(lines).split():
        if re.search(r"/debian/?$", uri):
            return uri
    raise RuntimeError("no Debian archive (…/debian) in /etc/apt/sources.list*")


def _apt(directory):
    """An apt of our own: nothing of this machine's package state is read or changed."""
    state = os.path.join(directory, "apt")
    for name in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(state, name), exist_ok=True)
    with open(os.path.join(state, "sources.list"), "w", encoding="utf-8") as f:
        f.write(f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n")
    config = os.path.join(state, "apt.conf")
    with open(config, "w", encoding="utf-8") as f:
        f.write(f'Dir::Etc::sourcelist "{state}/sources.list";\n'
                'Dir::Etc::sourceparts "/dev/null";\n'
                f'Dir::State::lists "{state}/lists";\n'
                f'Dir::Cache "{state}/cache";\n'
                'Dir::State::status "/dev/null";\n'
                'Dir::Log "/dev/null";\n'
                'Acquire::Languages "none";\n'
                'APT::Sandbox::User "";\n')
    env = dict(os.environ, APT_CONFIG=config)

    def run(*argv):
        done = subprocess.run(["apt-get", "-q", *argv], cwd=state, env=env, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"apt-get {argv[0]}: {done.stderr.strip()}")

    return state, run


def _unpack(directory):
    state, apt = _apt(directory)
    apt("update")
    apt("download", *PACKAGES)
    for package in glob.glob(os.path.join(state, "*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, directory], check=True)
    shutil.rmtree(state)


def _wrap(directory):
    def relative(pattern):
        found = glob.glob(os.path.join(directory, pattern))
        if not found:
            raise RuntimeError(f"{SUITE}: no {pattern} in the packages")
        return os.path.relpath(found[0], directory)

    loader = relative("usr/lib*/*/ld-linux-*.so.*")
    libraries = relative("usr/lib/*-linux-gnu*")
    wrapper = os.path.join(directory, "virtiofsd")
    with open(wrapper, "w", encoding="utf-8") as f:
        f.write(WRAPPER.format(loader=loader, libraries="$here/" + libraries))
    os.chmod(wrapper, 0o755)
    return wrapper


def fetch(build):
    """The path of a Rust virtiofsd, unpacked below BUILD when this release has none."""
    if _good(NATIVE):
        return NATIVE
    directory = os.path.join(os.path.abspath(build), SUITE)
    wrapper = os.path.join(directory, "virtiofsd")
    if _good(wrapper):
        return wrapper
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    _unpack(directory)
    wrapper = _wrap(directory)
    if not _good(wrapper):
        raise RuntimeError(f"{wrapper} does not start")
    return wrapper


def find(build):
    """The same without fetching; None when there is none."""
    for path in (NATIVE, os.path.join(os.path.abspath(build), SUITE, "virtiofsd")):
        if _good(path):
            return path
    return None
