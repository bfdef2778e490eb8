# SPDX-License-Identifier: MIT
"""sbportal and a gate of the test's own: plain calls, sessions, signals, what there is."""

import os
import re

from gi.repository import Gio, GLib

from rig.guest import DESKTOP, FILE_CHOOSER, PATH, PROPERTIES, REQUEST, Request, pump
from rig.portal import (DOCUMENTS, GATE_SESSION, INTROSPECTABLE, PEER, PORTAL, SESSION, Signals,
                        fails, message_of, method_call, open_request, request_with, respond,
                        start)
from rig.processes import wait_for

ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
INVALID = "org.freedesktop.portal.Error.InvalidArgument"
LIMITS = "org.freedesktop.DBus.Error.LimitsExceeded"
NOT_ALLOWED = "org.freedesktop.portal.Error.NotAllowed"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
DOCUMENTS_NAME = PORTAL + "Documents"
DOCUMENTS_PATH = "/org/freedesktop/portal/documents"
INHIBIT, LOCATION, NOTIFICATION = PORTAL + "Inhibit", PORTAL + "Location", PORTAL + "Notification"
SETTINGS, SHORTCUTS = PORTAL + "Settings", PORTAL + "GlobalShortcuts"
POWER = PORTAL + "PowerProfileMonitor"
V = GLib.Variant


def session_path(client, token):
    return f"{PATH}/session/{client.name[1:].replace('.', '_')}/{token}"


def call_gate(rig, client, interface, member, body, answer, **named):
    """A plain call that the gate answers so: (what the gate was asked, what came back)."""
    if answer:
        rig.tell("body " + answer)
    result = client.call(PATH, interface, member, body, **named)
    return rig.plain(member), result


def create_monitor(rig, client, token, gate_token):
    """A session of Inhibit, whose handle comes with a Response."""
    request = client.request("CreateMonitor", "", interface=INHIBIT,
                             options={"session_handle_token": V("s", token)})
    body = rig.call("CreateMonitor")
    assert token not in body and "session_handle_token" not in body, body
    reply, = rig.expect("reply")
    respond(rig, reply, 0, f"1 session_handle s {GATE_SESSION}{gate_token}")
    assert request.wait() == (0, {"session_handle": session_path(client, token)})
    assert request.types() == {"session_handle": "s"}
    return session_path(client, token)


def create_location(rig, client, token, gate_token):
    """A session of Location, whose handle is the reply."""
    options = V("(a{sv})", ({"session_handle_token": V("s", token), "accuracy": V("u", 3)},))
    body, (handle,) = call_gate(rig, client, LOCATION, "CreateSession", options,
                                f"o {GATE_SESSION}{gate_token}")
    assert token not in body and "accuracy" in body
    assert handle == session_path(client, token)
    return handle


# --- plain calls --------------------------------------------------------------------------------

def test_plain_calls(env):
    """Plain calls: rebuilt both ways; values of any type; no more than the row's"""
    rig = start(env)
    client = rig.client()
    body, result = call_gate(rig, client, PORTAL + "OpenURI", "SchemeSupported",
                             V("(sa{sv})", ("https", {"junk": V("i", 1)})), "b 1")
    assert result == (True,) and '"https"' in body and "junk" not in body
    body, result = call_gate(rig, client, SETTINGS, "Read",
                             V("(ss)", ("org.freedesktop.appearance", "color-scheme")), "v v u 1")
    assert result == (1,) and '"color-scheme"' in body  # unpack() takes both variants off
    _, result = call_gate(rig, client, SETTINGS, "ReadAll", V("(as)", (["org.*", ""],)),
                          "a{sa{sv}} 1 org.freedesktop.appearance 2 contrast u 0 a (ddd) 1 0.5 0")
    assert result == ({"org.freedesktop.appearance": {"contrast": 0, "a": (1.0, 0.5, 0.0)}},)
    _, result = call_gate(rig, client, PORTAL + "NetworkMonitor", "GetStatus", None,
                          "a{sv} 2 available b 1 secret s host")
    assert result == ({"available": True},)
    _, result = call_gate(rig, client, PORTAL + "ProxyResolver", "Lookup", V("(s)", ("http://a",)),
                          "as 1 direct://")
    assert result == (["direct://"],)
    rig.tell("body s x")  # not of the row's type
    assert fails(client.call, PATH, PORTAL + "NetworkMonitor", "GetAvailable") == \
        PORTAL + "Error.Failed"
    rig.plain("GetAvailable")
    rig.alive()


