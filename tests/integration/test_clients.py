# SPDX-License-Identifier: MIT
"""The portal code of libportal, GLib, GTK 3 and 4, Qt 5, libnotify and libsecret, in a guest.

Each test is one toolkit and one portal, on each of the host's portals: what the desktop got, and
what the program got (see rig/program.py).
"""

import os
import time

from gi.repository import Gio

from rig import backend
from rig.guest import uri_path
from rig.processes import scale, wait_for
from rig.program import each_portal
from rig.screen import WaylandScreen
from rig.session import path_uri
from rig.world import DOCUMENTS_NAME, DOCUMENTS_PATH, PORTAL, V


def read(path):
    with open(path, "rb") as f:
        return f.read()


# --- libportal -----------------------------------------------------------------------------------

@each_portal
def test_libportal_file_chooser(w):
    """libportal, FileChooser: opens and saves files"""
    host = w.env.host_file("for libportal.txt", b"libportal reads")
    program = w.libportal("open_file", "Libportal opens")
    dialog = w.dialog("FileChooser.OpenFile")
    assert dialog.title == "demo: Libportal opens", dialog.title
    dialog.pick(host)
    uri, content = program.said()
    assert content == "libportal reads" and uri_path(uri).endswith(b"/for libportal.txt")
    program = w.libportal("save_file", "Libportal saves")
    w.dialog("FileChooser.SaveFile").pick(host)
    assert program.output() == "" and read(host) == b"libportal wrote"
    program = w.libportal("save_files", "Libportal saves several")
    dialog = w.dialog("FileChooser.SaveFiles")
    assert [bytes(name) for name in dialog.options["files"]] == [b"one.txt\0", b"two.txt\0"]
    dialog.pick(host, os.path.join(os.path.dirname(host), b"two.txt"))
    assert [os.path.basename(uri) for uri in program.said()["uris"]] == \
        ["for%20libportal.txt", "two.txt"]


@each_portal
def test_libportal_open_uri(w):
    """libportal, OpenURI: a link, a file, a directory"""
    w.address = w.direct
    uri, host = w.uri_of_document(name="d/a letter.txt")
    for action, asked, opened in (
            ("open_uri", "https://example.org/?q", "https://example.org/?q"),
            ("open_uri", uri, path_uri(host)),
            ("open_directory", uri, path_uri(os.path.dirname(host)))):
        program = w.on_screen("libportal", action, asked)
        dialog = w.dialog("AppChooser.ChooseApplication")
        assert dialog.options["uri"] == opened, dialog.options
        dialog.answer(1)
        assert "cancel" in program.said()["error"].lower()


@each_portal
def test_libportal_email(w):
    """libportal, Email: text, addresses, a document"""
    w.address = w.direct
    guest, host = w.document(name="letter.txt")
    program = w.libportal("email", os.fsdecode(guest))
    dialog = w.dialog("Email.ComposeEmail")
    assert dialog.options == {
        "addresses": ["a@example.org"], "cc": ["b@example.org"], "bcc": ["c@example.org"],
        "subject": "Hello", "body": "two\nlines", "attachments": [os.fsdecode(host)]}, \
        dialog.options
    dialog.answer(0)
    assert program.said() is True


@each_portal
def test_libportal_account(w):
    """libportal, Account: who the person is, with a picture"""
    program = w.libportal("account")
    dialog = w.dialog("Account.GetUserInformation")
    assert dialog.options == {"reason": "demo: why"}, dialog.options
    face = w.env.host_file("face", b"a face")
    dialog.answer(0, id=("s", "person"), name=("s", "A Person"), image=("s", path_uri(face)))
    got = program.said()
    assert (got["id"], got["name"]) == ("person", "A Person"), got
    assert read(uri_path(got["image"])) == b"a face"


@each_portal
def test_libportal_notification(w):
    """libportal, Notification: shown, pressed, removed"""
    program = w.libportal("notification")
    call = w.called("Notification.AddNotification")
    assert call.options["title"] == "demo: News" and call.options["body"] == "two\nlines"
    assert call.options["icon"][0] == "themed" and "mail-unread" in call.options["icon"][1]
    assert call.options["buttons"] == [{"label": "Mark as read", "action": "vm.read",
                                        "target": "7"}], call.options
    assert program.said() is True
    shown = call.arguments["id"]
    assert shown != "news" and shown.endswith("/news"), shown
    w.backend.signal("Notification", "ActionInvoked", "sssav", call.app_id, shown, "vm.read",
                     [("s", "7")])
    got = program.said()
    assert got[:2] == ["news", "read"] and "7" in str(got[2:]), got
    program.step()
    assert w.called("Notification.RemoveNotification").arguments["id"] == shown
    program.end()


