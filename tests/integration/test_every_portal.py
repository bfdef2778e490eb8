# SPDX-License-Identifier: MIT
"""Every row of the portal table: what the host's backend gets, and what the guest gets.

A case is named after its row; the last test compares the cases with docs/PORTALS.md, which is made
from the table.  Descriptors are passed on the debug access, which carries them.
"""

import os
import re
import subprocess

from gi.repository import Gio

from rig import backend
from rig.files import read
from rig.guest import PATH, pump, uri_path
from rig.session import path_uri
from rig.world import (DOCUMENTS_NAME, DOCUMENTS_PATH, PORTAL, SESSION, V, World, eventually)

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

CASES = {}


def case(*names):
    """The function shows these rows."""
    def add(function):
        CASES.update({name: function for name in names})
        return function
    return add


# --- files -----------------------------------------------------------------------------------

@case("FileChooser.OpenFile", "FileChooser.SaveFile", "FileChooser.SaveFiles")
def file_chooser(w):
    for member in ("OpenFile", "SaveFile", "SaveFiles"):
        name = "FileChooser." + member
        options = {"accept_label": V("s", "Do\u202eit"), "nonsense": V("s", "x")}
        if member == "SaveFiles":
            options["files"] = V("aay", [b"one\0"])
        request = w.request(name, "(ssa{sv})", "x11:1", "Title", options)
        dialog = w.dialog(name)
        assert dialog.title == "demo: Title", dialog.title
        assert dialog.options["accept_label"] == "Doit" and "nonsense" not in dialog.options
        host = w.env.host_file(member, b"picked")
        dialog.pick(host)
        path = request.path_of_one()
        assert read(path) == b"picked" and os.fsencode(w.sidebus.documents) in path, path


@case("OpenURI.OpenURI")
def open_uri(w):
    request = w.request("OpenURI.OpenURI", "(ssa{sv})", "", "https://example.org/?q",
                        {"ask": V("b", False), "activation_token": V("s", "x")})
    dialog = w.dialog("AppChooser.ChooseApplication")
    assert dialog.options["uri"] == "https://example.org/?q", dialog.options
    dialog.answer(1)
    assert request.wait() == (1, {})
    for uri in ("file:///etc/passwd", "smb://host/x", "javascript:alert(1)", "no uri",
                "mailto:a@example.org?attach=/etc/passwd"):
        assert w.request("OpenURI.OpenURI", "(ssa{sv})", "", uri, {}).wait() == (2, {}), uri
    assert not w.backend.opened()


@case("OpenURI.OpenFile")
def open_file(w):
    # A file of the guest's own: a copy, which goes when nobody took it.
    fd = w.guest_file(".hidden\u202egnp.txt")
    request = w.request("OpenURI.OpenFile", "(sha{sv})", "", 0, {}, fds=[fd])
    dialog = w.dialog("AppChooser.ChooseApplication")
    copy = uri_path(dialog.options["uri"])
    assert os.path.basename(copy) == b"_hiddengnp.txt", copy
    assert read(copy) == b"of the guest" and os.stat(copy).st_mode & 0o777 == 0o400
    dialog.answer(1)
    assert request.wait() == (1, {}) and not w.spooled()
    # A document: the person's own file.
    guest, host = w.document()
    with open(guest, "rb") as f:
        request = w.request("OpenURI.OpenFile", "(sha{sv})", "", 0, {}, fds=[f.fileno()])
    dialog = w.dialog("AppChooser.ChooseApplication")
    assert uri_path(dialog.options["uri"]) == host, dialog.options
    dialog.answer(1)
    assert request.wait() == (1, {}) and not w.spooled()
    # What is no file.
    with open("/dev/null", "rb") as f:
        assert w.refused("OpenURI.OpenFile", "(sha{sv})", "", 0, {},
                         fds=[f.fileno()]) == PORTAL + "Error.InvalidArgument"


@case("OpenURI.OpenDirectory")
def open_directory(w):
    guest, host = w.document(name="d/file")
    with open(guest, "rb") as f:
        for _ in range(2):  # the document portal forgets between them what the file is called
            request = w.request("OpenURI.OpenDirectory", "(sha{sv})", "", 0, {}, fds=[f.fileno()])
            dialog = w.dialog("AppChooser.ChooseApplication")
            assert uri_path(dialog.options["uri"]) == os.path.dirname(host), dialog.options
            dialog.answer(1)
            assert request.wait() == (1, {})
    fd = w.guest_file()
    assert w.refused("OpenURI.OpenDirectory", "(sha{sv})", "", 0, {},
                     fds=[fd]) == PORTAL + "Error.InvalidArgument"


