# SPDX-License-Identifier: MIT
"""Descriptors on sbrouter: passed with their message, to whoever takes them, and never left behind."""

import contextlib
import os
import resource
import socket
import struct
import time

from rig.limits import limit
from rig.processes import wait_for
from rig.router import BUS, ERROR, PING, Watched, asleep
from rig.wire import CALL, NAMED, RETURN, SIGNAL, bytes_message, call, fixed, variant


def fd_signal(destination, n, indices=0):
    fields = [(1, b"o", b"/"), (2, b"s", b"t.T"), (3, b"s", b"Fds"),
              (6, b"s", destination.encode()), (9, b"u", n), (8, b"g", b"h" * indices)]
    return fixed(SIGNAL, 50, fields, struct.pack(f"<{indices}I", *range(indices)))


def received_fds(c, until, n=0):
    """The descriptors that come with the stream up to those bytes, and at least n of them."""
    found = []
    data = b""
    while until not in data or len(found) < n:
        got, fds, flags, _ = socket.recv_fds(c.socket, 65536, 64)
        assert got and not flags & socket.MSG_CTRUNC
        data += got
        found += fds
    return found


def test_fd_passing(env):
    """descriptors arrive with their message, in order, and work"""
    bus = Watched(env)
    sender, receiver = bus.client(fds=True), bus.client(fds=True)
    for n in (1, 2, 16):
        pipes = [os.pipe() for _ in range(n)]
        socket.send_fds(sender.socket, [fd_signal(receiver.name, n, n)], [w for _, w in pipes])
        fds = received_fds(receiver, b"Fds")
        assert len(fds) == n
        for i, (fd, (r, w)) in enumerate(zip(fds, pipes)):
            os.write(fd, b"%d" % i)
            os.close(fd)
            os.close(w)
            assert os.read(r, 10) == b"%d" % i and os.read(r, 10) == b""  # no copy is left
            os.close(r)


def test_fd_rules(env):
    """descriptors not negotiated, too many, too few, unannounced: cut off, and none is kept"""
    bus = Watched(env)
    receiver = bus.client(fds=True)
    r, w = os.pipe()
    cases = [(False, fd_signal(receiver.name, 1), 1), (False, PING, 1), (True, PING, 1),
             (True, fd_signal(receiver.name, 2), 1), (True, fd_signal(receiver.name, 1), 2),
             (True, fd_signal(receiver.name, 1), 0), (True, fd_signal(receiver.name, 17), 17),
             (True, PING, 40), (True, fd_signal(receiver.name, 1, 2), 1), (True, PING[:20], 17)]
    for negotiated, data, n in cases:
        c = bus.router.client(fds=negotiated)
        socket.send_fds(c.socket, [data], [w] * n)
        if data == PING[:20]:
            c.close()  # in the middle of a message
            continue
        assert c.is_cut_off(), (negotiated, len(data), n)
        c.close()
        assert bus.witness.alive()
    os.close(w)
    del receiver
    for c in bus.env.to_close[1:]:
        c.close()
    assert os.read(r, 1) == b""  # the last writer is closed: the bus kept none
    os.close(r)


def test_fd_to_one_without(env):
    """descriptors for one who cannot receive them: an error for the caller, the signal is lost"""
    bus = Watched(env)
    sender, plain, other = bus.client(fds=True), bus.client(), bus.client(fds=True)
    fields = [(1, b"o", b"/"), (2, b"s", b"t.T"), (3, b"s", b"M"),
              (6, b"s", plain.name.encode()), (9, b"u", 1)]
    with open("/dev/null", "rb") as null:
        socket.send_fds(sender.socket, [fixed(CALL, 60, fields)], [null.fileno()])
        assert sender.result(60) == ERROR + "NotSupported"
        plain.add_match("member='M'")
        other.add_match("member='M'")
        broadcast = [f for f in fields if f[0] != 6]
        socket.send_fds(sender.socket, [fixed(SIGNAL, 61, broadcast)], [null.fileno()])
        assert sender.alive()
        for fd in received_fds(other, b"M\0"):
            os.close(fd)
        assert plain.signals() == []
        # An answer with descriptors: the caller learns that it cannot have them.
        serial = plain.next_serial()
        plain.send(call("/", "t.T", "M", destination=sender.name, serial=serial))
        while sender.message().get_member() != "M":
            pass
        data = fixed(RETURN, 62, [(5, b"u", serial), (6, b"s", plain.name.encode()), (9, b"u", 1)])
        socket.send_fds(sender.socket, [data], [null.fileno()])
        assert plain.result(serial) == ERROR + "NotSupported"


