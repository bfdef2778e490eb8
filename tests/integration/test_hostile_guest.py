# SPDX-License-Identifier: MIT
"""A guest that breaks the rules, behind sbagent: it is answered or cut off, others never notice."""

import os
import random
import threading

from gi.repository import Gio

from rig import boundaries
from rig.guest import DESKTOP, FILE_CHOOSER, PATH, PROPERTIES, GLib, error_name, pump
from rig.processes import wait_for
from rig.wire import RawClient, call, hello, with_u32

BUS = "org.freedesktop.DBus"
PEER = "org.freedesktop.DBus.Peer"


def raw(env, **arguments):
    return env.closing(RawClient(env.agent.socket, **arguments))


class Others:
    """A client with a dialog open while another misbehaves: the dialog ends as if nothing were."""

    def __init__(self, env):
        self.env = env
        self.pids = (env.sidebus.process.pid, *sorted(env.sidebus.children()))
        self.client = env.client()
        self.request = self.client.open_file(title="of a good client")
        self.dialog = env.dialog()

    def unharmed(self, tried=1):
        """tried: how often the other has broken the rules."""
        self.env.hostile(boundaries.GUEST, tried)
        running = (self.env.sidebus.process.pid, *sorted(self.env.sidebus.children()))
        assert running == self.pids, (self.pids, running)
        assert not self.dialog.closed
        self.dialog.answer(1)
        assert self.request.wait()[0] == 1
        assert not self.env.chooser.opened()


def test_garbage(env):
    """garbage instead of a greeting, of SASL, of a message"""
    others = Others(env)
    noise = random.Random(1).randbytes(100000)
    for first in (noise, b"\0" + noise, b"\0\xff\r\n" * 1000, b"GET / HTTP/1.1\r\n\r\n", b"\n" * 300,
                  b"SIDEBUS/2 CLIENT\n", b"SIDEBUS/1 NOTHING\n"):
        stranger = raw(env, authenticate=False)
        stranger.send(first)
        assert stranger.is_cut_off(), first[:20]
    stranger = raw(env)
    stranger.send(noise)
    assert stranger.is_cut_off()
    others.unharmed(8)


def test_endless_sasl(env):
    """an endless line of SASL"""
    others = Others(env)
    stranger = raw(env, authenticate=False)
    stranger.send(b"\0AUTH EXTERNAL ")
    while stranger.send(b"3" * 65536):
        pass
    others.unharmed()


def test_endless_sasl_lines(env):
    """SASL that never comes to BEGIN"""
    others = Others(env)
    stranger = raw(env, authenticate=False)
    stranger.send(b"\0")
    while stranger.send(b"AUTH UNKNOWN\r\n" * 64):
        if not stranger._more():
            break
    others.unharmed()


def test_half_message(env):
    """half a message and then nothing: nobody waits for the rest"""
    others = Others(env)
    stranger = raw(env)
    stranger.say_hello()
    message = call(PATH, FILE_CHOOSER, "OpenFile", destination=DESKTOP, serial=2)
    for part in (message[:7], message[7:20]):
        stranger.send(part)
        assert env.client().get(FILE_CHOOSER, "version")
    # And the rest later is still a message.
    stranger.send(message[20:])
    assert stranger.reply(2).get_error_name() is not None
    others.unharmed()


def test_huge_length(env):
    """a message that says it is 128 MiB and more: cut off, no memory taken"""
    others = Others(env)
    before = {pid: resident(pid) for pid in env.sidebus.children()}
    for offset, size in ((4, 1 << 27), (4, 0xffffffff), (12, 1 << 27), (12, 0xfffffff8)):
        stranger = raw(env)
        stranger.say_hello()
        stranger.send(with_u32(call(PATH, PEER, "Ping", serial=2), offset, size))
        assert stranger.is_cut_off(), (offset, size)
    # One that is just allowed but never comes takes no memory either.
    stranger = raw(env)
    stranger.say_hello()
    stranger.send(with_u32(call(PATH, PEER, "Ping", serial=2), 4, (1 << 27) - 4096))
    stranger.send(b"\0" * 100000)
    assert env.client().get(FILE_CHOOSER, "version")
    for pid, argv in env.sidebus.children().items():
        if os.path.basename(argv[0] if argv else "") == "sbrouter":
            assert resident(pid) < before[pid] + (16 << 20), argv
    others.unharmed(5)


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_wrong_serial(env):
    """a message with the serial 0"""
    others = Others(env)
    stranger = raw(env)
    stranger.say_hello()
    stranger.send(with_u32(call(PATH, PEER, "Ping", serial=2), 8, 0))
    assert stranger.is_cut_off()
    others.unharmed()


