# SPDX-License-Identifier: MIT
"""sbrouter and those who watch: BecomeMonitor, eavesdrop='true', statistics; who may, and what it sees."""

import os
import signal as sig
import subprocess

from gi.repository import Gio

from rig.processes import wait_for
from rig.router import (BUS, DEBUG, ERROR, FDS, GUEST, OWNER, PORTAL, VM, Client, Supervised, bus,
                        signal)
from rig.wire import CALL, FAILURE, RETURN, SIGNAL, call, variant

MONITORING = {"interface": BUS + ".Monitoring"}
STATS = {"interface": BUS + ".Debug.Stats"}


def client(env, router, **arguments):
    c = env.closing(router.client(**arguments))
    c.signals()
    return c


def become(c, *rules):
    assert c.ask("BecomeMonitor", variant("(asu)", rules, 0), **MONITORING) == ()
    return c


def seen(monitor, until):
    """What the monitor saw up to the first message with that member: (kind, member or serial, from, to)."""
    found = []
    while True:
        m = monitor.message()
        assert m is not None, "hung up"
        found.append((int(m.get_message_type()), m.get_member() or m.get_error_name() or "",
                      m.get_sender(), m.get_destination()))
        if m.get_member() == until:
            return found


def test_monitor_sees(env):
    """a monitor sees calls to clients and to the bus, answers, errors, signals, and who comes, once each"""
    router = bus(env)
    a, b = client(env, router), client(env, router)
    m = become(client(env, router))
    lost = m.message()
    assert (lost.get_member(), lost.get_body().unpack()) == ("NameLost", (m.name,))
    a.send(call("/o", "t.T", "Ask", destination=b.name, serial=50))
    assert b.message().get_member() == "Ask"
    assert a.ask("GetNameOwner", variant("(s)", "t.Nobody")) == ERROR + "NameHasNoOwner"
    assert a.ask("M", interface="t.T", destination="t.Nobody") == ERROR + "ServiceUnknown"
    a.send(signal("Unicast", destination=b.name))
    a.send(signal("Broadcast"))
    found = seen(m, "Broadcast")
    assert found == [
        (CALL, "Ask", a.name, b.name),
        (CALL, "GetNameOwner", a.name, BUS), (FAILURE, ERROR + "NameHasNoOwner", BUS, a.name),
        (CALL, "M", a.name, "t.Nobody"), (FAILURE, ERROR + "ServiceUnknown", BUS, a.name),
        (SIGNAL, "Unicast", a.name, b.name), (SIGNAL, "Broadcast", a.name, None)], found
    c = client(env, router)
    found = seen(m, "NameAcquired")
    assert found == [
        (CALL, "Hello", ":not.active.yet", BUS), (RETURN, "", BUS, c.name),
        (SIGNAL, "NameOwnerChanged", BUS, None), (SIGNAL, "NameAcquired", BUS, c.name)], found


def test_monitor_leaves_the_bus(env):
    """who becomes a monitor loses its names, its rules and its calls; and nothing is sent to it"""
    router = bus(env)
    other, m = client(env, router), client(env, router)
    assert other.add_match("member='NameOwnerChanged'") == ()
    assert m.ask("RequestName", variant("(su)", "t.N", 0)) == (1,)
    assert m.add_match("member='Old'") == ()
    other.send(call("/", "t.T", "M", destination=m.name, serial=70))
    other.signals()
    become(m, "member='New'")
    heard = [other.message() for _ in range(3)]
    assert [x.get_error_name() or x.get_body().unpack() for x in heard] == [
        ("t.N", m.name, ""), ERROR + "NoReply", (m.name, m.name, "")], heard
    for name in ("t.N", m.name):
        assert other.ask("NameHasOwner", variant("(s)", name)) == (False,)
        assert other.ask("M", interface="t.T", destination=name) == ERROR + "ServiceUnknown"
    assert m.name not in other.ask("ListNames")[0]
    for member in ("Old", "Other", "New"):
        other.send(signal(member))
    assert other.alive()
    assert [x[1] for x in seen(m, "New")] == ["NameLost", "NameLost", "New"]


def test_monitor_is_silent(env):
    """a monitor that sends anything is closed, and nobody sees it go"""
    router = bus(env)
    other = client(env, router)
    m = become(client(env, router))
    assert other.add_match("member='NameOwnerChanged'") == ()
    m.send(signal("M"))
    assert m.is_cut_off()
    assert other.signals() == [] and "a monitor must not send" in router.log()


MANY_ARGUMENTS = [",".join(f"arg{i}='x'" for i in range(63))]  # which counts as eight rules


