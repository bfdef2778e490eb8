# SPDX-License-Identifier: MIT
"""org.freedesktop.Notifications and org.freedesktop.ScreenSaver of sbportal, and its gate."""

import re
import struct
import zlib

from gi.repository import Gio, GLib

from rig.guest import PATH, PROPERTIES
from rig.portal import (GATE_REQUEST, INTROSPECTABLE, PEER, PORTAL, Signals, fails, message_of,
                        respond, start)

INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
LIMITS = "org.freedesktop.DBus.Error.LimitsExceeded"
NOT_ALLOWED = PORTAL + "Error.NotAllowed"
NOTIFICATIONS = "org.freedesktop.Notifications"
NOTIFICATIONS_PATH = "/org/freedesktop/Notifications"
SCREENSAVER, SCREENSAVER_PATH = "org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"
NOTIFICATION = PORTAL + "Notification"
V = GLib.Variant


def notify_body(replaces=0, icon="", summary="Mail", body="Two letters", actions=(), hints=None):
    return V("(susssasa{sv}i)", ("Mailer", replaces, icon, summary, body, list(actions),
                                 hints or {}, 5000))


def notifications(client, member, body=None):
    return client.call(NOTIFICATIONS_PATH, NOTIFICATIONS, member, body, destination=NOTIFICATIONS)


def notify(rig, client, **named):
    """(what the gate was asked, the number)."""
    number, = notifications(client, "Notify", notify_body(**named))
    return rig.plain("AddNotification"), number


def action_invoked(rig, number, action):
    rig.tell(f"signal {PATH} {NOTIFICATION} ActionInvoked ssav /{number} {action} 0")


def screensaver(client, member, body=None, path=SCREENSAVER_PATH):
    return client.call(path, SCREENSAVER, member, body, destination=SCREENSAVER)


def inhibit(rig, client, path=SCREENSAVER_PATH):
    """(the cookie, the token on the gate)"""
    cookie, = screensaver(client, "Inhibit", V("(ss)", ("Player", "a film")), path)
    body = rig.call("Inhibit")
    assert "UINT32 8" in body and '"Player: a film"' in body, body
    token, = rig.expect("reply")
    return cookie, token


# --- Notifications ------------------------------------------------------------------------------

def test_notify(env):
    """Notify becomes AddNotification: text, urgency, icon, actions, and nothing else"""
    rig = start(env)
    client = rig.client()
    body, number = notify(
        rig, client, icon="mail-unread", summary="New\u202e mail", body="a\nb",
        actions=["default", "Open", "read", "Mark as read", "odd"],
        hints={"urgency": V("y", 2), "desktop-entry": V("s", "org.example"),
               "sound-file": V("s", "/etc/passwd")})
    assert number == 1
    for word in ('"/1"', '"New mail"', '"urgent"', '"themed"', '"mail-unread"', '"buttons"',
                 '"Mark as read"', '"default-action"', '"default"'):
        assert word in body, (word, body)
    for word in ("org.example", "passwd", '"odd"', '"Open"', "Mailer", "5000"):
        assert word not in body, (word, body)
    body, _ = notify(rig, client, icon="/home/guest/x.png", summary="",
                     hints={"urgency": V("y", 0), "image-path": V("s", "mail-read")})
    assert '"mail-read"' in body and '"Mailer"' in body and '"low"' in body
    body, _ = notify(rig, client, icon="file:///home/guest/x.png", hints={"urgency": V("y", 9)})
    assert "icon" not in body and '"normal"' in body
    body, _ = notify(rig, client, hints={"urgency": V("s", "x"), "image-path": V("i", 1)})
    assert '"normal"' in body
    rig.quiet()