@each_portal
def test_libportal_inhibit(w):
    """libportal, Inhibit: in force until it is taken back"""
    program = w.libportal("inhibit")
    call = w.called("Inhibit.Inhibit")
    assert call.options == {"reason": "demo: a film"} and call.arguments["flags"] == 9, call.arguments
    assert program.said() > 0 and not call.closed
    program.step()
    w.backend.wait_closed(call)
    program.end()


@each_portal
def test_libportal_session_monitor(w):
    """libportal, Inhibit: a monitor of the session, its answer, its end"""
    program = w.libportal("monitor")
    dialog = w.dialog("Inhibit.CreateMonitor")
    dialog.answer(0)
    assert program.said() is True
    host = dialog.arguments["session"]
    w.backend.signal("Inhibit", "StateChanged", "oa{sv}", host,
                     {"screensaver-active": ("b", True), "session-state": ("u", 2)})
    assert program.said() == [True, "query-end"]
    program.step()
    assert w.called("Inhibit.QueryEndResponse").arguments["session"] == host
    program.step()
    w.backend.wait_session_closed(host)
    program.end()


@each_portal
def test_libportal_screenshot(w):
    """libportal, Screenshot: a picture, and a colour"""
    program = w.libportal("screenshot")
    dialog = w.dialog("Screenshot.Screenshot")
    assert dialog.options["interactive"] is True, dialog.options
    dialog.answer(0, uri=("s", path_uri(w.env.host_file("picture.png", b"a picture"))))
    assert read(uri_path(program.said())) == b"a picture"
    program = w.libportal("pick_color")
    w.dialog("Screenshot.PickColor").answer(0, color=("(ddd)", [.25, .5, 1]))
    assert program.said() == [.25, .5, 1]


@each_portal
def test_libportal_wallpaper(w):
    """libportal, Wallpaper: by its address, and a document"""
    w.address = w.direct
    uri, host = w.uri_of_document(name="picture.png", content=b"a picture")
    program = w.libportal("wallpaper", "https://example.org/a.png")
    dialog = w.dialog("Wallpaper.SetWallpaperURI")
    assert dialog.arguments["uri"] == "https://example.org/a.png", dialog.arguments
    # The person sees it before it is there, also when the guest does not want that.
    assert dialog.options == {"show-preview": True, "set-on": "background"}, dialog.options
    dialog.answer(0)
    assert program.said() is True
    program = w.libportal("wallpaper", uri)
    dialog = w.dialog("Wallpaper.SetWallpaperURI")
    assert uri_path(dialog.arguments["uri"]) == host, dialog.arguments
    dialog.answer(1)
    assert program.said() is not True


@each_portal
def test_libportal_print(w):
    """libportal, Print: prepared, and printed with what was chosen"""
    w.address = w.direct
    path = os.path.join(w.env.directory(), "report.pdf")
    with open(path, "wb") as f:
        f.write(b"%PDF of the guest")
    program = w.libportal("print", path)
    dialog = w.dialog("Print.PreparePrint")
    assert dialog.title == "demo: Report", dialog.title
    assert dialog.arguments["settings"] == {"n-copies": "2"}, dialog.arguments
    assert dialog.arguments["page_setup"] == {"Name": "iso_a4"}, dialog.arguments
    dialog.answer(0, **{"settings": ("a{sv}", {"n-copies": ("s", "3")}),
                        "page-setup": ("a{sv}", {"Name": ("s", "iso_a5")}), "token": ("u", 7)})
    assert program.said() == {"settings": {"n-copies": "3"}, "page-setup": {"Name": "iso_a5"},
                              "token": 7}
    dialog = w.dialog("Print.Print")
    assert dialog.title == "demo: Report" and dialog.options["token"] == 7, dialog.options
    assert dialog.arguments["fd"] == "%PDF of the guest", dialog.arguments
    dialog.answer(0)
    assert program.said() is True


