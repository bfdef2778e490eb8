#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""round_trip.py COUNT: the median time, in microseconds, of COUNT calls on one connection.

Each is a Properties.Get of the FileChooser portal's version.
"""

import os
import statistics
import sys
import time

from gi.repository import Gio, GLib

PORTAL = "org.freedesktop.portal.Desktop"
PATH = "/org/freedesktop/portal/desktop"


def main():
    flags = (Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
             | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
    bus = Gio.DBusConnection.new_for_address_sync(os.environ["DBUS_SESSION_BUS_ADDRESS"], flags,
                                                  None, None)
    arguments = GLib.Variant("(ss)", ("org.freedesktop.portal.FileChooser", "version"))
    times = []
    for _ in range(int(sys.argv[1])):
        start = time.perf_counter_ns()
        bus.call_sync(PORTAL, PATH, "org.freedesktop.DBus.Properties", "Get", arguments, None,
                      Gio.DBusCallFlags.NONE, 60000, None)
        times.append(time.perf_counter_ns() - start)
    print(round(statistics.median(times) / 1000))


if __name__ == "__main__":
    main()
