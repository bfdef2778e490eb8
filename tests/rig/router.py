# SPDX-License-Identifier: MIT
"""sbrouter by itself: as an ordinary bus, or under a supervisor that this file plays."""

import contextlib
import os
import re
import signal as sig
import socket
import struct

from gi.repository import Gio, GLib

from . import boundaries
from .processes import Process, wait_for
from .wire import RawClient, call

BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
ERROR = BUS + ".Error."
PING = call("/", BUS + ".Peer", "Ping", serial=7)

# enum values of ipc/ipc_msg.h
VM, PRIVATE = 1, 2
GUEST, CID, OWNER, FDS, DEBUG = 1, 2, 4, 8, 16
PORTAL, SUPERVISOR = 1, 2
MACHINE_ID = bytes(range(16))


class HungUp(AssertionError):
    """The bus closed the connection instead of answering."""


class Client(RawClient):
    """A raw client that can also ask the bus for things."""

    def __init__(self, path_or_socket, *, fds=False, authenticate=True, say_hello=True,
                 greeting=b"", mechanism=b"AUTH EXTERNAL 30"):
        if isinstance(path_or_socket, socket.socket):
            self.socket, self.buffer = path_or_socket, b""
            self.socket.settimeout(20)
        else:
            super().__init__(path_or_socket, authenticate=False)
        self.serial = 1
        self.name = None
        if greeting:
            self.send(greeting)
        if authenticate:
            self.send(b"\0" + mechanism + b"\r\n")
            if greeting:
                self.greeted = self.plain_line()
            line = self.line()
            assert line.startswith(b"OK "), line
            if fds:
                self.send(b"NEGOTIATE_UNIX_FD\r\n")
                assert self.line() == b"AGREE_UNIX_FD"
            self.send(b"BEGIN\r\n")
            if say_hello:
                self.name = self.say_hello()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def plain_line(self):
        while b"\n" not in self.buffer:
            assert self._more(), f"hung up after {self.buffer!r}"
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def next_serial(self):
        self.serial += 1
        return self.serial

    def ask(self, member, body=None, *, interface=BUS, path=BUS_PATH, destination=BUS, patch=None):
        """Calls and waits: the values of the answer, or the name of the error."""
        serial = self.next_serial()
        data = call(path, interface, member, body, destination=destination, serial=serial)
        self.send(patch(data) if patch else data)
        return self.result(serial)

    def result(self, serial):
        message = self.reply(serial)
        if message is None:
            raise HungUp
        if message.get_message_type() == Gio.DBusMessageType.ERROR:
            return message.get_error_name()
        body = message.get_body()
        return body.unpack() if body is not None else ()

    def alive(self):
        return self.ask("Ping", interface="org.freedesktop.DBus.Peer") == ()

    def add_match(self, rule):
        return self.ask("AddMatch", GLib.Variant("(s)", (rule,)))

    def signals(self, until=None):
        """The members of the signals that came before now."""
        serial = self.next_serial()
        self.send(call("/", "org.freedesktop.DBus.Peer", "Ping", serial=serial))
        found = []
        while True:
            message = self.message()
            assert message is not None, "hung up"
            if message.get_reply_serial() == serial:
                return found
            if message.get_message_type() == Gio.DBusMessageType.SIGNAL:
                found.append(message)


def signal(member, body=None, *, path="/t", interface="t.T", destination=None, serial=1000):
    message = Gio.DBusMessage.new_signal(path, interface, member)
    message.set_serial(serial)
    if destination:
        message.set_destination(destination)
    if body is not None:
        message.set_body(body)
    return message.to_blob(Gio.DBusCapabilityFlags.NONE)


class Router:
    """One sbrouter process; stop() checks that it did not die before."""

    def __init__(self, build, directory, argv, pass_fds=()):
        self.path = os.path.join(directory, "bus")
        self.process = Process([os.path.join(build, "sbrouter"), *argv], pass_fds=pass_fds,
                               log=os.path.join(directory, "sbrouter.log"))

    def log(self):
        return self.process.log()

    def client(self, **arguments):
        return Client(self.path, **arguments)

    def status(self, key):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(line.split()[1] for line in f if line.startswith(key + ":"))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        """KiB."""
        return int(self.status("VmRSS"))


