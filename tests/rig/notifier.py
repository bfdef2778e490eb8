#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""notifier.py ID: a guest program that is an application of that id, and sends a GNotification.

It says "sent", and then which of its actions is activated, until it is told to quit.
"""

import sys

from gi.repository import Gio, GLib


def main():
    app = Gio.Application(application_id=sys.argv[1])

    def add(name, kind=None):
        action = Gio.SimpleAction.new(name, kind)
        action.connect("activate", lambda _action, target: print(
            name, target.unpack() if target else None, flush=True))
        app.add_action(action)

    def send(_app):
        notification = Gio.Notification.new("Two letters")
        notification.set_default_action("app.open")
        notification.add_button_with_target("Read", "app.read", GLib.Variant("s", "the first"))
        app.send_notification("mail", notification)
        app.hold()
        app.get_dbus_connection().flush_sync()
        print("sent", flush=True)

    add("open")
    add("read", GLib.VariantType("s"))
    app.connect("activate", send)
    GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, lambda *_: app.quit())
    app.run()


if __name__ == "__main__":
    main()
