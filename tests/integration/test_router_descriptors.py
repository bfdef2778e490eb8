# SPDX-License-Identifier: MIT
"""Descriptors on sbrouter: passed with their message, to whoever takes them, and never left behind."""

import os
import socket
import struct

from rig.router import ERROR, PING, Watched
from rig.wire import CALL, RETURN, SIGNAL, call, fixed, variant


def fd_signal(destination, n, indices=0):
    fields = [(1, b"o", b"/"), (2, b"s", b"t.T"), (3, b"s", b"Fds"),
              (6, b"s", destination.encode()), (9, b"u", n), (8, b"g", b"h" * indices)]
    return fixed(SIGNAL, 50, fields, struct.pack(f"<{indices}I", *range(indices)))


def received_fds(c, until):
    """The descriptors that come with the stream up to those bytes."""
    found = []
    data = b""
    while until not in data:
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
    """as many descriptors as the bus may have, many times over: none is kept"""
    bus = Watched(env)
    sender, receiver = bus.client(fds=True), bus.client(fds=True)
    with open("/dev/null", "rb") as null:
        for i in range(600):
            socket.send_fds(sender.socket, [fd_signal(receiver.name, 16)], [null.fileno()] * 16)
            for fd in received_fds(receiver, b"Fds"):
                os.close(fd)
            if i % 100 == 0:
                assert bus.witness.alive()
        # Not read at all: the queue's limit holds, and nobody is closed.
        for _ in range(100):
            socket.send_fds(sender.socket, [fd_signal(receiver.name, 16)], [null.fileno()] * 16)
        assert sender.alive() and bus.witness.alive()
        assert bus.witness.ask("NameHasOwner", variant("(s)", receiver.name)) == (True,)
