# SPDX-License-Identifier: MIT
"""sbportal on a bus of its own, with a gate that the test plays (gate_player.c)."""

import itertools
import os
import queue
import socket
import subprocess
import threading

from gi.repository import Gio, GLib

from .guest import (DESKTOP, FILE_CHOOSER, PATH, REQUEST, GuestClient, Request, error_name,
                    pump)
from .processes import Process, wait_for

DOCUMENTS = "/run/sidebus/doc"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"
PORTAL = "org.freedesktop.portal."
SESSION = PORTAL + "Session"
GATE_REQUEST = PATH + "/request/vm/"
GATE_SESSION = PATH + "/session/vm/"
V = GLib.Variant

_tokens = itertools.count(1)

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={0}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_type="method_call"/>
<allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow own="*"/></policy></busconfig>"""


class Rig:
    """A bus, sbportal on it, and its gate."""

    def __init__(self, env, *arguments, bus_of=None):
        """bus_of: another rig, on whose bus this one is, too."""
        self.socket = os.path.join(env.tmp, "bus")
        self.address = "unix:path=" + self.socket
        self.bus = None if bus_of else self._start_bus(env)
        self.log_path = os.path.join(env.tmp, "second.log" if bus_of else "portal.log")
        player = os.path.join(env.build, "tests", "rig", "gate_player")
        self.player = Process([player, os.path.join(env.build, "sbportal"), self.socket, DOCUMENTS,
                               *arguments], log=self.log_path, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
        self.lines = queue.Queue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        self.clients = []
        self.fds = []  # what was in those of the last call
        self.pid = int(self.expect("pid")[0])
        self.expect("ipc PORTAL_READY")

    def _start_bus(self, env):
        config = os.path.join(env.tmp, "bus.conf")
        with open(config, "w") as f:
            f.write(BUS_CONFIG.format(self.socket))
        bus = Process(["dbus-daemon", "--nofork", "--config-file", config],
                      log=os.path.join(env.tmp, "bus.log"))
        wait_for("the bus", self.bus_listens)
        return bus

    def bus_listens(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.socket) == 0

    def _read(self):
        for line in self.player.popen.stdout:
            self.lines.put(line.decode().rstrip("\n"))
        self.lines.put(None)

    def line(self):
        """The next thing that happened on the gate."""
        for _ in range(2000):
            pump()
            try:
                line = self.lines.get(timeout=0.01)
            except queue.Empty:
                continue
            assert line is not None, "gate_player ended:\n" + self.player.log()
            return line
        raise AssertionError("nothing happened on the gate")

    def expect(self, start):
        """The next line must start so; what follows, in words."""
        line = self.line()
        assert line.startswith(start), (start, line, self.player.log())
        return line[len(start):].split()

    def call(self, member):
        """The next line must be a call of member: the text of its body."""
        assert self.expect("call " + member) == [PATH]
        body = []
        self.fds = []
        while (line := self.line()) != "end":
            if line.startswith("fd "):
                self.fds.append(line[3:])
            else:
                body.append(line[2:])
        return "\n".join(body)

    def quiet(self):
        """Nothing else happened on the gate: all that was before has been handled by now."""
        self.tell("call / a.b Probe")
        assert self.expect("answer") == ["org.freedesktop.DBus.Error.UnknownMethod"]
        assert self.lines.empty(), self.line()

    def learnt(self):
        """Nothing happened on the gate but that interfaces were asked for: their names."""
        self.player.popen.stdin.write(b"call / a.b Probe\n")
        self.player.popen.stdin.flush()
        names, ends = [], 0
        while ends < 2:  # the command's, and sbportal's answer to the call
            line = self.line()
            if line == "done call" or line.startswith("answer "):
                ends += 1
            else:
                assert line.startswith("get-all "), line
                names.append(line.split()[1])
        return names

    def plain(self, member, path=PATH):
        """The next lines must be a plain call of member: the text of its body."""
        body = self.call(member)
        self.expect("answered")
        return body

    def tell(self, command):
        self.player.popen.stdin.write(command.encode() + b"\n")
        self.player.popen.stdin.flush()
        assert self.line() == "done " + command.split()[0]

    def release(self):
        """What was held is answered; "done release" is among the next lines."""
        self.player.popen.stdin.write(b"release\n")
        self.player.popen.stdin.flush()

    def client(self):
        client = GuestClient(self.address)
        self.clients.append(client)
        return client

    def log(self):
        return self.player.log()

    def alive(self):
        """Same process, and it answers."""
        assert self.client().call(PATH, PEER, "GetMachineId") == ("ab" * 16,)
        os.kill(self.pid, 0)

    def stop(self):
        for client in self.clients:
            client.close()
        self.player.popen.stdin.close()
        self.player.wait()
        if self.bus:
            self.bus.stop()
        self.thread.join()
        self.player.popen.stdout.close()


def start(env, *arguments, bus_of=None):
    """The rig, stopped with the test."""
    return env.closing(Rig(env, *arguments, bus_of=bus_of))


def open_request(rig, client, **options):
    """(request, its token on the gate)"""
    request = client.open_file(**options)
    rig.call("OpenFile")
    return request, rig.expect("reply")[0]


def fails(function, *arguments, **named):
    """The name of the error it ends with."""
    try:
        result = function(*arguments, **named)
    except GLib.Error as e:
        return error_name(e)
    raise AssertionError(("no error", result))


def message_of(function, *arguments, **named):
    """(name, text) of the error it ends with."""
    try:
        result = function(*arguments, **named)
    except GLib.Error as e:
        name = error_name(e)
        return name, e.message.split(name + ": ", 1)[1]
    raise AssertionError(("no error", result))


def respond(rig, token, code, results="0", told=True):
    """The gate's Response; results: a{sv} in the player's words.  told: it is on its way."""
    command = f"signal {GATE_REQUEST}{token} {REQUEST} Response ua{{sv}} {code} {results}"
    if told:
        rig.tell(command)
    else:
        rig.player.popen.stdin.write(command.encode() + b"\n")
        rig.player.popen.stdin.flush()


class Signals:
    """Signals of sbportal that a client hears, but for those of requests and of the bus."""

    def __init__(self, client):
        self.client = client
        self.heard = []
        client.bus.signal_subscribe(DESKTOP, None, None, None, None, Gio.DBusSignalFlags.NONE,
                                    self._on_signal)
        client.call(PATH, PEER, "Ping")  # the match rule is there

    def _on_signal(self, _bus, _sender, path, interface, member, arguments):
        if interface != REQUEST:
            self.heard.append((path, interface, member, arguments.unpack()))

    def wait(self, n=1):
        """The next n of them."""
        wait_for("signals", lambda: (pump(), len(self.heard) >= n)[1])
        return self.more()

    def more(self):
        """All that have been sent by now."""
        self.client.call(PATH, PEER, "Ping")
        pump()
        heard, self.heard = self.heard, []
        return heard


def request_with(client, member, interface, *arguments, options):
    """A portal request of any arguments."""
    token = f"w{next(_tokens)}"
    request = Request(client, client.predicted(token))
    body = V.new_tuple(*arguments, V("a{sv}", {"handle_token": V("s", token), **options}))
    assert client.call(PATH, interface, member, body) == (request.path,)
    return request


def send(client, message):
    """Sends a message as it is; its reply."""
    reply, _ = client.bus.send_message_with_reply_sync(
        message, Gio.DBusSendMessageFlags.NONE, 20000, None)
    return reply


def method_call(member, body, path=PATH, interface=FILE_CHOOSER):
    message = Gio.DBusMessage.new_method_call(DESKTOP, path, interface, member)
    if body is not None:
        message.set_body(body)
    return message


def call_with_fds(client, interface, member, body, fds):
    """fds: descriptors, which stay the caller's."""
    fd_list = Gio.UnixFDList.new_from_array([os.dup(fd) for fd in fds])
    reply, _ = client.bus.call_with_unix_fd_list_sync(
        DESKTOP, PATH, interface, member, body, None, Gio.DBusCallFlags.NONE, 20000, fd_list, None)
    return reply.unpack()