@case("Trash.TrashFile")
def trash(w):
    guest, host = w.document(name="to be trashed")
    with open(guest, "r+b") as f:
        assert w.call("Trash.TrashFile", "(h)", 0, fds=[f.fileno()]) == (1,)
    assert not os.path.exists(host)
    fd = w.guest_file()
    assert w.refused("Trash.TrashFile", "(h)", 0, fds=[fd]) == PORTAL + "Error.InvalidArgument"
    # The directory that only holds the document is none.
    guest, host = w.document(name="stays")
    fd = os.open(os.path.dirname(guest), os.O_RDONLY)
    assert w.refused("Trash.TrashFile", "(h)", 0, fds=[fd]) == PORTAL + "Error.InvalidArgument"
    os.close(fd)
    assert os.path.exists(host)


@case("FileTransfer.RetrieveFiles")
def retrieve_files(w):
    host, fds = w.env.host_file("dragged", b"dragged"), Gio.UnixFDList.new()
    bus = w.session.bus

    def documents(member, arguments, fd_list=None):
        reply, _ = bus.call_with_unix_fd_list_sync(
            DOCUMENTS_NAME, DOCUMENTS_PATH, PORTAL + "FileTransfer", member, arguments, None, 0,
            20000, fd_list, None)
        return reply.unpack()

    key, = documents("StartTransfer", V("(a{sv})", ({},)))
    with open(host, "rb") as f:
        fds.append(f.fileno())
    documents("AddFiles", V("(saha{sv})", (key, [0], {})), fds)
    (path,), = w.call("FileTransfer.RetrieveFiles", "(sa{sv})", key, {"x": V("s", "y")})
    assert read(path) == b"dragged" and path.startswith(w.sidebus.documents), path
    assert w.refused("FileTransfer.RetrieveFiles", "(sa{sv})", "guess", {}).startswith("org.freed")


@case("Documents.Lookup", "Documents.Info", "Documents.GrantPermissions")
def documents(w):
    guest, host = w.document(name="mine")
    identifier = os.path.relpath(guest, os.fsencode(w.sidebus.documents)).split(b"/")[0].decode()

    def text(path):
        return bytes(path) + b"\0"

    assert w.call("Documents.Lookup", "(ay)", text(guest)) == (identifier,)
    for other in (os.path.dirname(guest), guest + b"x", host, b"/etc/passwd"):
        assert w.call("Documents.Lookup", "(ay)", text(other)) == ("",), other
    path, apps = w.call("Documents.Info", "(s)", identifier)
    assert bytes(path) == text(guest), path
    assert [sorted(rights) for rights in apps.values()] == [["read", "write"]], apps
    w.call("Documents.GrantPermissions", "(ssas)", identifier, "any.app", ["read", "write"])
    assert w.refused("Documents.GrantPermissions", "(ssas)", identifier, "any.app",
                     ["grant-permissions"]) == PORTAL + "Error.NotAllowed"
    for bad in ("ffffff", "../x", ""):
        assert w.refused("Documents.Info", "(s)", bad).startswith("org.freedesktop."), bad
    assert w.call("Documents.Info", "(s)", identifier) == (path, apps)


@case("Documents.GetMountPoint")
def mount_point(w):
    assert bytes(w.call("Documents.GetMountPoint")[0]) == w.sidebus.documents.encode() + b"\0"


# --- dialogs ---------------------------------------------------------------------------------

@case("Email.ComposeEmail")
def email(w):
    guest, host = w.document(name="letter.txt")
    own = w.guest_file()
    with open(guest, "rb") as f:
        request = w.request("Email.ComposeEmail", "(sa{sv})", "", {
            "addresses": V("as", ["a@example.org"]), "subject": V("s", "Hello\u2066"),
            "body": V("s", "two\nlines"), "attachment_fds": V("ah", [0, 1]),
            "attachments": V("as", ["/etc/passwd"])}, fds=[f.fileno(), own])
    dialog = w.dialog("Email.ComposeEmail")
    assert dialog.options["subject"] == "Hello" and dialog.options["body"] == "two\nlines"
    assert dialog.options["addresses"] == ["a@example.org"], dialog.options
    first, second = dialog.options["attachments"]
    assert first == os.fsdecode(host) and read(second) == b"of the guest", dialog.options
    dialog.answer(0)
    assert request.wait() == (0, {})
    # It may be sent much later: the copy stays until the VM stops.
    assert w.spooled() == [second]
    w.env.to_close.remove(w.sidebus)
    assert w.sidebus.stop() == 0 and not os.path.exists(second)


