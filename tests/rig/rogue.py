# SPDX-License-Identifier: MIT
"""A program of ours in the hands of a test: what one that a guest has taken over can do.

A Rogue is an instance in which one program, of those that the supervisor starts through
SIDEBUS_LIBEXECDIR, is a script that runs this file.  It hands the test what it has, its end of the
ipc channel and of its log, and waits to be killed, or for the supervisor to hang up.
"""

import os
import re
import select
import signal
import socket
import struct
import sys

from .processes import scale

PORTAL, ROUTER, PRIVATE_ROUTER = "sbportal", "sbrouter", "sbrouter-private"  # as the log has them
PROGRAMS = {PORTAL: "sbportal", ROUTER: "sbrouter", PRIVATE_ROUTER: "sbrouter"}
BUSES = {ROUTER: 1, PRIVATE_ROUTER: 2}  # IPC_BUS_* of ipc/ipc_msg.h
MAX_PACKET = 8192


def message_types(source):
    """{name: number} of ipc/ipc_msg.h, and the ABI."""
    with open(os.path.join(source, "ipc", "ipc_msg.h"), encoding="utf-8") as f:
        text = f.read()
    rows = re.findall(r"^\s+X\((\w+),\s+\w+,\s+\w+,\s+struct", text, re.MULTILINE)
    abi = int(re.search(r"#define IPC_ABI (\d+)u", text)[1])
    return {name: number for number, name in enumerate(rows, 1)}, abi


class Rogue:
    """An instance, and the process .pid in it that does what the test says."""

    def __init__(self, env, who=PORTAL, extra_env=None, **arguments):
        self.who = who
        self.types, self.abi = message_types(env.source)
        libexec = env.directory()
        control = os.path.join(env.directory(), "c")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(control)
            server.listen()
            server.settimeout(20 * scale())
            _fill(libexec, env, who, control)
            self.sidebus = env.own_sidebus(
                ready=False, extra_env={**(extra_env or {}), "SIDEBUS_LIBEXECDIR": libexec},
                **arguments)
            try:
                client, _ = server.accept()
            except TimeoutError:
                raise AssertionError(f"{who} was not started:\n" + self.sidebus.log()) from None
            with client:
                _, fds, _, _ = socket.recv_fds(client, 16, 2)
                # As it is known out here: in its own namespace it is 1.
                self.pid, _, _ = struct.unpack("3i", client.getsockopt(
                    socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        self.ipc, self.log_fd = socket.socket(fileno=fds[0]), fds[1]
        self.ipc.settimeout(20 * scale())

    def receive(self):
        """(name, body, descriptors) of the next message."""
        packet, fds, _, _ = socket.recv_fds(self.ipc, MAX_PACKET, 4)
        kind, = struct.unpack_from("=I", packet)
        name, = (name for name, number in self.types.items() if number == kind)
        return name, packet[8:], fds

    def configuration(self):
        """What it needs to begin: its descriptors."""
        name, _, fds = self.receive()
        assert name in ("PORTAL_CONFIG", "ROUTER_CONFIG"), name
        return fds

    def packet(self, name, body, tail=0):
        return struct.pack("=II", self.types.get(name, name), tail) + body

    def send(self, packet, fds=()):
        socket.send_fds(self.ipc, [packet], fds)

    @property
    def ready(self):
        """The bytes of PORTAL_READY or ROUTER_READY."""
        name = "PORTAL_READY" if self.who == PORTAL else "ROUTER_READY"
        return self.packet(name, struct.pack("=II", self.abi, 0))

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def close(self):
        self.ipc.close()
        if self.log_fd >= 0:
            os.close(self.log_fd)
            self.log_fd = -1
        if self.sidebus.process.running():
            self.sidebus.stop()


def _fill(directory, env, who, control):
    """A directory for SIDEBUS_LIBEXECDIR: the real programs, but for the one."""
    for program in ("sbrouter", "sbportal"):
        path, real = os.path.join(directory, program), os.path.join(env.build, program)
        if program != PROGRAMS[who]:
            os.symlink(real, path)
            continue
        tests = os.path.join(env.source, "tests")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!{sys.executable} -B\nimport sys\nsys.path.insert(0, {tests!r})\n"
                    "from rig import rogue\n"
                    f"rogue.main({control!r}, {BUSES.get(who, 0)}, {real!r})\n")
        os.chmod(path, 0o755)


def _channel():
    argv = sys.argv[1:]
    return next(int(word.partition("=")[2] or argv[n + 1]) for n, word in enumerate(argv)
                if word.startswith("--ipc-fd"))


def main(control, bus, real):
    """In place of the program; bus: of the routers only that one, the other is the real one."""
    number = _channel()
    channel = socket.socket(fileno=number)
    channel.setblocking(True)
    if bus and struct.unpack_from("=III", channel.recv(MAX_PACKET, socket.MSG_PEEK), 4)[2] != bus:
        channel.setblocking(False)
        os.set_inheritable(channel.detach(), True)
        os.execv(real, [real, *sys.argv[1:]])
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(control)
        socket.send_fds(s, [str(os.getpid()).encode()], [number, 2])
    hung_up = select.poll()
    hung_up.register(number, 0)
    hung_up.poll()
