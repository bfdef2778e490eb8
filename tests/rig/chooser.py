#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A file chooser that a test operates: a backend of xdg-desktop-portal, without a window.

A program of its own, on the host session bus.  It speaks JSON lines over the socket that it got
as its first argument (a descriptor number): each dialog that opens is said ("open", with
everything xdg-desktop-portal passed), each that the portal takes back too ("close"), and an
"answer" for a dialog's handle ends it.  A dialog nobody answers stays open, as a real one would.
Values of options travel as [signature, value]; a byte array is a list of numbers.

Messages are taken in the order in which they came (a filter on the connection): a Close that
follows its call at once must find the dialog.
"""

import json
import os
import sys

import dbus
import dbus.lowlevel
import dbus.mainloop.glib
from gi.repository import GLib

NAME = "org.freedesktop.impl.portal.desktop.sidebustest"
FILE_CHOOSER = "org.freedesktop.impl.portal.FileChooser"
REQUEST = "org.freedesktop.impl.portal.Request"
PROPERTIES = "org.freedesktop.DBus.Properties"
METHOD_CALL = 1

BASIC = {dbus.String: "s", dbus.ObjectPath: "o", dbus.Signature: "g", dbus.Boolean: "b",
         dbus.Byte: "y", dbus.Int16: "n", dbus.UInt16: "q", dbus.Int32: "i", dbus.UInt32: "u",
         dbus.Int64: "x", dbus.UInt64: "t", dbus.Double: "d"}
BUILD = {code: kind for kind, code in BASIC.items()}


def signature(value):
    """The D-Bus type of a value that came in a message."""
    if isinstance(value, dbus.Array):
        return "a" + str(value.signature)
    if isinstance(value, dbus.Struct):
        return "(" + "".join(signature(v) for v in value) + ")"
    if isinstance(value, dbus.Dictionary):
        return "a{" + str(value.signature) + "}"
    return BASIC[type(value)]


def plain(value):
    """The value as JSON has it."""
    if isinstance(value, (dbus.Array, dbus.Struct)):
        return [plain(v) for v in value]
    if isinstance(value, dbus.Dictionary):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, dbus.Boolean):
        return bool(value)
    if isinstance(value, str):
        return str(value)
    return float(value) if isinstance(value, float) else int(value)


def split(kind):
    """The complete types of which a signature is made."""
    found, depth, start = [], 0, 0
    for n, c in enumerate(kind):
        depth += (c in "({") - (c in ")}")
        if depth == 0 and c != "a":
            found.append(kind[start:n + 1])
            start = n + 1
    return found


def build(kind, value, level=0):
    """A value of this type, as python-dbus wants it; level 1: in a variant."""
    if kind.startswith("a"):
        return dbus.Array([build(kind[1:], v) for v in value], signature=kind[1:],
                          variant_level=level)
    if kind.startswith("("):
        return dbus.Struct([build(k, v) for k, v in zip(split(kind[1:-1]), value)],
                           signature=kind[1:-1], variant_level=level)
    return BUILD[kind](value, variant_level=level)


class Chooser:
    def __init__(self, connection, fd, loop):
        self.connection = connection
        self.loop = loop
        self.dialogs = {}  # handle: the call
        self.channel = os.fdopen(fd, "r+b", buffering=0)
        self.unread = b""
        self.calls = {(FILE_CHOOSER, "OpenFile"): self.on_open,
                      (FILE_CHOOSER, "SaveFile"): self.on_open,
                      (FILE_CHOOSER, "SaveFiles"): self.on_open,
                      (REQUEST, "Close"): self.on_close,
                      (PROPERTIES, "GetAll"): self.on_properties}
        GLib.io_add_watch(fd, GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, self.on_command)
        connection.add_message_filter(self.on_message)

    def say(self, **event):
        self.channel.write(json.dumps(event).encode() + b"\n")

    def on_message(self, _connection, message):
        if message.get_type() != METHOD_CALL:
            return dbus.lowlevel.HANDLER_RESULT_NOT_YET_HANDLED
        handler = self.calls.get((message.get_interface(), message.get_member()))
        if handler is None:
            return dbus.lowlevel.HANDLER_RESULT_NOT_YET_HANDLED
        handler(message)
        return dbus.lowlevel.HANDLER_RESULT_HANDLED

    def reply(self, call, kind="", *values):
        message = dbus.lowlevel.MethodReturnMessage(call)
        if kind:
            message.append(*values, signature=kind)
        self.connection.send_message(message)

    def on_open(self, call):
        handle, app_id, parent, title, options = call.get_args_list()
        self.dialogs[str(handle)] = call
        self.say(event="open", member=call.get_member(), handle=handle, app_id=app_id,
                 parent=parent, title=title,
                 options={key: [signature(v), plain(v)] for key, v in options.items()})

    def on_close(self, call):
        handle = call.get_path()
        if handle not in self.dialogs:
            self.connection.send_message(dbus.lowlevel.ErrorMessage(
                call, "org.freedesktop.DBus.Error.UnknownObject", "no such dialog"))
            return
        self.reply(call)
        self.say(event="close", handle=handle)
        self.end(handle, 2, {})

    def on_properties(self, call):
        self.reply(call, "a{sv}", dbus.Dictionary({}, signature="sv"))

    def end(self, handle, response, results):
        values = {name: build(kind, value, 1) for name, (kind, value) in results.items()}
        self.reply(self.dialogs.pop(handle), "ua{sv}", response,
                   dbus.Dictionary(values, signature="sv"))

    def on_command(self, fd, condition):
        data = os.read(fd, 65536) if condition & GLib.IO_IN else b""
        if not data:
            self.loop.quit()
            return False
        lines = (self.unread + data).split(b"\n")
        self.unread = lines.pop()
        for line in lines:
            command = json.loads(line)
            known = command["handle"] in self.dialogs
            if known:
                self.end(command["handle"], command["response"], command["results"])
            self.say(event="answered", handle=command["handle"], known=known)
        return True


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SessionBus()
    loop = GLib.MainLoop()
    chooser = Chooser(bus, int(sys.argv[1]), loop)
    bus.request_name(NAME, dbus.bus.NAME_FLAG_DO_NOT_QUEUE)
    chooser.say(event="ready")
    loop.run()


if __name__ == "__main__":
    main()
