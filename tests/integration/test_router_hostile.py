# SPDX-License-Identifier: MIT
"""sbrouter and clients that break the rules: they are cut off or answered, others never notice."""

import time

from gi.repository import Gio, GLib

from rig.limits import limit
from rig.processes import scale
from rig.router import BUS, BUS_PATH, ERROR, PING, Watched, signal
from rig.wire import CALL, FAILURE, NAMED, RETURN, SIGNAL, call, fixed, variant, with_u32


def answer(kind, reply_serial, destination, serial=5):
    fields = [(5, b"u", reply_serial), (6, b"s", destination.encode())]
    if kind == FAILURE:
        fields.append((4, b"s", b"t.Error"))
    if kind in (CALL, SIGNAL):
        fields += NAMED
    return fixed(kind, serial, fields)


# --- headers and bodies ----------------------------------------------------------------------------

def test_fixed_header(env):
    """each byte of the fixed header, with wrong values"""
    bus = Watched(env)
    bad = [(0, range(256), (ord("l"),)), (1, (0,), ()), (3, range(0, 256, 5), (1,)),
           (8, (0,), ())]
    for offset, values, good in bad:
        for value in values:
            if value not in good:
                data = bytearray(PING)
                data[offset] = value
                bus.cut_off(bytes(data), (offset, value))
    for offset, value in ((4, 0xffffffff), (4, 1 << 31), (4, 1 << 27), (12, 0xffffffff),
                          (12, 1 << 31), (12, 65537), (12, 3), (8, 0)):
        bus.cut_off(with_u32(PING, offset, value) + bytes(32), (offset, value))


def test_fields(env):
    """fields that are wrong, missing, twice, of another type"""
    bus = Watched(env)
    good = [(1, b"o", b"/"), (3, b"s", b"Ping"), (6, b"s", BUS.encode())]
    for fields in (good + [good[0]], good + [(5, b"u", 0)], good + [(0, b"s", b"x")],
                   [(1, b"s", b"/")] + good[1:], [(1, b"o", b"no")] + good[1:],
                   [(1, b"o", b"/a//b")] + good[1:], good[1:], good[:1] + good[2:],
                   good + [(8, b"g", b"(")], good + [(8, b"g", b"a")], good + [(9, b"u", 17)],
                   good + [(9, b"u", 1)], good + [(2, b"s", b"t")], good + [(7, b"s", b"no")],
                   [(1, b"o", b"/org/freedesktop/DBus/Local")] + good[1:],
                   good + [(2, b"s", b"org.freedesktop.DBus.Local")]):
        bus.cut_off(fixed(CALL, 9, fields), fields)
    for body, signature in ((b"x", b""), (b"\2\0\0\0", b"b"), (b"\1\0\0\0x\1", b"s"),
                            (b"\1\0\0\0\xff\0", b"s"), (b"\1\0\0\0x\0x", b"s"),
                            (b"\0\0\0\4", b"ay"), (b"\2v\0", b"v"), (b"\0\0\0\0", b"h")):
        bus.cut_off(fixed(CALL, 9, good + [(8, b"g", signature)] * bool(signature), body),
                    (body, signature))


def test_unknown_fields(env):
    """fields, flags and types of a future version: stripped, or the message ignored"""
    bus = Watched(env)
    receiver, sender = bus.client(), bus.client()
    to = (6, b"s", receiver.name.encode())
    sender.send(fixed(7, 2, [*NAMED, to]))
    sender.send(fixed(SIGNAL, 3, [(99, b"s", b"secret"), *NAMED, to, (200, b"u", 1)], flags=0xff))
    sender.send(fixed(SIGNAL, 4, [(7, b"s", b"t.Forged"), *NAMED, to]))
    assert sender.alive()
    receiver.buffer = b""
    receiver.send(PING)
    while b"M\0" not in receiver.buffer:
        receiver._more()
    assert b"secret" not in receiver.buffer and b"Forged" not in receiver.buffer
    got = [m for m in receiver.signals() if m.get_member() == "M"]
    assert [(m.get_sender(), m.get_serial()) for m in got] == [(sender.name, 3), (sender.name, 4)]


def test_sasl(env):
    """authentication that is garbage, endless, or skipped"""
    bus = Watched(env)
    for data in (b"x", b"GET / HTTP/1.1\r\n\r\n", b"\0BEGIN\r\n", b"\0" + b"A" * 20000,
                 b"\0" + b"AUTH X\r\n" * 100, b"\0AUTH EXTERNAL ", b"\0" + b"\xff" * 17000):
        if data.endswith(b" "):
            data += b"3" * 20000
        bus.cut_off(data, data[:20], authenticate=False)
    c = bus.client(authenticate=False)
    c.send(b"\0NONSENSE\r\nCANCEL\r\nERROR\r\nAUTH\r\nAUTH ANONYMOUS\r\nAUTH EXTERNAL\r\nDATA\r\n")
    lines = [c.line() for _ in range(7)]
    assert [line.split()[0] for line in lines] == [
        b"ERROR", b"ERROR", b"REJECTED", b"REJECTED", b"REJECTED", b"DATA", b"OK"], lines


