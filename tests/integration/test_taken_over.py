# SPDX-License-Identifier: MIT
"""sbportal in a guest's hands: the gate itself, asked for what it must not give."""

import os

from gi.repository import Gio

from rig import backend, boundaries
from rig.gate import DENIED, PEER, Gate, open_gate, rows_of
from rig.guest import FILE_CHOOSER, PATH, PROPERTIES, REQUEST, GLib, error_name, pump
from rig.processes import scale, wait_for
from rig.world import ALLOW


def test_gate_works(env):
    """the gate answers what sbportal may ask; documents are named by id, never by host path"""
    gate = open_gate(env)
    host = env.host_file("picked %.txt", b"x")
    handle = gate.ask()
    env.dialog().pick(host)
    response, results = gate.response(handle)
    assert response == 0 and len(results["uris"]) == 1, results
    scheme, _, rest = results["uris"][0].partition(":")
    identifier, name = rest.split("/")
    assert scheme == "doc" and identifier in gate.sidebus.exported(), results
    assert name == "picked%20%25.txt" and env.tmp not in str(results), results


def test_gate_built_in(env):
    """Peer, Introspectable, ObjectManager, Properties.Set: sd-bus's own answers stay away"""
    gate = open_gate(env)
    with open("/etc/machine-id", encoding="ascii") as f:
        host_id = f.read().strip()
    for path in (PATH, "/", "/org/freedesktop/DBus", "/org/freedesktop/LogControl1"):
        for interface, member, body in (
                (PEER, "Ping", None), (PEER, "GetMachineId", None), (PEER, "Nothing", None),
                ("org.freedesktop.DBus.Introspectable", "Introspect", None),
                ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None),
                (PROPERTIES, "GetAll", GLib.Variant("(s)", ("",))),
                (PROPERTIES, "GetAll", GLib.Variant("(s)", (PEER,))),
                (PROPERTIES, "Set", GLib.Variant("(ssv)", (FILE_CHOOSER, "version",
                                                            GLib.Variant("u", 9)))),
                ("org.freedesktop.DBus", "Hello", None),
                ("org.freedesktop.DBus", "RequestName", GLib.Variant("(su)", ("a.b", 0)))):
            name = gate.refused(path, interface, member, body)
            assert name.startswith("org.freedesktop."), (path, interface, member, name)
            assert host_id not in gate.sidebus.log()
    assert gate.call(PATH, PROPERTIES, "Get",
                     GLib.Variant("(ss)", (FILE_CHOOSER, "version")))[0] >= 3