@each_portal
def test_libportal_location(w):
    """libportal, Location: started, told, stopped"""
    program = w.libportal("location")
    w.called("GeoClue.Start")
    assert program.said() is True
    w.backend.signal(backend.GEOCLUE + ".Client", "LocationUpdated", "oo", "/",
                     "/org/freedesktop/GeoClue2/Location/1",
                     path="/org/freedesktop/GeoClue2/Client/1")
    assert program.said() == [52.5, 13.4]
    program.step()
    program.end()


@each_portal
def test_libportal_trash(w):
    """libportal, Trash: a document goes; a file of the guest's own does not"""
    w.address = w.direct
    guest, host = w.document(name="to be trashed")
    assert w.libportal("trash", os.fsdecode(guest)).said() is True
    assert not os.path.exists(host)
    own = os.path.join(w.env.directory(), "own")
    with open(own, "wb"):
        pass
    assert w.libportal("trash", own).said()["error"] and os.path.exists(own)


@each_portal
def test_libportal_background(w):
    """libportal, Background: allowed in the VM, without a start by the host"""
    # It tells one thing only: whether all that it asked for is there.
    assert w.libportal("background", "start").said() is False
    assert w.libportal("background").said() is True


@each_portal
def test_libportal_refused(w):
    """libportal, Camera and ScreenCast: not there, and said so"""
    present, camera, screen = w.libportal("refused").said()
    assert present is False and camera["error"] and screen["error"], (camera, screen)


# --- GLib ----------------------------------------------------------------------------------------

@each_portal
def test_glib_notification(w):
    """GLib, Notification: GNotification, shown and withdrawn"""
    program = w.glib("notification")
    call = w.called("Notification.AddNotification")
    assert call.options["title"] == "demo: News" and call.options["body"] == "two\nlines"
    assert call.options["priority"] == "urgent" and "mail-unread" in call.options["icon"][1]
    assert call.options["buttons"] == [{"label": "Mark as read", "action": "vm.app.read",
                                        "target": "7"}], call.options
    shown = call.arguments["id"]
    program.step()
    assert w.called("Notification.RemoveNotification").arguments["id"] == shown
    program.end()


@each_portal
def test_glib_open_uri(w):
    """GLib, OpenURI: g_app_info_launch_default_for_uri() of a link and of a document"""
    w.address = w.direct
    uri, host = w.uri_of_document(name="a letter.txt")
    for asked, opened in (("https://example.org/?q", "https://example.org/?q"),
                          (uri, path_uri(host))):
        program = w.glib("open_uri", asked)
        dialog = w.dialog("AppChooser.ChooseApplication")
        assert dialog.options["uri"] == opened, dialog.options
        assert program.said() is True
        dialog.answer(1)
        program.end()


@each_portal
def test_glib_network(w):
    """GLib, NetworkMonitor: what the host has; but it reaches nothing on the guest's behalf"""
    program = w.glib("network")
    kind = program.said()
    assert kind.endswith("GNetworkMonitorPortal"), kind
    status, = w.call("NetworkMonitor.GetStatus")

    def known():
        # GLib begins with a guess.
        program.step()
        available, metered, connectivity = program.said()
        return status == {"available": available, "metered": metered,
                          "connectivity": connectivity}
    wait_for("what the host has", known)
    assert "error" in w.glib("reach").said()


@each_portal
def test_glib_proxy(w):
    """GLib, ProxyResolver: the host's answer"""
    kind, supported, proxies = w.glib("proxy", "https://example.org/").said()
    assert kind.endswith("GProxyResolverPortal") and supported, kind
    assert proxies == ["direct://"], proxies


@each_portal
def test_glib_memory(w):
    """GLib, MemoryMonitor: there"""
    assert w.glib("memory").said().endswith("GMemoryMonitorPortal")


@each_portal
def test_glib_power(w):
    """GLib, PowerProfileMonitor: its state, and a change of it"""
    program = w.glib("power")
    kind, saving = program.said()
    assert kind.endswith("GPowerProfileMonitorPortal") and saving is False, (kind, saving)
    for profile, expected in (("power-saver", True), ("balanced", False)):
        for service, path in backend.POWER.items():
            w.backend.signal("org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as",
                             service, {"ActiveProfile": ("s", profile)}, [], path=path)
        assert program.said() is expected
    program.end()


