# SPDX-License-Identifier: MIT
"""sbportal's interfaces: which there are, what is answered without a gate, and every method, hostile."""

import os

from gi.repository import Gio, GLib

from rig.guest import DESKTOP, FILE_CHOOSER, PATH, PROPERTIES, pump
from rig.portal import (GATE_SESSION, INTROSPECTABLE, PEER, PORTAL, Signals, fails, message_of,
                        method_call, respond, start)
from rig.portal_kinds import (DOCUMENTS_NAME, DOCUMENTS_PATH, INHIBIT, INVALID, LOCATION,
                              NOTIFICATION, NOT_ALLOWED, POWER, SETTINGS, SHORTCUTS, UNKNOWN_METHOD,
                              V, create_location, create_monitor, interfaces)
from rig.processes import wait_for


# --- what there is ------------------------------------------------------------------------------

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
