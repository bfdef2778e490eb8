#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""python_dbus_client.py TITLE: a guest program that uses python-dbus opens a file and prints it."""

import sys
import urllib.parse

import dbus
import dbus.mainloop.glib
from gi.repository import GLib


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SessionBus()
    loop = GLib.MainLoop()
    answer = []

    def on_response(response, results):
        answer.append((response, results))
        loop.quit()

    path = f"/org/freedesktop/portal/desktop/request/{bus.get_unique_name()[1:].replace('.', '_')}/py"
    bus.add_signal_receiver(on_response, "Response", "org.freedesktop.portal.Request",
                            "org.freedesktop.portal.Desktop", path)
    portal = bus.get_object("org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop")
    chooser = dbus.Interface(portal, "org.freedesktop.portal.FileChooser")
    handle = chooser.OpenFile("", sys.argv[1], {"handle_token": "py"})
    assert handle == path, (handle, path)
    loop.run()
    response, results = answer[0]
    assert response == 0, answer
    with open(urllib.parse.unquote(results["uris"][0][len("file://"):]), encoding="utf-8") as f:
        print(f.read())


if __name__ == "__main__":
    main()