def test_refusals_of_the_gate(env):
    """Denied, absent, too old: by the names and in the words a client knows"""
    rig = start(env)
    client = rig.client()

    def asked():
        return client.call(PATH, LOCATION, "CreateSession",
                           V("(a{sv})", ({"session_handle_token": V("s", "x")},)))

    for name, seen, words in (
            (NOT_ALLOWED, NOT_ALLOWED, "as the test wants it"),
            ("org.freedesktop.DBus.Error.UnknownInterface", UNKNOWN_METHOD,
             f"No such interface “{LOCATION}” on object at path {PATH}"),
            (UNKNOWN_METHOD, UNKNOWN_METHOD, "No such method “CreateSession”")):
        rig.tell("error " + name)
        assert message_of(asked) == (seen, words)
        rig.plain("CreateSession")
    create_location(rig, client, "x", "s1")  # nothing was left of them
    rig.alive()


def test_files_of_plain_calls(env):
    """Files in plain answers: guest paths; what is no document is left out"""
    rig = start(env)
    client = rig.client()
    rig.tell("body as 3 doc:7/a%20b /etc/passwd doc:8/..")
    reply = client.bus.call_sync(DOCUMENTS_NAME, DOCUMENTS_PATH, PORTAL + "FileTransfer",
                                 "RetrieveFiles", V("(sa{sv})", ("key", {})), None,
                                 Gio.DBusCallFlags.NONE, 20000, None)
    rig.plain("RetrieveFiles")
    assert reply.unpack() == ([f"{DOCUMENTS}/7/a b"],)
    assert "is no document" in rig.log()


def test_documents(env):
    """Documents: the guest's mount point; lookups and rows of the VM's own, in guest paths"""
    rig = start(env)
    client = rig.client()

    def call(member, body=None):
        return client.bus.call_sync(DOCUMENTS_NAME, DOCUMENTS_PATH, DOCUMENTS_NAME, member, body,
                                    None, Gio.DBusCallFlags.NONE, 20000, None)

    assert call("GetMountPoint").get_child_value(0).get_bytestring() == DOCUMENTS.encode()
    rig.quiet()
    rig.tell("body s 4f3a")
    path = V("(ay)", (list(f"{DOCUMENTS}/4f3a/My file".encode()) + [0],))
    assert call("Lookup", path).unpack() == ("4f3a",)
    body = rig.plain("Lookup")
    assert bytes(int(n) for n in re.findall(r"BYTE (\d+)", body)) == b"4f3a/My file\0"
    rig.tell("body s -")
    assert call("Lookup", V("(ay)", (list(b"/home/guest/x\0"),))).unpack() == ("",)
    body = rig.plain("Lookup")
    assert bytes(int(n) for n in re.findall(r"BYTE (\d+)", body)) == b"\0"
    words = " ".join(str(b) for b in b"4f3a/My file\0")
    rig.tell(f"body aya{{sas}} 13 {words} 1 org.sidebus.vm.web 2 read write")
    answer = call("Info", V("(s)", ("4f3a",)))
    assert answer.get_child_value(0).get_bytestring() == f"{DOCUMENTS}/4f3a/My file".encode()
    assert answer.get_child_value(1).unpack() == {"org.sidebus.vm.web": ["read", "write"]}
    rig.plain("Info")
    assert call("GrantPermissions", V("(ssas)", ("4f3a", "org.x", ["read"]))).unpack() == ()
    rig.plain("GrantPermissions")
    assert fails(client.call, PATH, DOCUMENTS_NAME, "GetMountPoint") == UNKNOWN_METHOD
    assert fails(call, "Add", V("(hbb)", (0, False, False))) == UNKNOWN_METHOD


# --- sessions -----------------------------------------------------------------------------------

