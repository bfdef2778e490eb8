#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""gtk_chooser.py open|open-many|save|directory...: an ordinary program of GTK 3.

gtk4_chooser.py is the same of GTK 4.

It asks by Gtk.FileChooserNative, reads what was picked and saves it again as GTK's editors do
(GIO: a temporary file that is renamed over).  What it got it prints, a JSON line for each dialog.
"""

import json
import sys

import gi

if not gi.get_required_version("Gtk"):
    gi.require_version("Gtk", "3.0")
from gi.repository import Gio, GLib, Gtk  # noqa: E402  (the version is said first)

GTK4 = gi.get_required_version("Gtk") == "4.0"
NAME = "GTK4" if GTK4 else "GTK"
WORD = NAME.lower().encode()  # in what it writes

ACTIONS = {"open": Gtk.FileChooserAction.OPEN, "open-many": Gtk.FileChooserAction.OPEN,
           "save": Gtk.FileChooserAction.SAVE,
           "directory": Gtk.FileChooserAction.SELECT_FOLDER}


def text_filter():
    kind = Gtk.FileFilter()
    kind.set_name("Texts")
    kind.add_pattern("*.txt")
    kind.add_mime_type("text/plain")
    return kind


def ask(action):
    """The files the person picked, or None."""
    dialog = Gtk.FileChooserNative.new(f"{NAME}: {action}", None, ACTIONS[action], "_Take", None)
    if action == "save":
        dialog.set_current_name("proposed.txt")
    elif action != "directory":
        dialog.add_filter(text_filter())
        dialog.set_select_multiple(action == "open-many")
    loop = GLib.MainLoop()
    answers = []

    def on_response(_dialog, response):
        answers.append(response)
        loop.quit()

    dialog.connect("response", on_response)
    dialog.show()
    loop.run()
    return list(dialog.get_files()) if answers == [Gtk.ResponseType.ACCEPT] else None


def save(file, data):
    file.replace_contents(data, None, False, Gio.FileCreateFlags.NONE, None)


def fact(file):
    """What a program shows and reads of a file."""
    info = file.query_info("standard::display-name", Gio.FileQueryInfoFlags.NONE, None)
    return {"path": file.get_path(), "shown": info.get_display_name(),
            "text": file.load_contents(None)[1].decode()}


def use(action, files):
    if action == "directory":
        entries = files[0].enumerate_children("standard::name", Gio.FileQueryInfoFlags.NONE, None)
        names = sorted(info.get_name() for info in entries)
        save(files[0].get_child(f"from {WORD.decode()}.txt"), b"new by " + WORD)
        return [{"path": files[0].get_path(), "names": names}]
    if action == "save":
        save(files[0], b"saved by " + WORD)
    facts = [fact(file) for file in files]
    if action == "open":
        save(files[0], b"edited by " + WORD)
    return facts


def main():
    for action in sys.argv[1:]:
        files = ask(action)
        print(json.dumps(None if files is None else use(action, files)), flush=True)


if __name__ == "__main__":
    main()
