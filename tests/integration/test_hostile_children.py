# SPDX-License-Identifier: MIT
"""sbportal and sbrouter in a guest's hands: what they say to the supervisor, and how they end.

Whatever it is, the instance ends, the line that says why names who it was, nothing is left behind,
and nothing on the session bus is called for it.
"""

import os
import re
import socket
import struct
import time

from rig import boundaries
from rig.gate import Gate
from rig.guest import FILE_CHOOSER, PATH, GLib
from rig.processes import scale, wait_for
from rig.rogue import PORTAL, PRIVATE_ROUTER, ROUTER, Rogue
from rig.rogue_bus import WELCOME, Bus
from rig.sidebus import left_behind

ALL = (PORTAL, ROUTER, PRIVATE_ROUTER)
BROKE = "it broke the ipc protocol"
# What an instance calls on the session bus by itself, and what the host's portal does then.
OWN_CALLS = {"Hello", "AddMatch", "RemoveMatch", "GetNameOwner", "Get", "GetAll", "Lookup",
             "GetConnectionUnixProcessID", "GetConnectionCredentials", "StartServiceByName",
             "Register", "Subscribe"}


def ended(rogue, pattern):
    """The instance ends with an error; one line of its log has the pattern; nothing is left."""
    children = rogue.sidebus.children()
    status = rogue.sidebus.process.wait()
    log = rogue.sidebus.log()
    assert status == 1, (status, log)
    lines = [line for line in log.splitlines() if re.search(pattern, line)]
    assert len(lines) == 1, f"{pattern}: {lines}\n{log}"
    assert not left_behind(rogue.sidebus, children), left_behind(rogue.sidebus, children)
    rogue.close()


def nothing_called(monitor, more=()):
    called = {m.get("member") for m in monitor.messages() if m["type"] == "method_call"}
    assert called <= OWN_CALLS | set(more), called - OWN_CALLS


# --- ipc ------------------------------------------------------------------------------------------

def packets(rogue):
    """(packet, how many descriptors) that no program of ours would send."""
    body = struct.pack("=II", rogue.abi, 0)
    mine = "PORTAL_READY" if rogue.who == PORTAL else "ROUTER_READY"
    for kind in (0, len(rogue.types) + 1, 99, 0x80000000 + rogue.types[mine], 0xffffffff):
        yield rogue.packet(kind, body), 0
    # Another's to send, and in the wrong direction: exactly as it should be but for that.
    sizes = {"ROUTER_CONFIG": 24, "PORTAL_CONFIG": 24}
    for name in rogue.types:
        if name != mine:
            fds = {"ROUTER_LISTEN": 1, "ROUTER_PEER": 1, "PORTAL_CONFIG": 2}.get(name, 0)
            yield rogue.packet(name, bytes(sizes.get(name, 8))), fds
    for size in (0, 1, 7, 9, 16, 64, 4096, 65536):
        yield rogue.packet(mine, bytes(size)), 0
    for size in range(1, 8):
        yield rogue.ready[:size], 0
    for tail in (1, 8, 4096, 0x7fffffff, 0xffffffff):
        yield rogue.packet(mine, body, tail), 0
        yield rogue.packet(mine, body + bytes(min(tail, 4096)), tail), 0
    for count in (1, 2, 4, 5, 64, 253):
        yield rogue.ready, count
    yield b"", 1
    yield rogue.packet(mine, struct.pack("=II", rogue.abi + 1, 0)), 0
    yield rogue.packet(mine, struct.pack("=II", 0, 0)), 0
    yield rogue.packet(mine, struct.pack("=II", rogue.abi, 1)), 0
    yield rogue.packet(mine, struct.pack("=II", rogue.abi, 0xffffffff)), 0


def count_packets(env, who):
    rogue = Rogue(env, who)
    found = len(list(packets(rogue)))
    rogue.close()
    return found


def ipc_breaches(env, who):
    monitor = env.closing(env.session.monitor())
    count = count_packets(env, who)
    assert count > 40, count
    with open("/dev/null", "rb") as null:
        for n in range(count):
            rogue = env.closing(Rogue(env, who))
            held = rogue.configuration()  # the gate is another matter
            packet, fds = list(packets(rogue))[n]
            rogue.send(packet, [null.fileno()] * fds)
            ended(rogue, f"{who}: {BROKE}")
            for fd in held:
                os.close(fd)
    nothing_called(monitor)
    env.hostile(boundaries.IPC, count)


def test_ipc_of_portal(env):
    """packets that sbportal must not send: one each, then it is killed, and said"""
    ipc_breaches(env, PORTAL)


