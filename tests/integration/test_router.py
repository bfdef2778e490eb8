# SPDX-License-Identifier: MIT
"""sbrouter as a bus: what the specification promises to well-behaved clients."""

import os
import random
import threading

from gi.repository import Gio, GLib

from rig.processes import wait_for
from rig.router import BUS, BUS_PATH, ERROR, Standalone, bus, signal
from rig.wire import call, variant

PRIMARY, IN_QUEUE, EXISTS, ALREADY = 1, 2, 3, 4
ALLOW, REPLACE, NO_QUEUE = 1, 2, 4


def client(env, router, **arguments):
    return env.closing(router.client(**arguments))


def clients(env, router, n, **arguments):
    return [client(env, router, **arguments) for _ in range(n)]


def request(c, name, flags=0):
    answer = c.ask("RequestName", variant("(su)", name, flags))
    return answer[0] if isinstance(answer, tuple) else answer


def described(messages):
    return [(m.get_member(), *(m.get_body().unpack() if m.get_body() else ())) for m in messages]


def test_introspection(env):
    """busctl reads the driver's introspection data, and every method in it exists"""
    router = bus(env)
    c = client(env, router)
    xml = c.ask("Introspect", interface=BUS + ".Introspectable")[0]
    for path, child in (("/", "org/freedesktop/DBus"), ("/org", "freedesktop/DBus"),
                        ("/org/freedesktop", "DBus"), ("/org/free", None), (BUS_PATH, None)):
        text = c.ask("Introspect", interface=BUS + ".Introspectable", path=path)[0]
        children = [n.path for n in Gio.DBusNodeInfo.new_for_xml(text).nodes]
        assert children == ([child] if child else []), path
    node = Gio.DBusNodeInfo.new_for_xml(xml)
    methods = [(i.name, m) for i in node.interfaces for m in i.methods]
    assert len(methods) > 20
    for interface, method in methods:
        # Called with what it does not take: the method is known, the arguments are not.
        answer = c.ask(method.name, variant("(yy)", 1, 2), interface=interface)
        assert answer == ERROR + "InvalidArgs", (interface, method.name, answer)


# --- the driver ---------------------------------------------------------------------------------

def test_driver_answers(env):
    """each driver method: its answer or its error"""
    router = bus(env)
    c, other = clients(env, router, 2)
    assert request(other, "t.Other") == PRIMARY
    me, uid = {"ProcessID": os.getpid(), "UnixUserID": os.geteuid()}, os.geteuid()
    with open("/etc/machine-id", encoding="ascii") as f:
        machine_id = f.read().strip()
    names = (("GetNameOwner", (other.name,)), ("NameHasOwner", (True,)),
             ("ListQueuedOwners", ([other.name],)), ("GetConnectionUnixUser", (uid,)),
             ("GetConnectionUnixProcessID", (os.getpid(),)), ("GetConnectionCredentials", (me,)),
             ("GetAdtAuditSessionData", ERROR + "AdtAuditDataUnknown"),
             ("GetConnectionSELinuxSecurityContext", ERROR + "SELinuxSecurityContextUnknown"))
    for member, answer in names:
        for name in ("t.Other", other.name):
            assert c.ask(member, variant("(s)", name)) == answer, (member, name)
        for name in ("t.Nobody", ":1.999", ":1.01", "not a name", ""):
            found = c.ask(member, variant("(s)", name))
            assert found == ((False,) if member == "NameHasOwner"
                             else ERROR + "NameHasNoOwner"), (member, name, found)
    assert c.ask("GetNameOwner", variant("(s)", BUS)) == (BUS,)
    assert set(c.ask("ListNames")[0]) == {BUS, c.name, other.name, "t.Other"}
    assert c.ask("ListActivatableNames") == ([BUS],)
    assert c.ask("StartServiceByName", variant("(su)", "t.Other", 0)) == (2,)
    assert c.ask("StartServiceByName", variant("(su)", "t.No", 0)) == ERROR + "ServiceUnknown"
    assert c.ask("UpdateActivationEnvironment", variant("(a{ss})", {"A": "b"})) == ()
    assert c.ask("GetMachineId", interface=BUS + ".Peer") == (machine_id,)
    assert len(c.ask("GetId")[0]) == 32 and c.ask("ReloadConfig") == ()
    assert c.ask("Hello") == ERROR + "Failed"
    assert c.ask("Nothing") == ERROR + "UnknownMethod"
    assert c.ask("GetId", interface="t.T") == ERROR + "UnknownInterface"
    assert c.ask("GetId", path="/any/where") != ERROR + "AccessDenied"
    assert c.ask("UpdateActivationEnvironment", variant("(a{ss})", {}),
                 path="/any/where") == ERROR + "AccessDenied"


