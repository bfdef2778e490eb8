#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A file chooser that a test operates: a backend of xdg-desktop-portal, without a window.

A program of its own, on the host session bus.  It speaks JSON lines over the socket that it got
as its first argument (a descriptor number): each dialog that opens is said ("open", with
everything xdg-desktop-portal passed), each that the portal takes back too ("close"), and an
"answer" for a dialog's handle ends it.  A dialog nobody answers stays open, as a real one would.
Values of options travel as [signature, value]; a byte array is a list of numbers.
"""

import json
import os
import sys

from gi.repository import Gio, GLib

NAME = "org.freedesktop.impl.portal.desktop.sidebustest"
PATH = "/org/freedesktop/portal/desktop"
FILE_CHOOSER = "org.freedesktop.impl.portal.FileChooser"
REQUEST = "org.freedesktop.impl.portal.Request"


def _method(name):
    return f"""<method name="{name}">
      <arg type="o" name="handle" direction="in"/><arg type="s" name="app_id" direction="in"/>
      <arg type="s" name="parent_window" direction="in"/><arg type="s" name="title" direction="in"/>
      <arg type="a{{sv}}" name="options" direction="in"/>
      <arg type="u" name="response" direction="out"/>
      <arg type="a{{sv}}" name="results" direction="out"/></method>"""


NODE = Gio.DBusNodeInfo.new_for_xml(f"""<node>
  <interface name="{FILE_CHOOSER}">
    {_method("OpenFile")}{_method("SaveFile")}{_method("SaveFiles")}
  </interface>
  <interface name="{REQUEST}"><method name="Close"/></interface>
</node>""")


class Chooser:
    def __init__(self, bus, fd, loop):
        self.bus = bus
        self.loop = loop
        self.dialogs = {}  # handle: (the call, the Request object's registration)
        self.channel = os.fdopen(fd, "r+b", buffering=0)
        self.unread = b""
        GLib.io_add_watch(fd, GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, self.on_command)
        bus.register_object(PATH, NODE.lookup_interface(FILE_CHOOSER), self.on_call, None, None)

    def say(self, **event):
        self.channel.write(json.dumps(event).encode() + b"\n")

    def on_call(self, _bus, _sender, _path, _interface, member, arguments, call):
        handle, app_id, parent, title, _options = arguments.unpack()
        options = arguments.get_child_value(4)
        # Entry by entry: a key that comes twice is seen twice.
        pairs = []
        for i in range(options.n_children()):
            key, boxed = (options.get_child_value(i).get_child_value(n) for n in range(2))
            value = boxed.get_variant()
            pairs.append([key.get_string(), [value.get_type_string(), value.unpack()]])
        registration = self.bus.register_object(handle, NODE.lookup_interface(REQUEST),
                                                self.on_close, None, None)
        self.dialogs[handle] = (call, registration)
        self.say(event="open", member=member, handle=handle, app_id=app_id, parent=parent,
                 title=title, options=pairs)

    def end(self, handle, response, results):
        call, registration = self.dialogs.pop(handle)
        self.bus.unregister_object(registration)
        call.return_value(GLib.Variant("(ua{sv})", (response, results)))

    def on_close(self, _bus, _sender, handle, _interface, _member, _arguments, call):
        call.return_value(None)
        self.say(event="close", handle=handle)
        self.end(handle, 2, {})

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
                results = {key: GLib.Variant(kind, value)
                           for key, (kind, value) in command["results"].items()}
                self.end(command["handle"], command["response"], results)
            self.say(event="answered", handle=command["handle"], known=known)
        return True


def main():
    loop = GLib.MainLoop()
    bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
    chooser = Chooser(bus, int(sys.argv[1]), loop)
    Gio.bus_own_name_on_connection(bus, NAME, Gio.BusNameOwnerFlags.NONE,
                                   lambda *_: chooser.say(event="ready"),
                                   lambda *_: loop.quit())
    loop.run()


if __name__ == "__main__":
    main()
