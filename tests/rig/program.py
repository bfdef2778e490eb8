# SPDX-License-Identifier: MIT
"""Programs that run in the guest, and what a test sees of them on both sides.

They are other people's, or those of this directory that use a toolkit (*_client.py); they know
sbagent's socket as their session bus, and nothing else of sidebus.
"""

import functools
import json
import os
import re
import subprocess
import sys

from .guest import pump
from .processes import Process, Timeout, wait_for
from .screen import X11Screen
from .session import path_uri
from .world import World

RIG = os.path.dirname(os.path.abspath(__file__))

# A session on the agent's socket, and what each toolkit must be told to use portals.
ENVIRONMENT = {"GTK_USE_PORTAL": "1", "GIO_USE_PORTALS": "1", "GDK_DEBUG": "portals",
               "GSK_RENDERER": "cairo", "GIO_USE_VFS": "local", "NO_AT_BRIDGE": "1",
               "GTK_A11Y": "none", "QT_QPA_PLATFORM": "xcb",
               "QT_QPA_PLATFORMTHEME": "xdgdesktopportal", "LC_ALL": "C.UTF-8"}


class Program:
    """A program of the guest, which tells in JSON what it got."""

    def __init__(self, guest, *argv):
        env = guest.env
        home = env.directory()
        environment = {**ENVIRONMENT, "PATH": os.environ["PATH"], "HOME": home,
                       "XDG_RUNTIME_DIR": home,
                       "DBUS_SESSION_BUS_ADDRESS": guest.address, **guest.environment}
        self.process = Process(argv, log=os.path.join(home, "program.log"), env=environment,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        os.set_blocking(self.process.popen.stdout.fileno(), False)
        self.unread = b""
        env.closing(self)

    def _line(self):
        pump()
        self.unread += self.process.popen.stdout.read() or b""
        line, found, rest = self.unread.partition(b"\n")
        if not found:
            assert self.process.running(), "the program ended:\n" + self.process.log()
            return None
        self.unread = rest
        return line

    def said(self):
        """The next thing that it tells."""
        try:
            return json.loads(wait_for("the program to say something", self._line))
        except Timeout as e:
            raise Timeout(f"{e}; it wrote:\n{self.process.log()}") from None

    def check(self):
        assert self.process.running(), "the program ended:\n" + self.process.log()

    def all(self):
        """What it wrote so far."""
        pump()
        self.unread += self.process.popen.stdout.read() or b""
        return self.unread

    def step(self):
        """Lets it go on."""
        self.process.popen.stdin.write(b"\n")
        self.process.popen.stdin.flush()

    def output(self):
        """Of a program that ends by itself: all that it wrote."""
        assert self.process.wait() == 0, self.process.log()
        return (self.unread + (self.process.popen.stdout.read() or b"")).decode()

    def end(self):
        """Lets it go on for the last time; it ends well."""
        self.step()
        assert self.output() == ""

    def close(self):
        if self.process.running():
            self.process.kill()
        self.process.popen.stdin.close()
        self.process.popen.stdout.close()


class Guest(World):
    """A VM that may use every portal, and where its programs run."""

    def __init__(self, env, session):
        super().__init__(env, session)
        self.address = env.own_agent(self.sidebus).address
        # What passes descriptors is on the VM's bus itself: sbagent does not carry them.
        self.direct = "unix:path=" + self.sidebus.file("dbg", "vm.sock")
        self.environment = {}
        self.running = None

    def program(self, name, *arguments):
        self.running = Program(self, sys.executable, "-B", os.path.join(RIG, name + "_client.py"),
                               *arguments)
        return self.running

    def command(self, *argv, **environment):
        """Somebody else's program."""
        self.environment.update(environment)
        self.running = Program(self, *argv)
        return self.running

    def libportal(self, *arguments):
        return self.program("libportal", *arguments)

    def glib(self, *arguments):
        return self.program("glib", *arguments)

    def on_screen(self, name, *arguments, screen=X11Screen):
        """A program that wants a screen."""
        if "GDK_BACKEND" not in self.environment:
            self.environment.update(self.env.closing(screen(self.env.directory())).environment)
        return self.program(name, *arguments)

    def gtk(self, version, *arguments, **named):
        return self.on_screen("gtk", version, *arguments, **named)

    def qt(self, *arguments):
        # Its own sign that a program is in a sandbox, and has to ask a portal.
        self.environment["SNAP"] = "/snap/of-a-test"
        return self.on_screen("qt", *arguments)

    def check(self, call):
        """It is of the VM, with handles and without windows that are none of the guest's."""
        super().check(call)
        handles = [call.arguments[name] for name in ("handle", "session") if name in call.arguments]
        assert all(re.search(r"/sb[0-9a-f]{32}$", handle) for handle in handles), handles

    def pump(self):
        pump()
        if self.running:
            self.running.check()

    def dialog(self, name):
        """The next dialog; what the host's portal itself asks before it is allowed."""
        try:
            dialog = self.backend.next_dialog(pump=self.pump)
        except Timeout as e:
            raise Timeout(f"{e}; the program wrote:\n{self.running.process.log()}") from None
        if dialog.name == "Access.AccessDialog":
            dialog.answer(0)
            dialog = self.backend.next_dialog(pump=self.pump)
        assert dialog.name == name, (dialog.name, name)
        self.check(dialog)
        return dialog

    def uri_of_document(self, **arguments):
        guest, host = self.document(**arguments)
        return path_uri(guest), host


def each_portal(function):
    @functools.wraps(function)
    def test(env):
        for session in env.sessions:
            function(Guest(env, session))
    return test