def test_session(env):
    """A session: handles of the guest's form, its signals to its owner alone, Close"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    heard, overheard = Signals(client), Signals(other)
    session = create_monitor(rig, client, "mon", "s1")

    rig.tell(f"signal {PATH} {INHIBIT} StateChanged oa{{sv}} {GATE_SESSION}s1 2 "
             "screensaver-active b 1 secret s host")
    assert heard.wait() == [(PATH, INHIBIT, "StateChanged",
                             (session, {"screensaver-active": True}))]
    body, result = call_gate(rig, client, INHIBIT, "QueryEndResponse", V("(o)", (session,)), None)
    assert result == () and f'"{GATE_SESSION}s1"' in body

    # of another client, of another portal, of nobody
    for who, interface, path in ((other, INHIBIT, session), (client, INHIBIT, session + "x"),
                                 (client, INHIBIT, GATE_SESSION + "s1"),
                                 (client, SHORTCUTS, session)):
        member, arguments = ("QueryEndResponse", V("(o)", (path,))) if interface == INHIBIT else \
            ("ListShortcuts", V("(oa{sv})", (path, {})))
        assert message_of(who.call, PATH, interface, member, arguments) == \
            (ACCESS_DENIED, "Invalid session")
    assert fails(other.call, session, SESSION, "Close") == ACCESS_DENIED
    assert fails(client.call, session, SESSION, "Open") == UNKNOWN_METHOD
    assert fails(client.call, session, REQUEST, "Close") == UNKNOWN_METHOD
    assert client.get(SESSION, "version", session) == 1
    assert client.call(session, PROPERTIES, "GetAll", V("(s)", (SESSION,))) == ({"version": 1},)
    assert fails(other.get, SESSION, "version", session) == UNKNOWN_METHOD
    xml, = client.call(session, INTROSPECTABLE, "Introspect")
    assert Gio.DBusNodeInfo.new_for_xml(xml).lookup_interface(SESSION).lookup_signal("Closed")
    rig.quiet()

    client.call(session, SESSION, "Close")
    assert rig.expect("close-session") == ["s1"]
    rig.tell(f"signal {GATE_SESSION}s1 {SESSION} Closed a{{sv}} 0")  # crossed it
    rig.tell(f"signal {PATH} {INHIBIT} StateChanged oa{{sv}} {GATE_SESSION}s1 0")
    assert fails(client.call, session, SESSION, "Close") == UNKNOWN_METHOD
    assert heard.more() == [] and overheard.more() == []
    rig.quiet()


def test_session_of_a_reply(env):
    """Location: the session is the reply itself; the host ends it; its token is free again"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    heard, overheard = Signals(client), Signals(other)
    session = create_location(rig, client, "loc", "s1")
    assert message_of(client.call, PATH, LOCATION, "CreateSession",
                      V("(a{sv})", ({"session_handle_token": V("s", "loc")},)))[0] == INVALID
    assert message_of(client.call, PATH, LOCATION, "CreateSession", V("(a{sv})", ({},))) == \
        (INVALID, "Missing token")
    assert fails(client.call, PATH, LOCATION, "CreateSession",
                 V("(a{sv})", ({"session_handle_token": V("s", "a/b")},))) == INVALID
    rig.quiet()
    # a request with a session in its arguments
    token = "start"
    request = Request(client, client.predicted(token))
    client.call(PATH, LOCATION, "Start",
                V("(osa{sv})", (session, "", {"handle_token": V("s", token)})))
    assert f'"{GATE_SESSION}s1"' in rig.call("Start")
    reply, = rig.expect("reply")
    respond(rig, reply, 0)
    assert request.wait() == (0, {})
    rig.tell(f"signal {PATH} {LOCATION} LocationUpdated oa{{sv}} {GATE_SESSION}s1 2 "
             "Latitude d 52.5 Timestamp (tt) 1 2")
    assert heard.wait() == [(PATH, LOCATION, "LocationUpdated",
                             (session, {"Latitude": 52.5, "Timestamp": (1, 2)}))]
    rig.tell(f"signal {GATE_SESSION}s1 {SESSION} Closed a{{sv}} 1 why s because")
    assert heard.wait() == [(session, SESSION, "Closed", ({},))]
    assert fails(client.call, session, SESSION, "Close") == UNKNOWN_METHOD
    rig.tell(f"signal {GATE_SESSION}s1 {SESSION} Closed a{{sv}} 0")
    assert heard.more() == [] and overheard.more() == []
    create_location(rig, client, "loc", "s2")
    rig.quiet()


def test_sessions_that_are_not_made(env):
    """Cancelled, of a form the gate must not use, or another's: no session, and no trace of it"""
    rig = start(env)
    client = rig.client()
    create_location(rig, client, "mine", "s1")
    for code, results, expected in (
            (1, "0", (1, {})), (0, "0", (0, {})), (0, "1 session_handle s /x", (0, {})),
            (0, f"1 session_handle s {GATE_SESSION}s1", (0, {})),
            (0, f"1 session_handle o {GATE_SESSION}s2", (2, {}))):
        request = client.request("CreateSession", interface=SHORTCUTS,
                                 options={"session_handle_token": V("s", "tok")})
        rig.call("CreateSession")
        reply, = rig.expect("reply")
        respond(rig, reply, code, results)
        assert request.wait() == expected
        assert fails(client.call, session_path(client, "tok"), SESSION, "Close") == UNKNOWN_METHOD
    rig.quiet()
    for body in ("o /x", "s x", f"o {GATE_SESSION}s1"):
        rig.tell("body " + body)
        assert fails(client.call, PATH, LOCATION, "CreateSession",
                     V("(a{sv})", ({"session_handle_token": V("s", "tok")},))) == \
            PORTAL + "Error.Failed"
        rig.plain("CreateSession")
    rig.quiet()


