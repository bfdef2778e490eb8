# SPDX-License-Identifier: MIT
"""Raw bytes behind sbagent: what no D-Bus library would send."""

import os
import socket
import struct

from gi.repository import Gio, GLib

from .processes import scale

CALL, RETURN, FAILURE, SIGNAL = 1, 2, 3, 4

# Of a call or a signal, as fixed() takes them: path, interface, member.
NAMED = [(1, b"o", b"/"), (2, b"s", b"t.T"), (3, b"s", b"M")]


def variant(kind, *values):
    return GLib.Variant(kind, values)


def call(path, interface, member, body=None, *, destination="org.freedesktop.DBus", serial=1,
         sender=None):
    """The bytes of a method call."""
    message = Gio.DBusMessage.new_method_call(destination, path, interface, member)
    message.set_serial(serial)
    if sender:
        message.set_sender(sender)
    if body is not None:
        message.set_body(body)
    return message.to_blob(Gio.DBusCapabilityFlags.NONE)


def hello(serial=1):
    return call("/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", serial=serial)


def with_u32(message, offset, value):
    """The message with one number of its fixed header changed: 4 body, 8 serial, 12 fields."""
    order = "<" if message[:1] == b"l" else ">"
    return message[:offset] + struct.pack(order + "I", value) + message[offset + 4:]


def fixed(kind, serial, fields, body=b"", flags=0):
    """A little-endian message from its parts; fields: (code, signature, value)."""
    data = b""
    for code, signature, value in fields:
        data += bytes(-len(data) % 8) + struct.pack("<BB2s", code, 1, signature + b"\0")
        if signature in b"so":
            data += struct.pack("<I", len(value)) + value + b"\0"
        elif signature == b"g":
            data += struct.pack("<B", len(value)) + value + b"\0"
        else:
            data += struct.pack("<I", value)
    return (struct.pack("<cBBBIII", b"l", kind, flags, 1, len(body), serial, len(data)) + data +
            bytes(-len(data) % 8) + body)


def bytes_message(size, destination=None, kind=SIGNAL, serial=5, flags=0):
    """A signal or a call whose body is an array of so many bytes."""
    to = [(6, b"s", destination.encode())] if destination else []
    return fixed(kind, serial, NAMED + to + [(8, b"g", b"ay")],
                 struct.pack("<I", size) + bytes(size), flags)


class RawClient:
    """A stream to the bus that says what it is told to."""

    def __init__(self, path, *, authenticate=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20 * scale())
        self.socket.connect(path)
        self.buffer = b""
        if authenticate:
            identity = str(os.getuid()).encode().hex()
            self.send(f"\0AUTH EXTERNAL {identity}\r\n".encode())
            line = self.line()
            assert line.startswith(b"OK "), line
            self.send(b"BEGIN\r\n")

    def send(self, data):
        """Sends what the other side still takes; false once it has hung up."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return data

    def line(self):
        while b"\r\n" not in self.buffer:
            assert self._more(), f"hung up after {self.buffer!r}"
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def message(self):
        """The next message; None when the other side hung up."""
        while True:
            if len(self.buffer) >= 16:
                size = Gio.DBusMessage.bytes_needed(self.buffer[:16])
                if len(self.buffer) >= size:
                    data, self.buffer = self.buffer[:size], self.buffer[size:]
                    return Gio.DBusMessage.new_from_blob(data, Gio.DBusCapabilityFlags.NONE)
            if not self._more():
                return None

    def reply(self, serial):
        """The answer to that call; None when the other side hung up first."""
        while True:
            message = self.message()
            if message is None or message.get_reply_serial() == serial:
                return message

    def say_hello(self):
        """Its unique name."""
        self.send(hello())
        return self.reply(1).get_body().unpack()[0]

    def is_cut_off(self):
        """Waits until the other side has hung up; false when it keeps talking for too long."""
        try:
            while self._more():
                pass
            return True
        except socket.timeout:
            return False

    def close(self):
        self.socket.close()
