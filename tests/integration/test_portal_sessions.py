# SPDX-License-Identifier: MIT
"""sbportal and a gate of the test's own: sessions, from their making to their end."""

from gi.repository import Gio

from rig.guest import PATH, PROPERTIES, REQUEST, Request, pump
from rig.portal import (GATE_SESSION, INTROSPECTABLE, PORTAL, SESSION, Signals, fails, message_of,
                        method_call, respond, start)
from rig.portal_kinds import (ACCESS_DENIED, INHIBIT, INVALID, LIMITS, LOCATION, SHORTCUTS,
                              UNKNOWN_METHOD, V, call_gate, create_location, create_monitor,
                              inhibit, session_path)
from rig.processes import wait_for


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