def test_sessions_end_with_their_client(env):
    """A client that leaves: its sessions are closed, also those the gate makes only afterwards"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    create_monitor(rig, client, "a", "s1")
    create_location(rig, client, "b", "s2")
    create_location(rig, other, "b", "s3")
    request = client.request("CreateMonitor", "", interface=INHIBIT,
                             options={"session_handle_token": V("s", "c")})
    rig.call("CreateMonitor")
    reply, = rig.expect("reply")
    request.close()
    assert rig.expect("close") == [reply]
    respond(rig, reply, 0, f"1 session_handle s {GATE_SESSION}s4", told=False)  # crossed the Close
    assert sorted((rig.line(), rig.line())) == ["close-session s4", "done signal"]
    rig.tell(f"body o {GATE_SESSION}s5")
    rig.tell("hold")
    client.bus.send_message(
        method_call("CreateSession", V("(a{sv})", ({"session_handle_token": V("s", "d")},)),
                    interface=LOCATION), Gio.DBusSendMessageFlags.NONE)
    rig.call("CreateSession")
    client.close()
    assert sorted((rig.line(), rig.line())) == ["close-session s1", "close-session s2"]
    rig.release()
    assert sorted(rig.line() for _ in range(3)) == ["answered", "close-session s5", "done release"]
    rig.quiet()
    other.call(session_path(other, "b"), SESSION, "Close")
    assert rig.expect("close-session") == ["s3"]


def test_session_limits(env):
    """Too many sessions of one client, of all: LimitsExceeded, and a line in the log"""
    rig = start(env)
    clients = [rig.client() for _ in range(5)]
    for n, client in enumerate(clients[:4]):
        for i in range(8):
            create_location(rig, client, f"t{i}", f"s{n}_{i}")
        assert fails(client.call, PATH, LOCATION, "CreateSession",
                     V("(a{sv})", ({"session_handle_token": V("s", "more")},))) == LIMITS
    assert fails(clients[4].call, PATH, LOCATION, "CreateSession",
                 V("(a{sv})", ({"session_handle_token": V("s", "more")},))) == LIMITS
    assert rig.log().count("too many sessions") == 5
    clients[0].call(session_path(clients[0], "t3"), SESSION, "Close")
    assert rig.expect("close-session") == ["s0_3"]
    create_location(rig, clients[4], "more", "again")
    rig.quiet()


def test_gate_goes(env):
    """The gate is gone: sessions end with Closed; what was in force has had its Response"""
    rig = start(env)
    client = rig.client()
    heard = Signals(client)
    session = create_location(rig, client, "loc", "s1")
    request, _ = inhibit(rig, client)
    rig.tell("drop-gate")
    wait_for("Closed", lambda: (pump(), heard.heard)[1])
    assert heard.heard == [(session, SESSION, "Closed", ({},))]
    assert rig.expect("exit") == ["1"]
    assert len(request.responses) == 1


# --- requests that last -------------------------------------------------------------------------

def inhibit(rig, client, code=0):
    request = request_with(client, "Inhibit", INHIBIT, V("s", ""), V("u", 8),
                           options={"reason": V("s", "a film")})
    body = rig.call("Inhibit")
    assert "UINT32 8" in body and '"a film"' in body
    token, = rig.expect("reply")
    respond(rig, token, code)
    assert request.wait() == (code, {})
    return request, token


def test_lasting(env):
    """Inhibit: in force after its Response, until Close, or its client's leaving"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    request, token = inhibit(rig, client)
    assert fails(other.call, request.path, REQUEST, "Close") == ACCESS_DENIED
    respond(rig, token, 2)  # a second one
    rig.quiet()
    request.close()
    assert rig.expect("close") == [token]
    assert fails(request.close) == UNKNOWN_METHOD
    request, _ = inhibit(rig, client, code=2)  # denied: there is nothing to close
    assert fails(request.close) == UNKNOWN_METHOD
    _, token = inhibit(rig, client)
    inhibit(rig, other)
    client.close()
    assert rig.expect("close") == [token]
    rig.quiet()
    assert rig.log().count("second Response") == 1


