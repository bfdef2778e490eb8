# SPDX-License-Identifier: MIT
"""sbrouter's memory, whatever clients make of it: as much as its limits say, and given back."""

import contextlib
import os
import resource
import select
import signal as sig
import socket
import struct
import threading
import time

from rig import boundaries
from rig.limits import limit
from rig.processes import sanitized, scale, wait_for
from rig.router import BUS, BUS_PATH, HungUp, Watched
from rig.wire import CALL, NAMED, RETURN, SIGNAL, bytes_message, call, fixed, hello, variant


class Readers:
    """Clients whose streams a thread reads, and counts; slow: a little of each at a time."""

    def __init__(self, clients, slow=False):
        self.bytes = {c.socket.fileno(): 0 for c in clients}
        self.clients, self.slow, self.closed = clients, slow, 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        waits = select.epoll()
        sockets = {c.socket.fileno(): c.socket for c in self.clients}
        for fd, s in sockets.items():
            s.setblocking(False)
            waits.register(fd, select.EPOLLIN)
        while not self.stop.is_set():
            for fd, _ in waits.poll(0.05):
                try:
                    data = sockets[fd].recv(1 << (17 if self.slow else 20))
                except ConnectionError:
                    data = b""
                self.bytes[fd] += len(data)
                if not data:
                    self.closed += 1
                    waits.unregister(fd)
            if self.slow:
                self.stop.wait(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def peak(bus):
    """KiB, the most that it ever had."""
    return int(bus.router.status("VmHWM"))


def quarantine(env):
    """Bytes of freed memory that a sanitizer keeps."""
    return 1 << 29 if sanitized(env.build) else 0


def stripped(size, destination):
    """A signal with a header of nearly 64 KiB, most of which is not passed on."""
    fields = NAMED + [(6, b"s", destination.encode()), (8, b"g", b"ay")]
    return fixed(SIGNAL, 5, [*fields, (200, b"s", b"x" * 65000)],
                 struct.pack("<I", size) + bytes(size))


def send_all(sender, messages):
    sender.send(b"".join(messages))
    assert sender.alive()


def test_more_memory_than_bytes(env):
    """messages that are small on their way out, out of large ones, unread: memory is what is counted,
    and who has sent half a message meanwhile is not closed for it"""
    bus = Watched(env)
    n = limit(env, "BUS_BYTES")
    receivers, senders = [bus.client() for _ in range(6)], [bus.client() for _ in range(3)]
    for s in senders:
        for r in receivers:
            for _ in range(16):
                send_all(s, [stripped(8190, r.name)] * 25)
    # Bodies that are just long enough to be shared.
    for s in senders:
        for r in receivers:
            send_all(s, [bytes_message(8190, r.name)] * 300)
    assert peak(bus) < (n >> 10) * 0.8 * scale(), peak(bus)
    innocent, friend = bus.client(), bus.client()
    message = bytes_message(60000, friend.name)
    innocent.send(message[:30000])
    assert bus.witness.alive()
    innocent.send(message[30000:])
    assert innocent.alive() and [m.get_member() for m in friend.signals()][-1] == "M"
    assert all(c.alive() for c in (*senders, bus.witness)) and "closed" not in bus.router.log()
    env.hostile(boundaries.GUEST, 2)


def paused(bus, senders, data):
    """All of senders have said data, or what a socket holds of it, before the router looks."""
    os.kill(bus.router.process.pid, sig.SIGSTOP)
    for c in senders:
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        c.socket.send(data, socket.MSG_DONTWAIT)
    os.kill(bus.router.process.pid, sig.SIGCONT)


def test_burst_to_many(env):
    """more in one turn than the bus may hold, to many who read: it waits for them, and closes nobody"""
    bus = Watched(env)
    readers, senders = [bus.client() for _ in range(200)], [bus.client() for _ in range(16)]
    for c in readers:
        assert c.add_match("interface='t.T'") == ()
    turn = limit(env, "TURN_BYTES")
    message = bytes_message(8000)
    with Readers(readers) as r:
        before = peak(bus)
        paused(bus, senders, message * 25)
        bus.witness.socket.settimeout(60)
        assert bus.witness.alive()
        wait_for("all to have it all", lambda: min(r.bytes.values()) >= 16 * 25 * 8000, 60)
        assert r.closed == 0, r.closed
    grown = (peak(bus) - before) << 10
    assert grown < 3 * turn * scale() + quarantine(env), grown
    assert "closed" not in bus.router.log()


def test_many_names_at_once(env):
    """a process with thousands of names ends: all hear it, the bus waits for them, and closes nobody"""
    bus = Watched(env)
    readers = [bus.client() for _ in range(200)]
    doomed, n = [bus.client() for _ in range(60)], limit(env, "NAMES")
    for k, c in enumerate(doomed):
        c.send(b"".join(call(BUS_PATH, BUS, "RequestName", variant(
            "(su)", f"t.N{k}.N{i}." + "x" * 230, 0), serial=10 + i) for i in range(n)))
        assert c.alive()
    for c in readers:
        assert c.add_match(f"sender='{BUS}',member='NameOwnerChanged'") == ()
    before = peak(bus)
    with Readers(readers) as r:
        os.kill(bus.router.process.pid, sig.SIGSTOP)
        for c in doomed:
            c.close()
        os.kill(bus.router.process.pid, sig.SIGCONT)
        wait_for("all to have heard it", lambda: min(r.bytes.values()) > 60 * n * 300, 60)
        assert r.closed == 0, r.closed
    grown = (peak(bus) - before) << 10
    assert grown < 3 * limit(env, "TURN_BYTES") * scale() + quarantine(env), grown
    assert bus.witness.alive() and "closed" not in bus.router.log()


def test_crowded(env):
    """a bus over its limit waits for its clients to read, and each time for more; then who holds most goes"""
    bus = Watched(env)
    total = limit(env, "BUS_BYTES")
    readers, sender = [bus.client() for _ in range(20)], bus.client()
    for c in readers:
        assert c.add_match("interface='t.T'") == ()
    assert total / len(readers) < limit(env, "QUEUE_BYTES")
    messages = 2 * total // len(readers) // 8000
    # What they read in that time is enough for some times; not for all.
    slow = (len(readers) << 17) * 5
    assert 8 * limit(env, "CROWD_BYTES") < slow < \
        limit(env, "CROWD_BYTES") << limit(env, "CROWD_DOUBLINGS")
    flood = threading.Thread(target=sender.send, args=(bytes_message(8000) * messages,))
    with Readers(readers, slow=True) as r:
        flood.start()
        wait_for("the limit", lambda: bus.router.resident() << 10 > total, 60)
        flood.join(2 * limit(env, "CROWD_MS") / 1000)
        assert flood.is_alive(), bus.router.resident()
        assert r.closed == 0, bus.router.log()
        r.slow = False
        flood.join()
        assert bus.witness.alive()
        wait_for("all to have it all", lambda: min(r.bytes.values()) >= messages * 8000, 60)
        assert r.closed == 0
    assert peak(bus) << 10 < limit(env, "BUS_BRIM") * scale() + quarantine(env), peak(bus)
    assert "closed" not in bus.router.log()
    # The same, and nobody reads.
    sender.send(bytes_message(8000) * messages)
    assert sender.alive() and bus.witness.alive()
    assert peak(bus) << 10 < limit(env, "BUS_BRIM") * scale() + quarantine(env), peak(bus)
    assert "it holds the most of it" in bus.router.log()


def test_largest_has_much_to_leave(env):
    """a bus over its limit listens to nobody, and closes who holds most: that is not off the bus in one turn"""
    bus = Watched(env)
    total, n, calls = limit(env, "BUS_BYTES"), limit(env, "NAMES"), limit(env, "PENDING_REPLIES")
    assert (n + calls) * limit(env, "TURN_CALL") > 2 * limit(env, "TURN_WORK")
    holders = [bus.client() for _ in range(3)]
    for k, c in enumerate(holders):
        c.send(b"".join(call(BUS_PATH, BUS, "RequestName", variant("(su)", f"t.N{k}.N{i}", 0),
                             serial=1000 + i) for i in range(n)))
        c.send(b"".join(call("/", "t.I", "M", destination=c.name, serial=5000 + i)
                        for i in range(calls)))
        assert c.alive()
    half = limit(env, "ARRAY_BYTES") - 4096
    array = struct.pack("<I", half) + bytes(half)
    message = fixed(SIGNAL, 5, [*NAMED, (8, b"g", b"ayay")], array + array)
    assert len(message) <= limit(env, "MESSAGE_BYTES") and 3 * len(message) > total * 5 / 4

    def hold(c):
        with contextlib.suppress(OSError):
            c.socket.settimeout(None)
            c.socket.sendall(memoryview(message)[:-4096])

    threads = [threading.Thread(target=hold, args=(c,)) for c in holders]
    os.kill(bus.router.process.pid, sig.SIGSTOP)  # none is done before the others begin
    for t in threads:
        t.start()
    os.kill(bus.router.process.pid, sig.SIGCONT)
    try:
        wait_for("one to be closed", lambda: "it holds the most of it" in bus.router.log(), 60)
        bus.witness.socket.settimeout(60)
        assert bus.witness.alive()
    finally:
        for c in holders:
            with contextlib.suppress(OSError):
                c.socket.shutdown(socket.SHUT_RDWR)
        for t in threads:
            t.join()
    assert bus.witness.alive()
    env.hostile(boundaries.GUEST)


def test_one_message_to_all(env):
    """the longest header and body that are copied, to all who can be: what one message adds to the bus"""
    bus = Watched(env)
    readers = [bus.client() for _ in range(limit(env, "CONNECTIONS") - 2)]
    sender = bus.client()
    for c in readers:
        assert c.add_match("interface='t.T'") == ()
    path = b"/" + b"x" * (limit(env, "HEADER_BYTES") - 100)
    body = struct.pack("<I", 8188) + bytes(8188)
    message = fixed(SIGNAL, 5, [(1, b"o", path), *NAMED[1:], (8, b"g", b"ay")], body)
    taken = [0]
    for _ in range(5):  # of which each socket holds two or three
        send_all(sender, [message])
        taken.append(bus.witness.ask("GetStats", interface=BUS + ".Debug.Stats")[0]["QueuedBytes"])
    most = max(after - before for before, after in zip(taken, taken[1:]))
    assert len(readers) * len(message) < most < 40 << 20, taken
    assert limit(env, "BUS_BYTES") + most < limit(env, "BUS_BRIM")


def test_many_connections(env):
    """the same on a bus with more connections than a VM's: it has more room for that, and closes no reader"""
    n = 1500
    bus = Watched(env, "--max-connections", str(n + 10))
    readers, holders, sender = [bus.client() for _ in range(n)], [bus.client() for _ in range(4)], \
        bus.client()
    for c in readers:
        assert c.add_match("interface='t.T'") == ()
    part = limit(env, "BUS_BYTES") // 4 - (4 << 20)
    for c in holders:
        c.send(bytes_message(part, sender.name)[:-8])
    path = b"/" + b"x" * (limit(env, "HEADER_BYTES") - 100)
    message = fixed(SIGNAL, 5, [(1, b"o", path), *NAMED[1:], (8, b"g", b"ay")],
                    struct.pack("<I", 4) + bytes(4))
    more = (n - limit(env, "CONNECTIONS")) * limit(env, "COPY_BYTES")
    assert 4 * part + n * len(message) > limit(env, "BUS_BRIM")
    assert n * len(message) < (limit(env, "BUS_BRIM") - limit(env, "BUS_BYTES")) + more
    with Readers(readers) as r:
        sender.send(message * 4)
        wait_for("all to have it all", lambda: min(r.bytes.values()) > 4 * len(message), 60)
        assert r.closed == 0, bus.router.log()
    assert bus.witness.alive()


def test_account_of_senders(env):
    """whose a receiver's unread messages are is counted as memory, and forgotten when they are read"""
    bus = Watched(env)
    receivers, senders = [bus.client() for _ in range(6)], [bus.client() for _ in range(60)]
    before = bus.router.resident()
    for i, r in enumerate(receivers):
        assert r.add_match(f"member='M{i}'") == ()
        two = fixed(CALL, 7, [*NAMED, (6, b"s", r.name.encode())], flags=1) + fixed(
            SIGNAL, 5, [*NAMED[:2], (3, b"s", b"M%d" % i)])
        for s in senders:
            send_all(s, [two] * 3200)
        stats = bus.witness.ask("GetStats", interface=BUS + ".Debug.Stats")[0]
        assert stats["QueuedBytes"] > len(senders) * 3200 * len(two)
        with Readers([r]) as reading:
            wait_for("it all to be read",
                     lambda: reading.bytes[r.socket.fileno()] > len(senders) * 3000 * len(two), 60)
            wait_for("nothing to be queued", lambda: bus.witness.ask(
                "GetStats", interface=BUS + ".Debug.Stats")[0]["QueuedBytes"] < 1 << 20)
        assert reading.closed == 0
    allowed = (limit(env, "TRIM_BYTES") + quarantine(env) >> 10) + 4096
    wait_for("its memory to be less", lambda: bus.router.resident() - before < allowed, 10)


def test_no_memory(env):
    """when there is none at all who comes is not taken, and nobody else notices"""
    if sanitized(env.build):
        return  # a sanitizer's own memory is more than any limit
    bus = Watched(env)
    pid = bus.router.process.pid
    size = int(bus.router.status("VmSize")) << 10
    allowed = resource.prlimit(pid, resource.RLIMIT_AS)
    assert allowed[1] == limit(env, "ROUTER_AS") > size
    resource.prlimit(pid, resource.RLIMIT_AS, (size, allowed[1]))
    greedy, late = [], []
    while "there is no memory for what it says" not in bus.router.log():
        assert len(greedy) < 300
        greedy.append(bus.client())
        greedy[-1].send(b"".join(call(BUS_PATH, BUS, "AddMatch", variant(
            "(s)", f"arg{i}='{'x' * 900}'"), serial=100 + i) for i in range(16)))
        with contextlib.suppress(HungUp):
            greedy[-1].alive()
    while "no new connections" not in bus.router.log():
        late.append(socket.socket(socket.AF_UNIX))
        late[-1].connect(bus.router.path)
        with contextlib.suppress(BrokenPipeError):  # for what it says there may be none, either
            late[-1].sendall(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n" + hello())
        assert len(late) < 200
    assert "Cannot allocate memory" in bus.router.log()
    resource.prlimit(pid, resource.RLIMIT_AS, allowed)
    for c in (*greedy, *late):
        c.close()
    assert bus.witness.alive()
    wait_for("newcomers to be taken", lambda: bus.client().alive())


def test_left_unfinished(env):
    """many leave a message half said, and hold all there is: they go, not who has a longer one to say"""
    bus = Watched(env)
    total, late, part = limit(env, "BUS_BYTES"), limit(env, "UNFINISHED_MS") / 1000, 8 << 20
    holders = [bus.client() for _ in range(total // part - 1)]
    for c in holders:
        c.send(bytes_message(part, bus.witness.name)[:-8])
    start = time.monotonic()
    assert bus.witness.alive()
    innocent, friend = bus.client(), bus.client()
    wait_for("them to be late", lambda: time.monotonic() - start > late + 0.5, 2 * late)
    for _ in range(4):
        innocent.send(bytes_message(2 * part, friend.name))
        assert innocent.alive()
        while friend.message().get_member() != "M":
            pass
    names = bus.witness.ask("ListNames")[0]
    assert len([c for c in holders if c.name not in names]) in (1, 2), names
    assert "it holds the most of it" in bus.router.log()


def test_shared_body(env):
    """a broadcast of 5 MiB to 40 who read: each gets it, for its body is there once"""
    bus = Watched(env)
    readers, sender = [bus.client() for _ in range(40)], bus.client()
    for c in readers:
        assert c.add_match("member='M'") == ()
    size = 5 << 20
    assert limit(env, "SIGNAL_BYTES") < size and size * len(readers) > limit(env, "UNREAD_BYTES")
    before = peak(bus)
    os.kill(bus.router.process.pid, sig.SIGSTOP)
    thread = threading.Thread(target=sender.send, args=(bytes_message(size),))
    thread.start()
    os.kill(bus.router.process.pid, sig.SIGCONT)
    thread.join()
    assert sender.alive()
    with Readers(readers) as r:
        wait_for("all to have it", lambda: min(r.bytes.values()) > size, 60)
    assert peak(bus) - before < (4 * size >> 10) * scale(), peak(bus) - before


def test_given_back(env):
    """what unread messages took is the host's again when they are gone, whoever came meanwhile"""
    bus = Watched(env)
    slow, sender = [bus.client() for _ in range(8)], bus.client()
    for c in slow:
        assert c.add_match("interface='t.T'") == ()
    least, ms = limit(env, "TRIM_BYTES"), limit(env, "TRIM_MS")
    before = bus.router.resident()
    send_all(sender, [bytes_message(1000)] * 12000)
    held = bus.router.resident() - before
    assert held > 90 << 10, held
    kept = [bus.client() for _ in range(4)]
    assert all(c.add_match(f"arg0='{i}'") == () for c in kept for i in range(40))
    for c in (*slow, sender):
        c.close()
    allowed = (least + quarantine(env) >> 10) + 2048
    wait_for("its memory to be less", lambda: bus.router.resident() - before < allowed,
             10 * ms / 1000)
    assert all(c.alive() for c in kept)


def test_calls_in_a_flood(env):
    """receivers that do not read, and senders that do not stop: others' calls are answered meanwhile"""
    bus = Watched(env)
    deaf, senders = [bus.client() for _ in range(40)], [bus.client() for _ in range(4)]
    for c in deaf[:20]:
        assert c.add_match("interface='t.T'") == ()
    caller, callee = bus.client(), bus.client()
    stop = threading.Event()
    floods = [b"".join([bytes_message(4000)] * 8 + [stripped(8190, c.name) for c in deaf[20:]])
              for _ in senders]

    def flood(c, data):
        with contextlib.suppress(OSError):
            c.socket.settimeout(None)
            while not stop.is_set():
                c.socket.sendall(data)

    threads = [threading.Thread(target=flood, args=a) for a in zip(senders, floods)]
    for t in threads:
        t.start()
    try:
        serial = 500
        while "it holds the most of it" not in bus.router.log() or serial < 540:
            caller.send(call("/", "t.T", "M", destination=callee.name, serial=serial))
            while (m := callee.message()).get_member() != "M":
                pass
            callee.send(fixed(RETURN, serial, [(5, b"u", serial), (6, b"s", caller.name.encode())]))
            assert caller.result(serial) == ()
            serial += 1
        assert all(t.is_alive() for t in threads)
    finally:
        stop.set()
        for c in senders:
            c.socket.shutdown(socket.SHUT_RDWR)
        for t in threads:
            t.join()
    assert peak(bus) << 10 < limit(env, "BUS_BRIM") * scale() + quarantine(env), peak(bus)
