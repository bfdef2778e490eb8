# SPDX-License-Identifier: MIT
"""Whole sessions on sbrouter, dbus-daemon and dbus-broker: generated, recorded, and damaged ones."""

import os
import random
import struct

from gi.repository import Gio, GLib

from rig.recording import recorded
from rig.router import BUS, BUS_PATH, ERROR, Client
from rig.sides import BROKER, DAEMON, IDENTITY, Known, sides
from rig.wire import call, variant


# --- whole sessions, generated -----------------------------------------------------------------------

N = 4  # clients of a session


class Session:
    """What N clients do at random, the same on each side; unique names are those of the side."""

    def __init__(self, chance):
        self.chance = chance
        self.asked = []  # (caller, callee, serial) of calls that may be answered
        self.serial = 10000

    def destination(self):
        return self.chance.choice(["t.One", "t.Two", "t.Nobody", ":1.4711", BUS] +
                                  list(range(N)) * 2)

    def body(self):
        return self.chance.choice([None, variant("(s)", "x"), variant("(so)", "a.b", "/a/b"),
                                   variant("(a{sv})", {"k": GLib.Variant("u", 7)})])

    def message(self, kind):
        m = Gio.DBusMessage()
        m.set_message_type(kind)
        self.serial += 1
        m.set_serial(self.serial)
        body = self.body()
        if body:
            m.set_body(body)
        flags = self.chance.choice([0, 0, 0, 1, 2, 3, 4])
        m.set_flags(Gio.DBusMessageFlags(flags))
        if self.chance.randrange(6) == 0:
            m.set_byte_order(Gio.DBusMessageByteOrder.BIG_ENDIAN)
        return m

    def call(self, who):
        m = self.message(Gio.DBusMessageType.METHOD_CALL)
        m.set_path(self.chance.choice(["/", "/a/b"]))
        m.set_member(self.chance.choice(["M", "N"]))
        if self.chance.randrange(5):
            m.set_interface("t.T")
        to = self.destination()
        if not m.get_flags() & Gio.DBusMessageFlags.NO_REPLY_EXPECTED:
            self.asked.append((who, to, m.get_serial()))
        return m, to

    def signal(self, _):
        m = self.message(Gio.DBusMessageType.SIGNAL)
        m.set_path(self.chance.choice(["/", "/a/b"]))
        m.set_interface("t.T")
        m.set_member(self.chance.choice(["M", "N"]))
        return m, self.chance.choice([None, None, self.destination()])

    def reply(self, who):
        """The right answer to a call, or a wrong one: again, from another, to another, of another call."""
        m = self.message(self.chance.choice([Gio.DBusMessageType.METHOD_RETURN,
                                             Gio.DBusMessageType.ERROR]))
        if m.get_message_type() == Gio.DBusMessageType.ERROR:
            m.set_error_name("t.Error")
        mine = [a for a in self.asked if a[1] == who]
        caller, _, serial = self.chance.choice(mine or self.asked or [(0, 0, 1)])
        if self.chance.randrange(4) == 0:
            caller = self.chance.randrange(N)
        m.set_reply_serial(serial)
        return m, caller

    def step(self, players):
        who = self.chance.randrange(N)
        what = self.chance.choice(["call"] * 4 + ["signal"] * 3 + ["reply"] * 4 +
                                  ["name", "name", "rule", "rule", "unrule", "leave"])
        if what in ("call", "signal", "reply"):
            m, to = getattr(self, what)(who)
            self.send(players, who, m, to)
            return what, who, int(m.get_flags())
        elif what == "leave":
            self.asked = [a for a in self.asked if who not in a]
            for side in players:
                side.clients[who].close()
                self.settle(side, who)
                side.connect(who)
        else:
            self.ask(players, who, what)
        return what, who, 0

    def send(self, players, who, m, to):
        for side in players:
            copy = m.copy()
            if to is not None:
                copy.set_destination(side.clients[to].name if isinstance(to, int) else to)
            side.clients[who].send(copy.to_blob(Gio.DBusCapabilityFlags.NONE))

    def ask(self, players, who, what):
        name = self.chance.choice(["t.One", "t.Two"])
        rule = self.chance.choice(["type='signal'", "member='M'", "sender='t.One'", "arg0='x'",
                                   "path_namespace='/a'", f"sender='{BUS}'", "type='method_call'"])
        member, body = {"name": (self.chance.choice(["RequestName", "ReleaseName"]), None),
                        "rule": ("AddMatch", variant("(s)", rule)),
                        "unrule": ("RemoveMatch", variant("(s)", rule))}[what]
        if member == "RequestName":
            body = variant("(su)", name, self.chance.choice([0, 1, 3, 4, 5, 7]))
        for side in players:
            side.clients[who].send(call(BUS_PATH, BUS, member, body or variant("(s)", name),
                                        serial=self.serial))
        self.serial += 1

    @staticmethod
    def settle(side, gone):
        """Until the bus has seen it go."""
        other = side.clients[(gone + 1) % N]
        name = variant("(s)", side.clients[gone].name)
        while True:
            serial = other.next_serial()
            other.send(call(BUS_PATH, BUS, "NameHasOwner", name, serial=serial))
            while (m := other.message()).get_reply_serial() != serial or m.get_sender() != BUS:
                side.kept[(gone + 1) % N].append(side.described(m))
            if m.get_body().unpack() == (False,):
                return


