#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""gtk_client.py 3|4 ACTION [ARGUMENT…]: a guest program that uses GTK's own portal code."""

import sys

import gi

for name in ("Gdk", "Gtk"):
    gi.require_version(name, sys.argv[1] + ".0")
del sys.argv[1]
from gi.repository import Gdk, Gio, GLib, Gtk  # noqa: E402

import glib_talking  # noqa: E402
from talking import main, say  # noqa: E402

GTK4 = Gtk.get_major_version() == 4


def open_uri(uri):
    if GTK4:
        Gtk.show_uri(None, uri, Gdk.CURRENT_TIME)
    else:
        Gtk.show_uri_on_window(None, uri, Gdk.CURRENT_TIME)
    glib_talking.told()


def application():
    app = Gtk.Application(application_id="org.example.Gtk", register_session=True)
    app.register(None)
    return app


def inhibit():
    app = application()
    cookie = app.inhibit(None, Gtk.ApplicationInhibitFlags.IDLE
                         | Gtk.ApplicationInhibitFlags.LOGOUT, "a film")
    say(cookie != 0)
    glib_talking.told()
    app.uninhibit(cookie)
    glib_talking.told()


def session():
    app = application()
    app.connect("query-end", lambda _app: say("query-end"))
    app.connect("notify::screensaver-active", lambda *_: say(app.props.screensaver_active))
    say("listens")
    glib_talking.told()


def print_():
    operation = Gtk.PrintOperation()
    operation.set_job_name("Report")
    operation.set_n_pages(2)
    # As a program with a window does: GTK's own main loop runs meanwhile.
    result = operation.run(Gtk.PrintOperationAction.PRINT_DIALOG, None)
    settings = operation.get_print_settings()
    say([result.value_nick, settings and settings.get_n_copies()])
    glib_talking.told()


def children(widget):
    if GTK4:
        child = widget.get_first_child()
        while child:
            yield child
            child = child.get_next_sibling()
    elif isinstance(widget, Gtk.Container):
        found = []
        widget.forall(found.append)
        yield from found


def descendants(widget):
    for child in children(widget):
        yield child
        yield from descendants(child)


def picks(button):
    """Whether this is the button that takes a colour from the screen."""
    if GTK4:
        return button.get_icon_name() == "color-select-symbolic"
    return any(isinstance(w, Gtk.Image) and w.get_icon_name()[0] == "color-select-symbolic"
               for w in descendants(button))


def pick_color():
    dialog = Gtk.ColorChooserDialog(title="Colour", show_editor=True)
    button, = [w for w in descendants(dialog) if isinstance(w, Gtk.Button) and picks(w)]
    dialog.show()
    button.emit("clicked")
    dialog.connect("notify::rgba", lambda *_: say([dialog.get_rgba().red, dialog.get_rgba().green,
                                                   dialog.get_rgba().blue]))
    glib_talking.told()


KEY_TYPE = "application/vnd.portal.filetransfer"


def offer(key):
    """GTK 4 only: puts the key of a transfer on the clipboard."""
    content = Gdk.ContentProvider.new_for_bytes(KEY_TYPE, GLib.Bytes.new(key.encode() + b"\0"))
    Gdk.Display.get_default().get_clipboard().set_content(content)
    say("offered")
    glib_talking.told()


def paste():
    if GTK4:
        clipboard = Gdk.Display.get_default().get_clipboard()
        clipboard.read_value_async(Gdk.FileList, GLib.PRIORITY_DEFAULT, None, lambda _, result: say(
            [file.get_path() for file in clipboard.read_value_finish(result).get_files()]))
    else:
        clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
        data = clipboard.wait_for_contents(Gdk.Atom.intern(KEY_TYPE, False))
        say([Gio.File.new_for_uri(uri).get_path() for uri in data.get_uris()])
    glib_talking.told()


def settings():
    of = Gtk.Settings.get_default()
    say(of.props.gtk_font_name)
    of.connect("notify::gtk-font-name", lambda *_: say(of.props.gtk_font_name))
    glib_talking.told()


if __name__ == "__main__":
    if not Gtk.init_check(*([] if GTK4 else [None])):
        raise SystemExit("GTK finds no screen")
    main({"open_uri": open_uri, "inhibit": inhibit, "session": session, "print": print_,
          "pick_color": pick_color, "settings": settings, "offer": offer, "paste": paste})