@each_portal
def test_glib_trash(w):
    """GLib, Trash: g_file_trash() of a document"""
    w.address = w.direct
    # A directory: the document portal's own file system does not take O_NOFOLLOW, by which GLib
    # opens a file.
    guest, host = w.document(name="to be trashed/file", directory=True)
    got = w.glib("trash", os.fsdecode(guest)).said()
    assert got is True, got
    assert not os.path.exists(host)


# --- GTK 3 and 4 ---------------------------------------------------------------------------------

def opens_uri(w, version):
    program = w.gtk(version, "open_uri", "https://example.org/?q")
    dialog = w.dialog("AppChooser.ChooseApplication")
    assert dialog.options["uri"] == "https://example.org/?q", dialog.options
    dialog.answer(1)
    program.end()


def inhibits(w, version):
    program = w.gtk(version, "inhibit")
    call = w.called("Inhibit.Inhibit")
    assert call.options == {"reason": "demo: a film"} and call.arguments["flags"] == 9, call.arguments
    assert program.said() is True and not call.closed
    program.step()
    w.backend.wait_closed(call)
    program.end()


def hears_of_session(w, version):
    program = w.gtk(version, "session")
    dialog = w.dialog("Inhibit.CreateMonitor")
    dialog.answer(0)
    host = dialog.arguments["session"]
    assert program.said() == "listens"
    w.backend.signal("Inhibit", "StateChanged", "oa{sv}", host,
                     {"screensaver-active": ("b", True), "session-state": ("u", 2)})
    assert sorted([str(program.said()), str(program.said())]) == ["True", "query-end"]
    assert w.called("Inhibit.QueryEndResponse").arguments["session"] == host
    program.end()
    w.backend.wait_session_closed(host)


def prints(w, version):
    w.address = w.direct
    program = w.gtk(version, "print")
    dialog = w.dialog("Print.PreparePrint")
    assert dialog.title.startswith("demo"), dialog.title
    settings, page = dialog.arguments["settings"], dialog.arguments["page_setup"]
    assert "output-uri" not in settings and page["Width"] > 0, (settings, page)
    dialog.answer(0, **{"settings": ("a{sv}", {"n-copies": ("s", "3")}),
                        "page-setup": ("a{sv}", {"Name": ("s", "iso_a5"), "Width": ("d", 148.),
                                                 "Height": ("d", 210.)}), "token": ("u", 7)})
    dialog = w.dialog("Print.Print")
    assert dialog.options["token"] == 7, dialog.options
    assert dialog.arguments["fd"].startswith("%PDF"), dialog.arguments["fd"][:100]
    dialog.answer(0)
    assert program.said() == ["apply", 3]
    program.end()


def picks_color(w, version):
    program = w.gtk(version, "pick_color")
    w.dialog("Screenshot.PickColor").answer(0, color=("(ddd)", [.25, .5, 1]))
    # What it starts with is told, too.
    wait_for("the colour", lambda: all(abs(a - b) < .01
                                       for a, b in zip(program.said(), (.25, .5, 1))))
    program.step()
    program.output()


def offer_files(w, *paths):
    """The key by which the person's file manager hands over what is dragged from it."""
    def documents(member, arguments, fds=None):
        reply, _ = w.session.bus.call_with_unix_fd_list_sync(
            DOCUMENTS_NAME, DOCUMENTS_PATH, PORTAL + "FileTransfer", member, arguments, None, 0,
            20000, fds, None)
        return reply.unpack()

    key, = documents("StartTransfer", V("(a{sv})", ({},)))
    fds = Gio.UnixFDList.new()
    for path in paths:
        with open(path, "rb") as f:
            fds.append(f.fileno())
    documents("AddFiles", V("(saha{sv})", (key, list(range(len(paths))), {})), fds)
    return key


def takes_files(w, version):
    """From the clipboard: there is only the key, as it comes from the host."""
    host = w.env.host_file("dragged", b"dragged")
    other = w.gtk("4", "offer", offer_files(w, host))
    assert other.said() == "offered"
    program = w.gtk(version, "paste")
    path, = program.said()
    assert read(path) == b"dragged" and path.startswith(w.sidebus.documents), path
    program.end()
    other.end()


def reads_settings(w, version):
    """GTK asks the portal for them on Wayland only."""
    program = w.gtk(version, "settings", screen=WaylandScreen)
    assert program.said() == "Cantarell 12"
    w.backend.signal("Settings", "SettingChanged", "ssv", "org.gnome.desktop.interface",
                     "font-name", ("s", "Serif 13"))
    assert program.said() == "Serif 13"
    program.end()