def without_errors(heard):
    """The same without what the bus itself says went wrong."""
    return [[m for m in messages if m[:2] != (3, BUS)] for messages in heard]


def in_any_order(heard):
    return [sorted(messages, key=repr) for messages in heard]


SESSION_KNOWN = (
    (DAEMON, lambda k, ours, theirs: k[1][0] == "reply" and without_errors(theirs) == ours,
     "an answer that nobody waits for is dropped; dbus-daemon tells its sender that it may not.  "
     "(Specification, Message Routing: an error is for a method call that cannot be sent.)"),
    (DAEMON, lambda k, ours, theirs: k[1][0] == "call" and k[1][2] & 1 and
     without_errors(theirs) == ours,
     "NO_REPLY_EXPECTED: \"the reply should be omitted\", errors included; dbus-daemon sends them"),
    (DAEMON, lambda k, ours, theirs: k[1][0] == "signal" and without_errors(theirs) == ours,
     "a signal to nobody is lost; dbus-daemon answers it, though no signal expects a reply"),
    (DAEMON, lambda k, ours, theirs: k[1][0] == "leave" and in_any_order(ours) == in_any_order(theirs),
     "who leaves several names and calls behind: all hear the same, in another order.  (The "
     "specification, Message Bus Names, has the unique name last; that is test_name_signals.)"),
    (BROKER, lambda k, ours, theirs: k[1][0] == "leave" and in_any_order(ours) == in_any_order(theirs),
     "the same"),
)


def play_sessions(env, players):
    known, steps = Known(*SESSION_KNOWN), 0
    for seed in range(24):
        session = Session(random.Random(seed))
        for _ in range(150):
            done = session.step(players)
            heard = [side.all_heard(done[1]) for side in players]
            known.compare((seed, done), players, heard)
            steps += 1
        for side in players:  # the next one begins without anybody's names, rules and calls
            for place in range(N):
                side.clients[place].close()
                Session.settle(side, place)
                side.connect(place)
            side.all_heard(0)
    known.end()
    env.note(f"{steps} steps")


def test_sessions(env):
    """24 sessions of 150 steps: every message that any of 4 clients gets is the same, in the same order"""
    play_sessions(env, sides(env, N, [""]))


def test_sessions_newer(env):
    """the same with dbus-daemon 1.16 and dbus-broker 37"""
    play_sessions(env, sides(env, N, [env.newer_buses]))


# --- whole sessions, of real clients -------------------------------------------------------------------

