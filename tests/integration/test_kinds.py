# SPDX-License-Identifier: MIT
"""Calls, requests, sessions and signals over the gate, and how each ends.

Closed by the guest, by the host, with its client, with the host's portal, with the VM; and floods."""

import os
import signal

from gi.repository import Gio

from rig import boundaries
from rig.guest import PATH, REQUEST, GLib, GuestClient, error_name, pump
from rig.processes import wait_for
from rig.sidebus import Sidebus
from rig.world import PORTAL, SESSION, V, World, eventually

LIMITS = "org.freedesktop.DBus.Error.LimitsExceeded"
DENIED = "org.freedesktop.DBus.Error.AccessDenied"


def new_monitor(w):
    """(the guest's handle, the backend's) of a session."""
    handle, request = w.make_session("Inhibit.CreateMonitor", "(sa{sv})", "", {})
    dialog = w.dialog("Inhibit.CreateMonitor")
    dialog.answer(0)
    assert request.wait() == (0, {"session_handle": handle}), request.responses
    return handle, dialog.arguments["session"]


def new_inhibitor(w):
    request = w.request("Inhibit.Inhibit", "(sua{sv})", "", 1, {})
    call = w.called("Inhibit.Inhibit")
    assert request.wait() == (0, {})
    return request, call


def unknown(w, handle):
    """The guest has no such session any more."""
    return w.refused("Inhibit.QueryEndResponse", "(o)", handle)


def test_session_closed_by_host(env):
    """the host ends a session: Closed, once, to its client alone; its handle is nothing any more"""
    w = World(env)
    handle, host = new_monitor(w)
    other, _ = new_monitor(w)
    closed = w.listen(SESSION, "Closed", path=None)
    elsewhere = w.listen(SESSION, "Closed", path=None, client=w.new_client())
    for _ in range(2):
        w.backend.signal("Session", "Closed", "", path=host)
    assert eventually("Closed", lambda: closed)
    assert unknown(w, handle).startswith("org.freedesktop.")
    w.call("Inhibit.QueryEndResponse", "(o)", other)
    w.called("Inhibit.QueryEndResponse")
    assert closed == [({},)] and not elsewhere


def test_session_client_leaves(env):
    """a client leaves: its session and what it has in force end on the host, others' do not"""
    w = World(env)
    _, stays = new_monitor(w)
    _, lasting = new_inhibitor(w)
    leaves, w.client = w.client, w.new_client()
    w.count = 100
    other, host = new_monitor(w)
    leaves.close()
    w.backend.wait_session_closed(stays)
    w.backend.wait_closed(lasting)
    w.call("Inhibit.QueryEndResponse", "(o)", other)
    assert w.called("Inhibit.QueryEndResponse").arguments["session"] == host


def test_session_other_client(env):
    """a session is its client's: another can neither use nor close it"""
    w = World(env)
    handle, host = new_monitor(w)
    stranger = w.new_client()
    for path, interface, member, body in (
            (PATH, PORTAL + "Inhibit", "QueryEndResponse", V("(o)", (handle,))),
            (handle, SESSION, "Close", None)):
        try:
            stranger.call(path, interface, member, body)
            raise AssertionError(f"{member} of another's session")
        except GLib.Error as e:
            assert error_name(e).startswith("org.freedesktop."), e
    w.call("Inhibit.QueryEndResponse", "(o)", handle)
    assert w.called("Inhibit.QueryEndResponse").arguments["session"] == host
    # A session of another portal is none of this one.
    assert w.refused("GlobalShortcuts.ListShortcuts", "(oa{sv})", handle, {}) == DENIED


def test_session_given_up(env):
    """the request of a session is closed before its dialog is answered: no session is left"""
    w = World(env)
    handle, request = w.make_session("Inhibit.CreateMonitor", "(sa{sv})", "", {})
    dialog = w.dialog("Inhibit.CreateMonitor")
    request.close()
    w.backend.wait_closed(dialog)
    assert request.silent() and unknown(w, handle).startswith("org.freedesktop.")
    # Refused by the person: none either.
    handle, request = w.make_session("Inhibit.CreateMonitor", "(sa{sv})", "", {})
    w.dialog("Inhibit.CreateMonitor").answer(1)
    assert request.wait() == (1, {}) and unknown(w, handle).startswith("org.freedesktop.")