def read_png(data):
    """(width, height, colour type, rows) of a PNG whose checksums are right."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        n, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + n]
        assert struct.unpack_from(">I", data, at + 8 + n)[0] == zlib.crc32(name + body)
        chunks[name] = body
        at += 12 + n
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, bits, colours = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert bits == 8
    return width, height, colours, zlib.decompress(chunks[b"IDAT"])


def test_notify_with_an_image(env):
    """The pixels of a hint become a PNG, a large one a smaller; what is no image is left out"""
    rig = start(env)
    client = rig.client()

    def icon(*image, key="image-data", name=""):
        body, _ = notify(rig, client, icon=name, hints={key: V("(iiibiiay)", image)})
        return bytes(int(n) for n in re.findall(r"BYTE (\d+)", body)), body

    pixels = bytes(range(24))
    png, _ = icon(2, 3, 8, True, 8, 4, pixels, name="mail")
    assert read_png(png) == (2, 3, 6, b"".join(b"\0" + pixels[i:i + 8] for i in (0, 8, 16)))
    png, _ = icon(2, 2, 8, False, 8, 3, pixels[:14], key="image_data")  # with gaps
    assert read_png(png) == (2, 2, 2, b"\0" + pixels[:6] + b"\0" + pixels[8:14])
    side = 500
    large = b"".join(struct.pack("<HB", x, y % 251) for y in range(side) for x in range(side))
    png, _ = icon(side, side, 3 * side, False, 8, 3, large)
    width, height, _, rows = read_png(png)
    assert (width, height) == (167, 167)
    assert rows == b"".join(
        b"\0" + b"".join(struct.pack("<HB", x, y % 251) for x in range(0, side, 3))
        for y in range(0, side, 3))
    for bad in ((3, 3, 12, True, 8, 4, pixels), (2, 3, 8, True, 16, 4, pixels),
                (-2, 3, 8, True, 8, 4, pixels), (2, 3, 8, True, 8, 9, pixels),
                (0, 0, 0, True, 8, 4, b"")):
        png, body = icon(*bad, name="mail")
        assert png == b"" and '"mail"' in body, body
    assert icon(*bad)[0] == b""
    rig.alive()


def test_notifications_have_owners(env):
    """Numbers, replacing, closing; what happens is told to the one that showed it last"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    heard, overheard = Signals(client), Signals(other)
    _, first = notify(rig, client)
    _, second = notify(rig, other)
    assert (first, second) == (1, 2)
    action_invoked(rig, 1, "read")
    assert heard.wait(2) == [
        (NOTIFICATIONS_PATH, NOTIFICATIONS, "ActionInvoked", (1, "read")),
        (NOTIFICATIONS_PATH, NOTIFICATIONS, "NotificationClosed", (1, 2))]
    action_invoked(rig, 1, "read")  # it is gone
    action_invoked(rig, 99, "read")
    action_invoked(rig, "x", "read")
    action_invoked(rig, 4294967298, "read")
    assert heard.more() == [] and overheard.more() == []
    for taken in (2, 1):  # another's, and one that is there no more: a new one
        body, number = notify(rig, client, replaces=taken)
        assert number not in (1, 2) and f'"/{number}"' in body
    assert fails(notifications, client, "CloseNotification", V("(u)", (2,))) == \
        "org.freedesktop.DBus.Error.Failed"
    body, again = notify(rig, other, replaces=2)
    assert again == 2 and '"/2"' in body
    notifications(other, "CloseNotification", V("(u)", (2,)))
    assert '"/2"' in rig.plain("RemoveNotification")
    assert overheard.wait() == [(NOTIFICATIONS_PATH, NOTIFICATIONS, "NotificationClosed", (2, 3))]
    assert heard.more() == []
    for number in (2, 0, 77):
        assert fails(notifications, client, "CloseNotification", V("(u)", (number,))) == \
            "org.freedesktop.DBus.Error.Failed"
    client.close()
    action_invoked(rig, 3, "read")
    rig.quiet()
    rig.alive()


def test_notifications_refused(env):
    """The gate's errors, floods and bodies that are none: an error, and no number is used up"""
    rig = start(env)
    client = rig.client()
    rig.tell("error " + NOT_ALLOWED)
    assert fails(notify, rig, client) == NOT_ALLOWED
    rig.plain("AddNotification")
    assert fails(notifications, client, "CloseNotification", V("(u)", (1,)))
    assert fails(notifications, client, "Notify", V("(s)", ("x",))) == INVALID_ARGS
    assert fails(notifications, client, "Nothing") == "org.freedesktop.DBus.Error.UnknownMethod"
    assert fails(notify, rig, client, summary="x" * 5000)
    assert fails(notify, rig, client,
                 hints={f"x{i}": V("i", i) for i in range(300)}) == INVALID_ARGS
    assert fails(notify, rig, client, hints={
        "image-data": V("a(yy)", [(1, 1)] * 70000)}) == INVALID_ARGS
    for _ in range(100):
        try:
            notify(rig, client)
        except GLib.Error as e:
            assert Gio.DBusError.get_remote_error(e) == LIMITS
            break
    else:
        raise AssertionError("never refused")
    rig.alive()


