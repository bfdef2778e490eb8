# SPDX-License-Identifier: MIT
"""What a guest says, as the gate passes it on, in a backend that desktops run: the GTK one.

It parses what it gets.  The test is the server of notifications behind it.
"""

import os

from gi.repository import Gio, GLib

from rig.guest import pump
from rig.processes import Process
from rig.screen import X11Screen
from rig.world import World, eventually

BACKEND = "org.freedesktop.impl.portal.desktop.gtk"
PROGRAM = "/usr/libexec/xdg-desktop-portal-gtk"
IMPL = "org.freedesktop.impl.portal.Notification"
PATH = "/org/freedesktop/portal/desktop"
NOTIFICATIONS, NOTIFICATIONS_PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
SERVER_XML = """<node><interface name="org.freedesktop.Notifications"><method name="Notify">
  <arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/>
  <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="as" direction="in"/>
  <arg type="a{sv}" direction="in"/><arg type="i" direction="in"/><arg type="u" direction="out"/>
</method></interface></node>"""
ADDED = "Notification.AddNotification"
V = GLib.Variant


class Desktop:
    """The backend, on the session's bus beside the rig's own."""

    def __init__(self, env, session):
        self.shown = []
        screen = env.closing(X11Screen(env.directory()))
        self.bus = session.connect()
        node = Gio.DBusNodeInfo.new_for_xml(SERVER_XML)
        self.bus.register_object(NOTIFICATIONS_PATH, node.interfaces[0], self._notify, None, None)
        self.bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                           "RequestName", V("(su)", (NOTIFICATIONS, 0)), None, 0, -1, None)
        self.process = env.closing(Process(
            [PROGRAM], env={**session.env, **screen.environment},
            log=os.path.join(env.directory(), "gtk.log")))
        eventually("the backend", lambda: session.owner(BACKEND) or self._ended())

    def _notify(self, _bus, _sender, _path, _interface, _method, arguments, invocation):
        self.shown.append(arguments.unpack())
        invocation.return_value(V("(u)", (len(self.shown),)))

    def _ended(self):
        assert self.process.running(), self.process.log()

    def show(self, call):
        """As xdg-desktop-portal would pass it on; what the person sees of it."""
        options = {key: V("aa{sv}", [{k: V("s", v) for k, v in button.items()}
                                     for button in value]) if key == "buttons" else V("s", value)
                   for key, value in call.options.items()}
        errors = []

        def done(bus, result):
            try:
                bus.call_finish(result)
            except GLib.Error as e:
                errors.append(e.message)

        count = len(self.shown)
        self.bus.call(BACKEND, PATH, IMPL, "AddNotification",
                      V("(ssa{sv})", ("org.sidebus.vm.demo", call.arguments["id"], options)),
                      None, 0, 20000, None, done)
        eventually("it to be shown", lambda: errors or len(self.shown) > count or self._ended())
        assert not errors, errors
        return self.shown[-1]


def test_gtk_notifications(env):
    """Actions of any text and bodies with tags: shown, and the desktop's backend lives"""
    w = World(env)
    desktop = Desktop(env, w.session)
    for n, action in enumerate(("mark as read", "a::b", "a(", "", "app.x y", "\u00e4", "x" * 4096)):
        w.call(ADDED, "(sa{sv})", str(n), {
            "title": V("s", "T"), "default-action": V("s", action),
            "body": V("s", "<a href='http://evil/'>x</a> &#x202e; AT&T a < b <img src='/etc/x'/>"),
            "buttons": V("aa{sv}", [{"label": V("s", "B"), "action": V("s", action)}])},
               client=w.client)
        _, _, _, title, body, actions, _, _ = desktop.show(w.backend.next_call(ADDED, pump=pump))
        assert title == "demo: T" and "B" in actions, (title, actions)
        assert "<a" not in body and "<img" not in body and "&#" not in body, body
        assert "AT&T a < b" in body, body
    assert desktop.process.running(), desktop.process.log()
