# SPDX-License-Identifier: MIT
"""The documents as a VM mounts them: virtiofsd."""

import os
import socket
import stat
import struct

from rig.guest import FILE_CHOOSER, GuestClient
from rig.processes import command_line, descendants

VHOST_USER_GET_FEATURES = 1


def with_share(env):
    return env.closing(env.own_sidebus(virtiofsd=env.virtiofsd))


def daemon(sidebus):
    """The pid of virtiofsd, and its arguments."""
    pid = sidebus.child("virtiofsd")
    return pid, command_line(pid)


def vhost_socket(arguments):
    for n, word in enumerate(arguments):
        if word.startswith("--socket-path"):
            return word.partition("=")[2] or arguments[n + 1]
    raise AssertionError(arguments)


def option(arguments, name):
    for n, word in enumerate(arguments):
        if word == name or word.startswith(name + "="):
            return word.partition("=")[2] or arguments[n + 1]
    return None


def test_namespace(env):
    """virtiofsd runs in the documents' user and mount namespace, not in ours"""
    sidebus = with_share(env)
    pid, _ = daemon(sidebus)
    portal = sidebus.child("xdg-document-portal")
    # Its own sandbox may put the process that serves one level deeper; the first is the portal's.
    for kind in ("user", "mnt"):
        names = {os.readlink(f"/proc/{p}/ns/{kind}") for p in (pid, portal)}
        assert len(names) == 1, (kind, names)
        assert os.readlink(f"/proc/self/ns/{kind}") not in names


def test_shares(env):
    """it shares this VM's documents only, uncached, without attributes"""
    sidebus = with_share(env)
    _, arguments = daemon(sidebus)
    shared = option(arguments, "--shared-dir")
    assert shared.endswith("/doc/by-app/org.sidebus.vm.demo"), arguments
    assert option(arguments, "--cache") == "never", arguments
    assert not any(word.startswith("--xattr") for word in arguments), arguments


def test_socket(env):
    """the vhost-user socket is the person's alone, and virtiofsd answers on it"""
    sidebus = with_share(env)
    _, arguments = daemon(sidebus)
    path = vhost_socket(arguments)
    status = os.stat(path)
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600, oct(
        status.st_mode)
    assert path.startswith(sidebus.file("rt") + "/"), path
    assert os.stat(os.path.dirname(path)).st_mode & 0o077 == 0
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path)
        s.sendall(struct.pack("=III", VHOST_USER_GET_FEATURES, 1, 0))
        request, flags, size = struct.unpack("=III", s.recv(12))
        assert (request, flags & 7, size) == (VHOST_USER_GET_FEATURES, 5, 8)


def test_gone(env):
    """it ends with the instance"""
    sidebus = env.own_sidebus(virtiofsd=env.virtiofsd)
    pid, _ = daemon(sidebus)
    below = [pid, *descendants(pid)]
    assert sidebus.stop() == 0, sidebus.log()
    assert not any(os.path.exists(f"/proc/{p}") for p in below)


def test_without(env):
    """without a Rust virtiofsd one line says so, and all but the share runs"""
    sidebus = env.closing(env.own_sidebus(virtiofsd="/nonexistent/virtiofsd"))
    lines = [line for line in sidebus.log().splitlines() if "virtiofsd" in line]
    assert len(lines) == 1 and "/nonexistent/virtiofsd" in lines[0], lines
    assert env.closing(GuestClient(env.own_agent(sidebus).address)).get(FILE_CHOOSER, "version")