def test_before_hello(env):
    """a client that has no name yet can say nothing but Hello: it is cut off"""
    bus = Watched(env)
    bus.witness.add_match("member='M'")
    for data in (call(BUS_PATH, BUS, "ListNames"), call(BUS_PATH, "t.T", "Hello"), PING,
                 call("/", "t.T", "M", destination=bus.witness.name), signal("M"),
                 signal("M", destination=bus.witness.name)):
        bus.cut_off(data + call(BUS_PATH, BUS, "Hello"), data, say_hello=False)
    assert bus.witness.signals() == []
    c = bus.client(say_hello=False)
    assert c.ask("Hello", path="/any") != ERROR + "AccessDenied" and c.alive()


def test_auth_deadline(env):
    """who does not say Hello in 30 seconds is cut off; who said it may be silent"""
    bus, seconds = Watched(env), limit(env, "AUTH_SECONDS")
    silent = [bus.client(authenticate=False), bus.client(say_hello=False)]
    quiet = bus.client()
    slow = bus.client(authenticate=False)
    start = time.monotonic()
    for c in silent:
        c.socket.settimeout(60)
        assert c.is_cut_off()
    assert seconds - 5 < time.monotonic() - start < seconds + 20 * scale()
    assert slow.is_cut_off() and quiet.alive() and bus.witness.alive()


def test_long_arguments(env):
    """arguments that an error quotes, longer than its text and not ASCII: cut between characters"""
    bus = Watched(env)
    properties = {"interface": BUS + ".Properties"}
    calls = [(member, "(s)", (None,), {}) for member in (
        "GetNameOwner", "ListQueuedOwners", "GetConnectionUnixUser", "GetConnectionUnixProcessID",
        "GetConnectionCredentials", "GetAdtAuditSessionData", "ReleaseName", "NameHasOwner",
        "GetConnectionSELinuxSecurityContext", "AddMatch", "RemoveMatch")]
    calls += [("StartServiceByName", "(su)", (None, 0), {}), ("RequestName", "(su)", (None, 0), {}),
              ("Get", "(ss)", (None, "x"), properties), ("Get", "(ss)", (BUS, None), properties),
              ("GetAll", "(s)", (None,), properties),
              ("Set", "(ssv)", (None, "x", GLib.Variant("s", "")), properties),
              ("Set", "(ssv)", (BUS, None, GLib.Variant("s", "")), properties)]
    for character in ("\u00e9", "\u20ac", "\U0001f600", "x"):
        for pad in range(4):
            text = pad * "x" + character * 600
            for member, kind, values, where in calls:
                body = variant(kind, *(text if v is None else v for v in values))
                answer = bus.witness.ask(member, body, **where)
                assert answer == (False,) or answer.startswith(ERROR), (member, text[:5], answer)
    serial = bus.witness.next_serial()
    bus.witness.send(call(BUS_PATH, BUS, "GetNameOwner", variant("(s)", "\u20ac" * 600), serial=serial))
    text = bus.witness.reply(serial).get_body().unpack()[0]
    assert text.endswith("\u20ac") and 505 < len(text.encode()) < 512, text


# --- replies ------------------------------------------------------------------------------------------

def test_replies(env):
    """a reply: of each type, with a right and a wrong serial, from a right and a wrong sender, twice"""
    bus = Watched(env)
    for kind in (RETURN, FAILURE, CALL, SIGNAL):
        for right_serial in (True, False):
            for right_sender in (True, False):
                caller, callee, other = (bus.router.client() for _ in range(3))
                serial = caller.next_serial()
                caller.send(call("/", "t.T", "M", destination=callee.name, serial=serial))
                assert caller.alive()
                sender = callee if right_sender else other
                data = answer(kind, serial if right_serial else serial + 77, caller.name)
                sender.send(data + data)
                assert sender.alive()
                seen = []
                caller.send(call("/", BUS + ".Peer", "Ping", serial=99))
                while not seen or seen[-1].get_reply_serial() != 99:
                    seen.append(caller.message())
                replies = [m for m in seen if m.get_sender() != BUS and m.get_message_type() in
                           (Gio.DBusMessageType.METHOD_RETURN, Gio.DBusMessageType.ERROR)]
                expected = kind in (RETURN, FAILURE) and right_serial and right_sender
                assert len(replies) == expected, (kind, right_serial, right_sender, seen)
                for c in (caller, callee, other):
                    c.close()


def test_pending_replies(env):
    """calls without an answer: up to a limit; a serial in use is refused; no reply wanted, none kept"""
    bus, n = Watched(env), limit(env, "PENDING_REPLIES")
    caller, callee = bus.client(), bus.client()
    body = variant("(s)", "x")

    def send(serial, flags=0):
        data = bytearray(call("/", "t.T", "M", body, destination=callee.name, serial=serial))
        data[2] |= flags
        caller.send(bytes(data))

    for serial in range(1000, 1000 + n):
        send(serial)
    send(1900)
    assert caller.result(1900) == ERROR + "LimitsExceeded"
    callee.send(answer(RETURN, 1000, caller.name))
    assert caller.result(1000) == ()
    send(1001)
    assert caller.result(1001) == ERROR + "AccessDenied"
    for serial in range(2000, 3000):
        send(serial, flags=1)
    assert caller.alive() and callee.alive()
    callee.send(answer(RETURN, 2000, caller.name))
    assert callee.alive()
    callee.send(answer(RETURN, 1001, caller.name))
    assert caller.result(1001) == ()
