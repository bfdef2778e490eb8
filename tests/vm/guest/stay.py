#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""stay.py MARK: stays connected to the bus until it is cut off; makes the file MARK once there."""

import os
import sys

from gi.repository import Gio, GLib


def main():
    flags = (Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
             | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
    bus = Gio.DBusConnection.new_for_address_sync(os.environ["DBUS_SESSION_BUS_ADDRESS"], flags,
                                                  None, None)
    bus.set_exit_on_close(False)
    loop = GLib.MainLoop()
    bus.connect("closed", lambda *_: loop.quit())
    with open(sys.argv[1], "w", encoding="ascii"):
        pass
    loop.run()
    print("cut off")


if __name__ == "__main__":
    main()
