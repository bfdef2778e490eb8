# SPDX-License-Identifier: MIT
"""Buttons of notifications whose actions are an application's own: "app.NAME".

For these a desktop calls ActivateAction on the bus name that is the application's id.  The VM's id
is nobody's name on the host; the program that means it is in the guest.
"""

import os
import subprocess
import sys

from rig.guest import PATH, GLib, pump
from rig.processes import scale
from rig.world import ALLOW, PORTAL, World, eventually

HERE = os.path.dirname(os.path.abspath(__file__))
ADDED = "Notification.AddNotification"
V = GLib.Variant


class Program:
    """A guest's GApplication behind sbagent, as its GLib finds the portal."""

    def __init__(self, env, agent, name):
        environment = {**{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")},
                       "DBUS_SESSION_BUS_ADDRESS": agent.address, "GIO_USE_VFS": "local",
                       "GTK_USE_PORTAL": "1", "GSETTINGS_BACKEND": "memory"}
        self.process = subprocess.Popen(
            [sys.executable, "-B", os.path.join(HERE, "..", "rig", "notifier.py"), name],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        env.closing(self)
        assert self.line() == "sent"

    def line(self):
        os.set_blocking(self.process.stdout.fileno(), False)
        text = b""

        def whole():
            nonlocal text
            text += self.process.stdout.read() or b""
            return text.endswith(b"\n")
        eventually("a line of the program", whole)
        return text.decode().strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait(10 * scale())
        self.process.stdout.close()


def press(w, call, action, parameters):
    w.backend.signal("Notification", "ActionInvoked", "sssav", call.app_id,
                     call.arguments["id"], action, parameters)


def test_gnotification(env):
    """GNotification's default action and button reach their GApplication, and no other"""
    w = World(env)
    agent = env.own_agent(w.sidebus)
    program = Program(env, agent, "org.example.Mail-Reader")
    call = w.backend.next_call(ADDED, pump=pump)
    other = Program(env, agent, "org.example.Other")
    w.backend.next_call(ADDED, pump=pump)
    button, = call.options["buttons"]
    assert button["label"] == "Read" and not button["action"].startswith("app."), call.options
    # As a desktop tells it: the target, then what it knows of its platform.
    press(w, call, button["action"],
          [("s", button["target"]), ("a{sv}", {"activation-token": ("s", "t")})])
    assert program.line() == "read the first"
    press(w, call, call.options["default-action"], [("a{sv}", {"activation-token": ("s", "t")})])
    assert program.line() == "open None"
    press(w, call, call.options["default-action"], [])
    assert program.line() == "open None"
    other.process.stdin.close()
    assert other.process.stdout.read() in (None, b""), "another program's button"


def test_without_name(env):
    """A program that is no application of the bus gets the signal, the action as it gave it"""
    w = World(env)
    got = w.listen(PORTAL + "Notification", "ActionInvoked")
    w.call(ADDED, "(sa{sv})", "x", {"title": V("s", "T"), "default-action": V("s", "app.open")})
    call = w.called(ADDED)
    press(w, call, call.options["default-action"], [("s", "x")])
    assert eventually("the action", lambda: got) == [("x", "app.open", ["x"])]


def test_question_of_names(env):
    """However many names there are on the bus, and however many buttons are pressed at once"""
    w = World(env)
    agent = env.own_agent(w.sidebus)
    program = Program(env, agent, "org.example.Mail")
    call = w.backend.next_call(ADDED, pump=pump)
    clients = [w.new_client() for _ in range(8)]
    for i, client in enumerate(clients):
        for j in range(40):
            client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                        V("(su)", (f"org.example.Many.N{i}.N{j}", 0)),
                        destination="org.freedesktop.DBus")
    for _ in range(12):  # more than are looked for at once: those are told by the signal
        press(w, call, call.options["default-action"], [])
    assert program.line().splitlines()[0] == "open None"
    w.call("Settings.Read", "(ss)", "org.freedesktop.appearance", "color-scheme")