def test_monitor_refused(env):
    """wrong rules, wrong flags, too many of them: the client stays what it was"""
    c = client(env, bus(env))
    for rules, flags, error in ((["member='M'", "nonsense"], 0, "MatchRuleInvalid"),
                                ([], 1, "InvalidArgs"), (["member='M'"] * 33, 0, "LimitsExceeded"),
                                (MANY_ARGUMENTS * 5, 0, "LimitsExceeded"),
                                (["arg0='" + "x" * 1100 + "'"], 0, "MatchRuleInvalid")):
        assert c.ask("BecomeMonitor", variant("(asu)", rules, flags), **MONITORING) == ERROR + error
        assert c.ask("NameHasOwner", variant("(s)", c.name)) == (True,)
    assert c.ask("BecomeMonitor", variant("(asu)", [], 0), path="/other", **MONITORING) == \
        ERROR + "UnknownInterface"
    assert c.ask("BecomeMonitor", variant("(asu)", MANY_ARGUMENTS * 4, 0), **MONITORING) == ()


def test_monitor_rules(env):
    """a monitor's rules: every key, names as owners have them, messages of every type"""
    router = bus(env)
    a, b = client(env, router), client(env, router)
    assert a.ask("RequestName", variant("(su)", "t.A", 0)) == (1,)
    assert b.ask("RequestName", variant("(su)", "t.B", 0)) == (1,)
    body = variant("(s)", "first")
    sent = {"call": call("/p/q", "t.T", "M", body, destination="t.B", serial=90),
            "unicast": signal("M", body, path="/p", destination=b.name),
            "broadcast": signal("M", body, path="/p/q")}
    everything = {"call", "unicast", "broadcast"}
    cases = (("sender='t.A'", everything), (f"sender='{a.name}'", everything), ("sender='t.B'", set()),
             ("destination='t.B'", {"call", "unicast"}),
             (f"destination='{b.name}'", {"call", "unicast"}), ("destination='t.A'", set()),
             ("type='method_call',sender='t.A'", {"call"}), ("path='/p/q',member='M'",
                                                            {"call", "broadcast"}),
             ("path_namespace='/p',arg0='first'", everything), ("interface='t.T',arg0='x'", set()))
    for rule, expected in cases:
        m = become(client(env, router), rule, "member='End'")
        for data in sent.values():
            a.send(data)
        b.send(signal("End"))  # may overtake what a sent, but a's are whole
        assert a.alive()
        a.send(signal("End"))
        got = [x for x in seen(m, "End") + seen(m, "End") if x[1] == "M"]
        names = {"call" if x[0] == CALL else "unicast" if x[3] else "broadcast" for x in got}
        assert names == expected and len(got) == len(expected), (rule, got)
        m.close()
        a.send(call("/", "t.T", "End", destination=b.name, serial=91))
        for x in iter(b.message, None):
            if x.get_member() == "End":
                break
        for serial in (90, 91):  # so that both serials are free for the next case
            b.send(reply(serial, a.name))
            assert a.result(serial) == ()


def reply(serial, destination):
    message = Gio.DBusMessage()
    message.set_message_type(Gio.DBusMessageType.METHOD_RETURN)
    message.set_serial(1)
    message.set_reply_serial(serial)
    message.set_destination(destination)
    return message.to_blob(Gio.DBusCapabilityFlags.NONE)


def test_eavesdrop(env):
    """eavesdrop='true': with effect for who came by a debug socket, until the rule is removed"""
    router = bus(env)
    a, b, c = (client(env, router) for _ in range(3))
    rules = ("eavesdrop='true',member='M'", "eavesdrop='false',member='M'", "member='M'")
    for rule, times in zip(rules, (1, 0, 0)):
        assert c.add_match(rule) == ()
        for data in (signal("M", destination=b.name), signal("M", destination=c.name), signal("M")):
            a.send(data)
            assert a.alive()
        got = [(x.get_member(), x.get_destination()) for x in c.signals()]
        assert got == [("M", b.name)] * times + [("M", c.name), ("M", None)], (rule, got)
        assert c.ask("RemoveMatch", variant("(s)", rule)) == ()
        a.send(signal("M", destination=b.name))
        assert a.alive() and c.signals() == [], rule


