# SPDX-License-Identifier: MIT
"""Each number of common/limits.h that is the router's: reached, and one step beyond."""

import ast
import glob
import os
import re
import resource
import signal as sig
import socket
import struct
import time

from rig.limits import limit, limits
from rig.processes import scale, wait_for
from rig.router import (BUS, BUS_PATH, ERROR, GUEST, PORTAL, PRIVATE, SUPERVISOR, VM, Client,
                        Supervised, Watched, signal)
from rig.wire import CALL, NAMED, SIGNAL, bytes_message, call, fixed, variant

SECTIONS = ["first bytes of a guest stream", "messages", "a connection of the bus"]

# These need a VM's vsock: tests/vm/test_vsock.py.
NEED_A_VM = {"VSOCK_BUFFER", "VSOCK_BUFFER_MAX", "PROBE_SECONDS"}


def test_every_limit(env):
    """each limit of the router is named by a test that reaches it, and by the code that keeps it"""
    reached = set()
    for path in glob.glob(os.path.join(env.source, "tests", "integration", "test_router*.py")):
        with open(path, encoding="utf-8") as f:
            for node in ast.walk(ast.parse(f.read())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "limit":
                    reached.add(node.args[1].value)
    ours = {name for section, name, _ in limits(env) if section in SECTIONS}
    assert len(ours) > 25, ours
    assert not ours - reached - NEED_A_VM, ours - reached - NEED_A_VM
    assert not NEED_A_VM & reached
    kept = set()
    for path in glob.glob(os.path.join(env.source, "sbrouter", "*.c")) + \
            glob.glob(os.path.join(env.source, "common", "*.c")):
        with open(path, encoding="utf-8") as f:
            kept.update(re.findall(r"\bLIMIT_(\w+)", f.read()))
    assert not ours - kept, ours - kept


def takes(bus, data, what, **arguments):
    """Whether a client that sends data lives on."""
    c = bus.client(**arguments)
    c.send(data)
    c.send(call("/", BUS + ".Peer", "Ping", serial=99))
    lives = c.reply(99) is not None
    assert bus.witness.alive(), what
    c.close()
    return lives


# --- the first bytes -----------------------------------------------------------------------------

def test_greeting_line(env):
    """an opening line of 256 bytes is read, one of 257 is refused"""
    r = env.closing(Supervised(env.build, env.tmp, env.source, VM))
    r.path = r.listen(GUEST)
    n = limit(env, "GREETING_LINE")
    for size, answer in ((n, b"SIDEBUS/1 OK"), (n + 1, b"SIDEBUS/1 ERROR")):
        line = b"SIDEBUS/1 CLIENT x="
        with env.closing(Client(r.path, authenticate=False)) as c:
            c.send(line + b"y" * (size - len(line) - 1) + b"\n")
            assert c.plain_line().startswith(answer), size


def test_sasl(env):
    """authentication: a line and a number of lines at the limit are answered, one more is not"""
    bus = Watched(env)
    n = limit(env, "SASL_LINE")
    for size, taken in ((n, True), (n + 1, False)):
        c = bus.client(authenticate=False)
        c.send(b"\0" + b"A" * (size - 2) + b"\r\n")
        if taken:
            assert c.line().startswith(b"ERROR"), size
        else:
            assert c.is_cut_off()
    n = limit(env, "SASL_LINES")
    c = bus.client(authenticate=False)
    c.send(b"\0" + b"AUTH\r\n" * (n - 1))
    assert {c.line()[:8] for _ in range(n - 1)} == {b"REJECTED"}
    c.send(b"AUTH\r\n")
    assert c.line().startswith(b"REJECTED")
    c.send(b"AUTH\r\n")
    assert c.is_cut_off() and bus.witness.alive()


# --- messages --------------------------------------------------------------------------------------

def test_message_bytes(env):
    """a message as long as one may be arrives whole, with room for the sender's name; then cut off"""
    bus = Watched(env)
    sender, receiver = bus.client(), bus.client()
    room = 272  # of the header that goes out: MESSAGE_STAMP_ROOM
    largest = limit(env, "MESSAGE_BYTES") - room
    # Two arrays: one alone may have half of this.
    head = fixed(SIGNAL, 5, NAMED + [(6, b"s", receiver.name.encode()), (8, b"g", b"ayay")])
    half = 1 << 26

    def of(size):
        rest = size - len(head) - 8 - half
        data = bytearray(head + struct.pack("<I", half) + bytes(half) + struct.pack("<I", rest) +
                         bytes(rest))
        struct.pack_into("<I", data, 4, size - len(head))
        return data

    sender.send(of(largest))
    got = receiver.socket.recv(16, socket.MSG_WAITALL)
    while got[1] != 4 or b"t.T\0" not in got:  # NameAcquired and its like come first
        receiver.buffer += got
        if b"t.T\0" in receiver.buffer:
            break
        got = receiver.socket.recv(1 << 16)
    start = receiver.buffer.index(b"t.T\0") - 40
    start = receiver.buffer.rindex(b"l\x04", 0, start + 8)
    n_body, _, n_fields = struct.unpack("<III", receiver.buffer[start + 4:start + 16])
    assert n_body == largest - len(head)
    left = 16 + (n_fields + 7) // 8 * 8 + n_body - (len(receiver.buffer) - start)
    receiver.buffer = b""
    while left > 0:
        data = receiver.socket.recv(1 << 20)
        assert data
        left -= len(data)
    assert left == 0 and receiver.alive() and sender.alive()
    sender.send(of(largest + 1)[:4096])
    assert sender.is_cut_off() and bus.witness.alive()


def test_array_bytes(env):
    """an array of 64 MiB, and of one byte more"""
    bus = Watched(env)
    n = limit(env, "ARRAY_BYTES")
    assert takes(bus, bytes_message(n), n) and not takes(bus, bytes_message(n + 1), n + 1)


def test_header_bytes(env):
    """a header of 64 KiB, and of one byte more"""
    bus = Watched(env)
    n = limit(env, "HEADER_BYTES")
    rest = len(fixed(SIGNAL, 5, [NAMED[1], NAMED[2], (1, b"o", b"/")])) - 1
    for size, taken in ((n, True), (n + 1, False)):
        path = b"/" + b"a" * (size - rest - 8)
        data = fixed(SIGNAL, 5, [NAMED[1], NAMED[2], (1, b"o", path + b"a" * 7)])
        data = data if taken else fixed(SIGNAL, 5, [*NAMED[1:], (1, b"o", path + b"a" * 17)])
        assert takes(bus, data, size) == taken, (size, len(data))


def test_depth(env):
    """64 containers in one another, and 65"""
    bus = Watched(env)
    n = limit(env, "DEPTH")
    for depth, taken in ((n, True), (n + 1, False)):
        body = b"\1v\0" * (depth - 1) + b"\1y\0" + b"\7"
        data = fixed(SIGNAL, 5, NAMED + [(8, b"g", b"v")], body)
        assert takes(bus, data, depth) == taken, depth


def test_message_fds(env):
    """16 descriptors in a message, and 17"""
    bus = Watched(env)
    n = limit(env, "MESSAGE_FDS")
    with open("/dev/null", "rb") as null:
        for count, taken in ((n, True), (n + 1, False)):
            c = bus.client(fds=True)
            data = fixed(SIGNAL, 5, NAMED + [(9, b"u", count)])
            socket.send_fds(c.socket, [data], [null.fileno()] * count)
            if taken:
                assert c.alive()
            else:
                assert c.is_cut_off()


# --- a connection ------------------------------------------------------------------------------------

def test_matches_of_all(env):
    """match rules of the whole bus; when they are used up, a connection still gets some"""
    bus = Watched(env)
    each, total = limit(env, "MATCHES"), limit(env, "MATCHES_BUS")
    for k in range(total // each):
        c = bus.client()
        c.send(b"".join(call(BUS_PATH, BUS, "AddMatch", variant("(s)", f"arg0='{k}.{i}'"),
                             serial=1000 + i) for i in range(each)))
        assert c.result(999 + each) == ()
    late, n = bus.client(), limit(env, "MATCHES_SURE")
    answers = [late.add_match(f"arg0='{i}'") for i in range(n + 2)]
    assert answers == [()] * n + [ERROR + "LimitsExceeded"] * 2
    c.close()
    wait_for("room", lambda: late.add_match("arg0='again'") == ())


def test_match_of_many_arguments(env):
    """a match rule of 63 arguments counts as eight: as many as it takes the time of"""
    bus = Watched(env)
    weight = 1 + 63 // limit(env, "MATCH_ARGS")
    n = limit(env, "MATCHES") // weight
    c = bus.client()
    rule = ",".join(f"arg{i}='x'" for i in range(63))
    answers = [c.add_match(rule) for _ in range(n + 1)]
    assert answers == [()] * n + [ERROR + "LimitsExceeded"], answers
    assert c.ask("RemoveMatch", variant("(s)", rule)) == ()
    assert c.add_match("arg62='x'") == () and c.add_match(rule) == ERROR + "LimitsExceeded"


def test_queue_bytes(env):
    """16 MiB of signals that a subscriber has not read, and a little more"""
    bus = Watched(env)
    slow, sender = bus.client(), bus.client()
    assert slow.add_match("member='M'") == ()
    n, size = limit(env, "QUEUE_BYTES"), 1 << 20
    for _ in range(n // size - 1):
        sender.send(bytes_message(size))
    assert sender.alive() and bus.witness.ask("NameHasOwner", variant("(s)", slow.name)) == (True,)
    for _ in range(3):
        sender.send(bytes_message(size))
    assert sender.alive()
    wait_for("it to go", lambda: bus.witness.ask("NameHasOwner", variant("(s)", slow.name)) == (False,))


def test_signal_bytes(env):
    """a signal too long for a subscriber's queue closes nobody: who has no room misses it"""
    bus = Watched(env)
    slow, reader, sender = bus.client(), bus.client(), bus.client()
    for c in (slow, reader):
        assert c.add_match("member='M'") == ()
    n, queue = limit(env, "SIGNAL_BYTES"), limit(env, "QUEUE_BYTES")
    for size in (queue + (1 << 20), n + 1, queue + (1 << 20)):
        sender.send(bytes_message(size))
        assert sender.alive()
        assert [m.get_member() for m in reader.signals()] == ["M"], size
    sender.send(bytes_message(10))
    assert sender.alive()
    sizes = [m.get_body().get_size() for m in slow.signals() if m.get_member() == "M"]
    assert sizes[0] > queue and sizes[-1] < 100 and len(sizes) == 2, sizes


def names_in_a_row(c, n):
    """Takes and releases a long name n times; the last answer."""
    name = "t." + "x" * 250
    one = b"".join((call(BUS_PATH, BUS, "RequestName", variant("(su)", name, 0), serial=7),
                    call(BUS_PATH, BUS, "ReleaseName", variant("(s)", name), serial=7)))
    c.send(one * n)
    result = None
    for _ in range(2 * n):
        m = c.message()
        while m.get_reply_serial() != 7:
            m = c.message()
        result = m.get_error_name() or "taken"
    return result


def test_peer_queue_bytes(env):
    """names that change faster than sbportal reads: guests get no more of them, and it is not cut off"""
    r = env.closing(Supervised(env.build, env.tmp, env.source, VM))
    r.path = r.listen(GUEST)
    portal = env.closing(Client(r.peer(PORTAL), fds=True))
    assert portal.add_match(f"sender='{BUS}',member='NameOwnerChanged'") == ()
    churn, other = env.closing(r.client()), env.closing(r.client())
    half = limit(env, "PEER_QUEUE_BYTES") // 2
    rounds = 0
    while not refuses(churn):
        names_in_a_row(churn, 2000)
        rounds += 2000
        assert rounds * 2 * 300 < 2 * half, rounds
    assert rounds * 2 * 600 > half, rounds
    late = env.closing(r.client(say_hello=False))
    assert late.ask("Hello") == ERROR + "LimitsExceeded"
    assert other.alive() and other.ask("NameHasOwner", variant("(s)", portal.name)) == (True,)
    portal.socket.setblocking(False)
    wait_for("sbportal to have read", lambda: drained(portal) and not refuses(other))
    portal.socket.settimeout(20)
    assert late.ask("Hello") != ERROR + "LimitsExceeded"


def refuses(c):
    answer = c.ask("RequestName", variant("(su)", f"t{c.name[3:]}.Try", 0))
    assert answer in ((1,), (4,), ERROR + "LimitsExceeded"), answer
    if answer == (1,):
        c.ask("ReleaseName", variant("(s)", f"t{c.name[3:]}.Try"))
    return answer == ERROR + "LimitsExceeded"


def drained(c):
    """Reads and forgets what is there; true when that was all."""
    try:
        for _ in range(64):
            assert c.socket.recv(1 << 20)
        return False
    except BlockingIOError:
        return True


def test_queue_fds(env):
    """64 descriptors that a receiver has not read, then the next message with some is refused"""
    bus = Watched(env)
    sender, receiver = bus.client(fds=True), bus.client(fds=True)
    n, each = limit(env, "QUEUE_FDS"), limit(env, "MESSAGE_FDS")
    fill = bytes_message(1 << 20, receiver.name)  # nothing more goes out until this is read
    sender.send(fill)
    assert sender.alive()
    with open("/dev/null", "rb") as null:
        for i in range(n // each + 1):
            data = fixed(CALL, 200 + i, NAMED + [(6, b"s", receiver.name.encode()), (9, b"u", each)])
            socket.send_fds(sender.socket, [data], [null.fileno()] * each)
    assert sender.result(200 + n // each) == ERROR + "LimitsExceeded"
    data = fixed(CALL, 300, NAMED + [(6, b"s", receiver.name.encode())])
    sender.send(data)
    assert sender.alive() and bus.witness.alive()


def test_bus_bytes(env):
    """256 MiB of unfinished messages: below it all stay, above it the largest holder goes"""
    bus = Watched(env)
    n, part = limit(env, "BUS_BYTES"), 36 << 20
    before = bus.router.resident()
    data = bytes_message(60 << 20, bus.witness.name)[:part]
    holders = []
    while (len(holders) + 1) * (32 << 20) <= n:  # a buffer doubles as it fills: this one is 64 MiB
        c = bus.client()
        c.send(data)
        holders.append(c)
        names = bus.witness.ask("ListNames")[0]
        gone = [h for h in holders if h.name not in names]
        assert len(gone) == (0 if len(holders) * (64 << 20) <= n else len(holders) - n // (64 << 20)), \
            (len(holders), len(gone))
        assert bus.router.resident() - before < (n >> 10) * 1.2 * scale()
    assert bus.witness.alive()


def test_unread_bytes(env):
    """128 MiB of unread messages from client to client: refused then, nobody is closed, small ones pass"""
    bus = Watched(env)
    n, sure, size = limit(env, "UNREAD_BYTES"), limit(env, "UNREAD_SURE"), 30 << 20
    before = bus.router.resident()
    slow = [bus.client() for _ in range(n // size + 4)]
    sender = bus.client()
    for c in slow[:n // size]:
        sender.send(bytes_message(size, c.name))
        assert sender.alive()
    for c in slow[:n // size]:  # none of them hangs
        c.buffer += c.socket.recv(1 << 18)
    for c in slow[n // size:]:  # and up to the brim
        for part in [1 << 20] * 3 + [sure // 4] * 80:
            sender.send(bytes_message(part, c.name))
        assert sender.alive()
    assert bus.router.resident() - before < (200 << 10) * scale()
    fresh, other = bus.client(), bus.client()
    fresh.signals()
    for small, answer in ((sure * 2, ERROR + "LimitsExceeded"), (sure // 2, "NoReply")):
        other.send(bytes_message(small, fresh.name, CALL, serial=400))
        if answer != "NoReply":
            assert other.result(400) == answer
    assert fresh.message().get_member() == "M"
    # Whoever sent it may go: those who have it unread stay.
    sender.close()
    names = bus.witness.ask("ListNames")[0]
    assert all(c.name in names for c in (*slow, fresh, other)), names
    got = [[m.get_member() for m in c.signals()].count("M") for c in slow]
    assert got[:n // size] == [1] * (n // size) and got[-1] < 83, got


def test_hanging_receivers(env):
    """receivers that read a little of much keep the room of all others: after 10 s the one with most is closed"""
    bus = Watched(env)
    n, seconds = limit(env, "UNREAD_BYTES"), limit(env, "STALL_SECONDS")
    part, size = 45 << 20, 1 << 20
    hanging = [bus.client() for _ in range(2)]
    slow, sender, other = bus.client(), bus.client(), bus.client()
    for c in (*hanging, slow):
        sender.send(bytes_message(part if c is not slow else n - 2 * part - size, c.name))
        assert sender.alive()
    start = time.monotonic()

    def passes():
        assert slow.socket.recv(1 << 16)
        for c in hanging:
            c.socket.recv(1 << 16)
        sender.send(bytes_message(12 * size, other.name, CALL, serial=700))
        sender.send(call("/", BUS + ".Peer", "Ping", serial=701))
        first = sender.message()
        while first.get_reply_serial() not in (700, 701):
            first = sender.message()
        if first.get_reply_serial() == 701:
            return True
        assert first.get_error_name() == ERROR + "LimitsExceeded" and sender.reply(701) is not None
        time.sleep(0.2)
        return False

    assert not passes()
    names = bus.witness.ask("ListNames")[0]
    assert all(c.name in names for c in (*hanging, slow))
    wait_for("room", passes, 2 * seconds)
    assert time.monotonic() - start > seconds - 1
    wait_for("one to go", lambda: len([c for c in hanging if c.name in bus.witness.ask(
        "ListNames")[0]]) < len(hanging))
    assert slow.name in bus.witness.ask("ListNames")[0] and other.alive()
    assert "what was sent to it waits for long" in bus.router.log()


def test_turn(env):
    """of one client at most 1024 messages a turn, or 820 that are for all: whoever asks then is next"""
    bus = Watched(env)
    sender, receiver = bus.client(), bus.client()
    assert sender.alive() and bus.witness.alive() and receiver.alive()
    work, each = limit(env, "TURN_WORK"), limit(env, "TURN_MESSAGE")
    n = work // each
    for data, turn in ((signal("M", destination=receiver.name), n),
                       (signal("M"), work // (each + 2) + 1)):  # a rule and a receiver
        flood = data * (3 * turn)
        assert turn == n or receiver.add_match("member='M'") == ()
        sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
        os.kill(bus.router.process.pid, sig.SIGSTOP)
        sender.socket.settimeout(0.2)
        try:
            sender.send(flood)
        except socket.timeout:
            pass
        bus.witness.send(call("/", "t.T", "After", destination=receiver.name, serial=50))
        os.kill(bus.router.process.pid, sig.SIGCONT)
        sender.close()
        sender = bus.client()
        seen = 0
        while (m := receiver.message()).get_member() != "After":
            seen += m.get_member() == "M"
        assert seen <= 2 * turn, (seen, turn)
        receiver.signals()
        bus.witness.close()
        bus.witness = bus.client()


def test_backlog_bytes(env):
    """32 MiB of messages that were read and wait for their turn: then less is read, and nobody is closed"""
    bus = Watched(env)
    n = limit(env, "BACKLOG_BYTES")
    senders = [bus.client() for _ in range(300)]
    one = signal("M")  # to nobody, and still they are looked at one by one
    before = int(bus.router.status("VmHWM"))
    os.kill(bus.router.process.pid, sig.SIGSTOP)
    sent = [send_some(c, one * 4096) for c in senders]
    os.kill(bus.router.process.pid, sig.SIGCONT)
    assert sum(sent) > 1.5 * n, sum(sent)
    for c, k in zip(senders, sent):
        assert c.send(one[k % len(one):])
    assert bus.witness.alive() and all(c.alive() for c in senders)
    grown = (int(bus.router.status("VmHWM")) - before) << 10
    assert n / 2 < grown < n * 1.3 * scale(), grown
    assert bus.witness.ask("GetStats", interface=BUS + ".Debug.Stats")[0]["QueuedBytes"] < 1 << 20


def send_some(c, data):
    """As much as the socket takes; how much that was."""
    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
    return c.socket.send(data, socket.MSG_DONTWAIT)


def test_router_fds(env):
    """the router may have as many descriptors as it needs for all connections, and no more"""
    bus = Watched(env)
    with open(f"/proc/{bus.router.process.pid}/limits", encoding="ascii") as f:
        rows = {line[:26].strip(): line[26:].split()[:2] for line in f}
    n = str(limit(env, "ROUTER_FDS"))
    assert rows["Max open files"] == [n, n], rows["Max open files"]
    assert int(n) > limit(env, "STANDALONE_CONNECTIONS") + 8 * limit(env, "HALF_OPEN") + \
        limit(env, "BUS_FDS") + limit(env, "PARTIAL_FDS") + limit(env, "WAITING_FDS") + \
        limit(env, "MESSAGE_FDS")


def test_out_of_fds(env):
    """no descriptor is left for a connection: those that there are go on, and the others get theirs later"""
    bus = Watched(env)
    pid, n = bus.router.process.pid, 24
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (n, hard))
    late = [bus.client(authenticate=False) for _ in range(n)]  # the kernel takes them, for a while
    wait_for("the end", lambda: "no new connections for a second: Too many open files" in bus.router.log())
    assert bus.witness.alive()
    waiting = late[-1]
    waiting.send(b"\0AUTH EXTERNAL 30\r\n")
    for c in late[:n // 2]:
        c.close()
    assert waiting.line().startswith(b"OK") and bus.witness.alive()
    # It does not try all the time: that would be a line each, as many as there may be.
    assert bus.router.log().count("out of file descriptors") < 10


def test_log_lines(env):
    """a flood of connections that are closed: some lines a second, and the number of those that were dropped"""
    bus = Watched(env)
    n = 6 * limit(env, "LOG_LINES_SECOND")
    clients = [bus.client() for _ in range(n)]
    os.kill(bus.router.process.pid, sig.SIGSTOP)
    for c in clients:
        c.send(b"nonsense" * 2)
    os.kill(bus.router.process.pid, sig.SIGCONT)
    assert all(c.is_cut_off() for c in clients)
    while not (said := re.findall(r"(\d+) more lines about conn", bus.router.log())):
        bus.cut_off(b"nonsense" * 2, "in another second")
        n += 1
    dropped = sum(map(int, said))
    assert dropped > 0 and dropped + bus.router.log().count(" closed: ") == n, (dropped, n)


def test_held_calls(env):
    """calls that wait for the supervisor to name a pid are counted like those that wait for an answer"""
    r = env.closing(Supervised(env.build, env.tmp, env.source, PRIVATE))
    c = env.closing(Client(r.peer(SUPERVISOR)))
    n = limit(env, "PENDING_REPLIES")
    for i in range(n + 1):
        c.send(call(BUS_PATH, BUS, "GetConnectionUnixProcessID", variant("(s)", c.name), serial=500 + i))
    assert c.result(500 + n) == ERROR + "LimitsExceeded"
