# SPDX-License-Identifier: MIT
"""Starting programs, and leaving none behind.

The runner is a child subreaper: whatever a program under test starts and forgets becomes the
runner's child, so walking down from the runner finds every process, however it was started.
"""

import os
import signal
import socket
import subprocess
import time
import typing


class Timeout(AssertionError):
    """Something that should have happened did not."""


class Done(typing.NamedTuple):
    """How a command ended, and what it said."""
    argv: list
    status: int
    out: str
    err: str

    @classmethod
    def of(cls, argv, code, out, err):
        return cls(argv, code, out.decode(errors="surrogateescape"),
                   err.decode(errors="surrogateescape"))

    def must(self):
        """Itself, when the status is 0."""
        assert self.status == 0, f"{self.argv}: status {self.status}\n{self.out}{self.err}"
        return self


def scale():
    """Sanitized programs are slower; so may a loaded machine be."""
    return float(os.environ.get("SIDEBUS_TEST_PATIENCE", "1"))


def sanitized(build):
    """Whether the programs in build are instrumented (make check SAN=…)."""
    with open(os.path.join(build, "sbrouter"), "rb") as f:
        return b"__asan_init" in f.read()


def wait_for(what, condition, seconds=20.0):
    """Polls condition() until it is true and returns its value; what says it in the error.

    The time is a limit for a test that hangs, never a measure of how fast something is."""
    limit = time.monotonic() + seconds * scale()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise Timeout(f"waited {seconds * scale():.0f} s for {what}")
        time.sleep(0.01)


def listens(path):
    """Whether somebody accepts there: a server's socket has its name before it listens."""
    with socket.socket(socket.AF_UNIX) as ours:
        return ours.connect_ex(path) == 0


def status(pid):
    """(parent, state, name) of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            text = f.read()
    except OSError:
        return None
    name_end = text.rindex(b")")
    name = os.fsdecode(text[text.index(b"(") + 1:name_end])
    fields = text[name_end + 2:].split()
    return int(fields[1]), fields[0].decode(), name


def descendants(root=None, zombies=False):
    """{pid: name} of everything below root (by default this process)."""
    root = root or os.getpid()
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            found = status(int(entry))
            if found:
                table[int(entry)] = found
    result = {}
    for pid, (_, state, name) in table.items():
        parent = pid
        while parent in table and parent != root:
            parent = table[parent][0]
        if parent == root and pid != root and (zombies or state != "Z"):
            result[pid] = name
    return result


def zombies(parent):
    """Its children that have ended and that it has not waited for."""
    found = {int(entry): status(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()}
    return [pid for pid, state in found.items() if state and state[:2] == (parent, "Z")]


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return [os.fsdecode(word) for word in f.read().split(b"\0")[:-1]]
    except OSError:
        return []


def kill_descendants():
    """Ends every process below this one, also those that others left behind."""
    limit = time.monotonic() + 10
    while True:
        left = descendants(zombies=True)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        if not left or time.monotonic() > limit:
            return
        time.sleep(0.01)


def mounts_below(directory):
    """Mount points in this namespace at or below directory."""
    with open("/proc/self/mountinfo", "rb") as f:
        points = [line.split()[4].decode("unicode_escape") for line in f]
    return [p for p in points if p == directory or p.startswith(directory + "/")]


def unmount_below(directory):
    """FUSE mounts of programs that were killed."""
    for point in reversed(mounts_below(directory)):
        subprocess.run(["fusermount3", "-uzq", point], capture_output=True, check=False)


class Process:
    """A program under test: its output goes to a file, stop() ends it."""

    def __init__(self, argv, *, log, env=None, pass_fds=(), stdin=subprocess.DEVNULL,
                 stdout=None, cwd="/"):
        self.name = os.path.basename(argv[0])
        self.log_path = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(argv, env=env, pass_fds=pass_fds, stdin=stdin, cwd=cwd,
                                          stdout=stdout or out, stderr=out, close_fds=True,
                                          start_new_session=True)

    @property
    def pid(self):
        return self.popen.pid

    def log(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode(errors="backslashreplace")

    def running(self):
        return self.popen.poll() is None

    def wait(self, seconds=20.0):
        """Its exit status; negative when a signal ended it."""
        try:
            return self.popen.wait(seconds * scale())
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} did not end; its log:\n{self.log()}") from None

    def signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def stop(self, seconds=20.0):
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()
