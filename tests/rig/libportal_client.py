#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""libportal_client.py open|save TITLE: a guest program that uses libportal."""

import sys

import gi

gi.require_version("Xdp", "1.0")
from gi.repository import Gio, GLib, Xdp  # noqa: E402


def main():
    loop = GLib.MainLoop()
    portal = Xdp.Portal()
    uris = []

    def done(source, result):
        finish = portal.open_file_finish if sys.argv[1] == "open" else portal.save_file_finish
        uris.extend(finish(result).unpack()["uris"])
        loop.quit()

    if sys.argv[1] == "open":
        portal.open_file(None, sys.argv[2], None, None, None, Xdp.OpenFileFlags.NONE, None, done)
    else:
        portal.save_file(None, sys.argv[2], "proposed", None, None, None, None, None,
                         Xdp.SaveFileFlags.NONE, None, done)
    loop.run()
    file = Gio.File.new_for_uri(uris[0])
    if sys.argv[1] == "open":
        print(uris[0])
        print(file.load_contents(None)[1].decode())
    else:
        # As GTK's editors save: GIO writes a temporary file and renames it over.
        file.replace_contents(b"libportal wrote", None, False, Gio.FileCreateFlags.NONE, None)


if __name__ == "__main__":
    main()