COMMANDS = (
    ["dbus-send", "--bus={address}", "--print-reply", "--dest=" + BUS, "/", BUS + ".ListNames"],
    ["dbus-send", "--bus={address}", "--type=signal", "/a", "t.T.M", "string:x", "uint32:7"],
    ["dbus-send", "--bus={address}", "--print-reply", "--dest=" + BUS, BUS_PATH,
     BUS + ".Properties.GetAll", "string:" + BUS],
    ["gdbus", "call", "--address", "{address}", "-d", BUS, "-o", BUS_PATH, "-m", BUS + ".GetId"],
    ["gdbus", "emit", "--address", "{address}", "-o", "/a", "-s", "t.T.M", "'x'"],
    ["gdbus", "introspect", "--address", "{address}", "-d", BUS, "-o", BUS_PATH],
    ["busctl", "--address={address}", "call", BUS, BUS_PATH, BUS, "GetNameOwner", "s", BUS],
    ["busctl", "--address={address}", "introspect", BUS, BUS_PATH],
    ["busctl", "--address={address}", "emit", "/a", "t.T", "M", "s", "x"],
    ["/usr/bin/python3", "-c", "import dbus.bus; b = dbus.bus.BusConnection('{address}'); "
     "b.request_name('t.P'); b.add_match_string(\"member='M'\"); b.list_names(); b.release_name('t.P')"],
)


def replay(side, said):
    """What a client that sends these bytes gets: SASL's words, then messages."""
    lines, messages = said.split(b"BEGIN\r\n", 1)
    with Client(side.bus.path, authenticate=False) as c:
        c.send(said + call("/", BUS + ".Peer", "Ping", serial=0x7fffffff))
        found = [c.line().split()[0] for _ in range(lines.count(b"\r\n"))]
        names = {}
        while True:
            m = c.message()
            if m is None:
                return found + ["hung up"]
            if m.get_reply_serial() == 0x7fffffff:
                return found
            body = m.get_body()
            # Values are another bus's own; what is said of them is not.
            found.append((int(m.get_message_type()), m.get_member(), m.get_error_name(),
                          m.get_reply_serial(), m.get_signature(),
                          m.get_destination() == names.setdefault("me", m.get_destination()),
                          body is not None))


RECORDED_KNOWN = (
    (BROKER, lambda k, *_: k[:2] == ["gdbus", "introspect"],
     "GetAll \"with a valid interface name which contains no properties, an empty array should be "
     "returned\" (Properties); dbus-broker answers UnknownInterface"),
)


def test_recorded(env):
    """what dbus-send, gdbus, busctl and python3-dbus say, recorded and said again to each bus"""
    players = sides(env, 1)
    known = Known(*RECORDED_KNOWN)
    for argv in COMMANDS:
        said = recorded(env.tmp, players[0].bus.path, argv)
        assert said.startswith(b"\0AUTH") and b"BEGIN\r\n" in said, said[:100]
        known.compare(argv, players, [replay(side, said) for side in players])
    known.end()


# --- authentication ------------------------------------------------------------------------------------

UID = str(os.getuid()).encode().hex().encode()
SASL = [b"AUTH\r\n", b"AUTH EXTERNAL " + UID + b"\r\n", b"AUTH EXTERNAL\r\nDATA\r\n",
        b"AUTH EXTERNAL\r\nDATA " + UID + b"\r\n", b"AUTH EXTERNAL \r\n", b"AUTH EXTERNAL zz\r\n",
        b"AUTH EXTERNAL 3\r\n", b"AUTH NOTHING\r\n", b"AUTH NOTHING 30\r\n", b"AUTH ANONYMOUS\r\n",
        b"auth EXTERNAL " + UID + b"\r\n", b"CANCEL\r\n", b"ERROR\r\n", b"ERROR \"what\"\r\n", b"DATA\r\n",
        b"DATA 30\r\n", b"OK\r\n", b"NONSENSE\r\n", b"\r\n", b" AUTH\r\n", b"NEGOTIATE_UNIX_FD\r\n",
        b"BEGIN\r\n", b"AUTH EXTERNAL\r\nCANCEL\r\n", b"AUTH EXTERNAL\r\nERROR\r\n",
        b"AUTH EXTERNAL\r\nAUTH EXTERNAL " + UID + b"\r\n", b"AUTH EXTERNAL\r\nBEGIN\r\n",
        b"AUTH EXTERNAL " + UID + b"\r\nAUTH EXTERNAL " + UID + b"\r\n",
        b"AUTH EXTERNAL " + UID + b"\r\nCANCEL\r\n", b"AUTH EXTERNAL " + UID + b"\r\nDATA\r\n",
        b"AUTH EXTERNAL " + UID + b"\r\nNEGOTIATE_UNIX_FD\r\n",
        b"AUTH EXTERNAL " + UID + b"\r\nNEGOTIATE_UNIX_FD\r\nNEGOTIATE_UNIX_FD\r\n",
        b"AUTH EXTERNAL " + UID + b"\r\nNEGOTIATE_UNIX_FD\r\nCANCEL\r\nAUTH EXTERNAL " + UID + b"\r\n"]