@case("Account.GetUserInformation")
def account(w):
    request = w.request("Account.GetUserInformation", "(sa{sv})", "", {"reason": V("s", "why")})
    dialog = w.dialog("Account.GetUserInformation")
    assert dialog.options == {"reason": "demo: why"}, dialog.options
    face = w.env.host_file("face", b"a face")
    dialog.answer(0, id=("s", "person"), name=("s", "A Person"), image=("s", path_uri(face)),
                  secret=("s", "x"))
    response, results = request.wait()
    assert response == 0 and sorted(results) == ["id", "image", "name"], results
    path = uri_path(results["image"])
    assert read(path) == b"a face" and not os.stat(path).st_mode & 0o222
    # An image that cannot be had is no reason to say nothing.
    request = w.request("Account.GetUserInformation", "(sa{sv})", "", {})
    w.dialog("Account.GetUserInformation").answer(
        0, id=("s", "person"), name=("s", "A Person"), image=("s", "file:///no/such/file"))
    assert request.wait() == (0, {"id": "person", "name": "A Person"})


def answer_access(w):
    """The host's portal may ask about the VM first, once."""
    dialog = w.backend.next_dialog(pump=pump)
    if dialog.name == "Access.AccessDialog":
        dialog.answer(0)
        dialog = w.backend.next_dialog(pump=pump)
    w.check(dialog)
    return dialog


@case("Screenshot.Screenshot")
def screenshot(w):
    request = w.request("Screenshot.Screenshot", "(sa{sv})", "", {
        "interactive": V("b", True), "target": V("u", 1)})
    dialog = answer_access(w)
    assert dialog.name == "Screenshot.Screenshot" and dialog.options["interactive"] is True
    assert "target" not in dialog.options
    picture = w.env.host_file("picture.png", b"a picture")
    dialog.answer(0, uri=("s", path_uri(picture)))
    response, results = request.wait()
    assert response == 0 and read(uri_path(results["uri"])) == b"a picture", results


@case("Screenshot.PickColor")
def pick_color(w):
    request = w.request("Screenshot.PickColor", "(sa{sv})", "", {})
    w.dialog("Screenshot.PickColor").answer(0, color=("(ddd)", [.25, .5, 1]))
    assert request.wait() == (0, {"color": (.25, .5, 1)})


@case("Wallpaper.SetWallpaperURI", "Wallpaper.SetWallpaperFile")
def wallpaper(w):
    request = w.request("Wallpaper.SetWallpaperURI", "(ssa{sv})", "", "https://example.org/a.png",
                        {"show-preview": V("b", False), "set-on": V("s", "both")})
    dialog = answer_access(w)
    assert dialog.arguments["uri"] == "https://example.org/a.png", dialog.arguments
    assert dialog.options == {"show-preview": True, "set-on": "both"}, dialog.options
    dialog.answer(0)
    assert request.wait() == (0, {})
    fd = w.guest_file("picture.png")
    request = w.request("Wallpaper.SetWallpaperFile", "(sha{sv})", "", 0, {}, fds=[fd])
    dialog = answer_access(w)
    assert read(uri_path(dialog.arguments["uri"])) == b"of the guest"
    dialog.answer(1)
    assert request.wait()[0] != 0 and not w.spooled()


@case("Print.PreparePrint")
def prepare_print(w):
    request = w.request(
        "Print.PreparePrint", "(ssa{sv}a{sv}a{sv})", "", "Report",
        {"n-copies": V("s", "2"), "output-uri": V("s", "file:///etc/passwd"), "x": V("s", "y")},
        {"Width": V("d", 210.)}, {"modal": V("b", True)})
    dialog = w.dialog("Print.PreparePrint")
    assert dialog.title == "demo: Report" and dialog.options == {"modal": True}, dialog.arguments
    assert dialog.arguments["settings"] == {"n-copies": "2"}, dialog.arguments
    assert dialog.arguments["page_setup"] == {"Width": 210.0}, dialog.arguments
    dialog.answer(0, **{
        "settings": ("a{sv}", {"n-copies": ("s", "3"), "output-uri": ("s", "file:///home/p/x")}),
        "page-setup": ("a{sv}", {"Name": ("s", "iso_a4")}), "token": ("u", 7)})
    assert request.wait() == (0, {"settings": {"n-copies": "3"}, "page-setup": {"Name": "iso_a4"},
                                  "token": 7})


@case("Print.Print")
def print_(w):
    reader, writer = os.pipe()
    os.write(writer, b"%PDF of a pipe")
    os.close(writer)
    for fd, content in ((reader, "%PDF of a pipe"), (w.guest_file(), "of the guest")):
        request = w.request("Print.Print", "(ssha{sv})", "", "Report", 0, {"token": V("u", 7)},
                            fds=[fd])
        dialog = w.dialog("Print.Print")
        assert dialog.title == "demo: Report" and dialog.arguments["fd"] == content
        assert dialog.options["token"] == 7, dialog.options
        dialog.answer(0)
        assert request.wait() == (0, {})
    directory, device = os.open("/", os.O_RDONLY), os.open("/dev/zero", os.O_RDONLY)
    beneath = os.open("/etc/hostname", os.O_PATH)
    for fd in (directory, device, beneath):
        assert w.refused("Print.Print", "(ssha{sv})", "", "T", 0, {},
                         fds=[fd]) == PORTAL + "Error.InvalidArgument"
        os.close(fd)


