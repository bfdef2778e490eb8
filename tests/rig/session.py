# SPDX-License-Identifier: MIT
"""A host session without a screen: what a logged-in person's desktop offers a program.

A message bus, the real xdg-desktop-portal with its document portal and permission store
(started by name, as the bus's own activation would), and a backend that the test operates.
"""

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

from gi.repository import Gio, GLib

from . import backend
from .processes import Process, listens, wait_for

LIBEXEC = "/usr/libexec"
DESKTOP = "org.freedesktop.portal.Desktop"

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <servicedir>{services}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""

PORTAL_FILE = """[portal]
DBusName={name}
Interfaces={interfaces}
UseIn=sidebustest
"""

# What the bus may start by name; the portal itself only where a test wants that.
ACTIVATABLE = {
    "org.freedesktop.impl.portal.PermissionStore": "xdg-permission-store",
    "org.freedesktop.portal.Documents": "xdg-document-portal",
    DESKTOP: "xdg-desktop-portal",
}


class Call:
    """What xdg-desktop-portal asked of the backend."""

    def __init__(self, backend_, event):
        self._backend = backend_
        self.name = event["name"]  # "FileChooser.OpenFile"
        self.member = event["member"]
        self.arguments = event
        self.handle = event.get("handle")
        self.app_id = event.get("app_id")
        self.parent = event.get("parent")
        self.title = event.get("title")
        self.options = {key: value for key, (_, value) in event["options"].items()}
        self.types = {key: kind for key, (kind, _) in event["options"].items()}
        self.closed = False  # the portal took it back


class Dialog(Call):
    """One that is open, or was."""

    def __init__(self, backend_, event):
        super().__init__(backend_, event)
        self.answered = False

    def answer(self, response=0, **results):
        """Ends it.  results: name=(signature, value); """
        self._backend.answer(self, response, results)

    def pick(self, *paths, **results):
        """Ends it as a person who picks these files (host paths, str or bytes) does."""
        self.answer(0, uris=("as", [path_uri(path) for path in paths]), **results)


def path_uri(path):
    """The file URI of a path of any bytes."""
    return "file://" + urllib.parse.quote_from_bytes(os.fsencode(path), safe="/")


class Backend:
    """The runner's end of the scripted desktop."""

    def __init__(self, start):
        """start(fd): starts the program with that end of the channel; a Process."""
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = start(theirs.fileno())
        self.unread = b""
        self.dialogs = []
        self.new = []
        self.calls = []
        self.new_calls = []
        self.events = []
        wait_for("the backend", lambda: self._pump("ready"))

    def _pump(self, event=None, handle=None, seconds=0.05):
        """Reads what the backend said; true when that event has come."""
        if select.select([self.socket], [], [], seconds)[0]:
            data = self.socket.recv(1 << 20)
            if not data:
                raise AssertionError("the backend ended:\n" + self.process.log())
            lines = (self.unread + data).split(b"\n")
            self.unread = lines.pop()
            for line in lines:
                self._on_event(json.loads(line))
        return any(e["event"] == event and handle in (None, e.get("handle"))
                   for e in self.events)

    def _on_event(self, event):
        self.events.append(event)
        if event["event"] == "open":
            dialog = Dialog(self, event)
            self.dialogs.append(dialog)
            self.new.append(dialog)
        elif event["event"] == "call":
            call = Call(self, event)
            self.calls.append(call)
            self.new_calls.append(call)
        elif event["event"] == "close":
            self.by_handle(event["handle"]).closed = True

    def by_handle(self, handle):
        return next(d for d in reversed(self.dialogs + self.calls) if d.handle == handle)

    def _send(self, **command):
        self.socket.sendall(json.dumps(command).encode() + b"\n")

    def answer(self, dialog, response, results):
        dialog.answered = True
        self._send(command="answer", handle=dialog.handle, response=response, results=results)
        wait_for("the backend to answer", lambda: self._pump("answered", dialog.handle))

    def be_alone(self, response=None):
        """It answers every dialog so by itself, and tells of none; None: no longer."""
        self._send(command="alone", response=response)
        wait_for("the backend to listen", lambda: self._pump("alone"))
        self.events = [e for e in self.events if e["event"] != "alone"]

    def signal(self, interface, member, signature, *values, path="/org/freedesktop/portal/desktop"):
        """Sends a signal, as the backend of that portal."""
        self._send(command="signal", path=path, interface=interface, member=member,
                   signature=signature, values=values)

    def next_call(self, name, seconds=20.0, pump=None):
        """The next call of that name that has no dialog."""
        def arrived():
            if pump:
                pump()
            self._pump(seconds=0.01)
            return [c for c in self.new_calls if c.name == name]
        call = wait_for(f"a call of {name}", arrived, seconds)[0]
        self.new_calls.remove(call)
        return call

    def wait_session_closed(self, session, seconds=20.0):
        """Until the portal has closed a session of the backend's."""
        wait_for("the session to be closed", lambda: self._pump() or any(
            e["event"] == "session-close" and e["session"] == session for e in self.events),
            seconds)

    def next_dialog(self, seconds=20.0, pump=None):
        """The next dialog that opens; pump() is called while waiting."""
        def arrived():
            if pump:
                pump()
            self._pump(seconds=0.01)
            return self.new
        wait_for("a dialog to open", arrived, seconds)
        return self.new.pop(0)

    def opened(self, seconds=0.0):
        """Dialogs that opened since the last one taken; waits for none."""
        limit = time.monotonic() + seconds
        self._pump(seconds=0.01)
        while time.monotonic() < limit:
            self._pump(seconds=0.05)
        return self.new

    def settle(self):
        """No dialog is left open: those whose program has gone are closed, others ended here."""
        self._pump(seconds=0.01)
        limit = time.monotonic() + 2
        while time.monotonic() < limit and self._open():
            self._pump(seconds=0.05)
        for dialog in self._open():
            self.answer(dialog, 2, {})
        self.new.clear()
        self.new_calls.clear()

    def _open(self):
        return [d for d in self.dialogs if not d.closed and not d.answered]

    def wait_closed(self, dialog, seconds=20.0):
        wait_for("the dialog to be closed", lambda: self._pump() or dialog.closed, seconds)

    def stop(self):
        """It ends with its channel."""
        self.socket.close()
        self.process.wait()


