# SPDX-License-Identifier: MIT
"""Packages of another Debian release, unpacked and never installed.

They come from the mirror that this machine's apt already uses, checked by apt with Debian's
keys.  A program that needs a newer C library than this machine's is started through its own
release's loader.

    foreign.unpack("trixie", ["virtiofsd", "libc6"], directory)
    program = foreign.wrap(directory, "usr/libexec/virtiofsd", "virtiofsd")
"""

import glob
import os
import re
import shutil
import subprocess

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

WRAPPER = """#!/bin/sh
# {program} with its own release's loader and libraries
here=$(dirname "$(readlink -f "$0")")
exec "$here/{loader}" --library-path "$here/{libraries}" "$here/{program}" "$@"
"""


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


def source_line(suite):
    return f"deb [signed-by={KEYRING}] {mirror()} {suite} main"


class Apt:
    """An apt of our own: nothing of this machine's package state is read or changed."""

    def __init__(self, suite, directory):
        self.directory = directory
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(directory, name), exist_ok=True)
        with open(os.path.join(directory, "sources.list"), "w", encoding="utf-8") as f:
            f.write(source_line(suite) + "\n")
        config = os.path.join(directory, "apt.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f'Dir::Etc::sourcelist "{directory}/sources.list";\n'
                    'Dir::Etc::sourceparts "/dev/null";\n'
                    f'Dir::State::lists "{directory}/lists";\n'
                    f'Dir::Cache "{directory}/cache";\n'
                    'Dir::State::status "/dev/null";\n'
                    'Dir::Log "/dev/null";\n'
                    'Acquire::Languages "none";\n'
                    'Acquire::Retries "3";\n'
                    'APT::Sandbox::User "";\n')
        self.env = dict(os.environ, APT_CONFIG=config, LC_ALL="C.UTF-8")
        self.run("apt-get", "-q", "update")

    def run(self, *argv):
        done = subprocess.run(argv, cwd=self.directory, env=self.env, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv[:3])}: {done.stderr.strip()}")
        return done.stdout

    def depends(self, package):
        """The packages that this one depends on, directly."""
        out = self.run("apt-cache", "depends", "--important", package)
        return re.findall(r"^\s*\|?Depends: ([^<\s]+)", out, re.MULTILINE)

    def unpack(self, packages, directory):
        self.run("apt-get", "-q", "download", *packages)
        for package in glob.glob(os.path.join(self.directory, "*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, directory], check=True)
            os.unlink(package)


def unpack(suite, packages, directory):
    """The packages' files into the directory."""
    state = os.path.join(directory, "apt")
    os.makedirs(state, exist_ok=True)
    try:
        Apt(suite, state).unpack(packages, directory)
    finally:
        shutil.rmtree(state)


def _only(directory, pattern):
    found = glob.glob(os.path.join(directory, pattern))
    if not found:
        raise RuntimeError(f"no {pattern} in the packages unpacked in {directory}")
    return os.path.relpath(found[0], directory)


def wrap(directory, program, name):
    """A script, name below directory, that starts the program; its path."""
    script = os.path.join(directory, name)
    with open(script, "w", encoding="utf-8") as f:
        f.write(WRAPPER.format(program=program,
                               loader=_only(directory, "usr/lib*/*/ld-linux-*.so.*"),
                               libraries=_only(directory, "usr/lib/*-linux-gnu*")))
    os.chmod(script, 0o755)
    return script


def version(program, pattern=r"\d+(?:\.\d+)*"):
    """The numbers of its version, of which pattern is the text; None when it does not say so."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20,
                              check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(pattern, done.stdout)
    return tuple(int(n) for n in re.findall(r"\d+", match[0])) if match else None


def fresh(directory, suite, packages, programs):
    """The packages in a directory that was emptied, with a script for each program."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    unpack(suite, packages, directory)
    for program in programs:
        wrap(directory, program, os.path.basename(program))
