#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A desktop that a test operates: a backend of xdg-desktop-portal, of every portal, no window.

A program of its own, on the host session bus.  It speaks JSON lines over the socket that it got
as its first argument (a descriptor number): each dialog that opens is said ("open", with
everything xdg-desktop-portal passed), each that the portal takes back too ("close"), each call
that has no dialog ("call").  An "answer" for a dialog's handle ends it; one nobody answers stays
open, as a real one would.  A "signal" is sent as the backend's.  Values of options travel as
[signature, value]; a byte array is a list of numbers; of a descriptor it is what was read from it.

By "alone" it answers each dialog itself and says nothing, until it is told otherwise.

Messages are taken in the order in which they came (a filter on the connection): a Close that
follows its call at once must find the dialog.
"""

import json
import os
import sys

import dbus
import dbus.lowlevel
import dbus.mainloop.glib
from gi.repository import GLib

NAME = "org.freedesktop.impl.portal.desktop.sidebustest"
IMPL = "org.freedesktop.impl.portal."
REQUEST = IMPL + "Request"
SESSION = IMPL + "Session"
PROPERTIES = "org.freedesktop.DBus.Properties"
METHOD_CALL = 1

# What a "secret service" gives; 64 bytes, as a real one's.
SECRET = bytes(range(64))

# The methods that end with a dialog's answer: the names of their arguments, the answer's types.
DIALOGS = {
    "FileChooser.OpenFile": ("handle app_id parent title options", "ua{sv}"),
    "FileChooser.SaveFile": ("handle app_id parent title options", "ua{sv}"),
    "FileChooser.SaveFiles": ("handle app_id parent title options", "ua{sv}"),
    "AppChooser.ChooseApplication": ("handle app_id parent choices options", "ua{sv}"),
    "Access.AccessDialog": ("handle app_id parent title subtitle body options", "ua{sv}"),
    "Account.GetUserInformation": ("handle app_id parent options", "ua{sv}"),
    "Email.ComposeEmail": ("handle app_id parent options", "ua{sv}"),
    "Screenshot.Screenshot": ("handle app_id parent options", "ua{sv}"),
    "Screenshot.PickColor": ("handle app_id parent options", "ua{sv}"),
    "Wallpaper.SetWallpaperURI": ("handle app_id parent uri options", "u"),
    "Print.PreparePrint": ("handle app_id parent title settings page_setup options", "ua{sv}"),
    "Print.Print": ("handle app_id parent title fd options", "ua{sv}"),
    "Secret.RetrieveSecret": ("handle app_id fd options", "ua{sv}"),
    "GlobalShortcuts.CreateSession": ("handle session app_id options", "ua{sv}"),
    "GlobalShortcuts.BindShortcuts": ("handle session shortcuts parent options", "ua{sv}"),
    "GlobalShortcuts.ListShortcuts": ("handle session", "ua{sv}"),
    "Inhibit.CreateMonitor": ("handle session app_id parent", "u"),
}

# Those that are answered at once; "handle": it is in force until that is closed.
CALLS = {
    "AppChooser.UpdateChoices": "dialog choices",
    "Inhibit.Inhibit": "handle app_id parent flags options",
    "Inhibit.QueryEndResponse": "session",
    "Notification.AddNotification": "app_id id options",
    "Notification.RemoveNotification": "app_id id",
    "GlobalShortcuts.ConfigureShortcuts": "session parent options",
}

INTERFACES = sorted({name.partition(".")[0] for name in (*DIALOGS, *CALLS)}
                    | {"Settings", "Lockdown"})

SETTINGS = {
    "org.freedesktop.appearance": {"color-scheme": ("u", 1),
                                   "accent-color": ("(ddd)", (.1, .2, .3))},
    # No toolkit's own default.
    "org.gnome.desktop.interface": {"font-name": ("s", "Cantarell 12")},
    # What no guest is to know.
    "org.gnome.desktop.privacy": {"recent-files": ("s", "/home/person/diary")},
}

# What the host's portal looks for on the system bus, which here is the same: where the machine is,
# and how it is powered.
GEOCLUE = "org.freedesktop.GeoClue2"
# By its older name, which GLib of Debian 12 looks for, and its newer one.
POWER = {"net.hadess.PowerProfiles": "/net/hadess/PowerProfiles",
         "org.freedesktop.UPower.PowerProfiles": "/org/freedesktop/UPower/PowerProfiles"}

VALUES = {
    GEOCLUE + ".Location": {
        "Latitude": ("d", 52.5), "Longitude": ("d", 13.4), "Accuracy": ("d", 10.),
        "Timestamp": ("(tt)", (1, 2)), "Description": ("s", "at home")},
    **{name: {"ActiveProfile": ("s", "balanced")} for name in POWER},
    "Settings": {"version": ("u", 2)},
    "Notification": {"version": ("u", 2)},
    "Screenshot": {"version": ("u", 2)},
    "GlobalShortcuts": {"version": ("u", 1)},
    "Secret": {"version": ("u", 1)},
    "Session": {"version": ("u", 1)},
    "Lockdown": {"disable-" + what: ("b", False) for what in (
        "printing", "save-to-disk", "application-handlers", "location", "camera", "microphone",
        "sound-output")},
}

BASIC = {dbus.String: "s", dbus.ObjectPath: "o", dbus.Signature: "g", dbus.Boolean: "b",
         dbus.Byte: "y", dbus.Int16: "n", dbus.UInt16: "q", dbus.Int32: "i", dbus.UInt32: "u",
         dbus.Int64: "x", dbus.UInt64: "t", dbus.Double: "d"}
BUILD = {code: kind for kind, code in BASIC.items()}


def vardict(values, level=0):
    """{name: (signature, value)} as an a{sv}."""
    return dbus.Dictionary({name: build(kind, value, 1) for name, (kind, value) in values.items()},
                           signature="sv", variant_level=level)


def take(fd):
    """What is to be read from a descriptor that came in a message; None when it is for writing.

    Not all of it: there may be no end."""
    number = fd.take()
    try:
        with os.fdopen(number, "rb") as f:
            return (f.read(65536) or b"").decode("latin-1")
    except OSError:
        return None


def give(fd, data):
    """Writes to one, if anybody reads."""
    try:
        with os.fdopen(fd.take(), "wb") as f:
            f.write(data)
    except OSError:
        pass


def signature(value):
    """The D-Bus type of a value that came in a message."""
    if isinstance(value, dbus.Array):
        return "a" + str(value.signature)
    if isinstance(value, dbus.Struct):
        return "(" + "".join(signature(v) for v in value) + ")"
    if isinstance(value, dbus.Dictionary):
        return "a{" + str(value.signature) + "}"
    return "h" if isinstance(value, dbus.types.UnixFd) else BASIC[type(value)]


def plain(value):
    """The value as JSON has it."""
    if isinstance(value, (dbus.Array, dbus.Struct)):
        return [plain(v) for v in value]
    if isinstance(value, dbus.Dictionary):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, dbus.types.UnixFd):
        return take(value)
    if isinstance(value, dbus.Boolean):
        return bool(value)
    if isinstance(value, str):
        return str(value)
    return float(value) if isinstance(value, float) else int(value)


def split(kind):
    """The complete types of which a signature is made."""
    found, depth, start = [], 0, 0
    for n, c in enumerate(kind):
        depth += (c in "({") - (c in ")}")
        if depth == 0 and c != "a":
            found.append(kind[start:n + 1])
            start = n + 1
    return found


def build(kind, value, level=0):
    """A value of this type, as python-dbus wants it; level 1: in a variant."""
    if kind == "a{sv}":
        return vardict(value, level)
    if kind.startswith("a"):
        return dbus.Array([build(kind[1:], v) for v in value], signature=kind[1:],
                          variant_level=level)
    if kind.startswith("("):
        return dbus.Struct([build(k, v) for k, v in zip(split(kind[1:-1]), value)],
                           signature=kind[1:-1], variant_level=level)
    if kind == "v":
        return build(value[0], value[1], level + 1)
    return BUILD[kind](value, variant_level=level)


class Backend:
    def __init__(self, connection, fd, loop):
        self.connection = connection
        self.loop = loop
        self.dialogs = {}  # handle: (the call, the types of its answer)
        self.lasting = set()  # handles of what is in force
        self.alone = None  # the response to each dialog, when the test answers none
        self.channel = os.fdopen(fd, "r+b", buffering=0)
        self.unread = b""
        self.commands = {"answer": self.on_answer, "signal": self.on_signal,
                         "alone": self.on_alone}
        self.others = {(REQUEST, "Close"): self.on_close,
                       (SESSION, "Close"): self.on_close_session,
                       (PROPERTIES, "Get"): self.on_property,
                       (PROPERTIES, "GetAll"): self.on_properties,
                       (IMPL + "Settings", "ReadAll"): self.on_settings,
                       (IMPL + "Settings", "Read"): self.on_setting,
                       (GEOCLUE + ".Manager", "GetClient"): self.on_geoclue_client,
                       (GEOCLUE + ".Client", "Start"): self.on_geoclue_start,
                       (GEOCLUE + ".Client", "Stop"): self.reply,
                       (PROPERTIES, "Set"): self.reply}
        GLib.io_add_watch(fd, GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, self.on_command)
        connection.add_message_filter(self.on_message)

    def say(self, **event):
        if self.alone is None:
            self.channel.write(json.dumps(event).encode() + b"\n")

    # --- calls of xdg-desktop-portal ----------------------------------------------------------

    def on_message(self, _connection, message):
        if message.get_type() != METHOD_CALL:
            return dbus.lowlevel.HANDLER_RESULT_NOT_YET_HANDLED
        interface, member = message.get_interface() or "", message.get_member()
        name = f"{interface.removeprefix(IMPL)}.{member}"
        handler = self.others.get((interface, member))
        if handler:
            handler(message)
        elif name in DIALOGS:
            self.on_dialog(name, message)
        elif name in CALLS:
            self.on_call(name, message)
        else:
            return dbus.lowlevel.HANDLER_RESULT_NOT_YET_HANDLED
        return dbus.lowlevel.HANDLER_RESULT_HANDLED

    def reply(self, call, kind="", *values):
        message = dbus.lowlevel.MethodReturnMessage(call)
        if kind:
            message.append(*values, signature=kind)
        self.connection.send_message(message)

    def refuse(self, call, error, text):
        self.connection.send_message(dbus.lowlevel.ErrorMessage(call, error, text))

    @staticmethod
    def arguments(name, names, call):
        """Each argument by its name, and the options with their types."""
        values = dict(zip(names.split(), call.get_args_list(byte_arrays=False)))
        if name == "Secret.RetrieveSecret":
            give(values.pop("fd"), SECRET)
        options = {key: [signature(v), plain(v)] for key, v in values.pop("options", {}).items()}
        return {**{key: plain(v) for key, v in values.items()}, "options": options}

    def on_dialog(self, name, call):
        names, kind = DIALOGS[name]
        arguments = self.arguments(name, names, call)
        self.dialogs[arguments["handle"]] = (call, kind)
        self.say(event="open", name=name, member=call.get_member(), **arguments)
        if self.alone is not None:
            # What the host's portal asks by itself is allowed: then the call goes on.
            self.end(arguments["handle"], 0 if name == "Access.AccessDialog" else self.alone, {})

    def on_call(self, name, call):
        arguments = self.arguments(name, CALLS[name], call)
        if "handle" in arguments:
            self.lasting.add(arguments["handle"])
        self.say(event="call", name=name, member=call.get_member(), **arguments)
        self.reply(call)

    def on_close(self, call):
        handle = call.get_path()
        if handle not in self.dialogs and handle not in self.lasting:
            self.refuse(call, "org.freedesktop.DBus.Error.UnknownObject", "no such dialog")
            return
        self.reply(call)
        self.say(event="close", handle=handle)
        self.lasting.discard(handle)
        if handle in self.dialogs:
            self.end(handle, 2, {})

    def on_close_session(self, call):
        self.reply(call)
        self.say(event="session-close", session=call.get_path())

    def on_property(self, call):
        interface, name = call.get_args_list()
        kind, value = VALUES.get(interface.removeprefix(IMPL), {}).get(name, ("u", 0))
        self.reply(call, "v", build(kind, value))

    def on_properties(self, call):
        interface, = call.get_args_list()
        self.reply(call, "a{sv}", vardict(VALUES.get(interface.removeprefix(IMPL), {})))

    def on_settings(self, call):
        self.reply(call, "a{sa{sv}}", dbus.Dictionary(
            {name: vardict(values) for name, values in SETTINGS.items()}, signature="sa{sv}"))

    def on_setting(self, call):
        namespace, key = call.get_args_list()
        self.say(event="call", name="Settings.Read", member="Read", namespace=namespace, key=key,
                 options={})
        if key in SETTINGS.get(namespace, {}):
            kind, value = SETTINGS[namespace][key]
            self.reply(call, "v", build(kind, value))
        else:
            self.refuse(call, "org.freedesktop.portal.Error.NotFound", "no such setting")

    def on_geoclue_client(self, call):
        self.reply(call, "o", "/org/freedesktop/GeoClue2/Client/1")

    def on_geoclue_start(self, call):
        self.reply(call)
        self.say(event="call", name="GeoClue.Start", member="Start", options={})

    # --- commands of the test -----------------------------------------------------------------

    def end(self, handle, response, results):
        call, kind = self.dialogs.pop(handle)
        self.reply(call, kind, response, *([vardict(results)] if kind == "ua{sv}" else []))

    def on_answer(self, command):
        known = command["handle"] in self.dialogs
        if known:
            self.end(command["handle"], command["response"], command["results"])
        self.say(event="answered", handle=command["handle"], known=known)

    def on_alone(self, command):
        self.alone = None
        self.say(event="alone", response=command["response"])
        self.alone = command["response"]

    def on_signal(self, command):
        """Sends it; but for an action that is the application's own a desktop calls that."""
        interface = command["interface"]
        if command["member"] == "ActionInvoked" and command["values"][2].startswith("app."):
            app_id, _, action, parameters = command["values"]
            call = dbus.lowlevel.MethodCallMessage(
                app_id, "/" + app_id.replace(".", "/").replace("-", "_"),
                "org.freedesktop.Application", "ActivateAction")
            call.append(action[4:], build("av", parameters), vardict({}), signature="sava{sv}")
            self.connection.send_message(call)
            return
        message = dbus.lowlevel.SignalMessage(
            command["path"], interface if "." in interface else IMPL + interface, command["member"])
        kinds = split(command["signature"])
        message.append(*[build(kind, value) for kind, value in zip(kinds, command["values"])],
                       signature=command["signature"])
        self.connection.send_message(message)

    def on_command(self, fd, condition):
        try:
            data = os.read(fd, 65536) if condition & GLib.IO_IN else b""
        except ConnectionResetError:  # the test has left without reading all that was said
            data = b""
        if not data:
            self.loop.quit()
            return False
        lines = (self.unread + data).split(b"\n")
        self.unread = lines.pop()
        for line in lines:
            command = json.loads(line)
            self.commands[command.pop("command")](command)
        return True


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SessionBus()
    loop = GLib.MainLoop()
    backend = Backend(bus, int(sys.argv[1]), loop)
    for name in (GEOCLUE, *POWER, NAME):
        bus.request_name(name, dbus.bus.NAME_FLAG_DO_NOT_QUEUE)
    backend.say(event="ready")
    loop.run()


if __name__ == "__main__":
    main()