@each_portal
def test_gtk3_open_uri(w):
    """GTK 3, OpenURI: gtk_show_uri_on_window()"""
    opens_uri(w, "3")


@each_portal
def test_gtk3_inhibit(w):
    """GTK 3, Inhibit: gtk_application_inhibit(), in force until it is taken back"""
    inhibits(w, "3")


@each_portal
def test_gtk3_session(w):
    """GTK 3, Inhibit: GtkApplication hears of the session's end, and answers"""
    hears_of_session(w, "3")


@each_portal
def test_gtk3_print(w):
    """GTK 3, Print: GtkPrintOperation, with the pages it draws"""
    prints(w, "3")


@each_portal
def test_gtk3_pick_color(w):
    """GTK 3, Screenshot: the colour editor takes a colour from the screen"""
    picks_color(w, "3")


@each_portal
def test_gtk3_file_transfer(w):
    """GTK 3, FileTransfer: pastes a file of the host's"""
    takes_files(w, "3")


@each_portal
def test_gtk3_settings(w):
    """GTK 3, Settings: the host's font, and another that the person takes"""
    reads_settings(w, "3")


@each_portal
def test_gtk4_open_uri(w):
    """GTK 4, OpenURI: gtk_show_uri()"""
    opens_uri(w, "4")


@each_portal
def test_gtk4_inhibit(w):
    """GTK 4, Inhibit: gtk_application_inhibit(), in force until it is taken back"""
    inhibits(w, "4")


@each_portal
def test_gtk4_session(w):
    """GTK 4, Inhibit: GtkApplication hears of the session's end, and answers"""
    hears_of_session(w, "4")


@each_portal
def test_gtk4_print(w):
    """GTK 4, Print: GtkPrintOperation, with the pages it draws"""
    prints(w, "4")


@each_portal
def test_gtk4_pick_color(w):
    """GTK 4, Screenshot: the colour editor takes a colour from the screen"""
    picks_color(w, "4")


@each_portal
def test_gtk4_file_transfer(w):
    """GTK 4, FileTransfer: pastes a file of the host's"""
    takes_files(w, "4")


@each_portal
def test_gtk4_settings(w):
    """GTK 4, Settings: the host's font, and another that the person takes"""
    reads_settings(w, "4")


# --- Qt 5 ----------------------------------------------------------------------------------------

@each_portal
def test_qt_open_uri(w):
    """Qt 5, OpenURI: QDesktopServices::openUrl() of a link and of a document"""
    w.address = w.direct
    uri, host = w.uri_of_document(name="a letter.txt")
    for asked, opened in (("https://example.org/?q", "https://example.org/?q"),
                          (uri, path_uri(host))):
        program = w.qt("open_uri", asked)
        dialog = w.dialog("AppChooser.ChooseApplication")
        assert dialog.options["uri"] == opened, dialog.options
        assert program.said() is True
        dialog.answer(1)
        program.end()


@each_portal
def test_qt_email(w):
    """Qt 5, Email: QDesktopServices::openUrl() of a mailto: address"""
    program = w.qt("open_uri", "mailto:a@example.org?subject=Hello&body=text")
    dialog = w.dialog("Email.ComposeEmail")
    assert dialog.options["subject"] == "Hello" and dialog.options["body"] == "text"
    assert "a@example.org" in str(dialog.options), dialog.options
    dialog.answer(0)
    assert program.said() is True
    program.end()


WATCHER = "org.kde.StatusNotifierWatcher"
WATCHER_XML = f"""<node><interface name="{WATCHER}">
<method name="RegisterStatusNotifierItem"><arg type="s" direction="in"/></method>
<property name="IsStatusNotifierHostRegistered" type="b" access="read"/>
</interface></node>"""


def serve_tray(bus):
    """The tray of the guest's own panel, without which Qt has no icon that could say something."""
    info = Gio.DBusNodeInfo.new_for_xml(WATCHER_XML).interfaces[0]
    bus.register_object("/StatusNotifierWatcher", info,
                        lambda *call: call[6].return_value(None), lambda *_: V("b", True), None)
    bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                  "RequestName", V("(su)", (WATCHER, 0)), None, 0, -1, None)