def test_ipc_of_router(env):
    """packets that the VM's router must not send"""
    ipc_breaches(env, ROUTER)


def test_ipc_of_private_router(env):
    """packets that the private bus's router must not send"""
    ipc_breaches(env, PRIVATE_ROUTER)


def test_ipc_flood(env):
    """thousands of packets at once, good ones first: the second is one too many"""
    for who in ALL:
        rogue = env.closing(Rogue(env, who))
        rogue.configuration()
        sent = 0
        try:
            for sent in range(20000):
                rogue.send(rogue.ready)
        except (BrokenPipeError, ConnectionResetError):
            pass
        ended(rogue, f"{who}: {BROKE}")
        assert "was killed" not in rogue.sidebus.log(), rogue.sidebus.log()  # that is said once
        env.hostile(boundaries.IPC)  # a flood is one input


def test_ipc_half_closed(env):
    """a channel that is closed, for writing, for reading, or both ways: hung up"""
    for who in ALL:
        for how in (socket.SHUT_WR, socket.SHUT_RDWR):
            rogue = env.closing(Rogue(env, who))
            rogue.configuration()
            rogue.ipc.shutdown(how)
            ended(rogue, f"{who} (was killed by signal 9|ended with status 0)")
            env.hostile(boundaries.IPC)


# --- never, and too early -------------------------------------------------------------------------

def test_never_ready(env):
    """who never answers: after 30 s the start is given up, and the line names who it was"""
    rogues = []
    for who in ALL:
        rogues.append(env.closing(Rogue(env, who)))  # has not even read what it was told
        rogues.append(env.closing(Rogue(env, who)))
        rogues[-1].configuration()
    for rogue in rogues:
        wait_for("the start to be given up", lambda r=rogue: not r.sidebus.process.running(), 60)
        ended(rogue, f"{rogue.who} did not get ready within 30 s")
    env.hostile(boundaries.IPC, len(rogues))


def test_killed_at_start(env):
    """SIGKILL before and after it has read its configuration, and when it is ready"""
    for who in ALL:
        for stage in range(3):
            rogue = env.closing(Rogue(env, who))
            if stage > 0:
                rogue.configuration()
            if stage > 1:
                rogue.send(rogue.ready)
            rogue.kill()
            ended(rogue, f"{who} was killed by signal 9")
            env.hostile(boundaries.IPC)


# --- the gate's other end dies --------------------------------------------------------------------

