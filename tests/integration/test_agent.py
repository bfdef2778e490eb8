# SPDX-License-Identifier: MIT
"""sbagent alone: a host that this file plays byte by byte, or a real dbus-daemon behind it."""

import array
import contextlib
import hashlib
import os
import random
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

from gi.repository import Gio, GLib

from rig import boundaries
from rig.processes import Process, listens, scale, wait_for
from rig.sidebus import Agent, Notify

OK = b"SIDEBUS/1 OK\n"
LONG = 20 * scale()  # how long something may take before it counts as never
DRIVER = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


# --- the two ends ------------------------------------------------------------------------------

def client(path, first=b"\0"):
    """A program that has said its first byte: before it the agent does not turn to the host."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(LONG)
    s.connect(path)
    if first:  # no bytes may still be a broken pipe
        s.sendall(first)
    return s


def read_exactly(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        assert piece, f"the stream ended after {len(data)} of {n} bytes"
        data += piece
    return data


def read_to_end(s):
    data = b""
    while piece := s.recv(65536):
        data += piece
    return data


def ended(s):
    """Whether the other end closed the stream, with or without something unread."""
    try:
        return s.recv(65536) == b""
    except ConnectionResetError:
        return True


def read_line(s):
    line = b""
    while not line.endswith(b"\n"):
        line += read_exactly(s, 1)
    return line


class Host:
    """A host that does nothing by itself."""

    def __init__(self, path, backlog=300):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(path)
        self.socket.listen(backlog)
        self.socket.settimeout(LONG)
        self.line = b""

    def accept(self, answer=OK, first=b"\0"):
        """The next stream, after its line was answered; first: what client() said is read."""
        s, _ = self.socket.accept()
        s.settimeout(LONG)
        self.line = read_line(s)
        s.sendall(answer)
        if answer.startswith(b"SIDEBUS/1 OK"):
            assert read_exactly(s, len(first)) == first
        return s

    def close(self):
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def pump(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Undescribed:
    """A stream that, like the VM bus, does not agree to descriptors: no relay could carry them."""

    def __init__(self, stream):
        self.stream = stream

    def sendall(self, data):
        self.stream.sendall(data.replace(b"NEGOTIATE_UNIX_FD", b"NEGOTIATE_NOTHING"))

    def __getattr__(self, name):
        return getattr(self.stream, name)


class BusHost(Host):
    """A host behind which a real dbus-daemon is."""

    def __init__(self, directory):
        super().__init__(os.path.join(directory, "h"))
        bus = os.path.join(directory, "bus")
        self.daemon = Process(["/usr/bin/dbus-daemon", "--nofork", "--session",
                               "--address=unix:path=" + bus],
                              log=os.path.join(directory, "bus.log"))
        wait_for("dbus-daemon", lambda: listens(bus))
        self.streams = []
        threading.Thread(target=self.serve, args=[bus], daemon=True).start()

    def serve(self, bus):
        self.socket.settimeout(None)
        with contextlib.suppress(OSError):
            while True:
                stream = self.accept(first=b"")
                stream.settimeout(None)
                upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                upstream.connect(bus)
                self.streams += [stream, upstream]
                for a, b in ((stream, Undescribed(upstream)), (upstream, stream)):
                    threading.Thread(target=pump, args=[a, b], daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        super().close()
        for s in self.streams:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()
        self.daemon.stop()


class CheckedAgent(Agent):
    """Ends well or fails its test: a crash, a killed system call or a leak is seen here."""

    def stop(self):
        was_running = self.process.running()
        code = super().stop()
        assert not was_running or code == 0, f"exit status {code}:\n{self.log()}"
        return code


def start(env, *arguments, host=None, environment=None):
    """An agent, and where its host listens."""
    path = host or os.path.join(env.tmp, "h")
    agent = CheckedAgent(env.build, os.path.join(env.tmp, "a"), path, arguments=arguments,
                         env=dict(os.environ, **(environment or {})))
    env.closing(agent)
    return agent, path


def start_pair(env, *arguments):
    """(agent, host), the host listening."""
    host = env.closing(Host(os.path.join(env.tmp, "h")))
    return start(env, *arguments)[0], host


def connect(env, agent, host, answer=OK):
    """(the program's end, the host's end) of one relayed stream."""
    program = env.closing(client(agent.socket))
    return program, env.closing(host.accept(answer))


def run_agent(env, *arguments, environment=None, directory=None):
    """Runs sbagent to its end; (exit status, what it said)."""
    done = subprocess.run([os.path.join(env.build, "sbagent"), *arguments], capture_output=True,
                          env=dict(os.environ, **(environment or {})), cwd=directory or env.tmp,
                          timeout=LONG, check=False)
    return done.returncode, (done.stderr + done.stdout).decode()


# --- the relay ---------------------------------------------------------------------------------

def test_greeting_line(env):
    """the host is told the program's uid and pid, and gets nothing before it answers"""
    agent, host = start_pair(env)
    program = env.closing(client(agent.socket, first=b"\0early"))
    stream = env.closing(host.socket.accept()[0])
    line = stream.recv(4096)
    assert line == b"SIDEBUS/1 CLIENT uid=%d pid=%d\n" % (os.getuid(), os.getpid()), line
    stream.settimeout(0.2)
    try:
        assert False, f"before the answer: {stream.recv(4096)}"
    except socket.timeout:
        pass
    stream.settimeout(LONG)
    stream.sendall(OK)
    assert read_exactly(stream, 6) == b"\0early"