class Monitor:
    """What passes on the session bus, as busctl tells it."""

    def __init__(self, session, *matches):
        """matches: rules; without any, all of it."""
        handle, self.path = tempfile.mkstemp(prefix="monitor-", dir=session.directory)
        with os.fdopen(handle, "wb") as out:
            self.process = Process(["busctl", "--address=" + session.address, "monitor",
                                    "--json=short", *("--match=" + rule for rule in matches)],
                                   log=self.path + ".log",
                                   env=session.env, stdout=out)
        # Any traffic shows that it listens; our own question is some.
        wait_for("the bus monitor", lambda: [session.owner(DESKTOP)]
                 and os.path.getsize(self.path))

    def has(self, word):
        """Whether it has been told yet; quickly, also of thousands."""
        with open(self.path, "rb") as f:
            f.seek(max(0, os.path.getsize(self.path) - 65536))
            return word.encode() in f.read()

    def messages(self):
        """Every message so far, with objects as lists of pairs: a key that came twice stays so."""
        with open(self.path, "rb") as f:
            lines = f.read().split(b"\n")[:-1]
        return [dict(json.loads(line, object_pairs_hook=list)) for line in lines if line]

    def calls(self, interface, member, count=1):
        """The arguments of each such call, once there are count: [[argument…]…]."""
        def found():
            calls = [m for m in self.messages() if m["type"] == "method_call"
                     and m.get("interface") == interface and m.get("member") == member]
            return calls if len(calls) >= count else None
        return [untangle(dict(m["payload"])) for m in wait_for(f"{count} calls of {member}", found)]

    def stop(self):
        self.process.stop()


def untangle(payload):
    """busctl's argument list, with every a{sv} as [(key, {"type": …, "data": …})…]."""
    def pairs(argument):
        # An object came as a list of tuples, an array as a list of lists.
        if isinstance(argument, list) and all(isinstance(e, tuple) for e in argument):
            return [(key, dict(value)) for key, value in argument]
        return argument
    return [pairs(argument) for argument in payload["data"]]


