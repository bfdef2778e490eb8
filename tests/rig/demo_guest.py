#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""demo_guest.py OpenFile|SaveFile: an ordinary program in a VM, as GTK's own calls would be.

It knows nothing of sidebus: it asks the portal on its session bus, waits for the answer, and
uses the file at the path it was told.  What it sees it prints, one JSON object a line.
"""

import json
import os
import sys
import urllib.parse

from gi.repository import Gio, GLib

PORTAL = "org.freedesktop.portal.Desktop"
PATH = "/org/freedesktop/portal/desktop"
TEXT = "Dear host, this line was written in the guest."


def say(**facts):
    print(json.dumps(facts), flush=True)


def ask(bus, member):
    """The path the person granted, or None."""
    loop = GLib.MainLoop()
    answers = []

    def on_response(*signal):
        answers.append(signal[5].unpack())
        loop.quit()

    handle = f"{PATH}/request/{bus.get_unique_name()[1:].replace('.', '_')}/demo"
    bus.signal_subscribe(PORTAL, "org.freedesktop.portal.Request", "Response", handle, None,
                         Gio.DBusSignalFlags.NONE, on_response)
    options = {"handle_token": GLib.Variant("s", "demo")}
    if member == "SaveFile":
        options["current_name"] = GLib.Variant("s", "answer.txt")
    title = "Save the answer" if member == "SaveFile" else "Open a letter"
    reply = bus.call_sync(PORTAL, PATH, "org.freedesktop.portal.FileChooser", member,
                          GLib.Variant("(ssa{sv})", ("", title, options)), None, 0, -1, None)
    say(name=bus.get_unique_name(), handle=reply.unpack()[0])
    loop.run()
    response, results = answers[0]
    uris = results.get("uris") or []
    path = urllib.parse.unquote_to_bytes(uris[0].removeprefix("file://")) if uris else None
    say(response=response if response or path else 2, path=path and os.fsdecode(path))
    return path


def main():
    bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
    path = ask(bus, sys.argv[1])
    if path is None:
        return
    if sys.argv[1] == "SaveFile":
        with open(path, "w", encoding="utf-8") as f:
            f.write(TEXT + "\n")
        say(line=TEXT)
    else:
        with open(path, encoding="utf-8", errors="backslashreplace") as f:
            say(line=f.readline(200).rstrip("\n"))


if __name__ == "__main__":
    main()
