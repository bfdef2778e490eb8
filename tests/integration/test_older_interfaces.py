# SPDX-License-Identifier: MIT
"""org.freedesktop.Notifications and org.freedesktop.ScreenSaver, from a guest to the desktop."""

from gi.repository import Gio, GLib

from rig.guest import PATH, PROPERTIES
from rig.world import PORTAL, V, World, eventually

NOTIFICATIONS = "org.freedesktop.Notifications"
NOTIFICATIONS_PATH = "/org/freedesktop/Notifications"
SCREENSAVER, SCREENSAVER_PATH = "org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"
DENIED = "[Portals]\nDefault=deny\n"


def notify(client, summary, replaces=0, actions=(), **hints):
    number, = client.call(
        NOTIFICATIONS_PATH, NOTIFICATIONS, "Notify",
        V("(susssasa{sv}i)", ("Mailer", replaces, "mail-unread", summary, "<b>text</b>",
                              list(actions), hints, -1)), destination=NOTIFICATIONS)
    return number


def inhibit(client):
    cookie, = client.call(SCREENSAVER_PATH, SCREENSAVER, "Inhibit", V("(ss)", ("Player", "a film")),
                          destination=SCREENSAVER)
    return cookie


def test_notifications(env):
    """Notify, an action, CloseNotification: as the portal's on the desktop, told to its client"""
    w = World(env)
    other = w.new_client()
    actions = w.listen(NOTIFICATIONS, "ActionInvoked", path=NOTIFICATIONS_PATH)
    closed = w.listen(NOTIFICATIONS, "NotificationClosed", path=NOTIFICATIONS_PATH)
    elsewhere = w.listen(NOTIFICATIONS, "ActionInvoked", path=NOTIFICATIONS_PATH, client=other)
    first = notify(w.client, "News\u202e", actions=["default", "Open", "read", "Mark as read"],
                   urgency=V("y", 2))
    call = w.called("Notification.AddNotification")
    assert call.options["title"] == "demo: News" and call.options["priority"] == "urgent"
    assert call.options["body"] == "\u2039b>text\u2039/b>" and call.options["default-action"] == "vm.default"
    assert call.options["icon"] == ["themed", ["mail-unread"]], call.options
    assert call.options["buttons"] == [{"label": "Mark as read", "action": "vm.read"}], call.options
    w.backend.signal("Notification", "ActionInvoked", "sssav", call.app_id, call.arguments["id"],
                     "vm.read", [])
    assert eventually("the action", lambda: actions) == [(first, "read")]
    assert eventually("the end", lambda: closed) == [(first, 2)]
    second = notify(w.client, "More")
    shown = w.called("Notification.AddNotification").arguments["id"]
    # Another's is another's: neither replaced nor closed.
    third = notify(other, "Even more", replaces=second)
    assert third not in (first, second)
    assert w.called("Notification.AddNotification").arguments["id"] != shown
    try:
        other.call(NOTIFICATIONS_PATH, NOTIFICATIONS, "CloseNotification", V("(u)", (second,)),
                   destination=NOTIFICATIONS)
    except GLib.Error as e:
        assert "No such notification" in e.message, e
    else:
        raise AssertionError("another's notification was closed")
    assert notify(w.client, "More again", replaces=second) == second
    assert w.called("Notification.AddNotification").arguments["id"] == shown
    w.client.call(NOTIFICATIONS_PATH, NOTIFICATIONS, "CloseNotification", V("(u)", (second,)),
                  destination=NOTIFICATIONS)
    assert w.called("Notification.RemoveNotification").arguments["id"] == shown
    assert eventually("its end", lambda: closed[1:]) == [(second, 3)] and not elsewhere


def test_screensaver(env):
    """Inhibit is in force on the desktop until UnInhibit, or until its client leaves"""
    w = World(env)
    cookie = inhibit(w.client)
    call = w.called("Inhibit.Inhibit")
    assert call.arguments["flags"] == 8 and call.options == {"reason": "demo: Player: a film"}
    w.client.call(SCREENSAVER_PATH, SCREENSAVER, "UnInhibit", V("(u)", (cookie,)),
                  destination=SCREENSAVER)
    w.backend.wait_closed(call)
    client = w.new_client()
    inhibit(client)
    call = w.called("Inhibit.Inhibit")
    client.close()
    w.backend.wait_closed(call)


def test_denied(env):
    """What the policy denies to the portals it denies here"""
    w = World(env, config=DENIED)
    try:
        notify(w.client, "News")
    except GLib.Error as e:
        assert Gio.DBusError.get_remote_error(e) == PORTAL + "Error.NotAllowed"
    else:
        raise AssertionError("shown")
    cookie = inhibit(w.client)  # programs do not expect an error; it is a denied request
    assert w.client.get(PORTAL + "Inhibit", "version", path=PATH) >= 3

    def is_gone():
        try:
            w.client.call(SCREENSAVER_PATH, SCREENSAVER, "UnInhibit", V("(u)", (cookie,)),
                          destination=SCREENSAVER)
        except GLib.Error as e:
            return "Unknown cookie" in e.message
        return True

    eventually("the denial", is_gone)
    assert w.client.call(NOTIFICATIONS_PATH, PROPERTIES, "GetAll", V("(s)", (NOTIFICATIONS,)),
                         destination=NOTIFICATIONS) == ({},)
