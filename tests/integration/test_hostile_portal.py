# SPDX-License-Identifier: MIT
"""A host's portal that answers wrongly: it is believed about what was picked, not about forms."""

import threading

from gi.repository import Gio, GLib

from rig import boundaries
from rig.guest import FILE_CHOOSER, PATH, PROPERTIES, REQUEST, GuestClient, error_name
from rig.rogue_daemon import Daemon
from rig.session import DESKTOP, path_uri

PORTAL = "org.freedesktop.portal."
SECRET_TEXT = "/home/me/secret of the host"


class HostPortal(Daemon):
    """Plays xdg-desktop-portal: each OpenFile is answered as .plan says, in a thread of its own."""

    def __init__(self, session):
        self.plan = None
        super().__init__([DESKTOP], {"Get": ["(<uint32 3>,)"]}, session.address)
        threading.Thread(target=self.serve, daemon=True).start()

    def answer(self, message):
        if message.get_member() == "OpenFile":
            self.plan(self, message)
        else:
            super().answer(message)

    @staticmethod
    def handle(message):
        options = message.get_body().unpack()[-1]
        sender = message.get_sender()[1:].replace(".", "_")
        return f"{PATH}/request/{sender}/{options['handle_token']}"

    def give(self, message, body):
        reply = Gio.DBusMessage.new_method_reply(message)
        if body is not None:
            reply.set_body(body)
        self.send_message(reply)

    def signal(self, to, path, interface, member, body):
        signal = Gio.DBusMessage.new_signal(path, interface, member)
        signal.set_destination(to)
        if body is not None:
            signal.set_body(body)
        self.send_message(signal)

    def close(self):
        self.socket.close()


def replying(body):
    """A plan: the call is answered so, and a dialog never ends."""
    def plan(portal, message):
        if isinstance(body, tuple):
            portal.send_message(Gio.DBusMessage.new_method_error_literal(message, *body))
        else:
            portal.give(message, body)
    return plan


def responding(*bodies, to=None, path=None, interface=REQUEST, member="Response"):
    """A plan: the right handle, and then these Responses."""
    def plan(portal, message):
        handle = portal.handle(message)
        portal.give(message, GLib.Variant("(o)", (handle,)))
        for body in bodies:
            portal.signal(to or message.get_sender(), path or handle, interface, member, body)
        portal.signal(message.get_sender(), handle, REQUEST, "Response",
                      GLib.Variant("(ua{sv})", (1, {})))
    return plan


class World:
    def __init__(self, env):
        self.env = env
        self.session = env.own_session(portal=False)
        self.portal = env.closing(HostPortal(self.session))
        self.sidebus = env.closing(env.own_sidebus(self.session))
        self.client = env.closing(GuestClient(env.own_agent(self.sidebus).address))

    def ask(self, plan):
        """The name and text of the error, or (response, results)."""
        self.portal.plan = plan
        try:
            request = self.client.open_file()
        except GLib.Error as e:
            assert SECRET_TEXT not in str(e), e
            return error_name(e), str(e)
        response, results = request.wait()
        assert set(results) <= {"uris", "choices", "current_filter", "writable"}, results
        assert SECRET_TEXT not in str(results), results
        return response, results

    def works(self):
        """A file that is picked is given, still."""
        host = self.env.host_file("picked", b"x")
        uris = GLib.Variant("as", [path_uri(host)])
        response, results = self.ask(responding(GLib.Variant("(ua{sv})", (0, {"uris": uris}))))
        assert response == 0 and len(results["uris"]) == 1, (response, results)


def variant(kind, *values):
    return GLib.Variant(kind, values)


def nested(depth):
    value = GLib.Variant("s", SECRET_TEXT)
    for _ in range(depth):
        value = GLib.Variant("a{sv}", {"x": value})
    return value


def results(**values):
    return variant("(ua{sv})", 0, values)


def test_replies(env):
    """handles that are none, other types, errors in words about the host: an error without them"""
    world = World(env)
    plans = [None, variant("(s)", "x"), variant("(o)", "/"), variant("(o)", "/etc/passwd"),
             variant("(o)", PATH), variant("(o)", PATH + "/session/1_1/x"), variant("(u)", 1),
             variant("(as)", ["x"]), variant("(v)", GLib.Variant("o", PATH)), variant("()"),
             variant("(s)", PATH + "/request/1_1/t"), variant("(s)", "x" * (20 << 20)),
             (PORTAL + "Error.Failed", SECRET_TEXT), (PORTAL + "Error.NotAllowed", SECRET_TEXT),
             ("org.freedesktop.DBus.Error.Failed", SECRET_TEXT), ("x.y", SECRET_TEXT),
             ("org.gtk.GDBus.UnmappedGError.Quark._x.Code1", SECRET_TEXT)]
    for body in plans:
        name, text = world.ask(replying(body))
        assert isinstance(name, str) and name.startswith("org.freedesktop."), (body, name, text)
    world.works()
    env.hostile(boundaries.HOST_PORTAL, len(plans))


