#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""libportal_client.py ACTION [ARGUMENT…]: a guest program that uses libportal."""

import gi

gi.require_version("Xdp", "1.0")
from gi.repository import Gio, GLib, Xdp  # noqa: E402

import glib_talking  # noqa: E402
from talking import main, say  # noqa: E402

V = GLib.Variant
portal = Xdp.Portal()


def ask(method, *arguments):
    """Calls one of libportal's methods and waits for its end: the result, or the error's words."""
    loop, results = GLib.MainLoop(), []

    def done(_source, result):
        try:
            results.append(getattr(portal, method + "_finish")(result))
        except GLib.Error as e:
            results.append({"error": e.message})
        loop.quit()

    getattr(portal, method)(*arguments, None, done)
    loop.run()
    return results[0].unpack() if isinstance(results[0], V) else results[0]


def open_file(title):
    uri, = ask("open_file", None, title, None, None, None, Xdp.OpenFileFlags.NONE)["uris"]
    say([uri, Gio.File.new_for_uri(uri).load_contents(None)[1].decode()])


def save_file(title):
    uri, = ask("save_file", None, title, "proposed", None, None, None, None, None,
               Xdp.SaveFileFlags.NONE)["uris"]
    # As GTK's editors save: GIO writes a temporary file and renames it over.
    Gio.File.new_for_uri(uri).replace_contents(b"libportal wrote", None, False,
                                               Gio.FileCreateFlags.NONE, None)


def save_files(title):
    say(ask("save_files", None, title, None, None, V("aay", [b"one.txt\0", b"two.txt\0"]), None,
            Xdp.SaveFileFlags.NONE))


def window():
    """These two want one; the others can do without."""
    gi.require_version("Gtk", "3.0")
    gi.require_version("XdpGtk3", "1.0")
    from gi.repository import Gtk, XdpGtk3
    top = Gtk.Window()
    top.show()
    return XdpGtk3.parent_new_gtk(top)


def open_uri(uri):
    say(ask("open_uri", window(), uri, Xdp.OpenUriFlags.NONE))


def open_directory(uri):
    say(ask("open_directory", window(), uri, Xdp.OpenUriFlags.NONE))


def email(attachment):
    say(ask("compose_email", None, ["a@example.org"], ["b@example.org"], ["c@example.org"],
            "Hello", "two\nlines", [attachment], Xdp.EmailFlags.NONE))


def account():
    say(ask("get_user_information", None, "why", Xdp.UserInformationFlags.NONE))


def notification():
    portal.connect("notification-action-invoked", lambda _portal, *got: say(
        [v.unpack() if isinstance(v, V) else v for v in got]))
    icon = Gio.ThemedIcon.new("mail-unread").serialize()
    button = {"label": V("s", "Mark as read"), "action": V("s", "read"), "target": V("s", "7")}
    say(ask("add_notification", "news", V("a{sv}", {
        "title": V("s", "News"), "body": V("s", "two\nlines"), "icon": icon,
        "priority": V("s", "low"), "default-action": V("s", "open"),
        "buttons": V("aa{sv}", [button])}), Xdp.NotificationFlags.NONE))
    glib_talking.told()
    portal.remove_notification("news")
    glib_talking.told()


def inhibit():
    number = ask("session_inhibit", None, "a film",
                 Xdp.InhibitFlags.IDLE | Xdp.InhibitFlags.LOGOUT)
    say(number)
    glib_talking.told()
    portal.session_uninhibit(number)
    glib_talking.told()


def monitor():
    portal.connect("session-state-changed", lambda _portal, active, state: say(
        [active, state.value_nick]))
    say(ask("session_monitor_start", None, Xdp.SessionMonitorFlags.NONE))
    glib_talking.told()
    portal.session_monitor_query_end_response()
    glib_talking.told()
    portal.session_monitor_stop()
    glib_talking.told()


def screenshot():
    say(ask("take_screenshot", None, Xdp.ScreenshotFlags.INTERACTIVE))


def pick_color():
    say(ask("pick_color", None))


def wallpaper(uri):
    say(ask("set_wallpaper", None, uri, Xdp.WallpaperFlags.BACKGROUND))


def print_(path):
    chosen = ask("prepare_print", None, "Report", V("a{sv}", {"n-copies": V("s", "2")}),
                 V("a{sv}", {"Name": V("s", "iso_a4")}), Xdp.PrintFlags.NONE)
    say(chosen)
    say(ask("print_file", None, "Report", chosen["token"], path, Xdp.PrintFlags.NONE))


def location():
    portal.connect("location-updated", lambda _portal, latitude, longitude, *_: say(
        [latitude, longitude]))
    say(ask("location_monitor_start", None, 0, 0, Xdp.LocationAccuracy.EXACT,
            Xdp.LocationMonitorFlags.NONE))
    glib_talking.told()
    portal.location_monitor_stop()
    glib_talking.told()


def trash(path):
    say(ask("trash_file", path))


def background(start=""):
    say(ask("request_background", None, "mail", ["/bin/true"],
            Xdp.BackgroundFlags.AUTOSTART if start else Xdp.BackgroundFlags.NONE))


def refused():
    say([portal.is_camera_present(), ask("access_camera", None, Xdp.CameraFlags.NONE),
         ask("create_screencast_session", Xdp.OutputType.MONITOR, Xdp.ScreencastFlags.NONE,
             Xdp.CursorMode.HIDDEN, Xdp.PersistMode.NONE, None)])


if __name__ == "__main__":
    main({"open_file": open_file, "save_file": save_file, "save_files": save_files,
          "open_uri": open_uri, "open_directory": open_directory, "email": email,
          "account": account, "notification": notification, "inhibit": inhibit,
          "monitor": monitor, "screenshot": screenshot, "pick_color": pick_color,
          "wallpaper": wallpaper, "print": print_, "location": location, "trash": trash,
          "background": background, "refused": refused})