def test_fd_flood(env):
    """thousands of descriptors, read as they come: none is refused, and none is kept"""
    bus = Watched(env)
    sender, receiver = bus.client(fds=True), bus.client(fds=True)
    r, w = os.pipe()
    for i in range(600):
        socket.send_fds(sender.socket, [fd_signal(receiver.name, 16)], [w] * 16)
        for fd in received_fds(receiver, b"Fds"):
            os.close(fd)
        if i % 100 == 0:
            assert bus.witness.alive()
    os.close(w)
    assert os.read(r, 1) == b""
    os.close(r)


def fd_fields(receiver, path, n):
    return [(1, b"o", path), (2, b"s", b"t.T"), (3, b"s", b"Fds"),
            (6, b"s", receiver.name.encode()), (9, b"u", n)]


def send_fd_calls(sender, receiver, n, fds, count=1, serial=1000):
    """count calls with n descriptors each; the errors that come back at once."""
    for i in range(count):
        data = fixed(CALL, serial + i, fd_fields(receiver, b"/", n))
        socket.send_fds(sender.socket, [data], fds * n)
    sender.send(call("/", BUS + ".Peer", "Ping", serial=serial + count))
    found = []
    while (m := sender.message()).get_reply_serial() != serial + count:
        if m.get_error_name():
            assert serial <= m.get_reply_serial() < serial + count
            found.append(m.get_error_name())
    return found


def held_fds(bus, clients, key):
    """How many descriptors the router has open for them."""
    return sum(bus.witness.ask("GetConnectionStats", variant("(s)", c.name),
                               interface=BUS + ".Debug.Stats")[0][key] for c in clients)


FULL = ERROR + "LimitsExceeded"