def test_properties(env):
    """the driver's properties"""
    c = client(env, bus(env))
    properties = {"interface": BUS + ".Properties"}
    expected = {"Features": ["ActivatableServicesChanged", "HeaderFiltering"],
                "Interfaces": [BUS + ".Monitoring", BUS + ".Debug.Stats"]}
    for interface in (BUS, ""):
        assert c.ask("GetAll", variant("(s)", interface), **properties) == (expected,)
    for name, value in expected.items():
        assert c.ask("Get", variant("(ss)", BUS, name), **properties) == (value,)
    for interface in (BUS + ".Peer", BUS + ".Properties", BUS + ".Introspectable"):
        assert c.ask("GetAll", variant("(s)", interface), **properties) == ({},)
        assert c.ask("Get", variant("(ss)", interface, "Features"), **properties) == \
            ERROR + "UnknownProperty"
    value = GLib.Variant("as", [])
    for member, body, error in (
            ("Get", variant("(ss)", BUS, "No"), "UnknownProperty"),
            ("Get", variant("(ss)", "t.T", "Features"), "UnknownInterface"),
            ("GetAll", variant("(s)", "t.T"), "UnknownInterface"),
            ("Set", variant("(ssv)", BUS, "Features", value), "PropertyReadOnly"),
            ("Set", variant("(ssv)", BUS, "No", value), "UnknownProperty")):
        assert c.ask(member, body, **properties) == ERROR + error, (member, body)


def test_greeting_order(env):
    """Hello: the answer comes before NameAcquired, and others hear of the new name"""
    router = bus(env)
    watcher = client(env, router)
    watcher.add_match("type='signal',member='NameOwnerChanged'")
    c = client(env, router, say_hello=False)
    c.send(call(BUS_PATH, BUS, "Hello", serial=1))
    first, second = c.message(), c.message()
    name = first.get_body().unpack()[0]
    assert first.get_destination() == name and first.get_sender() == BUS
    assert described([second]) == [("NameAcquired", name)]
    assert described(watcher.signals()) == [("NameOwnerChanged", name, "", name)]
    c.close()
    wait_for("its end", lambda: described(watcher.signals()) ==
             [("NameOwnerChanged", name, name, "")])


# --- names ---------------------------------------------------------------------------------------

def test_request_name_table(env):
    """RequestName: every pair of flags of an owner and of one who asks"""
    router = bus(env)
    for mine in range(8):
        for theirs in range(8):
            a, b = router.client(), router.client()
            assert request(a, "t.N", mine) == PRIMARY
            replaced = bool(mine & ALLOW and theirs & REPLACE)
            expected = PRIMARY if replaced else EXISTS if theirs & NO_QUEUE else IN_QUEUE
            assert request(b, "t.N", theirs) == expected, (mine, theirs)
            owners = [c.name for c in ((b, a) if replaced else (a, b))]
            if replaced and mine & NO_QUEUE or not replaced and theirs & NO_QUEUE:
                owners.pop()
            assert a.ask("ListQueuedOwners", variant("(s)", "t.N")) == (owners,), (mine, theirs)
            assert request(a if owners[0] == a.name else b, "t.N") == ALREADY
            a.close()
            b.close()
            observer = router.client()
            wait_for("the name to be free", lambda: observer.ask(
                "NameHasOwner", variant("(s)", "t.N")) == (False,))
            observer.close()


