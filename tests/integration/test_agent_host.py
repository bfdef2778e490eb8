# SPDX-License-Identifier: MIT
"""The host behind sbagent: a real bus, one that comes and goes, refuses, or says nothing."""

import contextlib
import socket
import subprocess
import sys
import threading
import time

from gi.repository import Gio, GLib

from rig import boundaries
from rig.agent import (LONG, BusHost, Host, client, ended, read_exactly, read_to_end, start,
                       start_pair)
from rig.processes import wait_for

DRIVER = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


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