def test_host_portal_restarts(env):
    """The host's portal restarts: what was in force is gone, sessions end, all works again"""
    rig = start(env)
    client = rig.client()
    heard = Signals(client)
    request, _ = inhibit(rig, client)
    session = create_monitor(rig, client, "mon", "s1")
    waiting, token = open_request(rig, client)
    client.call(PATH, INTROSPECTABLE, "Introspect")
    assert SETTINGS in rig.learnt()
    heard.more()
    # as the gate says it
    respond(rig, token, 2)
    rig.tell(f"signal {GATE_SESSION}s1 {SESSION} Closed a{{sv}} 0")
    rig.tell(f"signal {PATH} {PORTAL}Gate PortalRestarted -")
    assert waiting.wait() == (2, {})
    assert (session, SESSION, "Closed", ({},)) in heard.wait()
    assert fails(request.close) == UNKNOWN_METHOD
    rig.quiet()
    inhibit(rig, client)
    create_monitor(rig, client, "mon", "s2")
    rig.tell("version 1")
    xml, = client.call(PATH, INTROSPECTABLE, "Introspect")
    assert not Gio.DBusNodeInfo.new_for_xml(xml).lookup_interface(SETTINGS).lookup_method("ReadOne")
    assert SETTINGS in rig.learnt()


# --- signals ------------------------------------------------------------------------------------

def test_broadcasts(env):
    """Broadcasts of the table reach all clients; nothing else of the gate's does"""
    rig = start(env)
    heard = [Signals(rig.client()) for _ in range(2)]
    rig.tell(f"signal {PATH} {SETTINGS} SettingChanged ssv org.freedesktop.appearance contrast u 1")
    rig.tell(f"signal {PATH} {PORTAL}NetworkMonitor changed -")
    for signals in heard:
        assert signals.wait(2) == [
            (PATH, SETTINGS, "SettingChanged", ("org.freedesktop.appearance", "contrast", 1)),
            (PATH, PORTAL + "NetworkMonitor", "changed", ())]
    for text in (f"/x {SETTINGS} SettingChanged ssv a b u 1",  # elsewhere
                 f"{PATH} {SETTINGS} SettingChanged ss a b",  # of another type
                 f"{PATH} {SETTINGS} Nothing ssv a b u 1", f"{PATH} a.b SettingChanged ssv a b u 1",
                 f"{PATH} {PORTAL}MemoryMonitor LowMemoryWarning y 255",  # not the host's to say
                 f"{PATH} {INHIBIT} StateChanged oa{{sv}} {GATE_SESSION}none 0",
                 f"{PATH} {INHIBIT} StateChanged oa{{sv}} {PATH} 0",
                 f"{PATH} {NOTIFICATION} ActionInvoked ssav 1.1 x 0",
                 f"{PATH} {NOTIFICATION} ActionInvoked ssav /7 x 0"):
        rig.tell("signal " + text)
    rig.alive()
    assert [signals.more() for signals in heard] == [[], []]


def test_shortcuts(env):
    """Activated and ShortcutsChanged reach the session's owner, without the host's tokens"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    heard, overheard = Signals(client), Signals(other)
    request = client.request("CreateSession", interface=SHORTCUTS,
                             options={"session_handle_token": V("s", "keys")})
    rig.call("CreateSession")
    reply, = rig.expect("reply")
    respond(rig, reply, 0, f"1 session_handle s {GATE_SESSION}k1")
    session = request.wait()[1]["session_handle"]
    heard.more()
    rig.tell(f"signal {PATH} {SHORTCUTS} Activated osta{{sv}} {GATE_SESSION}k1 mute 7 1 "
             "activation_token s host-token")
    rig.tell(f"signal {PATH} {SHORTCUTS} ShortcutsChanged oa(sa{{sv}}) {GATE_SESSION}k1 1 mute 2 "
             "description s Mute secret s host")
    assert heard.wait(2) == [
        (PATH, SHORTCUTS, "Activated", (session, "mute", 7, {})),
        (PATH, SHORTCUTS, "ShortcutsChanged", (session, [("mute", {"description": "Mute"})]))]
    assert overheard.more() == []


def test_notifications(env):
    """Notifications: an id is its client's own, and so is what is done with it"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    heard, overheard = Signals(client), Signals(other)
    mine, others = client.name[1:] + "/mail", other.name[1:] + "/mail"

    def add(who, **notification):
        return call_gate(rig, who, NOTIFICATION, "AddNotification",
                         V("(sa{sv})", ("mail", notification)), None)[0]

    body = add(client, title=V("s", "New\u202e mail"), buttons=V("aa{sv}", [
        {"label": V("s", "Read"), "action": V("s", "app.read"), "secret": V("s", "x")}]))
    assert f'"{mine}"' in body and '"New mail"' in body and "secret" not in body
    assert f'"{others}"' in add(other, title=V("s", "Mine"))
    rig.tell(f"signal {PATH} {NOTIFICATION} ActionInvoked ssav {mine} app.read 1 s target")
    assert heard.wait() == [(PATH, NOTIFICATION, "ActionInvoked", ("mail", "app.read", ["target"]))]
    assert overheard.more() == []
    body, _ = call_gate(rig, other, NOTIFICATION, "RemoveNotification", V("(s)", ("mail",)), None)
    assert f'"{others}"' in body
    forged = client.name[1:] + "/mail"
    body, _ = call_gate(rig, other, NOTIFICATION, "RemoveNotification", V("(s)", (forged,)), None)
    assert f'"{other.name[1:]}/{forged}"' in body
    client.close()  # it outlives its client, and then nobody is told
    rig.tell(f"signal {PATH} {NOTIFICATION} ActionInvoked ssav {mine} app.read 0")
    rig.quiet()
    rig.alive()