def conversation(side, data):
    """The first words of its answers, and how it ends, if it does."""
    with Client(side.bus.path, authenticate=False) as c:
        for line in (b"\0" + data).splitlines(True):
            c.send(line)
        c.send(b"STOP\r\n" if not data.endswith(b"BEGIN\r\n") else b"")
        words = []
        expected = data.count(b"\r\n") + 1
        while len(words) < expected:
            if b"\r\n" not in c.buffer and not c._more():
                return words + ["hung up"]
            while b"\r\n" in c.buffer:
                words.append(c.line().split(b" ")[0].decode())
        return words


SASL_KNOWN = (
    (DAEMON, lambda k, *_: b"zz" in k or k == b"AUTH EXTERNAL 3\r\n",
     "an initial response that is no hex: \"MECH(RESP) returns REJECTED\" (Server states)"),
    (DAEMON, lambda k, ours, theirs: b"DATA 30" in k and "OK" in ours and "REJECTED" in theirs,
     "another user's id: who may connect was decided before, and what a peer says of itself changes "
     "nothing (sasl.h)"),
    (BROKER, lambda k, ours, theirs: b"DATA 30" in k and "OK" in ours and "REJECTED" in theirs,
     "the same"),
    (BROKER, lambda k, ours, theirs: theirs[-1] == "hung up" and theirs[:-1] == ours[:len(theirs) - 1],
     "\"Receive anything else: send ERROR, goto WaitingForAuth\"; dbus-broker has enough after two"),
)


def test_authentication(env):
    """32 ways to authenticate, or not to, and 600 in random order: the same answers"""
    chance = random.Random(4)
    players = sides(env, 1)
    known = Known(*SASL_KNOWN)
    lines = sorted({line for data in SASL for line in data.splitlines(True)} - {b"BEGIN\r\n"})
    mixed = [b"".join(chance.choices(lines, k=chance.choice([2, 3, 3, 4, 5]))) for _ in range(600)]
    for data in SASL + mixed:
        known.compare(data, players, [conversation(side, data) for side in players])
    known.end()


# --- damaged messages ------------------------------------------------------------------------------------

def damaged(chance):
    """A call to the bus with a byte or two of it changed."""
    m = Gio.DBusMessage.new_method_call(BUS, BUS_PATH, BUS, "NameHasOwner")
    m.set_serial(77)
    m.set_body(variant("(s)", "t.One"))
    if chance.randrange(3) == 0:
        m.set_byte_order(Gio.DBusMessageByteOrder.BIG_ENDIAN)
    data = bytearray(m.to_blob(Gio.DBusCapabilityFlags.NONE))
    for _ in range(chance.choice([1, 1, 2])):
        data[chance.randrange(len(data))] = chance.choice(
            [0, 1, 2, 3, 4, 5, 8, 9, 32, 64, 127, 128, 255] + [ord(c) for c in "hsogvayu(){}./:"])
    return bytes(data)


