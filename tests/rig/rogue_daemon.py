# SPDX-License-Identifier: MIT
"""A document portal or permission store that does what a test says, on the private bus of a VM.

make() writes a program for SIDEBUS_DOCUMENT_PORTAL or SIDEBUS_PERMISSION_STORE that runs this file.
What it is to do stands in it: names to own, and answers by method.  Of an answer's list each is
given once, the last for ever:

  "(…)"            a body, in GVariant's text form
  ["name", "text"] an error
  number           a body of one string of so many bytes
  None             none, ever
"""

import os
import signal
import sys

from gi.repository import Gio, GLib

from . import processes
from .wire import RawClient, call

BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
DOCUMENTS = "org.freedesktop.portal.Documents"
STORE = "org.freedesktop.impl.portal.PermissionStore"
MOUNTED = {"GetMountPoint": ["(b'/run/doc',)"]}


def make(env, names, answers=None, talk=None):
    """The program's path.  talk: the name of one of the functions below, called at the start."""
    path = os.path.join(env.directory(), "daemon")
    tests = os.path.join(env.source, "tests")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"#!{sys.executable} -B\nimport sys\nsys.path.insert(0, {tests!r})\n"
                "from rig import rogue_daemon\n"
                f"rogue_daemon.main({names!r}, {answers or {}!r}, {talk!r})\n")
    os.chmod(path, 0o755)
    return path


class Daemon(RawClient):
    def __init__(self, names, answers, address=None):
        address = address or os.environ["DBUS_SESSION_BUS_ADDRESS"]
        super().__init__(address.removeprefix("unix:path="), authenticate=False)
        self.socket.settimeout(None)
        self.send(b"\0AUTH EXTERNAL %s\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"
                  % str(os.getuid()).encode().hex().encode())
        assert self.line().startswith(b"OK ") and self.line() == b"AGREE_UNIX_FD"
        self.serial = 1
        self.answers = answers
        self.say_hello()
        for name in names:
            self.ask("RequestName", GLib.Variant("(su)", (name, 0)))

    def next_serial(self):
        self.serial += 1
        return self.serial

    def ask(self, member, body=None, destination=BUS, path=BUS_PATH, interface=BUS):
        """The answer; calls that come meanwhile are not answered."""
        serial = self.next_serial()
        self.send(call(path, interface, member, body, destination=destination, serial=serial))
        return self.reply(serial)

    def send_message(self, message):
        message.set_serial(self.next_serial())
        return self.send(message.to_blob(Gio.DBusCapabilityFlags.NONE))

    def supervisor(self):
        """Its unique name: it was there first."""
        names = self.ask("ListNames").get_body().unpack()[0]
        return min((n for n in names if n.startswith(":")), key=lambda n: int(n.split(".")[1]))

    def answer(self, message):
        plan = self.answers.get(message.get_member(), [[BUS + ".Error.UnknownMethod", "no"]])
        what = plan.pop(0) if len(plan) > 1 else plan[0]
        if what is None:
            return
        if isinstance(what, list):
            reply = Gio.DBusMessage.new_method_error_literal(message, *what)
        else:
            reply = Gio.DBusMessage.new_method_reply(message)
            body = (GLib.Variant("(s)", ("x" * what,)) if isinstance(what, int)
                    else GLib.Variant.parse(None, what, None, None))
            reply.set_body(body)
        self.send_message(reply)

    def serve(self):
        while True:
            message = self.message()
            if message is None:
                return
            if message.get_message_type() == Gio.DBusMessageType.METHOD_CALL:
                self.answer(message)


# --- what one may say at its start ----------------------------------------------------------------

def forge_owner(d):
    """It does not own the name, and says that it does."""
    body = GLib.Variant("(sss)", (DOCUMENTS, "", ":1.1"))
    for destination in (None, d.supervisor()):
        for path in (BUS_PATH, "/"):
            signal = Gio.DBusMessage.new_signal(path, BUS, "NameOwnerChanged")
            signal.set_body(body)
            signal.set_destination(destination)
            d.send_message(signal)
    print("forged", flush=True)


def call_supervisor(d):
    """What it is asked on the private bus it answers, if at all, by an error."""
    to = d.supervisor()
    portal = "/org/freedesktop/portal/desktop"
    properties = BUS + ".Properties"
    calls = [(portal, "org.freedesktop.portal.FileChooser", "OpenFile",
              GLib.Variant("(ssa{sv})", ("", "T", {}))),
             (portal, properties, "Set", GLib.Variant("(ssv)", ("x.y", "z", GLib.Variant("u", 1)))),
             (portal, properties, "GetAll", GLib.Variant("(s)", ("x.y",))),
             (portal, "org.freedesktop.portal.Request", "Close", None),
             ("/", BUS + ".Introspectable", "Introspect", None),
             ("/", BUS + ".ObjectManager", "GetManagedObjects", None),
             ("/org/freedesktop/LogControl1", properties, "GetAll",
              GLib.Variant("(s)", ("org.freedesktop.LogControl1",)))]
    for path, interface, member, body in calls:
        reply = d.ask(member, body, to, path, interface)
        assert reply.get_error_name(), (path, interface, member)
    print(f"{len(calls)} calls were refused", flush=True)


def flood(d):
    """Signals and calls without end for the supervisor, which read no answers."""
    to = d.supervisor()
    signal = Gio.DBusMessage.new_signal("/x", "x.y", "Z")
    signal.set_body(GLib.Variant("(s)", ("x" * 1000,)))
    signal.set_destination(to)
    signal.set_serial(77)
    ping = call("/", BUS + ".Peer", "Ping", destination=to, serial=78)
    batch = (signal.to_blob(Gio.DBusCapabilityFlags.NONE) + ping) * 100
    for _ in range(200):
        d.send(batch)
    print("flooded", flush=True)


def leave_zombies(_d):
    """200 double forks, while the supervisor is stopped: it finds them all at once."""
    supervisor = os.getppid()
    os.kill(supervisor, signal.SIGSTOP)
    for _ in range(200):
        if os.fork() == 0:
            os.fork()
            os._exit(0)
        os.wait()
    processes.wait_for("them to end", lambda: len(processes.zombies(supervisor)) == 200)
    print("200 zombies", flush=True)
    os.kill(supervisor, signal.SIGCONT)


def steal_names(d):
    """The store's it may have when it says so: its real owner lets others replace it."""
    for name, flags in ((BUS, 7), (":1.0", 7), ("org.freedesktop.portal.Desktop", 7), (STORE, 0)):
        reply = d.ask("RequestName", GLib.Variant("(su)", (name, flags)))
        print(f"{name}: {reply.get_error_name() or reply.get_body().unpack()[0]}", flush=True)


def main(names, answers, talk):
    if talk:
        # Before its own name: from then on calls come.
        globals()[talk](Daemon([], {}))
    Daemon(names, answers).serve()
