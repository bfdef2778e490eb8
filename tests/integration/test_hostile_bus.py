# SPDX-License-Identifier: MIT
"""sbportal, and a bus that lies to it: what a guest that has taken over the VM's router can say."""

import random
import re

from gi.repository import Gio, GLib

from rig import boundaries
from rig.guest import FILE_CHOOSER, PATH, REQUEST
from rig.rogue_bus import BUS, BUS_PATH, WELCOME, Bus
from rig.wire import with_u32

DESKTOP = "org.freedesktop.portal.Desktop"
V = GLib.Variant


def outcome(bus):
    """It ends at the latest with its bus, by itself or as its gate is closed: it does not crash."""
    bus.socket.close()  # what was said is read, then this
    assert bus.sidebus.process.wait() == 1, bus.sidebus.log()
    log = bus.sidebus.log()
    assert "forbids" not in log, log
    assert re.search(r"sbportal (ended with status 1|was killed by signal 9 )", log), log


def test_handshakes(env):
    """SASL answered in every wrong way"""
    answers = (b"", b"\r\n" * 100, b"REJECTED\r\n", b"REJECTED EXTERNAL\r\n" * 3, b"ERROR\r\n" * 10,
               b"OK\r\nOK\r\nOK\r\n", b"DATA\r\nOK xyz\r\nAGREE_UNIX_FD\r\n", b"\0" * 1000,
               b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nERROR\r\n", b"\xff" * 70000,
               b"DATA 00\r\nDATA 00\r\nDATA 00\r\n", b"l\1\0\1" * 100, b"A" * 70000 + b"\r\n",
               WELCOME + b"\xff" * 64, WELCOME + b"l\1\0\1\xff\xff\xff\xff\1\0\0\0\xff\xff\xff\xff",
               WELCOME + WELCOME)
    for answer in answers:
        bus = Bus(env)
        bus.greet(answer)
        outcome(bus)
    env.hostile(boundaries.ROUTER, len(answers))


def test_hello(env):
    """Hello and RequestName answered wrongly: of other types, by others, twice, with odd names"""
    wrong = (None, V("(s)", ("",)), V("(s)", ("x",)), V("(s)", (":",)), V("(s)", (":1.1/../2",)),
             V("(s)", ("org.freedesktop.DBus",)), V("(s)", (":1." + "1" * 5000,)), V("(u)", (1,)),
             V("(as)", ([":1.1"],)), V("(v)", (V("s", ":1.1"),)), V("(ss)", (":1.1", ":1.2")))
    for body in wrong:
        bus = Bus(env)
        bus.greet()
        bus.answer(bus.next_call("Hello"), body)
        outcome(bus)
    for body in (None, V("(u)", (0,)), V("(u)", (2,)), V("(u)", (3,)), V("(u)", (2 ** 32 - 1,)),
                 V("(s)", ("1",)), V("(i)", (-1,))):
        bus = Bus(env)
        bus.greet()
        bus.answer(bus.next_call("Hello"), V("(s)", (":1.1",)))
        request = bus.next_call("RequestName")
        bus.answer(request, body)
        bus.answer(request, body)
        outcome(bus)
    env.hostile(boundaries.ROUTER, len(wrong) + 14)


def signal(path, interface, member, body=None, sender=BUS):
    message = Gio.DBusMessage.new_signal(path, interface, member)
    message.set_sender(sender)
    if body is not None:
        message.set_body(body)
    return message


def from_client(path, interface, member, body=None, sender=":1.5"):
    message = Gio.DBusMessage.new_method_call(DESKTOP, path, interface, member)
    message.set_sender(sender)
    if body is not None:
        message.set_body(body)
    return message


ASK = V("(ssa{sv})", ("", "T", {"handle_token": V("s", "t")}))


