# SPDX-License-Identifier: MIT
"""sbportal and a gate of the test's own: plain calls, requests that last, signals."""

import re

from gi.repository import Gio, GLib

from rig.guest import PATH, REQUEST
from rig.portal import (DOCUMENTS, GATE_SESSION, INTROSPECTABLE, PORTAL, SESSION, Signals, fails,
                        message_of, open_request, respond, start)
from rig.portal_kinds import (ACCESS_DENIED, DOCUMENTS_NAME, DOCUMENTS_PATH, INHIBIT, LIMITS,
                              LOCATION, NOTIFICATION, NOT_ALLOWED, SETTINGS, SHORTCUTS,
                              UNKNOWN_METHOD, V, call_gate, create_location, create_monitor,
                              inhibit)


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


# --- requests that last -------------------------------------------------------------------------

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