def test_notification_server(env):
    """What the server says of itself; introspection, and no properties"""
    rig = start(env)
    client = rig.client()
    assert notifications(client, "GetCapabilities") == (["actions", "body"],)
    name, vendor, version, spec = notifications(client, "GetServerInformation")
    assert (name, vendor, spec) == ("sidebus", "sidebus", "1.2") and version
    xml, = client.call(NOTIFICATIONS_PATH, INTROSPECTABLE, "Introspect")
    info = Gio.DBusNodeInfo.new_for_xml(xml).lookup_interface(NOTIFICATIONS)
    assert {m.name for m in info.methods} == {"Notify", "CloseNotification", "GetCapabilities",
                                              "GetServerInformation"}
    assert {s.name for s in info.signals} == {"NotificationClosed", "ActionInvoked"}
    assert client.call(NOTIFICATIONS_PATH, PROPERTIES, "GetAll",
                       V("(s)", (NOTIFICATIONS,))) == ({},)
    assert client.call(NOTIFICATIONS_PATH, PEER, "Ping") == ()
    rig.quiet()


# --- ScreenSaver --------------------------------------------------------------------------------

def test_screensaver(env):
    """Inhibit and UnInhibit: cookies of one client, in force until they are given back"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    heard = Signals(client)
    cookie, token = inhibit(rig, client)
    second, second_token = inhibit(rig, client, "/ScreenSaver")
    assert cookie > 0 and second != cookie
    respond(rig, token, 0)
    for who, number in ((other, cookie), (client, 0), (client, 99)):
        assert message_of(screensaver, who, "UnInhibit", V("(u)", (number,))) == \
            (INVALID_ARGS, "Unknown cookie")
    rig.quiet()
    assert screensaver(client, "UnInhibit", V("(u)", (cookie,)), "/ScreenSaver") == ()
    assert rig.expect("close") == [token]
    assert fails(screensaver, client, "UnInhibit", V("(u)", (cookie,))) == INVALID_ARGS
    screensaver(client, "UnInhibit", V("(u)", (second,)))  # before its Response
    assert rig.expect("close") == [second_token]
    rig.tell(f"signal {GATE_REQUEST}{second_token} {PORTAL}Request Response ua{{sv}} 0 0")
    assert heard.more() == []
    rig.quiet()


def test_screensaver_ends(env):
    """Cookies end with their client, with a denial, with the host's portal"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    _, token = inhibit(rig, client)
    respond(rig, token, 0)
    _, waiting = inhibit(rig, client)
    denied, denied_token = inhibit(rig, other)
    respond(rig, denied_token, 2)
    assert fails(screensaver, other, "UnInhibit", V("(u)", (denied,))) == INVALID_ARGS
    client.close()
    assert sorted(rig.expect("close") + rig.expect("close")) == sorted([token, waiting])
    cookie, token = inhibit(rig, other)
    respond(rig, token, 0)
    rig.tell(f"signal {PATH} {PORTAL}Gate PortalRestarted -")
    assert fails(screensaver, other, "UnInhibit", V("(u)", (cookie,))) == INVALID_ARGS
    rig.tell("error " + NOT_ALLOWED)
    assert fails(inhibit, rig, other) == NOT_ALLOWED
    rig.call("Inhibit")
    rig.expect("reply")
    for _ in range(4):
        inhibit(rig, other)
    assert fails(inhibit, rig, other) == LIMITS
    rig.alive()


def test_screensaver_answers(env):
    """The rest of the interface: what is true of a VM"""
    rig = start(env)
    client = rig.client()
    assert screensaver(client, "GetActive") == (False,)
    assert screensaver(client, "SetActive", V("(b)", (True,))) == (False,)
    assert screensaver(client, "GetActiveTime") == (0,)
    assert screensaver(client, "GetSessionIdleTime") == (0,)
    assert screensaver(client, "SimulateUserActivity") == ()
    assert fails(screensaver, client, "Lock") == "org.freedesktop.DBus.Error.NotSupported"
    assert fails(screensaver, client, "Inhibit", V("(s)", ("x",))) == INVALID_ARGS
    for path in (SCREENSAVER_PATH, "/ScreenSaver"):
        xml, = client.call(path, INTROSPECTABLE, "Introspect")
        assert Gio.DBusNodeInfo.new_for_xml(xml).lookup_interface(SCREENSAVER)
    rig.quiet()


def test_names_of_others(env):
    """A bus where somebody else shows notifications: left to its owner, the portals work"""
    rig = start(env)
    rig.tell("drop-ipc")
    rig.expect("exit")
    client = rig.client()
    assert client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                       V("(su)", (NOTIFICATIONS, 0)), destination="org.freedesktop.DBus") == (1,)
    again = start(env, bus_of=rig)
    assert f"{NOTIFICATIONS} on the VM's bus is not ours" in again.log()
    cookie, _ = inhibit(again, again.client())
    assert cookie == 1