@each_portal
def test_qt_notification(w):
    """Qt 5, Notifications: QSystemTrayIcon, which asks by the older interface"""
    watcher = w.new_client()
    serve_tray(watcher.bus)
    program = w.qt("tray")
    call = w.called("Notification.AddNotification")
    assert call.options["title"] == "demo: News" and call.options["body"] == "two\nlines"
    assert program.said() == [True, True]
    w.backend.signal("Notification", "ActionInvoked", "sssav", call.app_id, call.arguments["id"],
                     "default", [])
    assert program.said() == "clicked"
    program.end()


# --- programs of the command line ----------------------------------------------------------------

def sends_notification(w, **environment):
    """notify-send shows one, waits for its button, and says which it was."""
    program = w.command("notify-send", "--urgency=critical", "--icon=mail-unread",
                        "--action=read=Mark as read", "News", "two\nlines", **environment)
    call = w.called("Notification.AddNotification")
    assert call.options["title"] == "demo: News" and call.options["body"] == "two\nlines"
    assert call.options["priority"] == "urgent", call.options
    if not environment:  # libnotify of Debian 13 gives no icon to the portal
        assert call.options["icon"] == ["themed", ["mail-unread"]], call.options
    button, = call.options["buttons"]
    assert button["label"] == "Mark as read", button
    w.backend.signal("Notification", "ActionInvoked", "sssav", call.app_id, call.arguments["id"],
                     button["action"], [("s", button["target"])] if "target" in button else [])
    assert program.output() == "read\n"


@each_portal
def test_notify_send(w):
    """libnotify, Notifications: by the older interface"""
    sends_notification(w)


@each_portal
def test_notify_send_portal(w):
    """libnotify, Notification: by the portal, as in a sandbox"""
    sends_notification(w, NOTIFY_FORCE_PORTAL="1")


@each_portal
def test_secret_tool(w):
    """libsecret, Secret: keeps a password in a file that the host's secret opens"""
    w.address = w.direct
    w.environment.update(SECRET_BACKEND="file", SNAP_NAME="of-a-test",
                         XDG_DATA_HOME=w.env.directory())
    # Libsecret listens for the Response only when it has the call's reply, and misses one before.
    a_while = scale()
    program = w.command("secret-tool", "store", "--label=Mail", "account", "a@example.org")
    program.process.popen.stdin.write(b"a password")
    program.process.popen.stdin.close()
    dialog = w.dialog("Secret.RetrieveSecret")
    time.sleep(a_while)
    dialog.answer(0)
    assert program.output() == ""
    program = w.command("secret-tool", "lookup", "account", "a@example.org")
    dialog = w.dialog("Secret.RetrieveSecret")
    time.sleep(a_while)
    dialog.answer(0)
    assert program.output() == "a password"


@each_portal
def test_gdbus(w):
    """gdbus, Settings and Notification: read, heard, shown"""
    to = ("--session", "--dest", "org.freedesktop.portal.Desktop",
          "--object-path", "/org/freedesktop/portal/desktop")
    read_ = w.command("gdbus", "call", *to, "--method", PORTAL + "Settings.Read",
                      "org.freedesktop.appearance", "color-scheme")
    assert read_.output() == "(<<uint32 1>>,)\n"
    listens = w.command("gdbus", "monitor", *to)
    wait_for("gdbus to listen", lambda: b"is owned by" in listens.all())
    w.backend.signal("Settings", "SettingChanged", "ssv", "org.freedesktop.appearance",
                     "color-scheme", ("u", 2))
    wait_for("the change", lambda: b"SettingChanged ('org.freedesktop.appearance', "
             b"'color-scheme', <uint32 2>)" in listens.all())
    w.command("gdbus", "call", *to, "--method", PORTAL + "Notification.AddNotification", "news",
              "{'title': <'News'>, 'nonsense': <@ah []>}").output()
    assert w.called("Notification.AddNotification").options["title"] == "demo: News"


# --- where descriptors do not pass ---------------------------------------------------------------

@each_portal
def test_no_descriptors(w):
    """behind sbagent, a program that needs a descriptor fails, and nothing opens"""
    # GLib ends the connection over a message that it cannot carry, and with it the program.
    guest, host = w.document(name="stays")
    w.libportal("trash", os.fsdecode(guest))
    wait_for("the program to end", lambda: not w.running.process.running())
    assert os.path.exists(host) and not w.backend.opened()
    w.glib("open_uri", "https://example.org/")
    w.dialog("AppChooser.ChooseApplication").answer(1)