class HostSession:
    """Started by its constructor; stop() leaves nothing."""

    def __init__(self, directory, *, portal=True, activatable=False, libexec=LIBEXEC, without=()):
        """portal: xdg-desktop-portal and the backend run.  activatable: the bus can start
        xdg-desktop-portal by name.  libexec: where its programs are.  without: portals that
        the backend does not have."""
        self.directory = directory
        self.libexec = libexec
        for name in ("run", "home", "data/applications", "config", "state", "cache", "tmp",
                     "portals", "services"):
            os.makedirs(self.file(name), mode=0o700)
        self.address = "unix:path=" + self.file("run/bus")
        self.env = self._environment()
        self.chooser = self.portal = None
        self._write_configuration(activatable, without)
        self.daemon = Process(["dbus-daemon", "--config-file=" + self.file("bus.conf"), "--nofork",
                               "--nopidfile"], log=self.file("bus.log"), env=self.env)
        wait_for("the session bus", lambda: listens(self.file("run/bus")))
        self.bus = self.connect()
        if portal or activatable:
            self.chooser = Backend(self._start_backend)
        if portal:
            self.start_portal()

    def file(self, *names):
        return os.path.join(self.directory, *names)

    @property
    def home(self):
        return self.file("home")

    def _environment(self):
        env = {name: os.environ[name] for name in ("PATH", "USER", "LOGNAME", "LANG",
                                                    "ASAN_OPTIONS", "UBSAN_OPTIONS")
               if name in os.environ}
        env.update(HOME=self.home, TMPDIR=self.file("tmp"), XDG_RUNTIME_DIR=self.file("run"),
                   XDG_DATA_HOME=self.file("data"), XDG_CONFIG_HOME=self.file("config"),
                   XDG_STATE_HOME=self.file("state"), XDG_CACHE_HOME=self.file("cache"),
                   XDG_CURRENT_DESKTOP="sidebustest", XDG_DESKTOP_PORTAL_DIR=self.file("portals"),
                   DBUS_SESSION_BUS_ADDRESS=self.address, GIO_USE_VFS="local",
                   GSETTINGS_BACKEND="memory")
        return env

    def _write(self, name, text):
        with open(self.file(name), "w", encoding="utf-8") as f:
            f.write(text)

    def _write_configuration(self, activatable, without):
        self._write("bus.conf", BUS_CONFIG.format(socket=self.file("run/bus"),
                                                  services=self.file("services")))
        self._write("portals/sidebustest.portal", PORTAL_FILE.format(
            name=backend.NAME, interfaces=";".join(
                backend.IMPL + i for i in backend.INTERFACES if i not in without)))
        # Read since 1.17, and only there when XDG_DESKTOP_PORTAL_DIR is set.
        self._write("portals/portals.conf", "[preferred]\ndefault=sidebustest\n")
        for name, program in ACTIVATABLE.items():
            if name != DESKTOP or activatable:
                self._write(f"services/{name}.service",
                            f"[D-BUS Service]\nName={name}\nExec={self.libexec}/{program}\n")

    def connect(self):
        """Another program's connection to the session bus."""
        flags = (Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                 | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
        return Gio.DBusConnection.new_for_address_sync(self.address, flags, None, None)

    def owner(self, name):
        try:
            reply = self.bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                       "org.freedesktop.DBus", "GetNameOwner",
                                       GLib.Variant("(s)", (name,)), None, 0, 5000, None)
            return reply.unpack()[0]
        except GLib.Error:
            return None

    def _start_backend(self, fd):
        return Process([sys.executable, "-B", backend.__file__, str(fd)], env=self.env,
                       log=self.file("backend.log"), pass_fds=[fd])

    def pid_of(self, name):
        """The process that owns a name, whoever started it."""
        reply = self.bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                   "org.freedesktop.DBus", "GetConnectionUnixProcessID",
                                   GLib.Variant("(s)", (name,)), None, 0, 5000, None)
        return reply.unpack()[0]

    def start_portal(self, before=()):
        """before: a command that execs what follows it."""
        # The backend plays what is on the system bus, too.
        env = {**self.env, "DBUS_SYSTEM_BUS_ADDRESS": self.address}
        self.portal = Process([*before, self.libexec + "/xdg-desktop-portal", "-v"],
                              log=self.file("portal.log"), env=env)
        wait_for("xdg-desktop-portal", lambda: self.owner(DESKTOP)
                 or (not self.portal.running() and self._fail("xdg-desktop-portal ended")))

    def _fail(self, text):
        raise AssertionError(f"{text}:\n{self.portal.log()}")

    def monitor(self, *matches):
        return Monitor(self, *matches)

    def kill(self):
        for process in (self.portal, self.chooser and self.chooser.process, self.daemon):
            if process:
                process.kill()
        self._unmount()

    def stop(self):
        for part in (self.portal, self.chooser):
            if part:
                part.stop()
        self.bus.close_sync(None)
        self.daemon.stop()
        self._unmount()

    def _unmount(self):
        # What the bus started itself ends when the bus goes; its mount with it, or by us.
        subprocess.run(["fusermount3", "-uzq", self.file("run/doc")], capture_output=True,
                       check=False)