@case("Secret.RetrieveSecret")
def secret(w):
    reader, writer = os.pipe()
    request = w.request("Secret.RetrieveSecret", "(ha{sv})", 0, {}, fds=[writer])
    os.close(writer)
    w.dialog("Secret.RetrieveSecret").answer(0)
    assert request.wait()[0] == 0
    assert os.read(reader, 100) == backend.SECRET
    assert w.refused("Secret.RetrieveSecret", "(ha{sv})", 0, {},
                     fds=[reader]) == PORTAL + "Error.InvalidArgument"
    os.close(reader)


# --- notifications and settings --------------------------------------------------------------

# As much of one as is looked at: 16 pixels a side.
PNG = (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (16).to_bytes(4, "big") * 2 + b"\x08\6\0\0\0"
       + bytes(8))


def add_notification(w, identifier, client=None, **values):
    w.call("Notification.AddNotification", "(sa{sv})", identifier, values, client=client)


@case("Notification.ActionInvoked")
def notification(w):
    other = w.new_client()
    for client in (w.client, other):
        w.listen(PORTAL + "Notification", "ActionInvoked", client=client)
    got = w.listen(PORTAL + "Notification", "ActionInvoked")
    elsewhere = w.listen(PORTAL + "Notification", "ActionInvoked", client=other)
    button = {"label": V("s", "Yes"), "action": V("s", "app.yes"), "x": V("s", "nonsense")}
    add_notification(w, "mine/1", title=V("s", "News\u202e"), body=V("s", "<b>text</b>"),
                     icon=V("(sv)", ("themed", V("as", ["mail-unread", "/etc/x.svg"]))),
                     priority=V("s", "low"), nonsense=V("s", "x"),
                     **{"default-action": V("s", "app.open"), "markup-body": V("s", "<b>x</b>"),
                        "buttons": V("aa{sv}", [button])})
    call = w.called("Notification.AddNotification")
    assert call.options["title"] == "demo: News" and call.options["priority"] == "low"
    assert call.options["buttons"] == [{"label": "Yes", "action": "vm.app.yes"}], call.options
    assert call.options["default-action"] == "vm.app.open", call.options
    assert call.options["icon"] == ["themed", ["mail-unread"]], call.options
    assert "nonsense" not in call.options, call.options
    # The host's portal would refuse it all over a key that it does not know.
    newer = w.client.get(PORTAL + "Notification", "version") >= 2
    assert ("markup-body" in call.options) == newer, call.options
    identifier = call.arguments["id"]
    assert identifier.endswith("/mine/1") and identifier != "mine/1", identifier

    def invoke(which):
        w.backend.signal("Notification", "ActionInvoked", "sssav", call.app_id, which,
                         call.options["buttons"][0]["action"],
                         [("s", "x"), ("a{sv}", {"activation-token": ("s", "token")})])

    # Nobody hears of one that was not sent, and only its client of one that was.
    invoke("not/ours")
    invoke(identifier.replace("mine", "other"))
    invoke(identifier)
    assert eventually("the action", lambda: got) == [("mine/1", "app.yes", ["x", {}])], got
    assert not elsewhere


def send_media(w, n, icon, fds=()):
    """The notification as xdg-desktop-portal gets it, the n-th that has an icon or a sound.

    It looks at them again, in sandboxes that may not be to be had here: its answer is not waited
    for, and no notification is sent after."""
    fd_list = Gio.UnixFDList.new()
    for fd in fds:
        fd_list.append(fd)
    values = {"icon": icon, **({"sound": V("(sv)", ("file-descriptor", V("h", 1)))} if fds else {})}
    w.client.bus.call_with_unix_fd_list(
        PORTAL + "Desktop", PATH, PORTAL + "Notification", "AddNotification",
        V("(sa{sv})", ("media", values)), None, Gio.DBusCallFlags.NONE, -1, fd_list, None)
    return dict(w.monitor.calls(PORTAL + "Notification", "AddNotification", n)[n - 1][1])


@case("Notification.AddNotification")
def picture(w):
    values = send_media(w, 1, V("(sv)", ("bytes", V("ay", PNG))))
    assert str(list(PNG)) in str(values["icon"]) and values["title"]["data"] == "demo", values
    values = send_media(w, 2, V("(sv)", ("bytes", V("ay", b"<svg/>"))))
    assert "icon" not in values, values


