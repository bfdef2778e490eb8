# SPDX-License-Identifier: MIT
"""sbrouter's turns: what one client causes, whatever it is, does not keep the others waiting.

What is there when the bus looks decides, not how fast anybody is: it is stopped while all of it is
sent.  Then it is counted how much of the flood came before the answer to somebody else's call.
"""

import contextlib
import fcntl
import itertools
import os
import socket
import struct
import termios

from rig.limits import limit
from rig.processes import scale, wait_for
from rig.router import BUS, ERROR, PING, Watched, asleep, call, signal
from rig.wire import NAMED, SIGNAL, bytes_message, fixed, variant, with_u32

EVENTS = 64  # of one turn: loop.c
ACCEPTS = 16  # of one turn: listener.c
OWNER_CHANGED = "sender='org.freedesktop.DBus',member='NameOwnerChanged'"


def roomy(client):
    """As much as a turn may read is sent without waiting."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return client


def numbered(n, first=1000):
    return [with_u32(signal("M"), 8, first + i) for i in range(n)]


def before_answer(client, serial=7):
    """What comes before the answer to that call."""
    messages = []
    while (m := client.message()).get_reply_serial() != serial:
        messages.append(m)
    return messages


def longest_run(values, value=None):
    """Of the same in a row, or of that one."""
    runs = [len(list(group)) for v, group in itertools.groupby(values) if value in (None, v)]
    return max(runs)


def the_rest(client, n):
    """Nothing but n signals is on its way to the client."""
    return [client.message().get_member() for _ in range(n)] == ["M"] * n and client.alive()


def many_rules(bus, n, rule="arg0path='/q'"):
    """Rules that no signal fits and no index tells apart, of somebody who says nothing."""
    holder = bus.client()
    for _ in range(n):
        assert holder.add_match(rule) == ()
    return holder


def array_of(element, n):
    return struct.pack("<I", n * len(element)) + element * n


def to_be_checked(kind, body, destination=None, fds=0):
    """A signal, each value of which has to be looked at."""
    fields = [(8, b"g", kind)]
    if destination:
        fields.append((6, b"s", destination.encode()))
    if fds:
        fields.append((9, b"u", fds))
    return fixed(SIGNAL, 999, NAMED + fields, body)


VARIANTS = array_of(b"\1y\0\0", 9 << 20)  # 36 MiB


def read_raw(client, n):
    """So many bytes, of which nobody makes values; and the descriptors that came with them."""
    data, at, fds = bytearray(n), min(n, len(client.buffer)), []
    data[:at], client.buffer = client.buffer[:at], client.buffer[at:]
    while at < n:
        got, more, _, _ = socket.recv_fds(client.socket, min(n - at, 1 << 20), 16)
        assert got
        data[at:at + len(got)] = got
        at, fds = at + len(got), fds + more
    return data, fds


def read_long(client, body):
    """The next message has this body; its descriptors."""
    head, fds = read_raw(client, 16)
    n_body, _, n_fields = struct.unpack_from("<III", head, 4)
    assert n_body == len(body), n_body
    _, more = read_raw(client, -(-n_fields // 8) * 8)
    data, most = read_raw(client, n_body)
    assert data == body
    return fds + more + most


def send_all_but(client, data, n, fds=()):
    """Until the bus has read it but for the last n bytes."""
    sent = socket.send_fds(client.socket, [data[:1000]], fds)
    assert client.send(memoryview(data)[sent:len(data) - n])
    wait_for("the bus to read it", lambda: struct.unpack(
        "i", fcntl.ioctl(client.socket, termios.TIOCOUTQ, bytes(4))) == (0,))
    return data[len(data) - n:]


def listener_and_sender(bus):
    sender = roomy(bus.client())
    assert sender.alive() and bus.witness.add_match("member='M'") == ()
    assert bus.witness.alive()  # and both have read what they were told at first
    return bus.witness, sender


def test_messages(env):
    """a flood of messages and a call of somebody else's: that is answered before the flood is over"""
    bus = Watched(env)
    witness, sender = listener_and_sender(bus)
    flood = b"".join(numbered(1500))
    with asleep(bus):
        sender.send(flood[:-20])
        witness.send(PING)
    got = [witness.message() for _ in range(1500)]
    sender.send(flood[-20:])
    got.append(witness.message())
    answered = [m.get_reply_serial() for m in got].index(7)
    assert answered < 1000, answered
    # None is lost, and none overtook another.
    serials = [m.get_serial() for m in got if m.get_member() == "M"]
    assert serials == list(range(1000, 2500))