def verdict(side, data):
    """Whether who sends it is cut off; else what is answered to it."""
    with Client(side.bus.path, mechanism=IDENTITY) as c:
        c.send(data + call("/", BUS + ".Peer", "Ping", serial=0x7fffffff))
        for _ in range(3):  # the bus looks at everybody in turn: then it has seen this one
            assert side.clients[0].alive()
        c.socket.setblocking(False)
        answer = "nothing"
        try:
            while m := c.message():
                if m.get_reply_serial() == 0x7fffffff:
                    return answer
                if m.get_sender() == BUS and m.get_reply_serial() > 1:
                    answer = m.get_error_name() or str(m.get_body())
            return "cut off"
        except BlockingIOError:
            return "waits"  # for the rest of a message that is longer now


class Fixed:
    """The fixed part of a header."""

    def __init__(self, data):
        order = "<" if data[:1] == b"l" else ">"
        _, self.type, self.flags, _, self.n_body, _, self.n_fields = \
            struct.unpack(order + "cBBBIII", data[:16])


DAMAGED_KNOWN = (
    (DAEMON, lambda k, ours, theirs: ours == "cut off" and theirs == "waits" and
     Fixed(k).n_fields > 65536,
     "no header is longer than 64 KiB here (limits.h); dbus-daemon waits for more"),
    (BROKER, lambda k, ours, theirs: ours == "cut off" and theirs == "waits" and
     Fixed(k).n_fields > 65536, "the same"),
    (DAEMON, lambda k, ours, theirs: ours == "waits" and theirs == "cut off" and
     Fixed(k).n_body > 1 << 25,
     "\"The maximum length of a message is 128 MiB\"; dbus-daemon's limit is 32 MiB"),
    (DAEMON, lambda k, ours, theirs: ours == "nothing" and Fixed(k).type > 4,
     "\"Unknown types must be ignored\" (Message Format); dbus-daemon answers AccessDenied"),
    (DAEMON, lambda k, ours, theirs: ours == "nothing" and Fixed(k).flags & 1,
     "NO_REPLY_EXPECTED: \"the reply should be omitted\""),
    (DAEMON, lambda k, ours, theirs: theirs == "nothing" and b"\6\1s\0" not in k,
     "\"if the DESTINATION field is absent, the call is [...] interpreted by the message bus itself\" "
     "(Message Routing); of all calls dbus-daemon does so for Peer's only"),
    (BROKER, lambda k, ours, theirs: theirs == ERROR + "UnknownMethod" and b"\6\1s\0" not in k,
     "the same"),
)


def test_damaged(env):
    """1500 damaged messages: cut off alike, answered alike"""
    chance = random.Random(5)
    players = sides(env, 1)
    known, cut = Known(*DAMAGED_KNOWN), 0
    for _ in range(1500):
        data = damaged(chance)
        found = [verdict(side, data) for side in players]
        cut += found[0] == "cut off"
        known.compare(data, players, found)
    assert 300 < cut < 1400, cut
    known.end()


def test_descriptor_index(env):
    """a value of type h that names no descriptor: the sender is cut off, with the others it is passed on

    On the wire it is "the index to the file descriptor in the array of file descriptors that accompany
    the message" (Marshaling): what points outside is no value.  The receiver can do nothing good with
    it, and here it may be a program of the host that reads what a hostile guest wrote."""
    found = {}
    for side in sides(env, 1):
        receiver = side.clients[0]
        m = Gio.DBusMessage.new_signal("/", "t.T", "M")
        m.set_serial(5)
        m.set_destination(receiver.name)
        m.set_body(variant("(u)", 0))
        data = m.to_blob(Gio.DBusCapabilityFlags.NONE).replace(b"\1u\0", b"\1h\0")
        with Client(side.bus.path, mechanism=IDENTITY) as c:
            c.send(data + call("/", BUS + ".Peer", "Ping", serial=50))
            answered = c.reply(50) is not None
        receiver.send(call("/", BUS + ".Peer", "Ping", serial=51))
        while struct.pack("<I", 51) not in receiver.buffer:
            assert receiver._more()
        found[side.name] = answered, b"\1h\0" in receiver.buffer
        receiver.buffer = b""
    assert found == {"sbrouter": (False, False), DAEMON: (True, True), BROKER: (True, True)}, found