@case("Notification.RemoveNotification")
def remove_notification(w):
    add_notification(w, "gone", title=V("s", "T"))
    sent = w.called("Notification.AddNotification").arguments["id"]
    got = w.listen(PORTAL + "Notification", "ActionInvoked")
    w.call("Notification.RemoveNotification", "(s)", "gone")
    call = w.called("Notification.RemoveNotification")
    assert call.arguments["id"] == sent
    w.backend.signal("Notification", "ActionInvoked", "sssav", call.app_id, sent, "vm.a", [])
    w.call("Settings.Read", "(ss)", "org.freedesktop.appearance", "color-scheme")
    w.called("Settings.Read")
    assert not got
    # Another's of the same name is another.
    w.call("Notification.RemoveNotification", "(s)", "gone", client=w.new_client())
    assert w.called("Notification.RemoveNotification").arguments["id"] != sent


@case("Settings.ReadAll", "Settings.Read")
def settings(w):
    for patterns in ([], [""], ["org.*"], ["org.gnome.desktop.privacy"]):
        values, = w.call("Settings.ReadAll", "(as)", patterns)
        assert "org.gnome.desktop.privacy" not in values, values
    values, = w.call("Settings.ReadAll", "(as)", [])
    assert values["org.freedesktop.appearance"]["color-scheme"] == 1, values
    assert w.call("Settings.Read", "(ss)", "org.freedesktop.appearance", "color-scheme") == (1,)
    w.called("Settings.Read")
    for namespace in ("org.gnome.desktop.privacy", "no.such"):
        name = w.refused("Settings.Read", "(ss)", namespace, "recent-files")
        assert name == PORTAL + "Error.NotFound", name
    assert not [c for c in w.backend.new_calls if c.name == "Settings.Read"]


@case("Settings.SettingChanged")
def setting_changed(w):
    got = w.listen(PORTAL + "Settings", "SettingChanged")
    w.backend.signal("Settings", "SettingChanged", "ssv", "org.gnome.desktop.privacy",
                     "recent-files", ("s", "/home/person/diary"))
    w.backend.signal("Settings", "SettingChanged", "ssv", "org.freedesktop.appearance",
                     "color-scheme", ("u", 2))
    eventually("the change", lambda: got)
    assert got == [("org.freedesktop.appearance", "color-scheme", 2)], got


# --- sessions --------------------------------------------------------------------------------

@case("Inhibit.Inhibit")
def inhibit(w):
    request = w.request("Inhibit.Inhibit", "(sua{sv})", "", 8, {"reason": V("s", "a film")})
    call = w.called("Inhibit.Inhibit")
    assert call.arguments["flags"] == 8 and call.options == {"reason": "demo: a film"}, call.arguments
    assert request.wait() == (0, {}) and not call.closed
    request.close()
    w.backend.wait_closed(call)
    # A client that leaves takes its own with it.
    client = w.new_client()
    w.request("Inhibit.Inhibit", "(sua{sv})", "", 1, {}, client=client).wait()
    call = w.called("Inhibit.Inhibit")
    client.close()
    w.backend.wait_closed(call)


def create_monitor(w):
    """(the guest's handle, the backend's) of a session."""
    handle, request = w.make_session("Inhibit.CreateMonitor", "(sa{sv})", "", {})
    dialog = w.dialog("Inhibit.CreateMonitor")
    dialog.answer(0)
    assert request.wait() == (0, {"session_handle": handle}), request.responses
    assert request.types() == {"session_handle": "s"}
    return handle, dialog.arguments["session"]


@case("Inhibit.CreateMonitor", "Inhibit.StateChanged", "Inhibit.QueryEndResponse")
def monitor(w):
    got = w.listen(PORTAL + "Inhibit", "StateChanged")
    elsewhere = w.listen(PORTAL + "Inhibit", "StateChanged", client=w.new_client())
    handle, host = create_monitor(w)
    w.backend.signal("Inhibit", "StateChanged", "oa{sv}", host,
                     {"screensaver-active": ("b", True), "session-state": ("u", 2),
                      "x": ("s", "y")})
    state = {"screensaver-active": True, "session-state": 2}
    assert eventually("the state", lambda: got) == [(handle, state)] and not elsewhere
    w.call("Inhibit.QueryEndResponse", "(o)", handle)
    assert w.called("Inhibit.QueryEndResponse").arguments["session"] == host
    # Another client's session, an invented one, and one of the host's own.
    for path in (handle + "x", host):
        assert w.refused("Inhibit.QueryEndResponse", "(o)", path).startswith("org.freedesktop.")
    w.client.call(handle, SESSION, "Close")
    w.backend.wait_session_closed(host)
    assert w.refused("Inhibit.QueryEndResponse", "(o)", handle).startswith("org.freedesktop.")


def create_shortcuts(w):
    handle, request = w.make_session("GlobalShortcuts.CreateSession", "(a{sv})", {})
    dialog = w.dialog("GlobalShortcuts.CreateSession")
    dialog.answer(0, shortcuts=("a(sa{sv})", []))
    assert request.wait() == (0, {"session_handle": handle}), request.responses
    return handle, dialog.arguments["session"]