def test_notification_floods(env):
    """Too many notifications of one client, of all: LimitsExceeded, and a line in the log"""
    rig = start(env)
    clients = [rig.client() for _ in range(3)]

    def add(who):
        who.call(PATH, NOTIFICATION, "AddNotification", V("(sa{sv})", ("x", {})))
        rig.plain("AddNotification")

    def until_refused(who):
        for n in range(1000):
            try:
                add(who)
            except GLib.Error as e:
                assert Gio.DBusError.get_remote_error(e) == LIMITS
                return n
        raise AssertionError("never refused")

    # no more than the limit and what has come since, at one in two seconds, or one a second
    assert 30 <= until_refused(clients[0]) < 60
    until_refused(clients[1])
    until_refused(clients[2])
    for _ in range(200):
        fails(clients[2].call, PATH, NOTIFICATION, "AddNotification", V("(sa{sv})", ("x", {})))
    assert 2 <= rig.log().count("too many notifications") < 200
    # taking one away is always possible
    clients[0].call(PATH, NOTIFICATION, "RemoveNotification", V("(s)", ("x",)))
    rig.alive()


# --- what there is ------------------------------------------------------------------------------

def interfaces(client, path=PATH):
    xml, = client.call(path, INTROSPECTABLE, "Introspect")
    return {i.name: i for i in Gio.DBusNodeInfo.new_for_xml(xml).interfaces}


def test_availability(env):
    """What the host lacks is absent; methods and properties newer than its version, too"""
    rig = start(env)
    client = rig.client()
    rig.tell("absent " + LOCATION)
    rig.tell("version 1")
    seen = interfaces(client)
    assert LOCATION not in seen and SETTINGS in seen and PORTAL + "Background" in seen
    assert PORTAL + "Camera" not in seen and PORTAL + "FileTransfer" not in seen
    assert {m.name for m in seen[SETTINGS].methods} == {"ReadAll", "Read"}
    assert seen[SETTINGS].lookup_signal("SettingChanged")
    assert LOCATION in rig.learnt()
    assert interfaces(client).keys() == seen.keys() and rig.learnt() == []  # known by now
    assert {DOCUMENTS_NAME, PORTAL + "FileTransfer"} <= interfaces(client, DOCUMENTS_PATH).keys()
    assert message_of(client.get, LOCATION, "version") == \
        ("org.freedesktop.DBus.Error.InvalidArgs", f"No such interface “{LOCATION}”")
    rig.expect("get")
    assert message_of(client.call, PATH, PROPERTIES, "GetAll", V("(s)", (LOCATION,))) == \
        ("org.freedesktop.DBus.Error.InvalidArgs", f"No such interface “{LOCATION}”")
    rig.expect("get-all")
    rig.tell("absent -")
    rig.tell("version 4")
    rig.tell(f"signal {PATH} {PORTAL}Gate PortalRestarted -")
    seen = interfaces(client)
    assert LOCATION in seen and seen[SETTINGS].lookup_method("ReadOne")
    rig.learnt()


