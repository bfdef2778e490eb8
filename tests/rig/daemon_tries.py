# SPDX-License-Identifier: MIT
"""What can be done in a portal daemon's place: to the VM, and to the person's programs.

make() writes a program for SIDEBUS_DOCUMENT_PORTAL, SIDEBUS_PERMISSION_STORE or SIDEBUS_VIRTIOFSD
that runs this file: it tries every family of sockets, a signal by each door to a process each,
to change the limits of one, to make a setuid file by a mode that no filter sees, to listen, and to
execute what it has written; says on a line of its log what came of it; and
becomes the real daemon.
"""

import ctypes
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys

PREFIX = "tried: "
SIGNAL = signal.SIGUSR1

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *arguments):
    """Of the C library; raises OSError."""
    if getattr(_libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def _by_queue(pid, *thread):
    info = (ctypes.c_int * 32)(SIGNAL, 0, -1)  # SI_QUEUE
    # rt_sigqueueinfo and rt_tgsigqueueinfo have no name in the C library.
    number = {"x86_64": (129, 297), "aarch64": (138, 240)}[os.uname().machine][len(thread)]
    _call("syscall", number, pid, *thread, SIGNAL, info)


def _by_reading(pid):
    """The kernel signals that there is something to read, with the signal that it is told to."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fcntl.fcntl(ours, fcntl.F_SETOWN, pid)
        fcntl.fcntl(ours, 10, SIGNAL)  # F_SETSIG
        fcntl.fcntl(ours, fcntl.F_SETFL, os.O_ASYNC)
        theirs.send(b"x")


DOORS = {
    "kill": lambda pid: os.kill(pid, SIGNAL),
    "tkill": lambda pid: _call("syscall", {"x86_64": 200, "aarch64": 130}[os.uname().machine],
                               pid, SIGNAL),
    "tgkill": lambda pid: _call("tgkill", pid, pid, SIGNAL),
    "rt_sigqueueinfo": _by_queue,
    "rt_tgsigqueueinfo": lambda pid: _by_queue(pid, pid),
    "pidfd_send_signal": lambda pid: signal.pidfd_send_signal(os.pidfd_open(pid), SIGNAL),
    "F_SETOWN": _by_reading,
}


def make(env, real, victims):
    """The program's path.  victims: pids, one for each of DOORS."""
    path = os.path.join(env.directory(), os.path.basename(real))
    tests = os.path.join(env.source, "tests")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"#!{sys.executable} -B\nimport sys\nsys.path.insert(0, {tests!r})\n"
                f"from rig import daemon_tries\ndaemon_tries.main({real!r}, {victims!r})\n")
    os.chmod(path, 0o755)
    return path


class Victims:
    """A process of the person's for each door."""

    def __init__(self):
        self.children = {door: subprocess.Popen(["sleep", "1000"]) for door in DOORS}

    @property
    def pids(self):
        return [child.pid for child in self.children.values()]

    def signalled(self):
        """The doors by which a signal came, once it has been sent."""
        return sorted(door for door, child in self.children.items() if child.poll() is not None)

    def close(self):
        for child in self.children.values():
            child.kill()
            child.wait()


def _opens(family):
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
        return True
    except OSError:
        return False


def _done(what, *arguments):
    try:
        what(*arguments)
        return True
    except OSError:
        return False


def _listen():
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("\0" + f"sidebus-daemon-{os.getpid()}")
        s.listen()


def _execute_written():
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    _call("mprotect", ctypes.c_void_p(address), ctypes.c_size_t(4096),
          mmap.PROT_READ | mmap.PROT_EXEC)


def _make_set_id():
    how = struct.pack("=QQQ", os.O_TMPFILE | os.O_RDWR, 0o6755, 0)
    _call("syscall", 437, -100, b"/tmp", how, len(how))  # openat2


def _limit(pid):
    resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


def main(real, victims):
    if "--version" not in sys.argv:
        print(PREFIX + json.dumps({
            "families": [family for family in range(64) if _opens(family)],
            "signals": [door for door, pid in zip(DOORS, victims) if _done(DOORS[door], pid)],
            "limits": _done(_limit, victims[0]), "set_id": _done(_make_set_id),
            "listens": _done(_listen), "code": _done(_execute_written)}), flush=True)
    os.execv(real, [real, *sys.argv[1:]])