@case("GlobalShortcuts.CreateSession", "GlobalShortcuts.BindShortcuts",
      "GlobalShortcuts.ListShortcuts")
def shortcuts(w):
    handle, host = create_shortcuts(w)
    asked = [("one", {"description": V("s", "First\u202e"), "x": V("s", "y")})]
    request = w.request("GlobalShortcuts.BindShortcuts", "(oa(sa{sv})sa{sv})", handle, asked,
                        "x11:1", {})
    dialog = w.dialog("GlobalShortcuts.BindShortcuts")
    assert dialog.arguments["session"] == host
    assert dialog.arguments["shortcuts"] == [["one", {"description": "First"}]], dialog.arguments
    bound = [["one", {"description": ("s", "First"), "trigger_description": ("s", "Ctrl+1"),
                      "x": ("s", "y")}]]
    got = [("one", {"description": "First", "trigger_description": "Ctrl+1"})]
    dialog.answer(0, shortcuts=("a(sa{sv})", bound))
    assert request.wait() == (0, {"shortcuts": got}), request.responses
    request = w.request("GlobalShortcuts.ListShortcuts", "(oa{sv})", handle, {})
    dialog = w.dialog("GlobalShortcuts.ListShortcuts")
    assert dialog.arguments["session"] == host
    dialog.answer(0, shortcuts=("a(sa{sv})", bound))
    assert request.wait() == (0, {"shortcuts": got}), request.responses


@case("GlobalShortcuts.Activated", "GlobalShortcuts.Deactivated",
      "GlobalShortcuts.ShortcutsChanged")
def shortcut_signals(w):
    handle, host = create_shortcuts(w)
    other = World(w.env, w.session)
    names = ("Activated", "Deactivated", "ShortcutsChanged")
    got = {n: w.listen(PORTAL + "GlobalShortcuts", n) for n in names}
    elsewhere = [x.listen(PORTAL + "GlobalShortcuts", n, client=x.new_client())
                 for n in names for x in (w, other)]
    for name in names[:2]:
        w.backend.signal("GlobalShortcuts", name, "osta{sv}", host, "one", 5,
                         {"activation_token": ("s", "token")})
        assert eventually(name, lambda n=name: got[n]) == [(handle, "one", 5, {})]
    w.backend.signal("GlobalShortcuts", "ShortcutsChanged", "oa(sa{sv})", host,
                     [["one", {"description": ("s", "First")}]])
    assert eventually("ShortcutsChanged", lambda: got["ShortcutsChanged"]) == [
        (handle, [("one", {"description": "First"})])]
    assert not any(elsewhere), elsewhere


@case("GlobalShortcuts.ConfigureShortcuts")
def configure_shortcuts(w):
    # Of a version that the host's portal does not have.
    handle, _ = create_shortcuts(w)
    assert w.refused("GlobalShortcuts.ConfigureShortcuts", "(osa{sv})", handle, "", {}) == \
        "org.freedesktop.DBus.Error.UnknownMethod"


@case("Location.CreateSession", "Location.Start", "Location.LocationUpdated")
def location(w):
    handle, = w.call("Location.CreateSession", "(a{sv})", {"session_handle_token": V("s", "here"),
                                                           "accuracy": V("u", 5)})
    assert handle.endswith("/session/" + w.client.name[1:].replace(".", "_") + "/here"), handle
    got = w.listen(PORTAL + "Location", "LocationUpdated")
    elsewhere = w.listen(PORTAL + "Location", "LocationUpdated", client=w.new_client())
    request = w.request("Location.Start", "(osa{sv})", handle, "", {})
    w.called("GeoClue.Start")
    assert request.wait() == (0, {})
    w.backend.signal(backend.GEOCLUE + ".Client", "LocationUpdated", "oo", "/",
                     "/org/freedesktop/GeoClue2/Location/1",
                     path="/org/freedesktop/GeoClue2/Client/1")
    assert eventually("where it is", lambda: got) == [(handle, {
        "Latitude": 52.5, "Longitude": 13.4, "Accuracy": 10., "Timestamp": (1, 2)})]
    assert not elsewhere
    error = w.refused("Location.Start", "(osa{sv})", PATH + "/session/1_1/x", "", {})
    assert error.startswith("org.freedesktop."), error
    error = w.refused("Location.CreateSession", "(a{sv})",
                      {"session_handle_token": V("s", "there"), "accuracy": V("u", 99)})
    assert error == PORTAL + "Error.InvalidArgument", error
    w.client.call(handle, SESSION, "Close")


# --- what the host is asked ------------------------------------------------------------------

@case("NetworkMonitor.GetAvailable", "NetworkMonitor.GetMetered", "NetworkMonitor.GetConnectivity",
      "NetworkMonitor.GetStatus")