def test_properties(env):
    """Properties of the table: of the gate, of their types; PropertiesChanged is passed on"""
    rig = start(env)
    client = rig.client()
    heard = Signals(client)
    rig.tell("body v b 1")
    assert client.get(POWER, "power-saver-enabled") is True
    assert rig.expect("get") == [POWER, "power-saver-enabled"]
    rig.expect("answered")
    rig.tell("body v a{sv} 1 category as 1 im.received")
    assert client.get(NOTIFICATION, "SupportedOptions") == {"category": ["im.received"]}
    rig.expect("get")
    rig.expect("answered")
    rig.tell("body v s yes")
    assert fails(client.get, POWER, "power-saver-enabled") == PORTAL + "Error.Failed"
    rig.expect("get")
    rig.expect("answered")
    rig.tell(f"signal {PATH} {PROPERTIES} PropertiesChanged sa{{sv}}as {POWER} 3 "
             "power-saver-enabled b 1 version u 9 secret s host 2 power-saver-enabled secret")
    assert heard.wait() == [(PATH, PROPERTIES, "PropertiesChanged",
                             (POWER, {"power-saver-enabled": True}, ["power-saver-enabled"]))]
    for body in (f"sa{{sv}}as {POWER} 1 power-saver-enabled s yes 0", "sa{sv}as a.b 0 0", "s x",
                 f"sa{{sv}}as {PORTAL}GameMode 0 0"):
        rig.tell(f"signal {PATH} {PROPERTIES} PropertiesChanged {body}")
    assert heard.more() == []
    rig.alive()


# --- answered here ------------------------------------------------------------------------------

def test_local(env):
    """What is true in a VM is answered without the host"""
    rig = start(env)
    client = rig.client()

    def call(name, member, body=None):
        return client.call(PATH, PORTAL + name, member, body)

    request = client.request("RequestBackground", "", interface=PORTAL + "Background", options={
        "reason": V("s", "mail"), "autostart": V("b", True), "commandline": V("as", ["/bin/x"])})
    assert request.wait() == (0, {"background": True, "autostart": False})
    assert fails(request.close) == UNKNOWN_METHOD
    assert fails(call, "Background", "RequestBackground", V("(sa{sv})", ("", {
        "autostart": V("s", "yes")}))) == INVALID
    assert call("Background", "SetStatus", V("(a{sv})", ({"message": V("s", "busy")},))) == ()
    assert fails(call, "Realtime", "MakeThreadRealtimeWithPID", V("(ttu)", (1, 1, 5))) == \
        NOT_ALLOWED
    assert fails(call, "Realtime", "MakeThreadHighPriorityWithPID", V("(tti)", (1, 1, -5))) == \
        NOT_ALLOWED
    for member, result in (("QueryStatus", 0), ("RegisterGame", -1), ("UnregisterGame", -1)):
        assert call("GameMode", member, V("(i)", (1,))) == (result,)
        assert call("GameMode", member + "ByPid", V("(ii)", (1, 2))) == (result,)
        assert call("GameMode", member + "ByPIDFd", V("(hh)", (0, 1))) == (result,)
    for _ in range(2):  # once or more: to the host all programs of the VM are one
        assert client.call(PATH, "org.freedesktop.host.portal.Registry", "Register",
                           V("(sa{sv})", ("org.example.App", {}))) == ()
    for name, values in (("Realtime", {"version": 1, "MaxRealtimePriority": 0, "MinNiceLevel": 0,
                                       "RTTimeUSecMax": 0}),
                         ("GameMode", {"version": 4, "Active": False}),
                         ("MemoryMonitor", {"version": 1}), ("Background", {"version": 2})):
        assert client.call(PATH, PROPERTIES, "GetAll", V("(s)", (PORTAL + name,))) == (values,)
        for key, value in values.items():
            assert client.get(PORTAL + name, key) == value
    assert client.call(PATH, PEER, "Ping") == ()
    pump()
    assert len(request.responses) == 1
    rig.quiet()