def test_responses(env):
    """Responses of other types, codes, depths and lengths: 2, or what of it the table knows"""
    world = World(env)
    uris = [f"file:///nowhere/{n}" for n in range(10000)]
    bodies = [None, variant("(u)", 0), variant("(s)", "x"), variant("(ua{ss})", 0, {"uris": "x"}),
              variant("(a{sv}u)", {}, 0), variant("(ia{sv})", 0, {}), variant("(ua{sv})", 3, {}),
              variant("(ua{sv})", 0xffffffff, {}), results(), results(uris=GLib.Variant("s", "x")),
              results(uris=GLib.Variant("as", [])), results(uris=GLib.Variant("as", uris)),
              results(uris=GLib.Variant("aay", [b"file:///etc/passwd"])),
              results(uris=GLib.Variant("as", ["file:///" + "x" * (1 << 20)])),
              results(uris=GLib.Variant("as", ["file:///etc/passwd%00", "file:relative", "", "/"])),
              results(uris=GLib.Variant("as", ["file:///proc/self/environ", "file:///dev/mem"])),
              results(secret=GLib.Variant("s", SECRET_TEXT)),
              results(session_handle=GLib.Variant("s", PATH)),
              results(choices=GLib.Variant("s", "x")), results(choices=GLib.Variant("a(ss)", [
                  ("x" * 10000, SECRET_TEXT * 1000)])),
              results(current_filter=GLib.Variant("(sa(us))", ("x", [(9, SECRET_TEXT)] * 1025))),
              results(x=nested(20)), results(**{f"k{n}": nested(1) for n in range(2000)}),
              results(x=GLib.Variant("s", "x" * (20 << 20)))]
    before = world.sidebus.exported()
    for body in bodies:
        response, got = world.ask(responding(body))
        assert response in (0, 1, 2) and not got.get("uris"), (str(body)[:200], response, got)
    assert world.sidebus.exported() == before
    world.works()
    env.hostile(boundaries.HOST_PORTAL, len(bodies))


def test_signals(env):
    """signals for other objects, of other types, to everybody, twice: as if they had not come"""
    world = World(env)
    picked = results(uris=GLib.Variant("as", [path_uri(env.host_file("picked", b"x"))]))
    everybody = GLib.Variant("(ua{sv})", (0, {}))
    plans = [responding(picked, path=p) for p in
             (PATH, "/", PATH + "/request/1_1/x", PATH + "/request/vm/x", PATH + "/session/1_1/x")]
    plans += [responding(everybody, interface=i, member=m, path=p) for p in (PATH, "/")
              for i, m in ((PORTAL + "Session", "Closed"), (PROPERTIES, "PropertiesChanged"),
                           (PORTAL + "Settings", "SettingChanged"),
                           (PORTAL + "Inhibit", "StateChanged"),
                           (PORTAL + "Notification", "ActionInvoked"),
                           (PORTAL + "GlobalShortcuts", "Activated"), (PORTAL + "Camera", "X"),
                           ("org.freedesktop.DBus", "NameOwnerChanged"),
                           (FILE_CHOOSER, "OpenFile"))]
    for plan in plans:
        response, got = world.ask(plan)
        assert (response, got) == (1, {}), (response, got)
    # The first counts, what comes behind it does not.
    cancelled = GLib.Variant("(ua{sv})", (1, {}))
    for _ in range(10):
        assert world.ask(responding(cancelled, picked, picked, cancelled)) == (1, {})
    world.works()
    env.hostile(boundaries.HOST_PORTAL, len(plans) + 30)


def test_calls(env):
    """the portal calls the supervisor on the session bus: errors, but for Peer"""
    world = World(env)
    world.works()
    sender = []
    plan = responding(GLib.Variant("(ua{sv})", (1, {})))

    def note(portal, message):
        sender.append(message.get_sender())
        plan(portal, message)

    world.ask(note)
    stranger = world.session.connect()
    tried = 0
    for path in (PATH, "/", "/org/freedesktop/LogControl1", "/org/freedesktop/DBus"):
        for interface, member, body in (
                (FILE_CHOOSER, "OpenFile", GLib.Variant("(ssa{sv})", ("", "", {}))),
                (PROPERTIES, "Set", GLib.Variant("(ssv)", ("x.y", "z", GLib.Variant("u", 1)))),
                (PROPERTIES, "GetAll", GLib.Variant("(s)", ("x.y",))),
                ("org.freedesktop.DBus.Introspectable", "Introspect", None),
                ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None),
                ("org.freedesktop.LogControl1", "X", None), (REQUEST, "Close", None)):
            try:
                stranger.call_sync(sender[0], path, interface, member, body, None, 0, 20000, None)
                raise AssertionError((path, interface, member))
            except GLib.Error as e:
                assert error_name(e), e
            tried += 1
    stranger.close_sync(None)
    world.works()
    env.hostile(boundaries.HOST_PORTAL, tried)