def test_before_hello(env):
    """a message before Hello, and Hello twice"""
    others = Others(env)
    stranger = raw(env)
    stranger.send(call(PATH, PEER, "Ping", destination=DESKTOP))
    answer = stranger.reply(1)
    assert answer is None or answer.get_error_name() is not None
    stranger = raw(env)
    stranger.say_hello()
    stranger.send(hello(serial=2))
    assert stranger.reply(2).get_error_name() is not None
    others.unharmed(2)


def test_forged_sender(env):
    """a forged sender: the receiver sees the true one"""
    others = Others(env)
    seen = []
    others.client.bus.signal_subscribe(None, "org.example.Test", "Signal", None, None, 0,
                                       lambda _b, sender, *_: seen.append(sender))
    others.client.get(FILE_CHOOSER, "version")  # the match is in place
    stranger = raw(env)
    name = stranger.say_hello()
    for sender in (BUS, DESKTOP, others.client.name):
        signal = Gio.DBusMessage.new_signal("/x", "org.example.Test", "Signal")
        signal.set_sender(sender)
        signal.set_serial(7)
        stranger.send(signal.to_blob(0))
    wait_for("three signals", lambda: pump() or len(seen) == 3)
    assert seen == [name] * 3, (name, seen)
    others.unharmed(3)


def test_reply_nobody_asked(env):
    """a reply to a call that was never made reaches nobody"""
    others = Others(env)
    stranger = raw(env)
    stranger.say_hello()
    for serial in range(1, 200):
        reply = Gio.DBusMessage()
        reply.set_message_type(Gio.DBusMessageType.METHOD_RETURN)
        reply.set_serial(1000 + serial)
        reply.set_reply_serial(serial)
        reply.set_destination(others.client.name)
        stranger.send(reply.to_blob(0))
    assert others.client.get(FILE_CHOOSER, "version")
    others.unharmed(199)


BUILT_IN = (
    (PEER, "Ping", None),
    (PEER, "GetMachineId", None),
    ("org.freedesktop.DBus.Introspectable", "Introspect", None),
    ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None),
    (PROPERTIES, "GetAll", ("(s)", ("",))),
    (PROPERTIES, "GetAll", ("(s)", (PEER,))),
    (PROPERTIES, "Get", ("(ss)", ("", "version"))),
    (PROPERTIES, "Get", ("(ss)", (PROPERTIES, "x"))),
    (PROPERTIES, "Set", ("(ssv)", (FILE_CHOOSER, "version", ("u", 9)))),
    (PROPERTIES, "Set", ("(ssv)", ("", "", ("s", "")))),
    ("org.freedesktop.DBus.Debug.Stats", "GetStats", None),
    ("org.freedesktop.LogControl1", "Ping", None),
)


def test_built_in(env):
    """Peer.GetMachineId and all else sd-bus answers by itself, asked of the portal"""
    others = Others(env)
    with open("/etc/machine-id", encoding="ascii") as f:
        host_id = f.read().strip()
    client = env.client()
    for path in (PATH, "/", "/org", "/org/freedesktop/DBus", "/org/freedesktop/LogControl1",
                 others.request.path, PATH + "/request", PATH + "/session/1_1/x"):
        for interface, member, arguments in BUILT_IN:
            body = arguments and GLib.Variant(arguments[0], tuple(
                GLib.Variant(*a) if isinstance(a, tuple) else a for a in arguments[1]))
            try:
                reply = client.call(path, interface, member, body)
            except GLib.Error as e:
                assert error_name(e), e
                continue
            assert host_id not in str(reply), (path, interface, member, reply)
            assert member != "Set", (path, reply)
    others.unharmed(8 * len(BUILT_IN))


