# SPDX-License-Identifier: MIT
"""sbagent between two ends that a test plays byte by byte: a program, and the host."""

import contextlib
import os
import socket
import subprocess
import threading

from .processes import Process, listens, scale, wait_for
from .sidebus import Agent

OK = b"SIDEBUS/1 OK\n"
LONG = 20 * scale()  # how long something may take before it counts as never


def client(path, first=b"\0"):
    """A program that has said its first byte: before it the agent does not turn to the host."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(LONG)
    s.connect(path)
    if first:  # no bytes may still be a broken pipe
        s.sendall(first)
    return s


def read_exactly(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        assert piece, f"the stream ended after {len(data)} of {n} bytes"
        data += piece
    return data


def read_to_end(s):
    data = b""
    while piece := s.recv(65536):
        data += piece
    return data


def ended(s):
    """Whether the other end closed the stream, with or without something unread."""
    try:
        return s.recv(65536) == b""
    except ConnectionResetError:
        return True


def read_line(s):
    line = b""
    while not line.endswith(b"\n"):
        line += read_exactly(s, 1)
    return line


class Host:
    """A host that does nothing by itself."""

    def __init__(self, path, backlog=300):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(path)
        self.socket.listen(backlog)
        self.socket.settimeout(LONG)
        self.line = b""

    def accept(self, answer=OK, first=b"\0"):
        """The next stream, after its line was answered; first: what client() said is read."""
        s, _ = self.socket.accept()
        s.settimeout(LONG)
        self.line = read_line(s)
        s.sendall(answer)
        if answer.startswith(b"SIDEBUS/1 OK"):
            assert read_exactly(s, len(first)) == first
        return s

    def close(self):
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def pump(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Undescribed:
    """A stream that, like the VM bus, does not agree to descriptors: no relay could carry them."""

    def __init__(self, stream):
        self.stream = stream

    def sendall(self, data):
        self.stream.sendall(data.replace(b"NEGOTIATE_UNIX_FD", b"NEGOTIATE_NOTHING"))

    def __getattr__(self, name):
        return getattr(self.stream, name)


class BusHost(Host):
    """A host behind which a real dbus-daemon is."""

    def __init__(self, directory):
        super().__init__(os.path.join(directory, "h"))
        bus = os.path.join(directory, "bus")
        self.daemon = Process(["/usr/bin/dbus-daemon", "--nofork", "--session",
                               "--address=unix:path=" + bus],
                              log=os.path.join(directory, "bus.log"))
        wait_for("dbus-daemon", lambda: listens(bus))
        self.streams = []
        threading.Thread(target=self.serve, args=[bus], daemon=True).start()

    def serve(self, bus):
        self.socket.settimeout(None)
        with contextlib.suppress(OSError):
            while True:
                stream = self.accept(first=b"")
                stream.settimeout(None)
                upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                upstream.connect(bus)
                self.streams += [stream, upstream]
                for a, b in ((stream, Undescribed(upstream)), (upstream, stream)):
                    threading.Thread(target=pump, args=[a, b], daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        super().close()
        for s in self.streams:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()
        self.daemon.stop()


class CheckedAgent(Agent):
    """Ends well or fails its test: a crash, a killed system call or a leak is seen here."""

    def stop(self):
        was_running = self.process.running()
        code = super().stop()
        assert not was_running or code == 0, f"exit status {code}:\n{self.log()}"
        return code


def start(env, *arguments, host=None, environment=None):
    """An agent, and where its host listens."""
    path = host or os.path.join(env.tmp, "h")
    agent = CheckedAgent(env.build, os.path.join(env.tmp, "a"), path, arguments=arguments,
                         env=dict(os.environ, **(environment or {})))
    env.closing(agent)
    return agent, path


def start_pair(env, *arguments):
    """(agent, host), the host listening."""
    host = env.closing(Host(os.path.join(env.tmp, "h")))
    return start(env, *arguments)[0], host


def connect(env, agent, host, answer=OK):
    """(the program's end, the host's end) of one relayed stream."""
    program = env.closing(client(agent.socket))
    return program, env.closing(host.accept(answer))


def run_agent(env, *arguments, environment=None, directory=None):
    """Runs sbagent to its end; (exit status, what it said)."""
    done = subprocess.run([os.path.join(env.build, "sbagent"), *arguments], capture_output=True,
                          env=dict(os.environ, **(environment or {})), cwd=directory or env.tmp,
                          timeout=LONG, check=False)
    return done.returncode, (done.stderr + done.stdout).decode()