def test_name_signals(env):
    """a name changes hands: who is told what, in which order"""
    router = bus(env)
    a, b, watcher = clients(env, router, 3)
    for c in (a, b, watcher):
        c.signals()
    watcher.add_match("sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='t.N'")
    assert request(a, "t.N", ALLOW) == PRIMARY and request(b, "t.N") == IN_QUEUE
    assert request(b, "t.N", REPLACE) == PRIMARY
    assert described(a.signals()) == [("NameLost", "t.N")]  # NameAcquired came before the answer
    assert b.ask("ReleaseName", variant("(s)", "t.N")) == (1,)
    a.close()
    wait_for("the name to be free", lambda: b.ask(
        "NameHasOwner", variant("(s)", "t.N")) == (False,))
    assert described(watcher.signals()) == [
        ("NameOwnerChanged", "t.N", old, new) for old, new in
        (("", a.name), (a.name, b.name), (b.name, a.name), (a.name, ""))]


def test_leaving_order(env):
    """a client leaves: its names go, then who waits for it is told, then the unique name for ever"""
    router = bus(env)
    watcher, owner = clients(env, router, 2)
    watcher.add_match("sender='org.freedesktop.DBus',member='NameOwnerChanged'")
    assert request(owner, "t.A") == request(owner, "t.B") == PRIMARY
    watcher.send(call("/o", "t.T", "M", destination=owner.name, serial=500))
    watcher.signals()
    owner.close()
    got = [watcher.message() for _ in range(4)]
    assert got.pop(2).get_error_name() == ERROR + "NoReply"
    assert described(got) == [("NameOwnerChanged", name, owner.name, "")
                              for name in ("t.A", "t.B", owner.name)]
    assert client(env, router).name not in (watcher.name, owner.name)


def test_release_name(env):
    """ReleaseName, and names that nobody can own"""
    router = bus(env)
    a, b = clients(env, router, 2)
    assert request(a, "t.N") == PRIMARY
    assert b.ask("ReleaseName", variant("(s)", "t.N")) == (3,)
    assert request(b, "t.N") == IN_QUEUE
    assert b.ask("ReleaseName", variant("(s)", "t.N")) == (1,)
    assert a.ask("ReleaseName", variant("(s)", "t.N")) == (1,)
    assert a.ask("ReleaseName", variant("(s)", "t.N")) == (2,)
    for name in (BUS, ":1.1", a.name, "", "t", "t..N", "t.N.", ".t.N", "t.9", "t.N " + "x" * 300):
        assert request(a, name) == ERROR + "InvalidArgs", name
        assert a.ask("ReleaseName", variant("(s)", name)) == ERROR + "InvalidArgs", name


# --- match rules -----------------------------------------------------------------------------------

def test_match_rules(env):
    """which rule lets which signal through"""
    router = bus(env)
    sender, receiver = clients(env, router, 2)
    assert request(sender, "t.Sender") == PRIMARY
    data = signal("Member", variant("(sos)", "first.x", "/a/b", "third"), path="/p/q")
    cases = (("", 1), ("type='signal'", 1), ("type='method_call'", 0), ("path='/p/q'", 1),
             ("path='/p'", 0), ("path_namespace='/p'", 1), ("path_namespace='/'", 1),
             ("path_namespace='/p/q/r'", 0), ("path_namespace='/x'", 0), ("interface='t.T'", 1),
             ("interface='t.X'", 0), ("member='Member'", 1), ("member='Other'", 0),
             ("interface='t.T',member='Member'", 1), ("interface='t.T',member='Other'", 0),
             ("sender='t.Sender'", 1), ("sender='t.Nobody'", 0), (f"sender='{sender.name}'", 1),
             (f"sender='{receiver.name}'", 0), (f"sender='{BUS}'", 0), ("arg0='first.x'", 1),
             ("arg0='first'", 0), ("arg0namespace='first'", 1), ("arg0namespace='fir'", 0),
             ("arg1path='/a/'", 1), ("arg1path='/a/b'", 1), ("arg1path='/a'", 0),
             ("arg1='/a/b'", 0), ("arg2='third'", 1), ("arg3=''", 0), ("arg63='x'", 0),
             (f"destination='{receiver.name}'", 0), ("eavesdrop='true',arg0='first.x'", 1),
             ("type=signal,member='Member'", 1), (" member = 'Member'", 0))
    for rule, arrives in cases:
        added = receiver.add_match(rule)
        if rule.startswith(" "):
            if added == ERROR + "MatchRuleInvalid":
                continue
            arrives = 1
        assert added == (), (rule, added)
        sender.send(data)
        assert sender.alive()
        assert len(receiver.signals()) == arrives, rule
        assert receiver.ask("RemoveMatch", variant("(s)", rule)) == (), rule
        sender.send(data)
        assert sender.alive() and not receiver.signals(), rule