def network(w):
    available, = w.call("NetworkMonitor.GetAvailable")
    metered, = w.call("NetworkMonitor.GetMetered")
    connectivity, = w.call("NetworkMonitor.GetConnectivity")
    status, = w.call("NetworkMonitor.GetStatus")
    assert status == {"available": available, "metered": metered, "connectivity": connectivity}
    assert w.refused("NetworkMonitor.CanReach", "(su)", "localhost", 22) == \
        "org.freedesktop.DBus.Error.UnknownMethod"


@case("NetworkMonitor.changed")
def network_changed(w):
    got = w.listen(PORTAL + "NetworkMonitor", "changed")
    enter = ["nsenter", "--user", "--net", "--preserve-credentials",
             f"--target={w.session.portal.pid}", "ip"]
    for command in ("link set lo up", "route add 10.77.0.0/16 dev lo"):
        subprocess.run([*enter, *command.split()], check=True)
    assert eventually("the change", lambda: got)[0] == ()


@case("ProxyResolver.Lookup")
def proxy(w):
    assert w.call("ProxyResolver.Lookup", "(s)", "https://example.org/") == (["direct://"],)


def proxy_with_login(env):
    """Another's proxy: where it is, not how the person gets in."""
    session = env.own_session(portal=False, activatable=True)
    session.env["http_proxy"] = "http://person:secret@proxy.example:3128"
    session.start_portal()
    w = World(env, session)
    assert w.call("ProxyResolver.Lookup", "(s)", "http://example.org/") == (
        ["http://proxy.example:3128"],)


@case("PowerProfileMonitor.power-saver-enabled")
def power(w):
    interface, name = PORTAL + "PowerProfileMonitor", "power-saver-enabled"
    assert w.client.get(interface, name) is False
    got = w.listen("org.freedesktop.DBus.Properties", "PropertiesChanged")
    for profile, enabled in (("power-saver", True), ("balanced", False)):
        for service, path in backend.POWER.items():
            w.backend.signal("org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as",
                             service, {"ActiveProfile": ("s", profile)}, [], path=path)
        assert eventually("the change", lambda: got).pop() == (interface, {name: enabled}, [])
        assert w.client.get(interface, name) is enabled


# --- what the newer portal has ---------------------------------------------------------------

NEWER = {}


def newer_case(*names):
    def add(function):
        NEWER.update({name: function for name in names})
        return function
    return add


@newer_case("Settings.ReadOne")
def read_one(w):
    assert w.call("Settings.ReadOne", "(ss)", "org.freedesktop.appearance", "color-scheme") == (1,)
    assert w.refused("Settings.ReadOne", "(ss)", "org.gnome.desktop.privacy", "recent-files") == \
        PORTAL + "Error.NotFound"


@newer_case("OpenURI.SchemeSupported")
def scheme_supported(w):
    assert w.call("OpenURI.SchemeSupported", "(sa{sv})", "https", {})[0] in (True, False)
    assert w.refused("OpenURI.SchemeSupported", "(sa{sv})", "file", {}) == \
        PORTAL + "Error.NotAllowed"


@newer_case("Notification.SupportedOptions")
def newer_notification(w):
    assert w.client.get(PORTAL + "Notification", "version") == 2
    assert isinstance(w.client.get(PORTAL + "Notification", "SupportedOptions"), dict)
    add_notification(w, "news", **{"markup-body": V("s", "<b>bold <a href='x:y'>link</a>")})
    assert w.called("Notification.AddNotification").options["markup-body"] == "<b>bold link</b>"
    # Descriptors: what is in them is looked at, and copied.
    icon = V("(sv)", ("file-descriptor", V("h", 0)))
    wave = b"RIFF\x24\0\0\0WAVEfmt " + bytes(28)
    values = send_media(w, 2, icon, [w.guest_file("i", PNG), w.guest_file("s", wave)])
    assert {"icon", "sound"} <= set(values), values
    values = send_media(w, 3, icon, [w.guest_file("i", b"<svg/>"), w.guest_file("s", b"MThd")])
    assert not {"icon", "sound"} & set(values), values


# --- what is answered within sidebus ---------------------------------------------------------

@case("Background.RequestBackground", "Background.SetStatus")
def background(w):
    request = w.request("Background.RequestBackground", "(sa{sv})", "", {"autostart": V("b", True)})
    assert request.wait() == (0, {"background": True, "autostart": False})
    w.call("Background.SetStatus", "(a{sv})", {"message": V("s", "busy")})


@case("Realtime.MakeThreadRealtimeWithPID", "Realtime.MakeThreadHighPriorityWithPID",
      "Realtime.MaxRealtimePriority", "Realtime.MinNiceLevel", "Realtime.RTTimeUSecMax")