def test_answer_is_stripped(env):
    """exactly the host's line is taken off, however it arrives"""
    agent, host = start_pair(env)
    token = b"SIDEBUS/1 OK token=0123456789abcdef0123456789abcdef\n"
    for answer in (token, OK + b"\nOK\n" + OK, OK + b"\0" * 5000):
        program, stream = connect(env, agent, host, answer)
        stream.close()
        assert read_to_end(program) == answer.split(b"\n", 1)[1]
    program = env.closing(client(agent.socket))
    stream = env.closing(host.accept(b""))
    for i in range(len(token)):
        stream.sendall(token[i:i + 1])
        time.sleep(0.001)
    stream.sendall(b"rest")
    assert read_exactly(program, 4) == b"rest"


def send_odd(s, data, seed):
    """All of data, in pieces of odd sizes, some of one byte."""
    sizes, at = random.Random(seed), 0
    while at < len(data):
        n = sizes.choice((1, 7, 4093, 65537, 300001))
        s.sendall(data[at:at + n])
        at += n
    s.shutdown(socket.SHUT_WR)


def receive_odd(s, seed, result):
    sizes, digest, n = random.Random(seed), hashlib.sha256(), 0
    while data := s.recv(sizes.choice((1, 13, 5003, 70001))):
        digest.update(data)
        n += len(data)
    result[seed] = (n, digest.hexdigest())


def test_bytes_exact(env):
    """20 MB of random bytes each way at once, in odd pieces, arrive unchanged"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    up, down = os.urandom(20_000_000), os.urandom(20_000_001)
    result = {}
    threads = [threading.Thread(target=send_odd, args=[program, up, 1]),
               threading.Thread(target=send_odd, args=[stream, down, 2]),
               threading.Thread(target=receive_odd, args=[stream, 3, result]),
               threading.Thread(target=receive_odd, args=[program, 4, result])]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert result[3] == (len(up), hashlib.sha256(up).hexdigest())
    assert result[4] == (len(down), hashlib.sha256(down).hexdigest())


def resident(pid):
    """KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1])


def fill(s):
    """Writes until nothing goes any more for a while; how much went."""
    block, n = b"x" * 65536, 0
    s.settimeout(0.5)
    with contextlib.suppress(socket.timeout):
        while True:
            n += s.send(block)
            assert n < 64 << 20, "64 MiB went to a reader that reads nothing"
    s.settimeout(LONG)
    return n


