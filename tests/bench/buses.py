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
from gi.repository import Gio, GLib  # noqa: E402
from rig.processes import Process, wait_for  # noqa: E402
from rig.router import GUEST, VM, Client, Supervised  # noqa: E402

CONNECTIONS = 2000
QUEUE_BYTES = 1 << 30  # a fifth is for one sender: 128 bodies of 1 MiB
VSOCK_PORT = 7919
LOCAL_CID = 1  # VMADDR_CID_LOCAL

DBUS_DAEMON_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  {limits}
</busconfig>
"""

# As Debian's session.conf has them: high enough for anything here.
DBUS_DAEMON_LIMITS = {
    "max_incoming_bytes": 1000000000, "max_outgoing_bytes": 1000000000,
    "max_message_size": 1000000000, "auth_timeout": 240000, "max_completed_connections": 100000,
    "max_incomplete_connections": 10000, "max_connections_per_user": 100000,
    "max_match_rules_per_connection": 50000, "max_replies_per_connection": 50000,
}

# What dbus-broker's launcher makes of a policy that allows everything.
ALLOW = GLib.Variant("(bta(btbs)a(btssssuutt)a(btssssuutt))", (
    True, 1, [(True, 1, True, "")], [(True, 1, "", "", "", "", 0, 0, 0, 2 ** 64 - 1)],
    [(True, 1, "", "", "", "", 0, 0, 0, 2 ** 64 - 1)]))


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


class DbusDaemon(Bus):
    def __init__(self, _build, directory):
        super().__init__("dbus-daemon", directory)
        program = shutil.which("dbus-daemon")
        if program is None:
            raise Missing("no dbus-daemon: apt install dbus-daemon")
        limits = "\n".join(f'  <limit name="{name}">{value}</limit>'
                           for name, value in DBUS_DAEMON_LIMITS.items())
        config = os.path.join(directory, "config")
        with open(config, "w", encoding="ascii") as f:
            f.write(DBUS_DAEMON_CONFIG.format(path=self.path, limits=limits))
        self.start([program, "--config-file=" + config, "--nofork", "--nopidfile"])
        wait_for("dbus-daemon", self.is_up)


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


class DbusBroker(Bus):
    """Without its launcher, which needs systemd: this is the controller that it has instead."""

    def __init__(self, build, directory):
        super().__init__("dbus-broker", directory)
        ours, theirs = socket.socketpair()
        with theirs:
            self.start([dbus_broker(build), "--controller", str(theirs.fileno()),
                        "--machine-id", "0" * 31 + "1", "--max-bytes", str(2 ** 31),
                        "--max-fds", "100000", "--max-matches", "1000000",
                        "--max-objects", "1000000"], pass_fds=[theirs.fileno()])
        identity = str(os.geteuid()).encode().hex()
        self.controller = Client(ours, fds=True, say_hello=False,
                                 mechanism=f"AUTH EXTERNAL {identity}".encode())
        self.add_listener()

    def add_listener(self):
        rules = ALLOW.get_type_string()
        everybody = (2 ** 32 - 1, ALLOW.unpack())
        policy = GLib.Variant(f"(a(u{rules})a(buu{rules})a(ss)bs)",
                              ([everybody], [], [], False, "user"))
        message = Gio.DBusMessage.new_method_call(None, "/org/bus1/DBus/Broker",
                                                  "org.bus1.DBus.Broker", "AddListener")
        message.set_serial(2)
        message.set_body(GLib.Variant("(ohv)", ("/org/bus1/DBus/Listener/0", 0, policy)))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as s:
            s.bind(self.path)
            s.listen(4096)
            message.set_unix_fd_list(Gio.UnixFDList.new_from_array([os.dup(s.fileno())]))
            socket.send_fds(self.controller.socket,
                            [message.to_blob(Gio.DBusCapabilityFlags.UNIX_FD_PASSING)],
                            [s.fileno()])
        answer = self.controller.result(2)
        assert answer == (), f"dbus-broker: AddListener: {answer}\n{self.process.log()}"

    def close(self):
        self.controller.close()
        super().close()


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