def test_rules(env):
    """the same when each of fewer signals meets a thousand rules, or a hundred with many arguments"""
    bus = Watched(env)
    witness, sender = listener_and_sender(bus)
    arguments = "arg0path='/q'," + ",".join(f"arg{i}=x" for i in range(3, 63))
    for n, rule, weight in ((1000, "arg0path='/q'", 1),
                            (120, arguments, 1 + 61 // limit(env, "TURN_ARGS"))):
        holder = many_rules(bus, n, rule)
        with asleep(bus):
            sender.send(b"".join(numbered(200)))
            witness.send(PING)
        answered = len(before_answer(witness))
        assert answered <= limit(env, "TURN_WORK") // (n * weight) + 1, (rule, answered)
        assert the_rest(witness, 200 - answered) and holder.alive()
        holder.close()


def test_names(env):
    """the same when the sender has many names, by which rules are looked for in vain"""
    bus = Watched(env)
    witness, sender = listener_and_sender(bus)
    n = limit(env, "NAMES")
    for i in range(n):
        assert sender.ask("RequestName", variant("(su)", f"t.N{i}", 0)) == (1,)
    keys = ("path='/t'", "interface='t.T'", "member='M'")
    forms = [form for k in range(4) for form in itertools.combinations(keys, k)]
    for form in forms:
        assert witness.add_match(",".join(("sender='not.owned'", *form))) == ()
    with asleep(bus):
        sender.send(b"".join(numbered(1500)))
        witness.send(PING)
    answered = len(before_answer(witness))
    places = len(forms) * n // limit(env, "TURN_CHAINS")
    assert answered <= limit(env, "TURN_WORK") // places + 1, answered
    assert the_rest(witness, 1500 - answered)


def test_rules_and_long_messages(env):
    """the same when the signals are so long that each is read by itself"""
    bus = Watched(env)
    witness, sender = listener_and_sender(bus)
    holder = many_rules(bus, 1000)
    sender.send(bytes_message(20000))
    assert witness.message().get_member() == "M"
    with asleep(bus):
        sender.send(bytes_message(20000) * 13)  # no more than one read brings
        witness.send(PING)
    answered = len(before_answer(witness))
    assert answered < 11, answered
    assert the_rest(witness, 13 - answered) and holder.alive()


def test_long_checks(env):
    """the same when it takes long to see whether each is valid"""
    bus = Watched(env)
    witness, sender = listener_and_sender(bus)
    holder, n = many_rules(bus, 300), 2000
    with asleep(bus):
        sender.send(to_be_checked(b"av", array_of(b"\1y\0\0", n)) * 30)  # no more than one read brings
        witness.send(PING)
    answered = len(before_answer(witness))
    weight = 300 + 4 * n // limit(env, "TURN_STEPS")
    assert answered <= limit(env, "TURN_WORK") // weight + 1, answered
    assert the_rest(witness, 30 - answered) and holder.alive()


def test_large_message(env):
    """one message of 72 MiB of variants: others are served while it is checked; it arrives whole, and in its place"""
    bus = Watched(env)
    witness, sender = bus.client(fds=True), bus.client(fds=True)
    body = VARIANTS * 2
    r, w = os.pipe()
    assert witness.alive()
    for fds in ([], [w]):
        data = to_be_checked(b"avav", body, witness.name, len(fds))
        last = send_all_but(sender, data, 100, fds)
        with asleep(bus):
            sender.send(last + b"".join(numbered(20)))
            witness.send(PING)
        # The bus saw its end before the call, and could not say more of it meanwhile.
        assert before_answer(witness) == []
        came = read_long(witness, body)
        assert len(came) == len(fds)
        for fd in came:
            os.write(fd, b"x")
            os.close(fd)
    os.close(w)
    assert os.read(r, 10) == b"x" and os.read(r, 10) == b""  # no copy is left
    os.close(r)
    assert sender.alive() and witness.alive() and bus.witness.alive()


def test_descriptors_that_wait(env):
    """many descriptors of messages that are being checked: who has one of an unfinished message stays"""
    bus = Watched(env)
    each, n = limit(env, "MESSAGE_FDS"), limit(env, "PARTIAL_FDS")
    senders = [bus.client(fds=True) for _ in range(n // each)]
    innocent = bus.client(fds=True)
    body = array_of(b"\1y\0\0", limit(env, "TURN_WORK") * limit(env, "TURN_STEPS"))
    small = to_be_checked(b"s", struct.pack("<I", 1) + b"x\0", fds=1)
    with open("/dev/null", "rb") as null:
        fds = [null.fileno()]
        last = [send_all_but(c, to_be_checked(b"av" * 8, body * 8, fds=each), 100, fds * each)
                for c in senders]
        with asleep(bus):
            for c, data in zip(senders, last):
                c.send(data)
        socket.send_fds(innocent.socket, [small[:30]], fds)
        assert bus.witness.alive()
        innocent.send(small[30:])
        assert innocent.alive() and all(c.alive() for c in senders)
    assert "descriptors" not in bus.router.log()


def test_many_large_messages(env):
    """those of forty end at once: they are checked in no more of a turn than one would get"""
    bus = Watched(env)
    witness, _ = listener_and_sender(bus)
    senders = [bus.client() for _ in range(40)]
    # Each some two thirds of a turn.
    body = array_of(b"\1y\0\0", limit(env, "TURN_WORK") * limit(env, "TURN_STEPS") // 6)
    last = [send_all_but(c, to_be_checked(b"av", body), 100) for c in senders]
    with asleep(bus):
        for c, data in zip(senders, last):
            c.send(data)
        witness.send(PING)
    answered = len(before_answer(witness))
    assert answered < 8, answered
    assert the_rest(witness, len(senders) - answered)


def test_behind_a_large_message(env):
    """what is sent behind a message that is being checked comes after it, however much it is"""
    bus = Watched(env)
    witness, sender = listener_and_sender(bus)
    for n in (1, 20, 2000):
        last = send_all_but(sender, to_be_checked(b"av", VARIANTS, witness.name), 1)
        with asleep(bus):
            sender.socket.setblocking(False)
            behind = last + b"".join(numbered(n))
            at = sender.socket.send(behind)
            sender.socket.settimeout(20)
        sender.send(behind[at:])
        read_long(witness, VARIANTS)
        assert [witness.message().get_serial() for _ in range(n)] == list(range(1000, 1000 + n))


def test_leaving_behind_a_large_message(env):
    """who leaves while its message is checked has sent it; with half of one, or a wrong one, it has not"""
    bus = Watched(env)
    witness, before = bus.client(fds=True), bus.router.resident()
    assert witness.add_match(OWNER_CHANGED) == () and witness.alive()
    r, w = os.pipe()
    for what in ("whole", "half", "wrong"):
        sender = bus.client(fds=True)
        assert witness.message().get_body().unpack()[0] == sender.name
        body = VARIANTS[:-2] + b"\1\0" if what == "wrong" else VARIANTS
        data = to_be_checked(b"av", body, witness.name, 1)
        last = send_all_but(sender, data, 4000, [w])
        with asleep(bus):
            if what != "half":
                sender.send(last)
            sender.close()
        if what == "whole":
            for fd in read_long(witness, body):
                os.close(fd)
        assert witness.message().get_body().unpack() == (sender.name, sender.name, "")
        assert witness.alive()
    os.close(w)
    assert os.read(r, 1) == b""  # no copy is left
    os.close(r)
    # Nothing is held for them; a sanitizer keeps freed memory for a while.
    allowed = 8192 if scale() == 1 else 1 << 19
    wait_for("the memory to be given back", lambda: bus.router.resident() < before + allowed)


def test_large_messages_without_room(env):
    """two such messages are checked to their ends though there is room for nothing else meanwhile"""
    bus = Watched(env)
    a, b, c = (bus.client() for _ in range(3))
    assert a.alive() and b.alive() and c.alive()
    half = array_of(b"\1y\0\0", (limit(env, "BUS_BYTES") // 4 - (1 << 20)) // 4)
    data = to_be_checked(b"avav", half * 2)
    last = [send_all_but(sender, data, 100) for sender in (a, b)]
    with asleep(bus):
        a.send(last[0])
        b.send(last[1])
    assert c.send(memoryview(bytes_message(16 << 20))[:-1])
    assert a.alive() and b.alive() and c.send(b"\0") and c.alive() and bus.witness.alive()


def test_receivers(env):
    """the same when each goes to two hundred receivers"""
    bus = Watched(env)
    witness, sender = listener_and_sender(bus)
    receivers = [bus.client() for _ in range(200)]
    for c in receivers:
        assert c.add_match("member='M'") == ()
    with asleep(bus):
        sender.send(b"".join(numbered(200)))
        witness.send(PING)
    answered = len(before_answer(witness))
    assert answered < 60, answered
    assert the_rest(witness, 200 - answered)
    for c in receivers:
        assert [m.get_member() for m in c.signals()].count("M") == 200


def test_long_answers(env):
    """the same when the bus is asked for long lists, or often"""
    bus = Watched(env)
    for k in range(16):
        c = bus.client()
        c.send(b"".join(call("/", BUS, "RequestName", variant(
            "(su)", f"t.N{k}x{i}." + "y" * 200, 0), serial=10 + i) for i in range(64)))
        assert c.alive()
    asker, sure = roomy(bus.client()), bus.client()
    work, size = limit(env, "TURN_WORK"), 1024 * 200
    assert len(asker.ask("ListNames")[0]) > 1024 and sure.alive()
    for member, n in (("ListNames", work * limit(env, "TURN_ANSWER") // size + 1),
                      ("GetId", work // limit(env, "TURN_CALL"))):
        with asleep(bus):
            for i in range(n):
                asker.send(call("/", BUS, member, serial=100 + i))
            asker.send(call("/", BUS, "RequestName", variant("(su)", "t." + member, 0), serial=300))
            sure.send(call("/", BUS, "GetNameOwner", variant("(s)", "t." + member), serial=7))
        assert sure.result(7) == ERROR + "NameHasNoOwner"  # asked last, and answered first
        assert asker.result(300) == (1,)


def in_one_turn(bus, asker, member, n, *arguments):
    """Whether n calls to the bus, of one client, and another of its own are handled in one turn."""
    sure, name = bus.client(), f"t.{member}{n}"
    assert asker.alive()  # and is the first in the next turn
    with asleep(bus):
        asker.send(call("/", BUS, member, *arguments, serial=100) * n)
        asker.send(call("/", BUS, "RequestName", variant("(su)", name, 0), serial=300))
        sure.send(call("/", BUS, "GetNameOwner", variant("(s)", name), serial=7))
    assert asker.result(300) == (1,)
    return sure.result(7) == (asker.name,)


def test_walks(env):
    """calls for which the bus looks at many names, connections or rules: fewer of them in a turn"""
    # Two clients have something to say, so each has half of one.
    bus = Watched(env)
    work, walk, one = limit(env, "TURN_WORK"), limit(env, "TURN_WALK"), limit(env, "TURN_CALL")
    others = [bus.client() for _ in range(400)]
    for k, c in enumerate(others[:16]):
        c.send(b"".join(call("/", BUS, "RequestName", variant("(su)", f"t.N{k:02}x{i:02}", 0),
                             serial=10 + i) for i in range(64)))
        assert c.alive()
    asker = roomy(bus.client())
    rules = limit(env, "MATCHES")
    for i in range(rules):
        asker.send(call("/", BUS, "AddMatch", variant("(s)", f"member='M{i}'"), serial=10))
    assert asker.alive()
    names = 1024 + len(others)
    for member, walked, size, arguments in (
            ("RemoveMatch", rules, 64, [variant("(s)", "member='N'")]),
            ("ListActivatableNames", len(others), 64, []),
            ("ListNames", names, 16 * names, [])):
        n = work // 2 // (one + size // limit(env, "TURN_ANSWER") + walked // walk) + 1
        assert not in_one_turn(bus, asker, member, n, *arguments), (member, n)
        assert in_one_turn(bus, asker, member, n // 2, *arguments), (member, n)


def test_many_at_once(env):
    """those that stay within a turn's work have less of it the more they are"""
    bus = Watched(env)
    witness, each = bus.witness, 2 * limit(env, "TURN_LEAST") // limit(env, "TURN_MESSAGE")
    senders = [roomy(bus.client()) for _ in range(EVENTS - 1)]
    assert each * limit(env, "TURN_MESSAGE") < limit(env, "TURN_WORK") and witness.alive()
    flood = [signal("M", destination=witness.name, serial=1 + i) for i in range(each)]
    with asleep(bus):
        for c in senders:
            c.send(b"".join(flood))
        witness.send(PING)
    got = before_answer(witness)
    # Half of what each has said; and of the backlog, if that had its turn by then, a turn's work.
    most = len(senders) * each // 2 + limit(env, "TURN_WORK") // limit(env, "TURN_MESSAGE")
    assert len(got) <= most, len(got)
    got += [witness.message() for _ in range(len(senders) * each - len(got))]
    for c in senders:
        assert [m.get_serial() for m in got if m.get_sender() == c.name] == list(range(1, each + 1))
    assert witness.alive()


def test_many_that_flood(env):
    """those whose turns are over share one: many of them are no longer a wait than one"""
    bus = Watched(env)
    witness, _ = listener_and_sender(bus)
    holder = many_rules(bus, 1000)
    senders = [bus.client() for _ in range(EVENTS + 6)]
    flood = b"".join(numbered(30))
    with asleep(bus):
        for c in senders:
            c.send(flood)
        witness.send(PING)  # which the second turn sees
    got = before_answer(witness)
    # A share of each, one signal, and of those of the first turn some have had a whole one, of nine.
    assert len(got) < len(senders) * 2, len(got)
    got += [witness.message() for _ in range(len(senders) * 30 - len(got))]
    assert [m.get_member() for m in got] == ["M"] * len(got)
    # And they have their turns one after the other.
    assert longest_run([m.get_sender() for m in got]) < 20
    assert witness.alive() and holder.alive()


def test_more_comes(env):
    """bytes that come while others of the same client wait for their turn: the order stays"""
    bus = Watched(env)
    witness, sender = listener_and_sender(bus)
    flood = b"".join(numbered(12000))  # some reads' worth
    with asleep(bus):
        at = sender.socket.send(flood)
    sender.send(flood[at:])
    serials = [witness.message().get_serial() for _ in range(12000)]
    assert serials == list(range(1000, 13000))


def test_leaving(env):
    """a hundred clients with all their names leave at once: others are served between their names,
    and who has one name and leaves after them has left before them"""
    bus = Watched(env)
    witness, n = bus.witness, limit(env, "NAMES")
    holder = many_rules(bus, 200)
    leaving = [bus.client() for _ in range(100)]
    for k, c in enumerate(leaving):
        c.send(b"".join(call("/", BUS, "RequestName", variant("(su)", f"t.N{k}x{i}", 0),
                             serial=10 + i) for i in range(n)))
        assert c.alive()
    last = bus.client()
    assert last.ask("RequestName", variant("(su)", f"t.N{len(leaving)}x0", 0)) == (1,)
    leaving.append(last)
    assert witness.add_match(OWNER_CHANGED) == () and witness.alive()
    names = [c.name for c in leaving]
    with asleep(bus):
        for c in leaving:
            c.close()
        # One that nobody will answer any more is answered at once, too.
        witness.send(call("/", "t.T", "M", destination=names[-1], serial=8) + PING)
    told = before_answer(witness, 8) + before_answer(witness)
    assert len(told) < 400, len(told)
    told += [witness.message() for _ in range((len(leaving) - 1) * (n + 1) + 2 - len(told))]
    lost = [m.get_body().unpack()[0] for m in told]
    # All are told, of each client one name after the other, and its unique name last.
    for k, name in enumerate(names):
        of_it = [x for x in lost if x == name or x.startswith(f"t.N{k}x")]
        assert of_it == [f"t.N{k}x{i}" for i in range(len(of_it) - 1)] + [name], of_it
    assert len(set(lost)) == len(lost)
    # The clients take turns.
    assert lost.index(last.name) < 4 * len(leaving), lost.index(last.name)
    assert longest_run([x.split("x")[0] for x in lost]) == 1
    assert witness.alive() and holder.alive()


def test_accepts(env):
    """a flood of connections: so many of them are taken in one turn, and no more"""
    bus = Watched(env)
    witness = roomy(bus.witness)
    assert witness.add_match(OWNER_CHANGED) == ()
    hello = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n" + call("/", BUS, "Hello", serial=1)
    come = []
    with asleep(bus):
        for _ in range(4 * ACCEPTS - 1):  # 1, 2, 4, 8, 16, and then no longer twice as many
            c = bus.client(authenticate=False)
            c.send(hello)
            come.append(c)
        witness.send(b"".join(with_u32(PING, 8, 1000 + i) for i in range(1200)))
    told = [m.get_member() for m in before_answer(witness, 2199)]
    assert told.count("NameOwnerChanged") == len(come)
    assert longest_run(told, "NameOwnerChanged") == ACCEPTS