def test_back_pressure(env):
    """readers that stop hold up their own stream, cost bounded memory, and lose nothing"""
    agent, host = start_pair(env)
    before = resident(agent.process.pid)
    stuck = []
    for i in range(10):
        program, stream = connect(env, agent, host)
        writer, reader = (program, stream) if i % 2 else (stream, program)
        stuck.append((writer, reader, fill(writer)))
    program, stream = connect(env, agent, host)
    for i in range(100):
        program.sendall(b"ping%d" % i)
        assert read_exactly(stream, len(b"ping%d" % i)) == b"ping%d" % i
        stream.sendall(b"pong")
        assert read_exactly(program, 4) == b"pong"
    grown = resident(agent.process.pid) - before
    # one buffer each, the shared one, and what malloc and a sanitizer add
    assert grown < (11 * 256 + 4096) * scale(), f"{grown} KiB more"
    for writer, reader, n in stuck:
        writer.shutdown(socket.SHUT_WR)
        assert len(read_to_end(reader)) == n


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", "rb") as f:
        fields = f.read().rsplit(b")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_idle_is_idle(env):
    """stuck, half closed and abandoned streams do not make the agent spin"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    fill(program)
    program.close()  # gone, with much of it undelivered
    program, stream2 = connect(env, agent, host)
    fill(stream2)
    program.shutdown(socket.SHUT_WR)
    program, _ = connect(env, agent, host)
    program.shutdown(socket.SHUT_WR)
    time.sleep(0.2)
    before = cpu_ticks(agent.process.pid)
    time.sleep(1)
    assert cpu_ticks(agent.process.pid) - before <= 5
    assert len(read_to_end(stream)) > 0


def test_half_close(env):
    """the end of one direction is passed on, and the other goes on"""
    agent, host = start_pair(env)
    for first in (0, 1):
        pair = connect(env, agent, host)
        a, b = pair[first], pair[1 - first]
        a.sendall(b"last words")
        a.shutdown(socket.SHUT_WR)
        assert read_to_end(b) == b"last words"
        for _ in range(3):
            b.sendall(b"x" * 100_000)
            assert read_exactly(a, 100_000) == b"x" * 100_000
        b.close()
        assert ended(a)


def test_half_close_limit(env):
    """one direction does not outlive the other for ever when nothing comes"""
    agent, host = start_pair(env, "--half-close-timeout", "0.5")
    program, stream = connect(env, agent, host)
    program.shutdown(socket.SHUT_WR)
    assert read_to_end(stream) == b""
    for _ in range(4):  # each byte is a reason to wait on
        time.sleep(0.3)
        stream.sendall(b".")
    assert read_to_end(program) == b"...."
    assert ended(stream)


def test_client_gone(env):
    """what a program said before it left arrives, then the end"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    program.sendall(b"x" * 300_000)
    program.close()
    assert read_to_end(stream) == b"x" * 300_000


def test_host_stream_gone(env):
    """what the host said before it left arrives, then the end"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    stream.sendall(b"x" * 300_000)
    stream.close()
    assert read_to_end(program) == b"x" * 300_000


def test_client_gone_unread(env):
    """a program that leaves with much unread does not hold the host's stream"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    fill(stream)
    program.close()
    assert ended(stream)


def test_descriptors_dropped(env):
    """a descriptor that a program sends is closed, the bytes beside it arrive"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    reader, writer = os.pipe()
    program.sendmsg([b"with fd"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                    array.array("i", [writer]))])
    os.close(writer)
    assert read_exactly(stream, 7) == b"with fd"
    assert os.read(reader, 1) == b""
    os.close(reader)
    env.hostile(boundaries.AGENT)


def test_200_at_once(env):
    """200 programs at once, each with its own stream"""
    agent, host = start_pair(env)
    programs = [env.closing(client(agent.socket)) for _ in range(200)]
    for i, program in enumerate(programs):
        program.sendall(b"%06d" % i)
    streams = [env.closing(host.accept()) for _ in range(200)]
    for stream in streams:
        stream.sendall(b"you are " + read_exactly(stream, 6))
    for i, program in enumerate(programs):
        assert read_exactly(program, 14) == b"you are %06d" % i


def test_busy_host(env):
    """a host with a short queue gets all of them, a little later"""
    host = env.closing(Host(os.path.join(env.tmp, "h"), backlog=1))
    agent, _ = start(env, "--connect-timeout", "60")
    programs = [env.closing(client(agent.socket)) for _ in range(30)]
    for program in programs:
        program.sendall(b"?")
    for _ in programs:
        stream = env.closing(host.accept())
        assert read_exactly(stream, 1) == b"?"
        stream.sendall(b"!")
    for program in programs:
        assert read_exactly(program, 1) == b"!"


def test_limit_of_one_user(env):
    """one user gets 256 connections, and new ones when old ones end"""
    agent, host = start_pair(env)
    pairs = [connect(env, agent, host) for _ in range(256)]
    assert ended(env.closing(client(agent.socket, first=b"")))
    agent.wait_log("256 connections already")
    pairs[7][0].close()
    assert ended(pairs[7][1])
    program, stream = connect(env, agent, host)
    program.sendall(b"in")
    assert read_exactly(stream, 2) == b"in"


def test_silent_programs(env):
    """a program that says nothing costs the host nothing, and goes first when there is no more room"""
    agent, host = start_pair(env)
    program, stream = connect(env, agent, host)
    silent = [env.closing(client(agent.socket, first=b"")) for _ in range(400)]
    host.socket.settimeout(0.3)
    try:
        assert False, host.socket.accept()
    except socket.timeout:
        host.socket.settimeout(LONG)
    assert all(ended(s) for s in silent[:145])
    assert len(select.select(silent[145:], [], [], 0)[0]) == 0
    newcomer, its_stream = connect(env, agent, host)
    for a, b in ((program, stream), (newcomer, its_stream)):
        a.sendall(b"here")
        assert read_exactly(b, 4) == b"here"
    assert ended(silent[145])
    silent[-1].sendall(b"\0")
    host.accept().close()


def test_some_hung_up(env):
    """a host that closes one stream without an answer is not down: nobody else waits for long"""
    agent, host = start_pair(env)
    connect(env, agent, host)
    for _ in range(3):
        program = env.closing(client(agent.socket))
        for _ in range(5):
            host.socket.accept()[0].close()
        stream = env.closing(host.accept())  # it is tried again, and so it gets there
        program.sendall(b"here")
        assert read_exactly(stream, 4) == b"here"
    assert "does not answer" not in agent.log(), agent.log()


def test_nothing_leaks(env):
    """1500 programs one after another, more than the agent may have descriptors"""
    agent, host = start_pair(env)
    for i in range(1500):
        program = client(agent.socket)
        stream = host.accept()
        (program if i % 2 else stream).close()
        assert ended(stream if i % 2 else program)
        program.close()
        stream.close()


# --- a real bus behind it ----------------------------------------------------------------------

def call_driver(address, method, arguments=None):
    connection = Gio.DBusConnection.new_for_address_sync(
        address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT |
        Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
    try:
        return connection.call_sync(*DRIVER, method, arguments, None, Gio.DBusCallFlags.NONE,
                                    int(LONG * 1000), None).unpack()
    finally:
        connection.close_sync(None)


def output_of(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LONG, check=False)
    return done.returncode, done.stdout + done.stderr


PYTHON_DBUS = """
import sys, dbus.bus
print(dbus.bus.BusConnection(sys.argv[1]).list_names())
"""


def stock_clients(address):
    """Commands of the four D-Bus libraries a guest has."""
    return {
        "gdbus": ["gdbus", "call", "--address", address, "--dest", DRIVER[0], "--object-path",
                  DRIVER[1], "--method", DRIVER[2] + ".ListNames"],
        "dbus-send": ["dbus-send", "--bus=" + address, "--print-reply", "--dest=" + DRIVER[0],
                      DRIVER[1], DRIVER[2] + ".ListNames"],
        "busctl": ["busctl", "--address=" + address, "--no-pager", "list"],
        "python": [sys.executable, "-c", PYTHON_DBUS, address],
    }


def test_stock_clients(env):
    """gdbus, dbus-send, busctl and python-dbus reach a real bus behind the agent"""
    host = env.closing(BusHost(env.tmp))
    agent, _ = start(env, host=host.path)
    for name, argv in stock_clients(agent.address).items():
        code, said = output_of(*argv)
        assert code == 0 and "org.freedesktop.DBus" in said, f"{name}: {said}"


def test_stock_clients_without_host(env):
    """without a host the same programs show why"""
    agent, path = start(env, "--connect-timeout", "0.2")
    for name, argv in stock_clients(agent.address).items():
        code, said = output_of(*argv)
        assert code != 0, f"{name}: {said}"
        if name == "busctl":  # sd-bus has no way to tell its caller the text
            continue
        assert f"sidebus: the host does not answer on unix:{path}" in said, f"{name}: {said}"
        assert "No such file or directory" in said and "is sidebus@VM running" in said, said
        if name in ("gdbus", "python"):
            assert "org.freedesktop.DBus.Error.NoServer" in said or name == "python", said


def test_host_dies_and_returns(env):
    """the host dies under a client: it is told; later clients get an error, then a bus again"""
    host = BusHost(env.tmp)
    agent, path = start(env, "--connect-timeout", "0.3", host=host.path)
    connection = Gio.DBusConnection.new_for_address_sync(
        agent.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT |
        Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
    connection.set_exit_on_close(False)
    closed = []
    connection.connect("closed", lambda *a: closed.append(a))
    host.close()
    wait_for("the client to be told",
             lambda: GLib.MainContext.default().iteration(False) or closed)
    assert agent.process.running()
    try:
        call_driver(agent.address, "ListNames")
        assert False, "a call without a host succeeded"
    except GLib.Error as e:
        assert Gio.DBusError.get_remote_error(e) == "org.freedesktop.DBus.Error.NoServer", e
    wait_for("the host to be missed", lambda: agent.notify.has(
        f"STATUS=The host does not answer on unix:{path}: No such file or directory"))
    env.closing(BusHost(env.tmp))

    def works():
        try:
            return call_driver(agent.address, "ListNames")
        except GLib.Error:
            return None
    assert wait_for("the bus to be back", works)
    assert agent.notify.has(f"STATUS=The host answers on unix:{path}.")


def test_large_message(env):
    """a message of 4 MiB goes through whole, both ways"""
    host = env.closing(BusHost(env.tmp))
    agent, _ = start(env, host=host.path)
    text = "x" * (4 << 20)
    try:
        call_driver(agent.address, "GetNameOwner", GLib.Variant("(s)", (text,)))
        assert False, "a name of 4 MiB has an owner"
    except GLib.Error as e:
        assert text in e.message


# --- no host -----------------------------------------------------------------------------------

def test_host_comes_in_time(env):
    """programs that came while the host was away are served when it comes"""
    agent, path = start(env, "--connect-timeout", "60")
    programs = [env.closing(client(agent.socket)) for _ in range(20)]
    agent.wait_log("the host does not answer")
    time.sleep(0.5)
    host = env.closing(Host(path))
    for _ in programs:
        stream = env.closing(host.accept())
        stream.sendall(b"welcome")
    for program in programs:
        assert read_exactly(program, 7) == b"welcome"


def test_back_off(env):
    """while the host fails it is tried by one program at a time, ever more rarely"""
    agent, host = start_pair(env, "--connect-timeout", "3")
    programs = [env.closing(client(agent.socket)) for _ in range(50)]
    first = [host.socket.accept()[0] for _ in programs]
    for stream in first:  # all fail at once: that is one failure
        stream.close()
    tries, started = [], time.monotonic()
    host.socket.settimeout(0.1)
    while time.monotonic() - started < 2:
        with contextlib.suppress(socket.timeout):
            host.socket.accept()[0].close()
            tries.append(time.monotonic() - started)
    # the first after 0.05 to 0.1 s, then doubling: at 0.05 ... 0.8 at the soonest
    assert 2 <= len(tries) <= 6, tries
    assert len([line for line in agent.log().splitlines() if "does not answer" in line]) == 1
    programs[0].sendall(b"AUTH EXTERNAL 30\r\n")
    assert read_exactly(programs[0], 3) == b"OK "


def refusal_of(agent):
    """What a D-Bus program is told."""
    try:
        call_driver(agent.address, "ListNames")
    except GLib.Error as e:
        assert Gio.DBusError.get_remote_error(e) == "org.freedesktop.DBus.Error.NoServer", e
        return e.message
    raise AssertionError("the call succeeded")


def answering(host, answer):
    """A thread that answers the next stream's line so, and closes it."""
    def run():
        with contextlib.suppress(OSError, AssertionError):
            stream = host.accept(answer, first=b"")
            ended(stream)
            stream.close()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_refused_greeting(env):
    """the host's own reason reaches the program; so does an answer that is none"""
    agent, host = start_pair(env)
    for answer, expect in (
            (b"SIDEBUS/1 ERROR Verb unknown verb\n", "refuses this connection: Verb unknown verb"),
            (b"SIDEBUS/2 OK\n", "speaks another version"),
            (b"HTTP/1.1 400 Bad Request\r\n", "is not sidebus"),
            (b"\0", "is not sidebus"),
            (b"SIDEBUS/1 OK " + b"x" * 300, "is not sidebus")):
        thread = answering(host, answer)
        said = refusal_of(agent)
        thread.join()
        assert expect in said and host.path in said, said
        env.hostile(boundaries.HOST)


def test_silent_host(env):
    """a host that takes the connection and says nothing is given up in time"""
    agent, host = start_pair(env, "--connect-timeout", "0.5")
    said = refusal_of(agent)
    assert "takes the connection and is silent" in said, said
    env.hostile(boundaries.HOST)


def test_hanging_up_host(env):
    """a host that closes before it answers is tried again, then given up"""
    agent, host = start_pair(env, "--connect-timeout", "2")

    def run():
        with contextlib.suppress(OSError):
            while True:
                host.socket.accept()[0].close()
    threading.Thread(target=run, daemon=True).start()
    said = refusal_of(agent)
    env.hostile(boundaries.HOST)
    assert "closes the connection" in said or "Connection reset" in said or "Broken pipe" in said, \
        said
    host.socket.shutdown(socket.SHUT_RDWR)


def test_client_leaves_while_waiting(env):
    """programs that give up while the host is away leave nothing behind, even the one trying"""
    agent, path = start(env, "--connect-timeout", "60")
    programs = [client(agent.socket) for _ in range(200)]
    agent.wait_log("the host does not answer")
    for program in programs:
        program.close()
    host = env.closing(Host(path))
    first = client(agent.socket)
    while True:  # one of those that left may be trying while its leaving is noticed
        stream = env.closing(host.socket.accept()[0])
        stream.settimeout(0.3)
        with contextlib.suppress(socket.timeout):
            while stream.recv(4096):
                pass
            continue
        break  # first tries; all others wait for it
    stream.settimeout(LONG)
    second = env.closing(client(agent.socket))
    host.socket.settimeout(0.3)
    with contextlib.suppress(socket.timeout):
        host.socket.accept()
        assert False, "two tried at once"
    host.socket.settimeout(LONG)
    first.close()
    assert ended(stream)
    stream = env.closing(host.accept())
    second.sendall(b"still here")
    assert read_exactly(stream, 10) == b"still here"


def test_slow_loris(env):
    """without a host, programs that dawdle or talk nonsense are cut off; others get their error"""
    agent, _ = start(env, "--connect-timeout", "0.1")
    slow = [env.closing(client(agent.socket, first=b"")) for _ in range(50)]
    garbage = env.closing(client(agent.socket, first=b""))
    garbage.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert ended(garbage)
    endless = env.closing(client(agent.socket, first=b""))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(40):
            endless.sendall(b"\0" + b"A" * 1024)
    assert ended(endless)
    started = time.monotonic()
    for i in range(200):
        cut = 0
        for s in slow:
            try:
                s.send(b"\0AUTH EXTERNAL 3030303030303030"[i % 31:i % 31 + 1])
            except (BrokenPipeError, ConnectionResetError):
                cut += 1
        if cut == len(slow):
            break
        if i == 3:
            assert "does not answer" in refusal_of(agent)
        time.sleep(0.1)
    env.hostile(boundaries.AGENT, len(slow) + 2)
    assert cut == len(slow), f"{cut} of {len(slow)} cut after {time.monotonic() - started:.0f} s"


def test_refusal_lingers_shortly(env):
    """a program that was told and stays is closed; what it sends meanwhile is swallowed"""
    agent, _ = start(env, "--connect-timeout", "0.1")
    program = env.closing(client(agent.socket, first=b""))
    program.sendall(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n" +
                    b"l\1\0\1\0\0\0\0\7\0\0\0\0\0\0\0" + b"x" * 100_000)
    said = read_to_end(program)
    assert b"org.freedesktop.DBus.Error.NoServer" in said and said.startswith(b"OK ")
    env.hostile(boundaries.AGENT)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(100):
            program.sendall(b"y" * 1000)
            time.sleep(0.1)
        assert False, "the agent still listens after 10 s"


# --- how it is started -------------------------------------------------------------------------

def start_by_systemd(env, sockets, *arguments, environment=None):
    """An agent with sockets passed as systemd passes them."""
    code = ("import os, sys\n"
            "fds = [int(n) for n in sys.argv[1].split(',')]\n"
            "fds = [os.dup2(os.dup(fd), 60 + i) for i, fd in enumerate(fds)]\n"
            "for i, fd in enumerate(fds): os.dup2(fd, 3 + i); os.close(fd)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))\n"
            "os.execv(sys.argv[2], sys.argv[2:])\n")
    numbers = [s.fileno() for s in sockets]
    notify = env.closing(Notify(os.path.join(env.tmp, f"n{numbers[0]}")))
    process = Process([sys.executable, "-c", code, ",".join(map(str, numbers)),
                       os.path.join(env.build, "sbagent"), *arguments], pass_fds=numbers,
                      log=notify.path + ".log",
                      env=dict(os.environ, NOTIFY_SOCKET=notify.path, **(environment or {})))
    return env.closing(process), notify


def listening(path, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(path)
    if kind == socket.SOCK_STREAM:
        s.listen(16)
    return s


def test_socket_activation(env):
    """sockets from systemd are used, all of them, and not removed at the end"""
    host = env.closing(Host(os.path.join(env.tmp, "h")))
    paths = [os.path.join(env.tmp, name) for name in ("s1", "s2")]
    sockets = [env.closing(listening(path)) for path in paths]
    early = env.closing(client(paths[0]))  # waits in the queue until the agent is there
    process, notify = start_by_systemd(env, sockets, "--connect", "unix:" + host.path)
    for program in (early, env.closing(client(paths[1]))):
        stream = env.closing(host.accept())
        program.sendall(b"hello")
        assert read_exactly(stream, 5) == b"hello"
    wait_for("READY=1", lambda: notify.has("READY=1"))  # a thread of ours reads it
    assert process.stop() == 0
    assert all(os.path.exists(path) for path in paths)


def test_socket_activation_wrong(env):
    """a datagram socket from systemd, or --listen beside systemd's, is refused with a reason"""
    datagram = env.closing(listening(os.path.join(env.tmp, "d"), socket.SOCK_DGRAM))
    process, _ = start_by_systemd(env, [datagram], "--port", "1")
    assert process.wait() == 4
    assert "ListenStream=" in process.log()
    stream = env.closing(listening(os.path.join(env.tmp, "s")))
    process, _ = start_by_systemd(env, [stream], "--port", "1", "--listen", f"unix:{env.tmp}/x")
    assert process.wait() == 4
    assert "give one of them" in process.log()


def test_own_socket(env):
    """the socket is 0600 or as --mode says; a stale one is replaced; it is removed at the end"""
    for arguments, mode in (((), 0o600), (("--mode", "0666"), 0o666)):
        agent, path = start(env, *arguments)
        assert stat.S_IMODE(os.stat(agent.socket).st_mode) == mode
        code, said = run_agent(env, "--listen", "unix:" + agent.socket, "--connect", "unix:" + path)
        assert code == 4 and "is in use by another program" in said, said
        agent.process.kill()
        assert os.path.exists(agent.socket)
        agent.notify.close()
        agent, _ = start(env, *arguments)
        assert agent.stop() == 0
        assert not os.path.exists(agent.socket)
        env.to_close.clear()


def test_listen_errors(env):
    """each way in which listening fails says which and exits 4"""
    with open(os.path.join(env.tmp, "file"), "wb"):
        pass
    for where, expect in (("/file", "not a socket"), ("/none/s", "create it first"),
                          ("/file/s", "Not a directory")):
        code, said = run_agent(env, "--listen", "unix:" + env.tmp + where, "--port", "1")
        assert code == 4 and expect in said, said
    code, said = run_agent(env, "--port", "1")
    assert code == 4 and "--listen" in said, said


def credentials(env, **values):
    directory = os.path.join(env.tmp, "credentials")
    os.makedirs(directory, exist_ok=True)
    for name, value in values.items():
        with open(os.path.join(directory, "sidebus." + name.replace("_", "-")), "wb") as f:
            f.write(value)
    return directory


def host_named(env, *arguments, environment):
    """Where an agent started so would look for the host."""
    listen = os.path.join(env.tmp, "p")
    process = Process([os.path.join(env.build, "sbagent"), f"--listen=unix:{listen}", *arguments],
                      log=os.path.join(env.tmp, "p.log"), env=dict(os.environ, **environment))
    try:
        return wait_for("the agent to be ready", lambda: (
            re.search(r"ready; the host is at (\S+)", process.log()) or not process.running())
        )[1]
    finally:
        process.stop()
        os.unlink(process.log_path)


def test_precedence(env):
    """option over environment over credential over default"""
    directory = credentials(env, port=b"1001\n", cid=b"5")
    only = {"CREDENTIALS_DIRECTORY": directory}
    both = dict(only, SIDEBUS_PORT="1002")
    assert host_named(env, environment=only) == "vsock:5:1001"
    assert host_named(env, environment=both) == "vsock:5:1002"
    assert host_named(env, "--port", "1003", "--cid=2", environment=both) == "vsock:2:1003"
    assert host_named(env, environment=dict(both, SIDEBUS_CONNECT="")) == "vsock:5:1002"
    assert host_named(env, "--connect", "unix:/h", environment=both) == "unix:/h"
    os.unlink(os.path.join(directory, "sidebus.cid"))
    assert host_named(env, environment=only) == "vsock:2:1001"


def test_listen_from_credential(env):
    """the socket and its mode may come from credentials too"""
    path = os.path.join(env.tmp, "c")
    directory = credentials(env, listen=b"unix:" + path.encode(), mode=b"0660", port=b"1")
    process = env.closing(Process([os.path.join(env.build, "sbagent")],
                                  log=os.path.join(env.tmp, "log"),
                                  env=dict(os.environ, CREDENTIALS_DIRECTORY=directory)))
    wait_for("the agent", lambda: "ready" in process.log())
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660


def test_bad_config(env):
    """a bad value names where it comes from; exit 3; and a bad command line, exit 2"""
    listen = "--listen", f"unix:{env.tmp}/x"
    for values, expect in (
            (dict(port=b"port"), "credential sidebus.port: "),
            (dict(port=b""), "credential sidebus.port: "),
            (dict(port=b"1", cid=b"0"), "credential sidebus.cid: "),
            (dict(port=b"1\0"), "credential sidebus.port: Invalid argument"),
            (dict(port=b"1" * 300), "credential sidebus.port: Argument list too long"),
            (dict(port=b"1", connect=b"vsock:1"), "sidebus.connect and sidebus.port: give one"),
            (dict(connect=b"tcp:x\n"), "credential sidebus.connect: \"tcp:x\": ")):
        directory = credentials(env, **values)
        code, said = run_agent(env, *listen, environment={"CREDENTIALS_DIRECTORY": directory})
        assert code == 3 and expect in said, said
        env.hostile(boundaries.HOST)
        if expect.startswith("credential "):  # also where it would not count
            code, said = run_agent(env, *listen, "--port", "5",
                                   environment={"CREDENTIALS_DIRECTORY": directory})
            assert code == 3 and expect in said, said
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))
    code, said = run_agent(env, *listen, environment={"SIDEBUS_PORT": "x\n<0>y"})
    assert code == 3 and 'environment SIDEBUS_PORT: "x\\x0a<0>y"' in said, said
    code, said = run_agent(env, *listen, "--port=99999999999")
    assert code == 3 and "option --port: " in said, said
    code, said = run_agent(env, *listen, "--connect", "unix:/h", "--cid", "junk")
    assert code == 3 and "option --cid: " in said, said
    code, said = run_agent(env, *listen, "--connect", "unix:/h", "--cid", "3")
    assert code == 3 and "option --connect and --cid: give one" in said, said
    code, said = run_agent(env, *listen)
    assert code == 3 and "sidebus.port" in said and "--connect" in said, said
    for arguments in (["--bogus"], ["--port"], ["operand"]):
        code, said = run_agent(env, *arguments)
        assert code == 2 and "--help" in said, said


def test_notify(env):
    """READY, STATUS, the watchdog, STOPPING"""
    agent, path = start(env, environment={"WATCHDOG_USEC": "200000"})
    assert agent.notify.has(f"STATUS=Ready; the host is at unix:{path}.")
    wait_for("three signs of life", lambda: agent.notify.read().count("WATCHDOG=1") >= 3)
    assert agent.process.stop() == 0
    assert agent.notify.has("STOPPING=1")


def test_confined(env):
    """no new privileges, no capabilities, a system call filter; and it lives by it"""
    agent, _ = start(env)
    with open(f"/proc/{agent.process.pid}/status", encoding="ascii") as f:
        status = dict(re.findall(r"^(\w+):\s+(.*)$", f.read(), re.MULTILINE))
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0, (name, status[name])
    agent.process.signal(signal.SIGINT)
    assert agent.process.wait() == 0