def test_who_may_watch(env):
    """guests, the owner's programs and sbportal may not watch, nor ask for statistics; a debug socket may"""
    r = env.closing(Supervised(env.build, env.tmp, env.source, VM))
    r.path = r.listen(GUEST)
    guest, portal = client(env, r), env.closing(Client(r.peer(PORTAL), fds=True))
    owner = env.closing(Client(r.listen(OWNER | FDS, name="owner"), fds=True))
    debug = env.closing(Client(r.listen(OWNER | FDS | DEBUG, name="debug"), fds=True))
    interfaces = variant("(ss)", BUS, "Interfaces")
    for c in (guest, portal, owner):
        assert c.ask("BecomeMonitor", variant("(asu)", [], 0), **MONITORING) == ERROR + "AccessDenied"
        for member, body in (("GetStats", None), ("GetAllMatchRules", None),
                             ("GetConnectionStats", variant("(s)", c.name))):
            assert c.ask(member, body, **STATS) == ERROR + "AccessDenied"
        assert c.ask("Get", interfaces, interface=BUS + ".Properties") == ([],)
        assert c.add_match("eavesdrop='true'") == ()
        c.signals()
    assert len(debug.ask("Get", interfaces, interface=BUS + ".Properties")[0]) == 2
    third = client(env, r)
    third.send(signal("M", destination=debug.name))
    assert third.alive()
    for c in (guest, portal, owner):
        assert "M" not in [m.get_member() for m in c.signals()]
    become(debug, "member='M'")
    third.send(signal("M", destination=guest.name))
    assert seen(debug, "M")[-1] == (SIGNAL, "M", third.name, guest.name)


def test_monitor_does_not_read(env):
    """a monitor that does not read is closed; those it watched notice nothing"""
    router = bus(env)
    a, b = client(env, router), client(env, router)
    m = become(client(env, router))
    body = variant("(s)", "x" * (1 << 20))
    for _ in range(24):
        a.send(signal("M", body, destination=b.name))
        assert a.alive()
        assert [x.get_member() for x in b.signals()] == ["M"]
    wait_for("it to be closed", lambda: "does not read" in router.log())
    assert m.is_cut_off() and a.alive() and b.alive()


def test_stats(env):
    """statistics: what there is, and what one connection holds"""
    router = bus(env)
    a, b = client(env, router), client(env, router)
    half = env.closing(router.client(say_hello=False))
    assert half.socket.fileno() >= 0
    assert a.ask("RequestName", variant("(su)", "t.A", 0)) == (1,)
    rules = ["type='signal',member='M',arg0='it'\\''s'", "path='/p'"]
    for rule in rules:
        assert a.add_match(rule) == ()
    a.send(call("/", "t.T", "M", variant("(s)", "x" * (1 << 20)), destination=b.name, serial=40))
    assert a.alive()
    assert a.ask("GetStats", **STATS) == ({
        "ActiveConnections": 2, "IncompleteConnections": 1, "MatchRules": 2, "BusNames": 3,
        "PendingReplies": 1, "QueuedBytes": a.ask("GetStats", **STATS)[0]["QueuedBytes"]},)
    mine = {"UniqueName": a.name, "MatchRules": 2, "BusNames": 2, "PendingReplies": 1,
            "IncomingBytes": 0, "IncomingFDs": 0, "OutgoingBytes": 0, "OutgoingFDs": 0}
    for name in ("t.A", a.name):
        assert a.ask("GetConnectionStats", variant("(s)", name), **STATS) == (mine,)
    theirs = a.ask("GetConnectionStats", variant("(s)", b.name), **STATS)[0]
    assert 0 < theirs["OutgoingBytes"] <= (1 << 20) + 200, theirs
    assert a.ask("GetAllMatchRules", **STATS) == ({a.name: rules, b.name: []},)
    for name in ("t.No", BUS, ""):
        assert a.ask("GetConnectionStats", variant("(s)", name), **STATS) == ERROR + "NameHasNoOwner"


def test_dbus_monitor(env):
    """dbus-monitor and busctl monitor show what goes over the bus"""
    router = bus(env)
    a, b = client(env, router), client(env, router)
    for argv in (["dbus-monitor", "--address", router.address],
                 ["dbus-monitor", "--address", router.address, "member='Said'"],
                 ["busctl", "--address=" + router.address, "monitor"]):
        with open(os.path.join(env.tmp, "said"), "wb+") as out, \
                subprocess.Popen(argv, stdout=out, stderr=subprocess.DEVNULL,
                                 env={**os.environ, "LC_ALL": "C.UTF-8"}) as process:
            def said():
                a.send(signal("Said", variant("(s)", "what was said"), destination=b.name))
                out.seek(0)
                return b"what was said" in out.read()
            wait_for(f"{argv} to show it", said)
            process.send_signal(sig.SIGTERM)
    assert b.alive() and a.alive()
