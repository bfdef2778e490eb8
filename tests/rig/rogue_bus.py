# SPDX-License-Identifier: MIT
"""A bus of ours in the hands of a test, which answers its peer as it likes."""

import socket

from gi.repository import Gio, GLib

from .processes import scale
from .rogue import ROUTER, Rogue
from .wire import RawClient

BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
WELCOME = b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n"


class Bus(RawClient):
    """A router's end of the connection of sbportal, or on the private bus of the supervisor."""

    def __init__(self, env, who=ROUTER):
        self.rogue = env.closing(Rogue(env, who))
        self.rogue.configuration()
        name = None
        while name != "ROUTER_PEER":
            name, _, fds = self.rogue.receive()
        self.socket = socket.socket(fileno=fds[0])
        self.socket.settimeout(20 * scale())
        self.buffer = b""
        self.serial = 100
        self.rogue.send(self.rogue.ready)
        self.sidebus = self.rogue.sidebus

    def greet(self, answer=WELCOME):
        """Reads the handshake, and answers; false when it has hung up meanwhile."""
        while b"BEGIN\r\n" not in self.buffer:
            if not self._more():
                return False
        self.buffer = self.buffer.split(b"BEGIN\r\n", 1)[1]
        return self.send(answer)

    def answer(self, message, body, *, sender=BUS, serial=None):
        reply = Gio.DBusMessage.new_method_reply(message)
        reply.set_sender(sender)
        reply.set_destination(":1.1")
        if serial is not None:
            reply.set_reply_serial(serial)
        if body is not None:
            reply.set_body(body)
        return self.say(reply)

    def say(self, message):
        self.serial += 1
        message.set_serial(self.serial)
        data = bytes(message.to_blob(Gio.DBusCapabilityFlags.UNIX_FD_PASSING))
        return self.send(data.replace(b"Locax", b"Local"))  # which GLib does not write

    def next_call(self, member):
        """The next call of that name; None when it has hung up."""
        while True:
            message = self.message()
            if message is None or message.get_member() == member:
                return message

    def welcome(self):
        """As a bus does, until the portal serves."""
        assert self.greet()
        self.answer(self.next_call("Hello"), GLib.Variant("(s)", (":1.1",)))
        while not self.sidebus.notify.has("READY=1"):
            self.socket.settimeout(0.2)
            try:
                message = self.message()
            except socket.timeout:
                continue
            assert message is not None, self.sidebus.log()
            body = {"RequestName": GLib.Variant("(u)", (1,)), "AddMatch": None,
                    "GetNameOwner": GLib.Variant("(s)", (":1.1",))}
            if message.get_member() in body:
                self.answer(message, body[message.get_member()])
        self.socket.settimeout(20 * scale())
        return self
