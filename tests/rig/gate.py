# SPDX-License-Identifier: MIT
"""The gate, and sbportal's end of it in the hands of a test."""

import os
import re
import socket

from gi.repository import Gio

from . import boundaries, rogue, wire
from .guest import FILE_CHOOSER, PATH, REQUEST, GLib, error_name, pump
from .processes import scale, wait_for

DENIED = "org.freedesktop.DBus.Error.AccessDenied"
PEER = "org.freedesktop.DBus.Peer"


class Gate:
    """The connection that sbportal has to the supervisor, and the instance behind it."""

    def __init__(self, env, speak=True, **arguments):
        """speak: by GDBus; else .raw is the socket, and nothing has been said on it."""
        self.env = env
        self.bus = None
        self.rogue = env.closing(rogue.Rogue(env, **arguments))
        self.sidebus = self.rogue.sidebus
        bus, fd = self.rogue.configuration()
        os.close(bus)
        self.rogue.send(self.rogue.ready)
        if not speak:
            self.raw = socket.socket(fileno=fd)
            return
        stream = Gio.Socket.new_from_fd(fd).connection_factory_create_connection()
        self.bus = Gio.DBusConnection.new_sync(
            stream, None, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None)
        self.sidebus.wait_ready()
        self.signals = []
        self.bus.signal_subscribe(None, REQUEST, None, None, None, Gio.DBusSignalFlags.NONE,
                                  lambda *s: self.signals.append((s[2], s[4], s[5])))

    @staticmethod
    def message(path, interface, member, body=None, *, serial=1, destination=None):
        """The bytes of a method call, for .raw."""
        return bytes(wire.call(path, interface, member, body, destination=destination,
                               serial=serial))

    def call(self, path, interface, member, arguments=None):
        reply = self.bus.call_sync(None, path, interface, member, arguments, None,
                                   Gio.DBusCallFlags.NONE, int(20000 * scale()), None)
        return reply.unpack() if reply else ()

    def refused(self, *call):
        self.env.hostile(boundaries.GATE)
        try:
            reply = self.call(*call)
        except GLib.Error as e:
            assert error_name(e), f"{call}: {e}; the log:\n{self.sidebus.log()}"
            return error_name(e)
        raise AssertionError(f"{call} passed the gate: {reply}")

    def ask(self, member="OpenFile", title="T", parent="", **options):
        """Calls FileChooser on the gate; the handle."""
        handle, = self.call(PATH, FILE_CHOOSER, member,
                            GLib.Variant("(ssa{sv})", (parent, title, options)))
        return handle

    def response(self, handle):
        def found():
            pump()
            return [v for path, member, v in self.signals
                    if path == handle and member == "Response"]
        return wait_for("the gate's Response", found)[0].unpack()

    def close(self):
        if self.bus is None:
            self.raw.close()
        elif not self.bus.is_closed():
            self.bus.close_sync(None)


def open_gate(env, **arguments):
    return env.closing(Gate(env, **arguments))


def called_for(monitor):
    """{(interface, member)} of what the VM that asked for a dialog called on the session bus."""
    calls = [m for m in monitor.messages() if m["type"] == "method_call"]
    names = {m["sender"] for m in calls if m.get("interface") == FILE_CHOOSER}
    assert len(names) == 1, names
    return {(m.get("interface"), m.get("member")) for m in calls if m["sender"] in names}


def rows_of(source):
    """(interface, member, signature) of each method of docs/PORTALS.md."""
    interface = None
    with open(os.path.join(source, "docs/PORTALS.md"), encoding="utf-8") as f:
        for line in f:
            if line.startswith("## "):
                interface = line.split()[1]
            match = re.match(r"\| (\w+)\((\S*)\) ?[→|]", line)
            if match:
                yield interface, match[1], match[2]
