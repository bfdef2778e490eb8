# SPDX-License-Identifier: MIT
"""The buses that are measured: how each is started, with limits that none of the work reaches."""

import glob
import os
import shutil
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig import peers  # noqa: E402
from rig.processes import Process, wait_for  # noqa: E402
from rig.router import GUEST, VM, Supervised  # noqa: E402

CONNECTIONS = 2000
QUEUE_BYTES = 1 << 30  # a fifth is for one sender: 128 bodies of 1 MiB
VSOCK_PORT = 7919
LOCAL_CID = 1  # VMADDR_CID_LOCAL

# As Debian's session.conf has them: high enough for anything here.
DBUS_DAEMON_LIMITS = {
    "max_incoming_bytes": 1000000000, "max_outgoing_bytes": 1000000000,
    "max_message_size": 1000000000, "auth_timeout": 240000, "max_completed_connections": 100000,
    "max_incomplete_connections": 10000, "max_connections_per_user": 100000,
    "max_match_rules_per_connection": 50000, "max_replies_per_connection": 50000,
}

DBUS_BROKER_LIMITS = {"bytes": 2 ** 31, "fds": 100000, "matches": 1000000, "objects": 1000000}


class Missing(Exception):
    """This machine has no such bus; the text says what to do."""


class Bus:
    """One that runs: its address for the client, its processes, and the client's options."""
    options = ()

    def __init__(self, name, directory):
        self.name = name
        self.path = os.path.join(directory, "bus")
        self.address = "unix:path=" + self.path
        self.log = os.path.join(directory, "log")

    def start(self, argv, **arguments):
        self.process = Process(argv, log=self.log, **arguments)

    def is_up(self):
        """Connecting is how to know; a dead one is told at once."""
        assert self.process.running(), f"{self.name}: {self.process.log()}"
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.path) == 0

    def pids(self):
        return [self.process.pid]

    def close(self):
        self.process.stop()


class Relay(Bus):
    options = ("-r",)

    def __init__(self, build, directory):
        super().__init__("relay", directory)
        self.start([os.path.join(build, "tests", "bench", "relay"), self.path])
        wait_for("the relay", self.is_up)


class Sbrouter(Bus):
    def __init__(self, build, directory):
        super().__init__("sbrouter", directory)
        self.start([os.path.join(build, "sbrouter"), "--standalone", "--listen",
                    "unix:" + self.path, "--max-connections", str(CONNECTIONS),
                    "--max-queue-bytes", str(QUEUE_BYTES)])
        wait_for("sbrouter", lambda: "running" in self.process.log() or self.is_up())


class DbusDaemon(peers.Daemon):
    options, pids = Bus.options, Bus.pids

    def __init__(self, _build, directory):
        if shutil.which(self.name) is None:
            raise Missing("no dbus-daemon: apt install dbus-daemon")
        super().__init__(directory, eavesdrop=True, limits=DBUS_DAEMON_LIMITS)


def dbus_broker(build):
    """Its program: this machine's, or the package's, unpacked and not installed.

    Installed, it would become the machine's own message bus at the next boot."""
    directory = os.path.join(build, "bench", "dbus-broker")
    unpacked = os.path.join(directory, "usr", "bin", "dbus-broker")
    found = shutil.which("dbus-broker") or (unpacked if os.path.exists(unpacked) else None)
    if found:
        return found
    os.makedirs(directory, exist_ok=True)
    try:
        subprocess.run(["apt-get", "-q", "download", "dbus-broker"], cwd=directory, check=True,
                       capture_output=True, text=True)
        for package in glob.glob(os.path.join(directory, "*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, directory], check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        raise Missing(f"no dbus-broker, and its package cannot be had: "
                      f"{getattr(e, 'stderr', None) or e}") from None
    return unpacked


class DbusBroker(peers.Broker):
    options, pids = Bus.options, Bus.pids

    def __init__(self, build, directory):
        super().__init__(directory, os.path.dirname(dbus_broker(build)), limits=DBUS_BROKER_LIMITS,
                         backlog=4096)


# --- over vsock, where the kernel can reach itself ------------------------------------------------

def has_vsock():
    """Whether this kernel has a loopback for vsock (vsock_loopback)."""
    try:
        with socket.socket(socket.AF_VSOCK) as server, socket.socket(socket.AF_VSOCK) as client:
            server.bind((socket.VMADDR_CID_ANY, VSOCK_PORT))
            server.listen(1)
            client.settimeout(2)
            client.connect((LOCAL_CID, VSOCK_PORT))
            return True
    except OSError:
        return False


class VsockRelay(Bus):
    options = ("-r",)

    def __init__(self, build, directory):
        super().__init__("relay", directory)
        self.address = f"vsock:{LOCAL_CID}:{VSOCK_PORT}"
        self.start([os.path.join(build, "tests", "bench", "relay"), f"vsock:{VSOCK_PORT}"])
        wait_for("the relay", self.is_up)

    def is_up(self):
        assert self.process.running(), f"{self.name}: {self.process.log()}"
        with socket.socket(socket.AF_VSOCK) as s:
            return s.connect_ex((LOCAL_CID, VSOCK_PORT)) == 0


class VsockSbrouter(Bus):
    """As a VM's bus, whose supervisor is this program."""

    def __init__(self, build, directory):
        super().__init__("sbrouter", directory)
        source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.address = f"vsock:{LOCAL_CID}:{VSOCK_PORT}"
        self.supervised = Supervised(build, directory, source, VM)
        self.process = self.supervised.process
        with socket.socket(socket.AF_VSOCK) as s:
            s.bind((socket.VMADDR_CID_ANY, VSOCK_PORT))
            s.listen(64)
            s.setblocking(False)
            self.supervised.say("ROUTER_LISTEN", struct.pack("=II", GUEST, 0), [s])

    def close(self):
        self.supervised.close()


UNIX = {"relay": Relay, "sbrouter": Sbrouter, "dbus-broker": DbusBroker,
        "dbus-daemon": DbusDaemon}
VSOCK = {"relay": VsockRelay, "sbrouter": VsockSbrouter}
