# SPDX-License-Identifier: MIT
"""talking.py, for programs with GLib's main loop."""

from gi.repository import GLib

import talking


def told():
    loop = GLib.MainLoop()

    def watch(fd, function):
        def on_input(_fd, _condition):
            function()
            return GLib.SOURCE_REMOVE
        GLib.io_add_watch(fd, GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, on_input)
    talking.told(loop.run, loop.quit, watch)