def test_kinds_portal_restarts(env):
    """the host's portal dies: Response 2, Closed, and afterwards all is new"""
    session = env.own_session()
    w = World(env, session)
    handle, _ = new_monitor(w)
    lasting, _ = new_inhibitor(w)
    closed = w.listen(SESSION, "Closed", path=None)
    request = w.request("Email.ComposeEmail", "(sa{sv})", "", {})
    w.dialog("Email.ComposeEmail")
    session.portal.kill()
    assert request.wait() == (2, {})
    assert eventually("Closed", lambda: closed) == [({},)]
    assert unknown(w, handle).startswith("org.freedesktop.")
    session.start_portal()
    wait_for("the portal to be used again", lambda: w.client.get(PORTAL + "Inhibit", "version"))
    assert unknown(w, handle).startswith("org.freedesktop.")
    try:
        lasting.close()
        raise AssertionError("what was in force is closed")
    except GLib.Error as e:
        assert error_name(e).startswith("org.freedesktop."), e
    new_monitor(w)
    new_inhibitor(w)
    assert len(closed) == 1


def test_kinds_stop(env):
    """the VM's instance stops: its dialogs, sessions and what is in force end on the host"""
    w = World(env)
    _, host = new_monitor(w)
    _, lasting = new_inhibitor(w)
    w.request("Email.ComposeEmail", "(sa{sv})", "", {})
    dialog = w.dialog("Email.ComposeEmail")
    env.to_close.remove(w.sidebus)
    assert w.sidebus.stop() == 0
    w.backend.wait_session_closed(host)
    w.backend.wait_closed(lasting)
    w.backend.wait_closed(dialog)


def test_forged_signals(env):
    """a stranger on the session bus sends the portal's signals: none reaches the guest"""
    w = World(env)
    monitor = env.closing(w.session.monitor())
    handle, host = new_monitor(w)
    w.call("Notification.AddNotification", "(sa{sv})", "mine", {})
    sent = w.called("Notification.AddNotification").arguments["id"]
    got = [w.listen(interface, member, path=None) for interface, member in (
        (SESSION, "Closed"), (PORTAL + "Inhibit", "StateChanged"),
        (PORTAL + "Notification", "ActionInvoked"), (PORTAL + "Settings", "SettingChanged"))]
    victim = [m for m in monitor.messages() if m.get("member") == "CreateMonitor"][0]["sender"]
    stranger = w.session.connect()
    for to in (victim, None):
        for path, interface, member, body in (
                (host, SESSION, "Closed", V("(a{sv})", ({},))),
                (PATH, PORTAL + "Inhibit", "StateChanged", V("(oa{sv})", (host, {}))),
                (PATH, PORTAL + "Notification", "ActionInvoked", V("(ssav)", (sent, "vm.a", []))),
                (PATH, PORTAL + "Settings", "SettingChanged",
                 V("(ssv)", ("org.freedesktop.appearance", "x", V("s", "forged"))))):
            stranger.emit_signal(to, path, interface, member, body)
    stranger.flush_sync(None)
    # The true one comes behind them.
    w.backend.signal("Settings", "SettingChanged", "ssv", "org.freedesktop.appearance",
                     "color-scheme", ("u", 2))
    eventually("the true signal", lambda: got[3])
    assert [len(g) for g in got] == [0, 0, 0, 1] and got[3][0][2] == 2, got
    w.call("Inhibit.QueryEndResponse", "(o)", handle)
    stranger.close_sync(None)
    env.hostile(boundaries.HOST_PORTAL, 8)


def test_flood_of_notifications(env):
    """notifications: so many a minute, then an error and a line in the log; the rest goes on"""
    w = World(env)
    errors = set()
    for client in (w.client, w.new_client(), w.new_client(), w.new_client()):
        for n in range(40):
            try:
                w.call("Notification.AddNotification", "(sa{sv})", str(n), {}, client=client)
            except GLib.Error as e:
                errors.add(error_name(e))
    assert errors == {LIMITS}, errors
    w.sidebus.wait_log("AddNotification|notifications")
    first = w.called("Notification.AddNotification")
    shown = [c for c in w.backend.new_calls if c.name == first.name]
    assert 30 <= len(shown) + 1 <= 64, len(shown)
    w.call("Notification.RemoveNotification", "(s)", "0")
    w.called("Notification.RemoveNotification")