def test_gate_nothing_else(env):
    """no other service, portal, path or method of the session bus"""
    gate = open_gate(env)
    monitor = env.closing(env.session.monitor())
    for path, interface, member in (
            ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "StartTransientUnit"),
            ("/org/freedesktop/portal/documents", "org.freedesktop.portal.Documents", "List"),
            (PATH, "org.freedesktop.impl.portal.FileChooser", "OpenFile"),
            (PATH, "org.freedesktop.portal.Camera", "AccessCamera"),
            (PATH, "org.freedesktop.portal.Background", "RequestBackground"),
            (PATH, FILE_CHOOSER, "NoSuchMethod"), (PATH + "/x", FILE_CHOOSER, "OpenFile"),
            ("/", FILE_CHOOSER, "OpenFile"), (PATH, "org.freedesktop.portal.Session", "Close")):
        assert gate.refused(path, interface, member) == DENIED, (path, interface, member)
    assert gate.refused(PATH, PROPERTIES, "Get",
                        GLib.Variant("(ss)", ("org.freedesktop.portal.Camera", "version")))
    # A destination in the message changes nothing: there is one gate, and it names the receiver.
    message = Gio.DBusMessage.new_method_call("org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                              "org.freedesktop.systemd1.Manager", "ListUnits")
    reply, _ = gate.bus.send_message_with_reply_sync(message, 0, int(20000 * scale()), None)
    assert reply.get_error_name() == DENIED
    gate.ask()
    env.dialog().answer(1)
    passed = {m.get("member") for m in monitor.messages() if m["type"] == "method_call"
              and m.get("destination") not in ("org.freedesktop.DBus", None)}
    assert passed <= {"OpenFile", "Get", "GetAll", "AddMatch", "GetNameOwner", "Lookup"}, passed


def sent(env, gate, member="SaveFile", title="T", parent="", **options):
    """(parent, title, options) as they reached xdg-desktop-portal."""
    monitor = env.closing(env.session.monitor())
    gate.ask(member, title, parent, **options)
    call, = monitor.calls(FILE_CHOOSER, member)
    env.dialog().answer(1)
    return call


def test_gate_options(env):
    """what the table does not have is left out at the gate, too"""
    gate = open_gate(env)
    parent, title, options = sent(
        env, gate, parent="x11:1", title="Unmarked\nTitle",
        modal=GLib.Variant("b", False), activation_token=GLib.Variant("s", "t"),
        writable=GLib.Variant("b", True), handle_token=GLib.Variant("s", "chosen_by_the_guest"))
    options = dict(options)
    assert parent == "" and title == "demo: Unmarked Title", (parent, title)
    assert set(options) == {"handle_token", "modal"}, options
    env.hostile(boundaries.GATE, 5)
    assert "chosen" not in options["handle_token"]["data"]


def test_gate_paths(env):
    """no path but one below a document of this VM passes"""
    gate = open_gate(env)
    host = os.path.dirname(env.host_file("dir/sub/file"))
    host = os.path.dirname(host)
    handle = gate.ask(directory=GLib.Variant("b", True))
    env.dialog().pick(host)
    identifier = gate.response(handle)[1]["uris"][0].partition(":")[2].partition("/")[0].encode()

    def passed(path):
        options = dict(sent(env, gate, current_folder=GLib.Variant("ay", path + b"\0"))[2])
        return bytes(options["current_folder"]["data"]) if "current_folder" in options else None

    assert passed(identifier + b"/dir") == host + b"\0"
    assert passed(identifier + b"/dir/sub") == host + b"/sub\0"
    os.symlink("/etc", os.path.join(host, b"link"))
    for path in (b"/etc", b"etc", b"", b"/", identifier + b"/../x", identifier + b"/dir/../..",
                 identifier + b"/dir/../../..", identifier + b"/dir/link/ssh",
                 b"../" + identifier, b"deadbeef/dir", identifier + b"x/dir",
                 b"doc:" + identifier + b"/dir", host):
        assert passed(path) is None, path
        env.hostile(boundaries.GATE)


def test_gate_close(env):
    """only a handle of the gate's own can be closed"""
    gate = open_gate(env)
    other = env.client()  # of another VM, with a dialog open
    request = other.open_file()
    dialog = env.dialog()
    handle = gate.ask()
    mine = env.dialog()
    for path in (PATH, "/", request.path, handle + "x", handle[:-1], PATH + "/request/1_1/t"):
        assert gate.refused(path, REQUEST, "Close"), path
    assert not dialog.closed and not mine.closed
    gate.call(handle, REQUEST, "Close")
    env.chooser.wait_closed(mine)
    assert not dialog.closed
    assert gate.refused(handle, REQUEST, "Close")
    dialog.answer(1)
    assert request.wait()[0] == 1


def test_gate_flood(env):
    """the number of open requests is bounded; the rest is refused"""
    gate = open_gate(env)
    handles, names = [], set()
    for _ in range(100):
        try:
            handles.append(gate.ask())
        except GLib.Error as e:
            names.add(error_name(e))
    assert 0 < len(handles) <= 64 and len(set(handles)) == len(handles), len(handles)
    assert names == {"org.freedesktop.DBus.Error.LimitsExceeded"}, names
    env.hostile(boundaries.GATE, 100 - len(handles))
    dialogs = [env.dialog() for _ in handles]
    gate.sidebus.stop()
    for dialog in dialogs:
        env.chooser.wait_closed(dialog)


def test_gate_descriptors(env):
    """descriptors where none belong: ignored, and closed"""
    gate = open_gate(env)
    gate.ask()
    env.dialog().answer(1)

    def open_files():
        return len(os.listdir(f"/proc/{gate.sidebus.process.pid}/fd"))

    before = open_files()
    for _ in range(20):
        fds = Gio.UnixFDList.new()
        with open("/etc/hostname", "rb") as f:
            for _ in range(8):
                fds.append(f.fileno())
        arguments = GLib.Variant("(ssa{sv})", ("", "T", {"x": GLib.Variant("h", 3)}))
        gate.bus.call_with_unix_fd_list_sync(None, PATH, FILE_CHOOSER, "OpenFile", arguments, None,
                                             Gio.DBusCallFlags.NONE, 20000, fds, None)
        dialog = env.dialog()
        assert "x" not in dialog.options, dialog.options
        dialog.answer(1)
    wait_for("the descriptors to be closed", lambda: open_files() <= before)
    env.hostile(boundaries.GATE, 20 * 8)


def test_gate_sessions(env):
    """only a session of this VM's own can be named, and only to the portal that it is of"""
    gate = open_gate(env, config=ALLOW)
    inhibit, shortcuts = "org.freedesktop.portal.Inhibit", "org.freedesktop.portal.GlobalShortcuts"
    monitor = env.closing(env.session.monitor())
    options = GLib.Variant("(sa{sv})", ("", {"session_handle_token": GLib.Variant("s", "mine")}))
    handle, = gate.call(PATH, inhibit, "CreateMonitor", options)
    dialog = env.dialog()
    host = dialog.arguments["session"]
    assert "mine" not in host, host
    invented = PATH + "/session/vm/sb" + "0" * 32
    # Not before the host has made it, either.
    early = PATH + "/session/vm/" + host.rpartition("/")[2]
    for path in (invented, early, host, handle, PATH):
        assert gate.refused(PATH, inhibit, "QueryEndResponse",
                            GLib.Variant("(o)", (path,))) == DENIED, path
    dialog.answer(0)
    response, results = gate.response(handle)
    session = results["session_handle"]
    assert response == 0 and session.startswith(PATH + "/session/vm/") and session != host
    gate.call(PATH, inhibit, "QueryEndResponse", GLib.Variant("(o)", (session,)))
    assert env.chooser.next_call("Inhibit.QueryEndResponse").arguments["session"] == host
    assert gate.refused(PATH, shortcuts, "ListShortcuts",
                        GLib.Variant("(oa{sv})", (session, {}))) == DENIED
    iface = "org.freedesktop.portal.Session"
    for path in (invented, host, handle):
        assert gate.refused(path, iface, "Close") == "org.freedesktop.DBus.Error.UnknownObject"
    gate.call(session, iface, "Close")
    env.chooser.wait_session_closed(host)
    assert gate.refused(session, iface, "Close") == "org.freedesktop.DBus.Error.UnknownObject"
    assert len(monitor.calls(inhibit, "QueryEndResponse")) == 1


def test_gate_denied(env):
    """what the policy denies ends at the gate; the host hears of none of it"""
    gate = open_gate(env)
    portal = "org.freedesktop.portal."
    monitor = env.closing(env.session.monitor())
    assert gate.refused(PATH, portal + "Location", "CreateSession",
                        GLib.Variant("(a{sv})", ({},))) == portal + "Error.NotAllowed"
    assert gate.refused(PATH, portal + "Settings", "Read", GLib.Variant(
        "(ss)", ("org.gnome.desktop.privacy", "x"))) == portal + "Error.NotFound"
    for interface, member, body in (
            ("Screenshot", "Screenshot", GLib.Variant("(sa{sv})", ("", {}))),
            ("OpenURI", "OpenURI", GLib.Variant("(ssa{sv})", ("", "file:///etc/passwd", {})))):
        handle, = gate.call(PATH, portal + interface, member, body)
        assert gate.response(handle) == (2, {}), member
    called = {m.get("member") for m in monitor.messages() if m["type"] == "method_call"}
    assert not called & {"CreateSession", "Read", "Screenshot", "OpenURI"}, called
    assert not env.chooser.opened()


def test_gate_files(env):
    """a descriptor is of a document of the VM, or is no more than bytes to copy"""
    gate = open_gate(env, config=ALLOW)
    portal = "org.freedesktop.portal."
    secret = env.host_file("secret", b"secret")
    # A file that is called like a document, and lies where one might.
    posed = env.host_file("abcdef/secret", b"secret")

    def call(interface, member, kind, *values, path):
        fds = Gio.UnixFDList.new()
        fd = os.open(path, os.O_RDONLY)
        fds.append(fd)
        os.close(fd)
        try:
            gate.bus.call_with_unix_fd_list_sync(
                None, PATH, portal + interface, member, GLib.Variant(kind, values), None,
                Gio.DBusCallFlags.NONE, 20000, fds, None)
            return None
        except GLib.Error as e:
            return error_name(e)

    for path in (secret, posed, os.path.dirname(posed), b"/"):
        for interface, member, kind, values in (("Trash", "TrashFile", "(h)", (0,)),
                                                ("OpenURI", "OpenDirectory", "(sha{sv})",
                                                 ("", 0, {}))):
            assert call(interface, member, kind, *values, path=path) == \
                portal + "Error.InvalidArgument", (path, member)
            env.hostile(boundaries.GATE)
    assert os.path.exists(secret) and os.path.exists(posed)
    assert call("OpenURI", "OpenFile", "(sha{sv})", "", 0, {}, path=secret) is None
    uri = env.dialog().options["uri"]
    assert "/spool/" in uri, uri


# One value of each type that a row has; of "s" and "o" some that mean something elsewhere.
VALUES = {"s": ["", "/", "x" * 5000, "http://u:p@h/", ":1.0", "demo/1"], "o": ["/", PATH],
          "u": [0, 2 ** 32 - 1], "b": [True], "i": [-1], "t": [2 ** 64 - 1], "h": [0],
          "ay": [b"", b"abc", b"1/x\0", b"../etc\0", b"\0\0"], "as": [[], ["", "x"] * 200],
          "a{sv}": [{}, {"title": GLib.Variant("s", "\x1b" * 900), "": GLib.Variant("s", ""),
                         "handle_token": GLib.Variant("s", "../x"),
                         "current_folder": GLib.Variant("ay", b"1/..\0"),
                         "buttons": GLib.Variant("aa{sv}", [{}] * 300)}],
          "a(sa{sv})": [[], [("", {})] * 300]}


def test_gate_garbage(env):
    """every method with values that it is not for, and with other arguments: answered, and no harm"""
    gate = open_gate(env, config=ALLOW)
    answers, rows = [], list(rows_of(env.source))
    assert len(rows) > 50, rows

    def send(interface, member, kind, values, fds):
        gate.bus.call_with_unix_fd_list(
            None, PATH, interface, member, GLib.Variant(kind, values), None,
            Gio.DBusCallFlags.NONE, -1, fds, None, lambda *_: answers.append(member))

    count = 0
    for interface, member, kind in rows:
        kinds = backend.split(kind)
        for n in range(6):
            fds = Gio.UnixFDList.new()
            with open("/dev/null" if n % 2 else "/etc/hostname", "rb") as f:
                fds.append(f.fileno())
            values = tuple(VALUES[k][n % len(VALUES[k])] for k in kinds)
            send(interface, member, f"({kind})", values, fds)
            count += 1
        send(interface, member, "(sv)", ("", GLib.Variant("a{sv}", {})), None)
        count += 1
        # Nothing stays open that would be in the way of what follows.
        for dialog in list(env.chooser.opened()):
            dialog.answer(2)
        env.chooser.new.clear()
        wait_for("the answers", lambda: pump() or env.chooser.opened() or len(answers) == count)
        for dialog in list(env.chooser.opened()):
            dialog.answer(2)
        env.chooser.new.clear()
    wait_for("all answers", lambda: pump() or len(answers) == count)
    env.hostile(boundaries.GATE, count)
    handle = gate.ask()
    env.dialog().answer(1)
    assert gate.response(handle)[0] == 1 and env.session.portal.running()


def test_gate_left(env):
    """who closes the gate ends the instance, and its dialogs with it"""
    gate = open_gate(env)
    gate.ask()
    dialog = env.dialog()
    gate.bus.close_sync(None)
    assert gate.sidebus.process.wait() > 0
    env.chooser.wait_closed(dialog)


def test_gate_unread(env):
    """who asks without end and reads nothing ends the instance; it stops, and says little"""
    gate = env.closing(Gate(env, speak=False))
    gate.raw.settimeout(20 * scale())
    gate.raw.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")
    calls = b""
    for serial in range(1, 65):
        message = Gio.DBusMessage.new_method_call(None, PATH, PEER, "Ping")
        message.set_serial(serial)
        calls += bytes(message.to_blob(Gio.DBusCapabilityFlags.NONE))
    try:
        while gate.sidebus.process.running():
            gate.raw.sendall(calls)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert gate.sidebus.process.wait() > 0
    assert "does not read its answers" in gate.sidebus.log(), gate.sidebus.log()[-2000:]
    assert len(gate.sidebus.log()) < 1 << 20, "the log was flooded"
    env.hostile(boundaries.GATE)


def test_gate_noise(env):
    """signals and replies on the gate change nothing, garbage closes it"""
    gate = open_gate(env)
    gate.bus.emit_signal(None, PATH + "/request/vm/x", REQUEST, "Response",
                         GLib.Variant("(ua{sv})", (0, {"uris": GLib.Variant("as", ["file:///etc"])})))
    for serial in range(1, 50):
        reply = Gio.DBusMessage()
        reply.set_message_type(Gio.DBusMessageType.METHOD_RETURN)
        reply.set_reply_serial(serial)
        gate.bus.send_message(reply, Gio.DBusSendMessageFlags.NONE)
    gate.bus.flush_sync(None)
    assert gate.sidebus.exported() == []
    handle = gate.ask()
    env.dialog().answer(1)
    assert gate.response(handle)[0] == 1
    stream = gate.bus.get_stream()
    stream.get_output_stream().write_all(b"\xff" * 4096, None)
    wait_for("the gate to be closed", lambda: pump() or gate.bus.is_closed())
    env.hostile(boundaries.GATE, 51)
