# SPDX-License-Identifier: MIT
"""How sbagent is started: sockets from systemd, its own, credentials, what is wrong with them."""

import os
import re
import signal
import socket
import stat
import sys

from rig import boundaries
from rig.agent import Host, client, read_exactly, run_agent, start
from rig.processes import Process, wait_for
from rig.sidebus import Notify


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