def test_fd_hoarder(env):
    """one who reads no descriptors gets his share of them; who has read them gets more"""
    bus = Watched(env)
    sender, hoarder = bus.client(fds=True), bus.client(fds=True)
    each = limit(env, "MESSAGE_FDS")
    share = limit(env, "BUS_FDS") // 8
    with open("/dev/null", "rb") as null:
        fds = [null.fileno()]
        assert send_fd_calls(sender, hoarder, each, fds, 100) == [FULL] * (100 - share // each)
        for fd in received_fds(hoarder, b"Fds", share):  # nothing tells the router of it
            os.close(fd)
        assert not send_fd_calls(sender, hoarder, each, fds, 1, 5000)
        for i in range(limit(env, "BUS_FDS") // each + 1):  # and so it is with all others
            reader = bus.client(fds=True)
            assert not send_fd_calls(sender, reader, each, fds, 1, 6000 + 10 * i), i
            for fd in received_fds(reader, b"Fds", each):
                os.close(fd)
    assert hoarder.alive() and bus.witness.alive() and sender.alive()


def test_fd_of_all(env):
    """as many as the bus may have, unread by many: each gets less than the one before, and nobody is closed"""
    bus = Watched(env)
    sender, innocent = bus.client(fds=True), bus.client(fds=True)
    n, each, queue = limit(env, "BUS_FDS"), limit(env, "MESSAGE_FDS"), limit(env, "QUEUE_FDS")
    hanging = [bus.client(fds=True) for _ in range(66)]
    with open("/dev/null", "rb") as null:
        fds = [null.fileno()]
        for i, c in enumerate(hanging):
            sender.send(bytes_message(1 << 20, c.name))  # so that all of it waits in the router
            errors = send_fd_calls(sender, c, each, fds, 5, 1000 + 10 * i)
            assert set(errors) == {FULL} and len(errors) >= 5 - queue // each, (i, errors)
            if i == n // queue:  # who has none yet gets a whole message's, with so many hanging
                assert not send_fd_calls(innocent, sender, each, fds)
        held = held_fds(bus, hanging, "OutgoingFDs")
        assert n - 4 * each < held <= n, held
        assert send_fd_calls(innocent, bus.client(fds=True), each, fds, 1, 3000) == [FULL]
        assert not send_fd_calls(innocent, bus.client(fds=True), each // 8, fds, 1, 3100)
    assert innocent.alive() and sender.alive() and bus.witness.alive()
    names = bus.witness.ask("ListNames")[0]
    assert all(c.name in names for c in hanging)


def test_fd_unfinished(env):
    """descriptors of messages that are never finished: who holds the most goes, who has sent few stays"""
    bus = Watched(env)
    n, each = limit(env, "PARTIAL_FDS"), limit(env, "MESSAGE_FDS")
    innocent = bus.client(fds=True)
    data = fd_signal(bus.witness.name, 1)
    with open("/dev/null", "rb") as null:
        fds = [null.fileno()]
        socket.send_fds(innocent.socket, [data[:20]], fds)
        holders = [bus.client(fds=True) for _ in range(2 * n // each)]
        for c in holders:
            socket.send_fds(c.socket, [fd_signal(bus.witness.name, each)[:20]], fds * each)
            assert bus.witness.alive()
    names = bus.witness.ask("ListNames")[0]
    left = [c for c in holders if c.name in names]
    assert n - each < held_fds(bus, [innocent, *left], "IncomingFDs") <= n
    innocent.send(data[20:])
    assert innocent.alive() and "descriptors of unfinished messages" in bus.router.log()


def test_fd_unfinished_by_many(env):
    """as many as there may be of unfinished messages, one each: who has more, and finishes, stays"""
    bus = Watched(env)
    innocent, n = bus.client(fds=True), limit(env, "PARTIAL_FDS")
    holders = [bus.client(fds=True) for _ in range(n)]
    data = fd_signal(bus.witness.name, 1)
    with open("/dev/null", "rb") as null:
        fds = [null.fileno()]
        for c in holders:
            socket.send_fds(c.socket, [data[:20]], fds)
        assert bus.witness.alive()
        time.sleep(2 * limit(env, "CROWD_MS") / 1000)
        two = fd_signal(bus.witness.name, 2)
        for _ in range(3):
            socket.send_fds(innocent.socket, [two[:20]], fds * 2)
            assert bus.witness.alive()
            innocent.send(two[20:])
            assert innocent.alive()
    names = bus.witness.ask("ListNames")[0]
    assert len([c for c in holders if c.name not in names]) == 2


def test_fd_in_the_middle(env):
    """the same in the middle of a message, and just now: of those one goes, not who speaks next and has none"""
    bus = Watched(env)
    innocent, each = bus.client(), limit(env, "MESSAGE_FDS")
    holders = [bus.client(fds=True) for _ in range(limit(env, "PARTIAL_FDS") // each + 1)]
    message = fixed(SIGNAL, 5, [*NAMED, (6, b"s", innocent.name.encode()), (9, b"u", each),
                                (8, b"g", b"ay")], struct.pack("<I", 60000) + bytes(60000))
    for c in holders:
        c.send(message[:20000])
    with open("/dev/null", "rb") as null:
        for c in holders:
            socket.send_fds(c.socket, [message[20000:20001]], [null.fileno()] * each)
            assert innocent.alive() and bus.witness.alive()
    names = bus.witness.ask("ListNames")[0]
    left = [c for c in holders if c.name in names]
    assert len(left) == len(holders) - 1
    assert held_fds(bus, left, "IncomingFDs") == each * len(left)


def test_fd_of_a_dead_one(env):
    """who is closed in the middle of a packet of descriptors has none of the rest of it"""
    bus = Watched(env)
    innocent, each = bus.client(), limit(env, "MESSAGE_FDS")
    n = limit(env, "PARTIAL_FDS") // (each - 2) * (each - 2)
    holders = [bus.client(fds=True) for _ in range(n // (each - 2))]
    dying = bus.client(fds=True)
    message = fixed(SIGNAL, 5, [*NAMED, (6, b"s", innocent.name.encode()), (9, b"u", each),
                                (8, b"g", b"ay")], struct.pack("<I", 1 << 20) + bytes(1 << 20))
    dying.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with open("/dev/null", "rb") as null:
        fds = [null.fileno()]
        for c in holders:
            socket.send_fds(c.socket, [message[:20]], fds * (each - 2))
        assert bus.witness.alive()
        with asleep(bus):  # each of these fills what the router has for one read
            at = 0
            for size, count in ((36864, 1), (36864, 15), (73728, 16), (8, 16)):
                dying.send(message[at:at + size - 8])
                at += size
                socket.send_fds(dying.socket, [message[at - 8:at]], fds * count)
        assert innocent.alive() and bus.witness.alive()
        assert dying.name not in bus.witness.ask("ListNames")[0]
    assert held_fds(bus, holders, "IncomingFDs") == n


def test_fd_hanging(env):
    """receivers that take no descriptors leave little room for others': after 10 s they go, one by one"""
    bus = Watched(env)
    n, each = limit(env, "BUS_FDS"), limit(env, "MESSAGE_FDS")
    sender, asker = bus.client(fds=True), bus.client(fds=True)
    hanging = [bus.client(fds=True) for _ in range(n // each)]
    with open("/dev/null", "rb") as null:
        fds = [null.fileno()]
        for i, c in enumerate(hanging):
            send_fd_calls(sender, c, each, fds, 1, 1000 + 10 * i)
        start = time.monotonic()

        def passes():
            with bus.router.client(fds=True) as innocent:
                return not send_fd_calls(asker, innocent, each, fds, 1, 5000)

        assert not passes()
        assert not send_fd_calls(asker, bus.client(fds=True), 1, fds, 1, 6000)
        wait_for("room", passes, 2 * limit(env, "STALL_SECONDS"))
    assert time.monotonic() - start > limit(env, "STALL_SECONDS") - 1
    assert sender.alive() and asker.alive() and "it takes none of its own" in bus.router.log()


@contextlib.contextmanager
def most_open_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def fill_kernel(n, fds):
    """More than n descriptors of this user that were sent and not received; what holds them."""
    pairs = []
    while len(pairs) * 16 * 16 <= n:
        pairs.append(socket.socketpair())
        for _ in range(16):
            socket.send_fds(pairs[-1][0], [b"x"], fds * 16)
    return pairs


def test_fd_kernel_full(env):
    """the kernel takes no more of this user: such a message is lost, its caller learns it, nobody is closed"""
    bus = Watched(env)
    sender, receiver, monitor = (bus.client(fds=True) for _ in range(3))
    assert monitor.ask("BecomeMonitor", variant("(asu)", [], 0), interface=BUS + ".Monitoring") == ()
    with open("/dev/null", "rb") as null, most_open_files():
        fds = [null.fileno()]
        pairs = fill_kernel(limit(env, "ROUTER_FDS"), fds)
        sender.send(call("/", "t.T", "Before", destination=receiver.name, serial=6))
        assert send_fd_calls(sender, receiver, 1, fds, 2) == [FULL] * 2
        # One whose header is too long, once it is stamped, for a message that the bus takes.
        n = limit(env, "HEADER_BYTES") - len(fixed(SIGNAL, 50, fd_fields(receiver, b"/", 1)))
        socket.send_fds(sender.socket, [fixed(SIGNAL, 8, fd_fields(receiver, b"/" + b"a" * n, 1))], fds)
        sender.send(call("/", "t.T", "After", destination=receiver.name, serial=9))
        # And an answer that is lost: there the error is in its place.
        serial = receiver.next_serial()
        receiver.send(call("/", "t.T", "M", destination=sender.name, serial=serial))
        while sender.message().get_member() != "M":
            pass
        answer = [(5, b"u", serial), (6, b"s", receiver.name.encode()), (9, b"u", 1)]
        socket.send_fds(sender.socket, [fixed(RETURN, 62, answer)], fds)
        members = []
        while (m := receiver.message()).get_reply_serial() != serial:
            members.append(m.get_member())
        assert m.get_error_name() == FULL and members[-2:] == ["Before", "After"], members
        # Who watches loses its copies, too, and is told nothing that was for others.
        sender.send(call("/", "t.T", "Last", destination=receiver.name, serial=10))
        while (m := monitor.message()).get_member() != "Last":
            assert m.get_destination() != monitor.name or m.get_member() == "NameLost", m.print_(0)
        assert receiver.alive() and bus.witness.alive() and "too many descriptors" in bus.router.log()
        for pair in pairs:
            for s in pair:
                s.close()
        wait_for("room", lambda: not send_fd_calls(sender, receiver, 1, fds))