def realtime(w):
    for member, kind in (("MakeThreadRealtimeWithPID", "(ttu)"),
                         ("MakeThreadHighPriorityWithPID", "(tti)")):
        assert w.refused("Realtime." + member, kind, 1, 1, 1).startswith("org.freedesktop.")
    for name in ("MaxRealtimePriority", "MinNiceLevel", "RTTimeUSecMax"):
        assert isinstance(w.client.get(PORTAL + "Realtime", name), int), name


GAME = {"QueryStatus": "(i)", "RegisterGame": "(i)", "UnregisterGame": "(i)",
        "QueryStatusByPid": "(ii)", "RegisterGameByPid": "(ii)", "UnregisterGameByPid": "(ii)",
        "QueryStatusByPIDFd": "(hh)", "RegisterGameByPIDFd": "(hh)",
        "UnregisterGameByPIDFd": "(hh)"}


@case("GameMode.Active", *("GameMode." + member for member in GAME))
def game_mode(w):
    assert w.client.get(PORTAL + "GameMode", "Active") is False
    with open("/dev/null", "rb") as f:
        for member, kind in GAME.items():
            fds = [f.fileno()] * 2 if "h" in kind else ()
            values = (0, 1) if fds else (1,) * (len(kind) - 2)
            result, = w.call("GameMode." + member, kind, *values, fds=fds)
            # No game mode, and nobody in it.
            assert result == (0 if member.startswith("Query") else -1), (member, result)


@case("MemoryMonitor.LowMemoryWarning")
def memory(w):
    # The guest has memory of its own: the signal is declared, and never sent.
    text, = w.client.call(PATH, "org.freedesktop.DBus.Introspectable", "Introspect")
    assert re.search(r'interface name="org.freedesktop.portal.MemoryMonitor"', text)


@case("Registry.Register")
def register(w):
    w.client.call(PATH, "org.freedesktop.host.portal.Registry", "Register",
                  V("(sa{sv})", ("org.example.App", {})))


def run(env, *functions, **arguments):
    for function in functions:
        w = World(env, **arguments)
        w.monitor = env.closing(w.session.monitor())
        function(w)
        # Not even xdg-desktop-portal, which drops most of it, got what the table does not have.
        assert "nonsense" not in str(w.monitor.messages()), function


def test_files(env):
    """files, of the guest's and of the host's: chooser, opening, trash, transfer, documents"""
    run(env, file_chooser, open_uri, open_file, open_directory, trash, retrieve_files, documents,
        mount_point)


def test_dialogs(env):
    """email, account, screenshot, wallpaper"""
    run(env, email, account, screenshot, pick_color, wallpaper)


def test_bytes(env):
    """printing, and the secret: descriptors that mean bytes"""
    run(env, prepare_print, print_, secret)


def test_notifications(env):
    """notifications, and settings"""
    run(env, notification, remove_notification, settings, setting_changed, picture)


def test_sessions(env):
    """inhibit, shortcuts, location: sessions and what lasts"""
    run(env, inhibit, monitor, shortcuts, shortcut_signals, configure_shortcuts, location)


def test_told(env):
    """network, proxies, power"""
    run(env, network, proxy, power)


def test_network(env):
    """the network changes: every guest hears of it (the portal has a network of its own here)"""
    session = env.own_session(portal=False, activatable=True)
    session.start_portal(before=["unshare", "--user", "--map-root-user", "--net"])
    run(env, network_changed, session=session)


def test_proxy_login(env):
    """a proxy of the host's: without the person's name and password"""
    proxy_with_login(env)


def test_local(env):
    """what is answered within sidebus: no host program hears of it"""
    run(env, background, realtime, game_mode, memory, register)


def test_newer(env):
    """a newer portal: all of the above, and what only it has"""
    session = env.own_session(libexec=env.newer_portal)
    shared = [f for f in CASES.values() if f not in (network_changed, picture)]
    run(env, *dict.fromkeys(shared), *NEWER.values(), session=session)


# Of versions that no portal here has; the gate's part is shown by ConfigureShortcuts and target.
ABSENT = {"Screenshot.AvailableTargets"}


def test_complete(env):
    """every method, signal and property of docs/PORTALS.md has a case"""
    rows, interface = set(), None
    with open(os.path.join(SOURCE, "docs/PORTALS.md"), encoding="utf-8") as f:
        for line in f:
            if line.startswith("## "):
                interface = line.rpartition(".")[2].strip()
            match = re.match(r"\| (?:signal )?(\w+)\(|\| property ([\w-]+):", line)
            if match:
                rows.add(f"{interface}.{match[1] or match[2]}")
    assert len(rows) > 60, rows
    shown = {*CASES, *NEWER, *ABSENT}
    assert rows == shown, (sorted(rows - shown), sorted(shown - rows))
    # And every case is run.
    with open(__file__, encoding="utf-8") as f:
        text = f.read()
    for function in CASES.values():
        assert len(re.findall(rf"\b{function.__name__}\b", text)) > 1, function
