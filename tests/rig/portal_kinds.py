# SPDX-License-Identifier: MIT
"""A program in front of sbportal and a gate of the test's own: sessions, and requests that last."""

from gi.repository import Gio, GLib

from .guest import PATH
from .portal import GATE_SESSION, INTROSPECTABLE, PORTAL, request_with, respond

ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
INVALID = "org.freedesktop.portal.Error.InvalidArgument"
LIMITS = "org.freedesktop.DBus.Error.LimitsExceeded"
NOT_ALLOWED = "org.freedesktop.portal.Error.NotAllowed"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
DOCUMENTS_NAME = PORTAL + "Documents"
DOCUMENTS_PATH = "/org/freedesktop/portal/documents"
INHIBIT, LOCATION, NOTIFICATION = PORTAL + "Inhibit", PORTAL + "Location", PORTAL + "Notification"
SETTINGS, SHORTCUTS = PORTAL + "Settings", PORTAL + "GlobalShortcuts"
POWER = PORTAL + "PowerProfileMonitor"
V = GLib.Variant


def session_path(client, token):
    return f"{PATH}/session/{client.name[1:].replace('.', '_')}/{token}"


def call_gate(rig, client, interface, member, body, answer, **named):
    """A plain call that the gate answers so: (what the gate was asked, what came back)."""
    if answer:
        rig.tell("body " + answer)
    result = client.call(PATH, interface, member, body, **named)
    return rig.plain(member), result


def create_monitor(rig, client, token, gate_token):
    """A session of Inhibit, whose handle comes with a Response."""
    request = client.request("CreateMonitor", "", interface=INHIBIT,
                             options={"session_handle_token": V("s", token)})
    body = rig.call("CreateMonitor")
    assert token not in body and "session_handle_token" not in body, body
    reply, = rig.expect("reply")
    respond(rig, reply, 0, f"1 session_handle s {GATE_SESSION}{gate_token}")
    assert request.wait() == (0, {"session_handle": session_path(client, token)})
    assert request.types() == {"session_handle": "s"}
    return session_path(client, token)


def create_location(rig, client, token, gate_token):
    """A session of Location, whose handle is the reply."""
    options = V("(a{sv})", ({"session_handle_token": V("s", token), "accuracy": V("u", 3)},))
    body, (handle,) = call_gate(rig, client, LOCATION, "CreateSession", options,
                                f"o {GATE_SESSION}{gate_token}")
    assert token not in body and "accuracy" in body
    assert handle == session_path(client, token)
    return handle


def inhibit(rig, client, code=0):
    request = request_with(client, "Inhibit", INHIBIT, V("s", ""), V("u", 8),
                           options={"reason": V("s", "a film")})
    body = rig.call("Inhibit")
    assert "UINT32 8" in body and '"a film"' in body
    token, = rig.expect("reply")
    respond(rig, token, code)
    assert request.wait() == (code, {})
    return request, token


def interfaces(client, path=PATH):
    xml, = client.call(path, INTROSPECTABLE, "Introspect")
    return {i.name: i for i in Gio.DBusNodeInfo.new_for_xml(xml).interfaces}
