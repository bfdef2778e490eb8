#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""gtk4_chooser.py open|open-many|save|directory...: gtk_chooser.py with GTK 4."""

import gi

gi.require_version("Gtk", "4.0")
import gtk_chooser  # noqa: E402  (the version is said above)

if __name__ == "__main__":
    if not gtk_chooser.Gtk.init_check():
        raise SystemExit("GTK 4 finds no screen")
    gtk_chooser.main()
