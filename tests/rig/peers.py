# SPDX-License-Identifier: MIT
"""The two message buses that others use: dbus-daemon and dbus-broker, as permissive as they can be made."""

import os
import socket

from gi.repository import Gio, GLib

from . import foreign, newer_buses
from .processes import Process, listens, wait_for
from .router import Client

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"{eavesdrop}/><allow own="*"/>
<allow receive_sender="*"{eavesdrop}/></policy>{limits}</busconfig>"""

# What dbus-broker wants to be told.
LIMITS = {"bytes": 1 << 30, "fds": 4096, "matches": 65536, "objects": 65536}

# What one user may do, as dbus-broker is told it: connect, own, send and receive anything.
BATCH = "bta(btbs)a(btssssuutt)a(btssssuutt)"
POLICY = f"(a(u({BATCH}))a(buu({BATCH}))a(ss)bs)"


class Peer:
    """programs: the directory of another release's; "": this machine's own."""

    def __init__(self, directory, programs):
        beside = ".newer" if programs else ""  # both may run
        self.path = os.path.join(directory, self.name + beside)
        self.address = "unix:path=" + self.path
        self.program = os.path.join(programs, self.name)
        self.version = foreign.version(self.program)

    def close(self):
        assert self.process.running(), self.process.log()
        self.process.stop()


class Daemon(Peer):
    name = "dbus-daemon"

    def __init__(self, directory, arguments=(), *, eavesdrop=False, limits=None, programs=""):
        """With eavesdrop it also passes on answers that nobody asked for.  limits: others than its own."""
        super().__init__(directory, programs)
        config = self.path + ".conf"
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(
                path=self.path, eavesdrop=' eavesdrop="true"' * eavesdrop,
                limits="".join(f'<limit name="{k}">{v}</limit>' for k, v in (limits or {}).items())))
        self.process = Process([self.program, "--config-file=" + config, "--nofork", "--nopidfile",
                                *arguments], log=self.path + ".log")
        wait_for("dbus-daemon", lambda: listens(self.path) or not self.process.running())
        assert self.process.running(), self.process.log()

    def close(self):
        super().close()
        if os.path.exists(self.path):
            os.unlink(self.path)


class Broker(Peer):
    """dbus-broker itself, without its launcher, which needs systemd: this class tells it what to do."""

    name = "dbus-broker"

    def __init__(self, directory, programs="", *, limits=None, backlog=64):
        super().__init__(directory, programs)
        limits = [word for key, n in (limits or LIMITS).items() for word in (f"--max-{key}", str(n))]
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = Process(
                [self.program, "--controller", str(theirs.fileno()), "--machine-id", "1" * 32, *limits],
                pass_fds=[theirs.fileno()], log=self.path + ".log")
        identity = str(os.getuid()).encode().hex().encode()
        self.controller = Client(ours, mechanism=b"AUTH EXTERNAL " + identity, fds=True,
                                 say_hello=False)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen(backlog)
            listener.setblocking(False)
            self.add(listener)

    def add(self, listener):
        message = Gio.DBusMessage.new_method_call(None, "/org/bus1/DBus/Broker",
                                                  "org.bus1.DBus.Broker", "AddListener")
        message.set_serial(1)
        message.set_unix_fd_list(Gio.UnixFDList.new_from_array([os.dup(listener.fileno())]))
        message.set_body(GLib.Variant("(ohv)", ("/org/bus1/DBus/Listener/0", 0, permissive())))
        data = message.to_blob(Gio.DBusCapabilityFlags.UNIX_FD_PASSING)
        socket.send_fds(self.controller.socket, [data], [listener.fileno()])
        answer = self.controller.reply(1)
        assert answer is not None and answer.get_error_name() is None, (answer, self.process.log())

    def close(self):
        super().close()
        self.controller.close()
        os.unlink(self.path)


def permissive():
    anything = (True, 1, "", "", "", "", 0, 0, 0, (1 << 64) - 1)
    batch = (True, 1, [(True, 1, True, "")], [anything], [anything])
    everybody = 0xffffffff
    return GLib.Variant(POLICY, ([(everybody, batch)], [], [], False, "session"))