def test_flood_of_dialogs(env):
    """dialogs open at once: so many of one VM, then an error and a line in the log"""
    w = World(env)
    opened, requests, errors = [], [], set()
    for client in [w.new_client() for _ in range(4)]:
        for _ in range(12):
            try:
                requests.append(w.request("Account.GetUserInformation", "(sa{sv})", "", {},
                                          client=client))
                opened.append(w.dialog("Account.GetUserInformation"))
            except GLib.Error as e:
                errors.add(error_name(e))
    assert len(opened) == 32 and errors == {LIMITS}, (len(opened), errors)
    w.sidebus.wait_log("too many dialogs")
    for dialog, request in zip(opened, requests):
        dialog.answer(1)
        assert request.wait() == (1, {})
    w.request("Account.GetUserInformation", "(sa{sv})", "", {})
    w.dialog("Account.GetUserInformation").answer(1)


def test_dialogs_per_minute(env):
    """a guest that opens dialogs and closes them has so many a minute; the default is 30"""
    for config, expected in (("[Limits]\nDialogsPerMinute=3\n", 3), ("[Limits]\n", 30)):
        w = World(env, config=config)
        for n in range(expected):
            request = w.client.open_file()
            dialog = w.backend.next_dialog(pump=pump)
            request.close()
            w.backend.wait_closed(dialog)
        try:
            more = w.client.open_file()
        except GLib.Error as e:
            assert error_name(e) == LIMITS, e
        else:
            raise AssertionError(f"{more} was opened")
        w.sidebus.wait_log("OpenFile is refused: .* too many dialogs in the last minute")
        # What shows no dialog is none.
        w.call("Settings.Read", "(ss)", "org.freedesktop.appearance", "color-scheme")
        assert not w.backend.opened()


def test_fewer(env):
    """[Limits]: fewer dialogs at once, and fewer notifications, than the defaults"""
    w = World(env, config="[Limits]\nDialogs=2\nNotificationsPerMinute=1\n"
                          "DialogsPerMinute=100\n")
    requests = [w.client.open_file() for _ in range(2)]
    for _ in requests:
        w.backend.next_dialog(pump=pump)
    for call, log in ((w.client.open_file, "too many dialogs open"),
                      (lambda: [w.call("Notification.AddNotification", "(sa{sv})", str(n), {})
                                for n in range(2)], "too many notifications in the last minute")):
        try:
            call()
        except GLib.Error as e:
            assert error_name(e) == LIMITS, e
        else:
            raise AssertionError(log)
        w.sidebus.wait_log(log)
    requests[0].close()
    eventually("room again", lambda: may(w.client.open_file))


def may(call):
    try:
        return call()
    except GLib.Error:
        return None


def test_flood_of_inhibitors(env):
    """requests in force: four of a program, sixteen of the VM, and everything else goes on"""
    w = World(env)
    requests, errors = [], []
    for client in [w.new_client() for _ in range(5)]:
        for _ in range(5):
            try:
                requests.append(w.request("Inhibit.Inhibit", "(sua{sv})", "", 8, {}, client=client))
                w.called("Inhibit.Inhibit")
            except GLib.Error as e:
                errors.append(error_name(e))
    assert len(requests) == 16 and set(errors) == {LIMITS}, (len(requests), errors)
    w.sidebus.wait_log("too many requests in force: refused one")  # of one program
    w.sidebus.wait_log("Inhibit is refused: The VM has too many requests in force")
    w.call("Settings.Read", "(ss)", "org.freedesktop.appearance", "color-scheme")
    request = w.request("Account.GetUserInformation", "(sa{sv})", "", {})
    w.dialog("Account.GetUserInformation").answer(1)
    assert request.wait() == (1, {})


def test_flood_of_sessions(env):
    """sessions: so many, then an error; one that ends makes room"""
    w = World(env)
    sessions, error = [], None
    while error is None and len(sessions) < 100:
        w.count += 1
        try:
            handle, = w.call("Location.CreateSession", "(a{sv})",
                             {"session_handle_token": V("s", f"s{w.count}")})
            sessions.append(handle)
        except GLib.Error as e:
            error = error_name(e)
    assert 0 < len(sessions) <= 32 and error == LIMITS, (len(sessions), error)
    w.client.call(sessions[0], SESSION, "Close")
    w.call("Location.CreateSession", "(a{sv})", {"session_handle_token": V("s", "again")})