def half_message(gate, _env):
    message = Gate.message(PATH, FILE_CHOOSER, "OpenFile", GLib.Variant(
        "(ssa{sv})", ("", "half", {})))
    gate.raw.sendall(message[:len(message) // 2])


def header_only(gate, _env):
    gate.raw.sendall(Gate.message(PATH, FILE_CHOOSER, "OpenFile")[:16])


def open_dialog(gate, env):
    gate.raw.sendall(Gate.message(PATH, FILE_CHOOSER, "OpenFile", GLib.Variant(
        "(ssa{sv})", ("", "open", {}))))
    return env.dialog()


def many_calls(gate, _env):
    call = GLib.Variant("(ssa{sv})", ("", "many", {}))
    gate.raw.sendall(b"".join(Gate.message(PATH, FILE_CHOOSER, "OpenFile", call, serial=n)
                              for n in range(1, 50)))


def picked(gate, env):
    """It dies while what was picked is being exported."""
    dialog = open_dialog(gate, env)
    paths = [env.host_file(f"picked {n}") for n in range(100)]
    dialog.answer(0, uris=("as", ["file://" + os.fsdecode(p).replace(" ", "%20") for p in paths]))


def half_handshake(gate, _env):
    assert gate


def test_killed_at_gate(env):
    """SIGKILL of sbportal at each stage of a request: the dialog is closed, nothing stays"""
    for stage in (half_handshake, header_only, half_message, open_dialog, many_calls, picked):
        gate = env.closing(Gate(env, speak=False))
        gate.raw.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\n")
        if stage is not half_handshake:
            gate.raw.sendall(b"BEGIN\r\n")
            gate.sidebus.wait_ready()
        dialog = stage(gate, env)
        gate.rogue.kill()
        gate.raw.close()
        # Which of the two ends is noticed first is chance: either line names it.
        ended(gate.rogue, "sbportal was killed by signal 9")
        if dialog:
            env.chooser.wait_closed(dialog)
        env.chooser.settle()
        env.hostile(boundaries.GATE)


def test_silent_at_gate(env):
    """half a message, and then nothing: the instance lives, and stops when it is told to"""
    for stage in (half_handshake, header_only, half_message):
        gate = env.closing(Gate(env, speak=False))
        gate.raw.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\n")
        if stage is not half_handshake:
            gate.raw.sendall(b"BEGIN\r\n")
        gate.sidebus.wait_ready()
        stage(gate, env)
        time.sleep(0.2)
        assert gate.sidebus.process.running(), gate.sidebus.log()
        assert gate.sidebus.stop() == 0, gate.sidebus.log()
        env.hostile(boundaries.GATE)


# --- the private bus's router ---------------------------------------------------------------------

def test_private_stream(env):
    """the private bus: no SASL, garbage, a message too long, hanging up: the end, and why"""
    hung_up = "the private bus (has hung up|does not let us listen)"
    sent = "the private bus has sent "
    for data, pattern in (
            (b"", hung_up), (b"REJECTED\r\n", hung_up), (b"\xff" * 100, hung_up),
            (b"A" * 20000, sent + "a handshake without an end"), (WELCOME, hung_up),
            (WELCOME + b"\xff" * 16, sent + "what is no D-Bus message"),
            (WELCOME + b"l\2\0\1\xff\xff\xff\x7f\1\0\0\0\0\0\0\0",
             sent + "a message of 21474836"),
            (WELCOME + b"l\2\0\1\0\0\0\0\1\0\0\0\0\0\0", hung_up)):
        bus = Bus(env, PRIVATE_ROUTER)
        bus.greet(data)
        if pattern is not hung_up:
            bus.sidebus.wait_log(pattern)
        bus.socket.close()
        ended(bus.rogue, pattern)
        env.hostile(boundaries.PRIVATE_BUS)


def test_private_stream_later(env):
    """the private bus hangs up once the daemons may come: the end, at once, and why"""
    bus = Bus(env, PRIVATE_ROUTER)
    bus.greet()
    bus.answer(bus.next_call("Hello"), GLib.Variant("(s)", (":1.1",)))
    bus.answer(bus.next_call("AddMatch"), None)
    bus.sidebus.child("xdg-permission-store")
    bus.socket.close()
    ended(bus.rogue, "the private bus has hung up")
    env.hostile(boundaries.PRIVATE_BUS)


# --- what it writes to its log --------------------------------------------------------------------

def test_log_lines(env):
    """a child's log: control characters, false priorities, endless and endlessly many lines"""
    lines = [bytes([n]) * 3 + b" oddity" for n in range(256) if n != 10]
    lines += [b"<0>urgent", b"<9>none", b"<", b"<3", b"<3>", b"sbsupervisor[demo]: forged",
              b"x\rsbsupervisor[demo]: forged", "\u202egnp.exe\u2028".encode(), b"%s%n%x"]
    for who in (PORTAL, ROUTER):
        rogue = env.closing(Rogue(env, who))
        rogue.configuration()
        rogue.send(rogue.ready)
        for at in range(0, len(lines), 20):  # not all at once: there is a limit
            os.write(rogue.log_fd, b"\n".join(lines[at:at + 20]) + b"\n")
            time.sleep(0.5)
        os.write(rogue.log_fd, b"y" * 60000)
        wait_for("the long line", lambda r=rogue: "yyyy" in r.sidebus.log())
        log = rogue.sidebus.log()
        mine = [line for line in log.splitlines() if " oddity" in line]
        assert len(mine) > 200, (len(mine), log[-3000:])
        assert all(line.startswith(f"{who}[demo]: ") for line in mine), mine
        assert not re.search(r"^sbsupervisor\[demo\]: forged", log, re.MULTILINE)
        raw = rogue.sidebus.process.log_path
        with open(raw, "rb") as f:
            assert not set(f.read()) & (set(range(32)) - {10, 9} | {127}), "a control character"
        env.hostile(boundaries.IPC, len(lines) + 1)
        assert rogue.sidebus.process.running()
        rogue.close()


def test_log_flood(env):
    """a child that writes without end: it is counted, not filed, and the supervisor goes on"""
    rogue = env.closing(Rogue(env, PORTAL))
    rogue.configuration()
    rogue.send(rogue.ready)
    rogue.sidebus.wait_ready()
    data = b"flood\n" * 10000
    for _ in range(50):
        assert os.write(rogue.log_fd, data[:4096])
    until = time.monotonic() + 2
    while time.monotonic() < until:
        os.write(rogue.log_fd, data[:4096])
    assert rogue.sidebus.process.running()
    rogue.sidebus.wait_log(r"lines of this process were not logged", 10 * scale())
    assert rogue.sidebus.log().count("flood") < 1000
    assert rogue.sidebus.stop() == 0
    env.hostile(boundaries.IPC)