def test_match_rule_errors(env):
    """rules that are not rules, and rules that were never added"""
    c = client(env, bus(env))
    for rule in ("nothing", "x='y'", "type='nothing'", "arg64='x'", "path='x'", "member='a.b'",
                 "member='M',member='N'", "path='/a',path_namespace='/b'", "arg0='unclosed"):
        for member in ("AddMatch", "RemoveMatch"):
            assert c.ask(member, variant("(s)", rule)) == ERROR + "MatchRuleInvalid", rule
    assert c.ask("RemoveMatch", variant("(s)", "member='M'")) == ERROR + "MatchRuleNotFound"
    assert c.add_match("member='M'") == () and c.add_match("member='M'") == ()
    for answer in ((), (), ERROR + "MatchRuleNotFound"):
        assert c.ask("RemoveMatch", variant("(s)", "member=M")) == answer


def test_signal_once(env):
    """a signal that fits several rules of a client arrives once; a unicast one needs no rule"""
    router = bus(env)
    sender, receiver, third = clients(env, router, 3)
    for rule in ("member='M'", "path='/t'", "interface='t.T'", "", "arg0='x'"):
        assert receiver.add_match(rule) == () and third.add_match(rule) == ()
    for data, n_receiver, n_third in ((signal("M", variant("(s)", "x")), 1, 1),
                                      (signal("M", destination=receiver.name), 1, 0),
                                      (signal("M", destination="t.Nobody"), 0, 0)):
        sender.send(data)
        assert sender.alive()
        receiver_got = [m for m in receiver.signals() if m.get_sender() == sender.name]
        third_got = [m for m in third.signals() if m.get_sender() == sender.name]
        assert (len(receiver_got), len(third_got)) == (n_receiver, n_third), data


# --- calls and replies -------------------------------------------------------------------------------