def test_machine_id(env):
    """Peer.GetMachineId tells an id of the VM's own: the same from the bus and the portal"""
    client = env.client()
    ids = {client.call(path, PEER, "GetMachineId", destination=name)[0]
           for name, path in ((DESKTOP, PATH), (BUS, "/org/freedesktop/DBus"))}
    with open("/etc/machine-id", encoding="ascii") as f:
        assert len(ids) == 1 and len(ids.copy().pop()) == 32 and f.read().strip() not in ids


def test_no_reply_expected(env):
    """calls that want no reply get none, not even an error; the portal goes on"""
    others = Others(env)
    stranger = raw(env)
    stranger.say_hello()
    for serial, (interface, member) in enumerate(((PEER, "Ping"), (FILE_CHOOSER, "OpenFile"),
                                                  ("x.y", "Z")), 2):
        message = Gio.DBusMessage.new_method_call(DESKTOP, PATH, interface, member)
        message.set_flags(Gio.DBusMessageFlags.NO_REPLY_EXPECTED)
        message.set_serial(serial)
        stranger.send(message.to_blob(0))
    stranger.send(call(PATH, PEER, "Ping", destination=DESKTOP, serial=9))
    while True:
        message = stranger.message()
        if message.get_message_type() != Gio.DBusMessageType.SIGNAL:
            break
    assert message.get_reply_serial() == 9
    others.unharmed()


def test_other_endian(env):
    """a client of the other byte order opens a file"""
    stranger = raw(env)
    name = stranger.say_hello()
    message = Gio.DBusMessage.new_method_call(DESKTOP, PATH, FILE_CHOOSER, "OpenFile")
    big = Gio.DBusMessageByteOrder.BIG_ENDIAN
    message.set_byte_order(big if message.get_byte_order() != big
                           else Gio.DBusMessageByteOrder.LITTLE_ENDIAN)
    message.set_serial(2)
    message.set_body(GLib.Variant("(ssa{sv})", ("", "Other way round", {
        "handle_token": GLib.Variant("s", "be"), "modal": GLib.Variant("b", False)})))
    stranger.send(message.to_blob(0))
    dialog = env.dialog()
    assert dialog.title.endswith("Other way round") and dialog.options["modal"] is False
    assert stranger.reply(2).get_body().unpack()[0] == \
        f"{PATH}/request/{name[1:].replace('.', '_')}/be"
    dialog.answer(1)
    while True:
        message = stranger.message()
        if message.get_member() == "Response":
            break
    assert message.get_body().unpack()[0] == 1


def test_slow_reader(env):
    """a client that calls and never reads hurts only itself"""
    others = Others(env)
    stranger = raw(env)
    stranger.say_hello()
    flood = b"".join(call(PATH, "org.freedesktop.DBus.Introspectable", "Introspect",
                          destination=DESKTOP, serial=n) for n in range(2, 2000))
    stranger.socket.settimeout(1)
    sender = threading.Thread(target=lambda: send_until_stuck(stranger, flood))
    sender.start()
    for _ in range(50):
        assert others.client.get(FILE_CHOOSER, "version")
    sender.join()
    stranger.close()
    others.unharmed(1998)


def send_until_stuck(stranger, flood):
    try:
        for _ in range(20):
            if not stranger.send(flood):
                return
    except TimeoutError:
        return


def test_many_connections(env):
    """hundreds of connections that say nothing, or half of it: who comes then still gets its dialog"""
    others = Others(env)
    idle = [raw(env, authenticate=False) for _ in range(300)]
    assert others.client.get(FILE_CHOOSER, "version")
    assert raw(env).say_hello() and env.client().get(FILE_CHOOSER, "version")
    for first in (b"\0", b"\0AUTH EXTERNAL 30\r\n", b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n"):
        for _ in range(100):
            stranger = raw(env, authenticate=False)
            stranger.send(first)
            idle.append(stranger)
        newcomer = env.client()
        assert newcomer.get(FILE_CHOOSER, "version")
        request = newcomer.open_file(title="of one that came late")
        env.dialog().answer(1)
        assert request.wait()[0] == 1
    assert "does not answer" not in env.agent.log()
    for stranger in idle:
        stranger.close()
    assert env.client().get(FILE_CHOOSER, "version")
    others.unharmed(600)