def test_copies_of_killed(env):
    """copies of guest files, of an instance that was killed: gone with the next start"""
    w = World(env)
    w.request("OpenURI.OpenFile", "(sha{sv})", "", 0, {}, fds=[w.guest_file()])
    w.dialog("AppChooser.ChooseApplication")
    copy, = w.spooled()
    env.to_close.remove(w.sidebus)
    os.kill(w.sidebus.process.pid, signal.SIGKILL)
    w.sidebus.kill()
    assert os.path.exists(copy)
    again = env.closing(Sidebus(env.build, w.sidebus.directory, w.session.env))
    assert not os.path.exists(os.path.dirname(os.path.dirname(copy)))
    assert again.process.running()


def test_copies_too_large(env):
    """a guest's file that is too large to copy is refused, and leaves nothing; others pass"""
    w = World(env)
    path = os.path.join(env.tmp, "large")
    with open(path, "wb") as f:
        f.truncate((256 << 20) + 1)
    with open(path, "rb") as f:
        assert w.refused("OpenURI.OpenFile", "(sha{sv})", "", 0, {},
                         fds=[f.fileno()]) == LIMITS
    w.sidebus.wait_log("no room for a copy")
    assert not w.spooled()
    request = w.request("OpenURI.OpenFile", "(sha{sv})", "", 0, {}, fds=[w.guest_file()])
    w.dialog("AppChooser.ChooseApplication").answer(1)
    assert request.wait() == (1, {})


def test_descriptors_over_unix(env):
    """Descriptors=yes: who connects to a unix: address passes them; else nobody does there"""
    for config, carried in (("[VM]\nDescriptors=yes\n", True), ("", False)):
        w = World(env, config=config)
        client = env.closing(GuestClient("unix:path=" + w.sidebus.listen))
        flags = client.bus.get_capabilities()
        assert bool(flags & Gio.DBusCapabilityFlags.UNIX_FD_PASSING) == carried, (config, flags)
        if not carried:
            continue
        request = w.request("OpenURI.OpenFile", "(sha{sv})", "", 0, {}, client=client,
                            fds=[w.guest_file()])
        dialog = w.dialog("AppChooser.ChooseApplication")
        assert dialog.options["uri"].endswith("/from%20guest.txt"), dialog.options
        dialog.answer(1)
        assert request.wait() == (1, {})


def test_descriptors_by_sbagent(env):
    """A program behind sbagent that passes a descriptor gets an error, and lives"""
    w = World(env)
    client = env.closing(GuestClient(env.own_agent(w.sidebus).address))
    for name, kind, values in (("Print.Print", "(ssha{sv})", ("", "T", 0, {})),
                               ("OpenURI.OpenFile", "(sha{sv})", ("", 0, {})),
                               ("Trash.TrashFile", "(h)", (0,))):
        try:
            w.call(name, kind, *values, fds=[w.guest_file()], client=client)
        except GLib.Error as e:
            assert error_name(e) == "org.freedesktop.DBus.Error.NotSupported", e
        else:
            raise AssertionError(f"{name} passed a descriptor over a stream of bytes")
    assert not w.backend.opened()
    assert client.get(PORTAL + "Print", "version") > 0


def test_absent(env):
    """what the host's desktop cannot do is not there: not in Introspect, no property, no method"""
    session = env.own_session(without=("Print", "GlobalShortcuts"))
    w = World(env, session)
    text, = w.client.call(PATH, "org.freedesktop.DBus.Introspectable", "Introspect")
    assert PORTAL + "Email" in text
    for name in ("Print", "GlobalShortcuts"):
        assert PORTAL + name not in text
        try:
            w.client.get(PORTAL + name, "version")
            raise AssertionError(f"{name} has a version")
        except GLib.Error as e:
            assert error_name(e).startswith("org.freedesktop.DBus.Error."), e
    assert w.refused("Print.PreparePrint", "(ssa{sv}a{sv}a{sv})", "", "T", {}, {}, {}) == \
        "org.freedesktop.DBus.Error.UnknownMethod"


def test_closed_twice(env):
    """Close of what is closed is an error, and changes nothing"""
    w = World(env)
    request, call = new_inhibitor(w)
    request.close()
    w.backend.wait_closed(call)
    try:
        w.client.call(request.path, REQUEST, "Close")
        raise AssertionError("closed twice")
    except GLib.Error as e:
        assert error_name(e).startswith("org.freedesktop.DBus.Error.Unknown"), e