def test_call_and_answer(env):
    """bodies of every size go through whole, both ways, with the sender stamped"""
    router = bus(env)
    caller, callee = clients(env, router, 2)
    for size in (0, 1, 4000, 8191, 8192, 8193, 70000, 1 << 18, 1 << 20, 5 << 20):
        content = (bytes(range(251)) * (size // 251 + 1))[:size]
        body = GLib.Variant.new_tuple(
            GLib.Variant.new_from_bytes(GLib.VariantType("ay"), GLib.Bytes.new(content), True))
        serial = caller.next_serial()
        caller.send(call("/o", "t.T", "M", body, destination=callee.name, serial=serial))
        message = callee.message()
        while message.get_message_type() != Gio.DBusMessageType.METHOD_CALL:
            message = callee.message()
        assert message.get_sender() == caller.name and message.get_body().equal(body), size
        answer = Gio.DBusMessage.new_method_reply(message)
        answer.set_serial(callee.next_serial())
        answer.set_body(body)
        callee.send(answer.to_blob(Gio.DBusCapabilityFlags.NONE))
        reply = caller.reply(serial)
        assert reply.get_sender() == callee.name and reply.get_body().equal(body), size


def test_no_owner(env):
    """to a name without an owner: which error, by the flags; none for who wants no answer"""
    c = client(env, bus(env))
    for name in ("t.Nobody", ":1.4711"):
        for flags, error in ((0, "ServiceUnknown"), (2, "NameHasNoOwner"), (4, "ServiceUnknown")):
            answer = c.ask("M", interface="t.T", destination=name,
                           patch=lambda data, f=flags: data[:2] + bytes([f]) + data[3:])
            assert answer == ERROR + error, (name, flags, answer)
        for flags in (1, 3):
            data = call("/", "t.T", "M", destination=name, serial=c.next_serial())
            c.send(data[:2] + bytes([flags]) + data[3:])
            c.send(call("/", BUS + ".Peer", "Ping", serial=9999))
            assert c.message().get_reply_serial() == 9999, flags


def test_callee_leaves(env):
    """who waits for a client that leaves is told so, once"""
    router = bus(env)
    caller, callee = clients(env, router, 2)
    serials = [caller.next_serial() for _ in range(3)]
    for serial in serials:
        caller.send(call("/o", "t.T", "M", destination=callee.name, serial=serial))
    assert caller.alive()
    callee.close()
    for serial in serials:
        assert caller.result(serial) == ERROR + "NoReply"
    assert caller.ask("M", interface="t.T", destination=callee.name) == ERROR + "ServiceUnknown"


def test_pipelined(env):
    """authentication, Hello and more in one write, and byte by byte"""
    router = bus(env)
    data = (b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n" + call(BUS_PATH, BUS, "Hello", serial=1) +
            call(BUS_PATH, BUS, "GetId", serial=2))
    for step in (len(data), 1, 7):
        c = client(env, router, authenticate=False)
        for at in range(0, len(data), step):
            c.send(data[at:at + step])
        while not c.line().startswith(b"OK"):
            pass
        assert c.result(1)[0].startswith(":1.") and len(c.result(2)[0]) == 32


def test_sizes(env):
    """messages of all sizes in one stream, written in pieces of all sizes: all arrive, in order"""
    router = env.closing(Standalone(env.build, env.tmp, "--max-queue-bytes", "1000000000"))
    sender, receiver = clients(env, router, 2)
    numbers = random.Random(6)
    sizes = [0, 1, 4096, 16384, 65536, 262144, 600000]
    sent, stream = [], b""
    for serial in range(100, 250):
        size = max(0, numbers.choice(sizes) + numbers.randrange(-200, 200))
        if numbers.randrange(3) == 0:
            size = numbers.randrange(300)
        body = bytes([numbers.randrange(256)]) * size
        sent.append((serial, body))
        argument = GLib.Variant.new_from_bytes(GLib.VariantType("ay"), GLib.Bytes(body), True)
        stream += signal("S", GLib.Variant.new_tuple(argument), destination=receiver.name,
                         serial=serial)

    def write():
        at = 0
        while at < len(stream):
            n = numbers.choice([1, 16, 100, 4096, 50000, 300000])
            sender.send(stream[at:at + n])
            at += n

    writer = threading.Thread(target=write)
    writer.start()
    for serial, body in sent:
        message = receiver.message()
        while message.get_member() == "NameAcquired":
            message = receiver.message()
        assert message.get_serial() == serial
        argument = message.get_body().get_child_value(0)
        assert bytes(argument.get_data_as_bytes().get_data() or b"") == body
    writer.join()


def test_big_endian(env):
    """a client of the other byte order: it is answered, and its signals arrive"""
    router = bus(env)
    receiver = client(env, router)
    receiver.add_match("arg0='x'")
    c = client(env, router, say_hello=False)
    for serial, member in ((1, "Hello"), (2, "GetId")):
        message = Gio.DBusMessage.new_method_call(BUS, BUS_PATH, BUS, member)
        message.set_byte_order(Gio.DBusMessageByteOrder.BIG_ENDIAN)
        message.set_serial(serial)
        c.send(message.to_blob(Gio.DBusCapabilityFlags.NONE))
        assert len(c.result(serial)) == 1
    message = Gio.DBusMessage.new_signal("/t", "t.T", "M")
    message.set_byte_order(Gio.DBusMessageByteOrder.BIG_ENDIAN)
    message.set_serial(3)
    message.set_body(variant("(sau)", "x", [1, 2, 3]))
    c.send(message.to_blob(Gio.DBusCapabilityFlags.NONE))
    wait_for("the signal", lambda: [m.get_body().unpack() for m in receiver.signals()] ==
             [("x", [1, 2, 3])])