def test_waiting_for_what_there_is(env):
    """Introspection waits for the gate; a client that leaves meanwhile is no harm"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    rig.tell("hold-properties")
    done = []

    def record(bus, result):
        if bus is client.bus:
            done.append(bus.send_message_with_reply_finish(result))

    for who in (client, other):
        who.bus.send_message_with_reply(method_call("Introspect", None, interface=INTROSPECTABLE),
                                        Gio.DBusSendMessageFlags.NONE, 20000, None, record)
    learnt = rig.learnt()
    while not learnt:
        learnt = rig.learnt()
    assert not done
    other.close()
    rig.alive()
    rig.tell(f"signal {PATH} {PORTAL}Gate PortalRestarted -")
    assert rig.learnt() == learnt  # asked again, for who waits
    rig.tell("release")
    wait_for("the document", lambda: (pump(), done)[1])
    assert FILE_CHOOSER in done[0].get_body().unpack()[0]
    rig.alive()


# --- every method, hostile ----------------------------------------------------------------------

LOCAL = ("Background", "GameMode", "MemoryMonitor", "Realtime", "Registry")
EVIL = {  # keys no row has; none of them, nor what is in them, may reach the gate
    "evil": V("s", "evil"),
    "evil-dict": V("a{sv}", {"evil": V("v", V("a{sv}", {"evil": V("s", "evil")}))}),
    "evil-bytes": V("ay", b"evil" * 1000), "evil-variant": V("v", V("v", V("s", "evil"))),
    "evil-empty": V("aav", []), "": V("s", "evil"), "evil\n[x]": V("u", 1)}


def dictionary_twice(entries):
    """An a{sv} with each entry twice, as no binding writes it."""
    entry = GLib.VariantType("{sv}")
    return GLib.Variant.new_array(entry, [GLib.Variant.new_dict_entry(
        V("s", key), GLib.Variant.new_variant(value)) for key, value in entries.items()] * 2)


def hostile_arguments(method, session, options):
    """A body of the method's signature, with options in each a{sv}."""
    plain = {"s": V("s", ""), "u": V("u", 0), "i": V("i", 0), "t": V("t", 0), "h": V("h", 0),
             "as": V("as", []), "ay": V("ay", b"\0"), "o": V("o", session),
             "a(sa{sv})": V("a(sa{sv})", [("id", EVIL)])}
    return GLib.Variant.new_tuple(*(options if a.signature == "a{sv}" else plain[a.signature]
                                    for a in method.in_args))


def call_hostile(client, path, interface, member, body):
    """With a descriptor; the name of the error, or None."""
    fds = Gio.UnixFDList.new_from_array([os.open("/dev/null", os.O_RDONLY)])  # owns it
    message = Gio.DBusMessage.new_method_call(DESKTOP, path, interface, member)
    message.set_body(body)
    message.set_unix_fd_list(fds)
    reply, _ = client.bus.send_message_with_reply_sync(
        message, Gio.DBusSendMessageFlags.NONE, 20000, None)
    return reply.get_error_name()


def test_every_method(env):
    """Each method of the table: keys nobody knows stay here, wrong types and bodies are refused"""
    rig = start(env)
    client = rig.client()
    sessions = {INHIBIT: create_monitor(rig, client, "i", "s1"),
                LOCATION: create_location(rig, client, "l", "s2")}
    request = client.request("CreateSession", interface=SHORTCUTS,
                             options={"session_handle_token": V("s", "keys")})
    rig.call("CreateSession")
    respond(rig, rig.expect("reply")[0], 0, f"1 session_handle s {GATE_SESSION}s3")
    sessions[SHORTCUTS] = request.wait()[1]["session_handle"]
    methods = [(path, interface, method) for path in (PATH, DOCUMENTS_PATH)
               for interface in interfaces(client, path).values()
               if interface.name.startswith(("org.freedesktop.portal.", "org.freedesktop.host."))
               for method in interface.methods]
    rig.learnt()
    assert len(methods) > 40
    for n, (path, interface, method) in enumerate(methods):
        name, member = interface.name, method.name
        local = name.endswith(LOCAL) or member == "GetMountPoint"
        session = sessions.get(name, "/")
        options = {**EVIL, "session_handle_token": V("s", f"s{n}"), "handle_token": V("s", f"t{n}")}
        body = hostile_arguments(method, session, dictionary_twice(options))
        call_hostile(client, path, name, member, body)
        if not local:
            assert "evil" not in rig.call(member), (name, member)
            answer = rig.line().split()
            if answer[0] == "reply":
                respond(rig, answer[1], 1)
        if any(a.signature == "a{sv}" for a in method.in_args) and member not in (
                "AddNotification", "SetStatus", "Register", "SchemeSupported", "RetrieveFiles",
                "ConfigureShortcuts"):
            token = "session_handle_token" if name == LOCATION and member == "CreateSession" else \
                "handle_token"
            for bad in (V("u", 1), V("s", "x" * 10240), V("s", "../x"), V("v", V("s", "x"))):
                body = hostile_arguments(method, session, V("a{sv}", {**options, token: bad}))
                assert call_hostile(client, path, name, member, body) == INVALID, (member, bad)
        reply = client.bus.send_message_with_reply_sync(
            method_call(member, V("(da{sv})", (1.0, EVIL)), path, name),
            Gio.DBusSendMessageFlags.NONE, 20000, None)[0]
        assert reply.get_error_name() == "org.freedesktop.DBus.Error.InvalidArgs", (name, member)
    rig.quiet()
    rig.alive()