class Standalone(Router):
    def __init__(self, build, directory, *options):
        path = os.path.join(directory, "bus")
        super().__init__(build, directory,
                         ["--standalone", "--listen", "unix:" + path, *options])
        self.address = "unix:path=" + path
        wait_for("the bus", lambda: "running" in self.log() or not self.process.running())
        assert self.process.running(), self.log()

    def close(self):
        assert self.process.running(), self.log()
        self.process.stop()


def bus(env, *arguments):
    """An ordinary bus, closed after the test."""
    return env.closing(Standalone(env.build, env.tmp, *arguments))


class Watched:
    """A bus with a client on it that must not notice anything."""

    def __init__(self, env, *arguments):
        self.env = env
        self.router = bus(env, *arguments)
        self.witness = self.client()

    def client(self, **arguments):
        return self.env.closing(self.router.client(**arguments))

    def cut_off(self, data, what, **arguments):
        c = self.router.client(**arguments)
        c.send(data)
        assert c.is_cut_off(), what
        c.close()
        assert self.witness.alive(), what
        self.env.hostile(boundaries.GUEST)


@contextlib.contextmanager
def asleep(bus):
    """Nothing is handled before all is there."""
    os.kill(bus.router.process.pid, sig.SIGSTOP)
    wait_for("it to stop", lambda: bus.router.status("State") == "T")
    try:
        yield
    finally:
        os.kill(bus.router.process.pid, sig.SIGCONT)


class Supervised(Router):
    """The supervisor's end of ipc is ours."""

    def __init__(self, build, directory, source, bus, configure=True):
        with open(os.path.join(source, "ipc", "ipc_msg.h"), encoding="utf-8") as f:
            text = f.read()
        self.abi = int(re.search(r"#define IPC_ABI (\d+)u", text)[1])
        names = re.findall(r"^ +X\(([A-Z]+_[A-Z_]+),", text, re.MULTILINE)
        self.types = {name: i + 1 for i, name in enumerate(names)}
        self.ipc, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ipc.settimeout(20)
        self.streams = []
        os.set_inheritable(theirs.fileno(), True)
        super().__init__(build, directory, ["--ipc-fd", str(theirs.fileno())],
                         pass_fds=[theirs.fileno()])
        theirs.close()
        if configure:
            self.configure(bus)

    def say(self, name, body, fds=()):
        packet = struct.pack("=II", self.types[name], 0) + body
        socket.send_fds(self.ipc, [packet], [f.fileno() for f in fds])

    def configure(self, bus, abi=None):
        self.say("ROUTER_CONFIG", struct.pack("=II", abi or self.abi, bus) + MACHINE_ID)
        answer = self.ipc.recv(100)
        if not answer:
            return False
        assert struct.unpack("=IIII", answer) == (self.types["ROUTER_READY"], 0, self.abi, 0)
        return True

    def listen(self, flags, cid=0, name="bus"):
        """A listening socket given to the router; its path."""
        path = os.path.join(os.path.dirname(self.path), name)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
            s.listen(64)
            s.setblocking(False)
            self.say("ROUTER_LISTEN", struct.pack("=II", flags, cid), [s])
        return path

    def peer(self, kind):
        """Our end of a stream that the router knows to be that kind's."""
        ours, theirs = socket.socketpair()
        with theirs:
            self.say("ROUTER_PEER", struct.pack("=II", kind, 0), [theirs])
        return ours

    def pid(self, pid):
        self.say("ROUTER_PID", struct.pack("=II", pid, 0))

    def hang_up(self):
        self.ipc.close()
        return self.process.wait()

    def close(self):
        running = self.process.running()
        status = self.hang_up()
        assert running and status == 0, (status, self.log())
