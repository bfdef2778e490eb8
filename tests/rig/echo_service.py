#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""echo_service.py glib|dbus ADDRESS NAME [TEXT]: as sd_bus_echo.c, by GLib's D-Bus or python3-dbus (libdbus)."""

import sys

import dbus
import dbus.bus
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import Gio, GLib

XML = """<node><interface name="t.Echo"><method name="Echo"><arg type="s" direction="in"/>
<arg type="s" direction="out"/></method><signal name="Said"><arg type="s"/></signal></interface></node>"""


def glib_bus(address):
    flags = Gio.DBusConnectionFlags
    return Gio.DBusConnection.new_for_address_sync(
        address, flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION, None, None)


def glib_serve(address, name):
    bus = glib_bus(address)

    def on_call(_connection, _sender, path, interface, _method, arguments, invocation):
        bus.emit_signal(None, path, interface, "Said", arguments)
        invocation.return_value(arguments)

    bus.register_object("/echo", Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0], on_call, None, None)
    Gio.bus_own_name_on_connection(bus, name, Gio.BusNameOwnerFlags.NONE, None, None)


def glib_call(address, name, text, loop):
    bus = glib_bus(address)

    def on_said(*arguments):
        print("said", arguments[5].unpack()[0])
        loop.quit()

    bus.signal_subscribe(name, "t.Echo", "Said", "/echo", None, Gio.DBusSignalFlags.NONE, on_said)
    answer = bus.call_sync(name, "/echo", "t.Echo", "Echo", GLib.Variant("(s)", (text,)), None,
                           Gio.DBusCallFlags.NONE, -1, None)
    print("returned", answer.unpack()[0])


class Echo(dbus.service.Object):
    @dbus.service.method("t.Echo", in_signature="s", out_signature="s")
    def Echo(self, text):
        self.Said(text)
        return text

    @dbus.service.signal("t.Echo", signature="s")
    def Said(self, text):
        pass


def dbus_serve(address, name):
    bus = dbus.bus.BusConnection(address, mainloop=DBusGMainLoop())
    return bus, Echo(bus, "/echo"), dbus.service.BusName(name, bus)


def dbus_call(address, name, text, loop):
    bus = dbus.bus.BusConnection(address, mainloop=DBusGMainLoop())

    def on_said(said):
        print("said", said)
        loop.quit()

    bus.add_signal_receiver(on_said, "Said", "t.Echo", name, "/echo")
    print("returned", dbus.Interface(bus.get_object(name, "/echo"), "t.Echo").Echo(text))
    return bus


def main():
    library, address, name, *text = sys.argv[1:]
    loop = GLib.MainLoop()
    if text:
        kept = {"glib": glib_call, "dbus": dbus_call}[library](address, name, *text, loop)
    else:
        kept = {"glib": glib_serve, "dbus": dbus_serve}[library](address, name)
    loop.run()
    del kept


main()