def lies():
    """What only a bus can say, and a bus would not."""
    for name, before, after in ((":1.5", ":1.5", ""), (":1.1", ":1.1", ""), (DESKTOP, ":1.1", ""),
                                (DESKTOP, ":1.1", ":1.5"), ("", "", ""), (BUS, BUS, "")):
        yield signal(BUS_PATH, BUS, "NameOwnerChanged", V("(sss)", (name, before, after)))
        yield signal("/", BUS, "NameOwnerChanged", V("(sss)", (name, before, after)), ":1.5")
    yield signal(BUS_PATH, BUS, "NameOwnerChanged", V("(s)", (":1.5",)))
    yield signal(BUS_PATH, BUS, "NameOwnerChanged")
    yield signal(BUS_PATH, BUS, "NameLost", V("(s)", (DESKTOP,)))
    yield signal("/org/freedesktop/DBus/Locax", BUS + ".Locax", "Disconnected")
    for sender in (":1.1", BUS, DESKTOP, ":1." + "5" * 250, "org.x.y"):
        yield from_client(PATH, FILE_CHOOSER, "OpenFile", ASK, sender)
    nobody = Gio.DBusMessage.new_method_call(None, PATH, FILE_CHOOSER, "OpenFile")
    nobody.set_body(ASK)
    yield nobody
    yield from_client("/", REQUEST, "Close")
    yield from_client(PATH + "/request/1_5/t", REQUEST, "Close", sender=":1.6")
    for serial in (0xffffffff, 1, 2, 3, 99):
        reply = from_client(PATH, FILE_CHOOSER, "OpenFile", ASK)
        reply.set_message_type(Gio.DBusMessageType.METHOD_RETURN)
        reply.set_reply_serial(serial)
        yield reply


def test_lies(env):
    """forged names, senders, replies and departures: sbportal errs within the VM, or ends itself"""
    bus, tried = Bus(env).welcome(), 0
    for lie in lies():
        if not bus.say(lie):
            bus = Bus(env).welcome()
        tried += 1
    env.chooser.settle()
    outcome(bus)
    assert tried > 20, tried
    env.hostile(boundaries.ROUTER, tried)


def test_mutations(env):
    """a guest's call with each byte made wrong, as the real router would never pass it on"""
    noise = random.Random(7)
    good = bytes(from_client(PATH, FILE_CHOOSER, "OpenFile", ASK).to_blob(
        Gio.DBusCapabilityFlags.NONE))
    good = with_u32(good, 8, 50)
    bus, tried, restarts = Bus(env).welcome(), 0, 0
    for offset in range(0, len(good), 5):
        if offset in {*range(4, 8), *range(12, 16)}:
            continue  # lengths: below
        data = bytearray(good)
        data[offset] = noise.choice([0, 1, 0x7f, 0xff, data[offset] ^ 1])
        tried += 1
        if not bus.send(bytes(data)):
            restarts += 1
            bus = Bus(env).welcome()
    env.chooser.settle()
    outcome(bus)
    for offset in (4, 12):
        for value in (0, 0x7fffffff, 0xffffffff, 1 << 26):
            bus = Bus(env).welcome()
            bus.send(with_u32(good, offset, value))
            outcome(bus)
            tried += 1
    env.chooser.settle()
    assert restarts < 30, restarts
    env.hostile(boundaries.ROUTER, tried)


def test_too_long(env):
    """a message of 20 MiB, which the real router would not pass on: it costs sbportal alone"""
    bus = Bus(env).welcome()
    pid = bus.sidebus.child("sbportal")
    body = V("(ssa{sv})", ("", "T", {"x": V("s", "x" * (20 << 20))}))
    bus.say(from_client(PATH, FILE_CHOOSER, "OpenFile", body))
    env.dialog().answer(1)  # what nobody knows was left out
    peaks = [peak(pid), peak(bus.sidebus.process.pid)]
    env.note(f"a message of 20 MiB: sbportal took {peaks[0] >> 10} MiB at most, the supervisor "
             f"{peaks[1] >> 10}")
    assert peaks[1] < 32 << 10, peaks
    outcome(bus)
    env.hostile(boundaries.ROUTER)


def peak(pid):
    """KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line.split()[1] for line in f if line.startswith("VmHWM")))
