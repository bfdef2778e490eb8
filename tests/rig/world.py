# SPDX-License-Identifier: MIT
"""A VM whose guest may use every portal, on a desktop that a test operates.

The guest's program is on the debug access, which carries descriptors.
"""

import os

from gi.repository import Gio

from . import backend, newer_portal
from .guest import PATH, GLib, GuestClient, Request, error_name, pump
from .processes import scale, wait_for

PORTAL = "org.freedesktop.portal."
DOCUMENTS_NAME = PORTAL + "Documents"
DOCUMENTS_PATH = "/org/freedesktop/portal/documents"
SESSION = PORTAL + "Session"
# What nobody gets unless it is said by name.
ALLOW = "[Portals]\n" + "".join(f"{name}=allow\n" for name in (
    "Screenshot", "Screenshot.PickColor", "Wallpaper", "GlobalShortcuts", "Location", "Trash",
    "Secret"))
V = GLib.Variant

# Keys that no method knows.
JUNK = {"nonsense": V("s", "x"), "": V("s", "nonsense"), "x" * 1000: V("s", "nonsense"),
        "nonsense\n": V("v", V("a{sv}", {"deep": V("av", [V("a{sv}", {"er": V("y", 1)})])})),
        "app_id": V("s", "nonsense"), "parent_window": V("s", "nonsense")}


def pairs(items):
    """An a{sv} of these pairs, keys twice and all."""
    return V.new_array(GLib.VariantType("{sv}"), [
        V.new_dict_entry(V("s", key), V("v", value)) for key, value in items])


def eventually(what, found):
    def look():
        pump()
        return found()
    return wait_for(what, look)


class World:
    """An instance that allows everything, and a guest's program that can pass descriptors."""

    def __init__(self, env, session=None, config=ALLOW, **arguments):
        self.env = env
        self.session = session or env.session
        self.backend = self.session.chooser
        # An older portal needs a systemd user manager for it (see test_identity.py).
        self.app_id = ("org.sidebus.vm.demo" if newer_portal.registers(self.session.libexec)
                       else "")
        self.sidebus = env.closing(env.own_sidebus(self.session, config=config, **arguments))
        self.client = self.new_client()
        self.count = 0

    def new_client(self):
        return self.env.closing(GuestClient("unix:path=" + self.sidebus.file("dbg", "vm.sock")))

    def call(self, name, kind="()", *values, fds=(), client=None):
        """Calls "Portal.Method"; the reply's values."""
        interface, _, member = name.rpartition(".")
        documents = interface in ("Documents", "FileTransfer")
        fd_list = Gio.UnixFDList.new()
        for fd in fds:
            fd_list.append(fd)
        body = V.new_tuple(*(v if isinstance(v, V) else V(k, v)
                             for k, v in zip(backend.split(kind[1:-1]), values)))
        reply, _ = (client or self.client).bus.call_with_unix_fd_list_sync(
            DOCUMENTS_NAME if documents else PORTAL + "Desktop",
            DOCUMENTS_PATH if documents else PATH, PORTAL + interface, member, body,
            None, Gio.DBusCallFlags.NONE, int(20000 * scale()), fd_list, None)
        return reply.unpack()

    def request(self, name, kind, *values, fds=(), client=None):
        """Calls a method that answers by a Response.  The last of values is its options.

        Beside them are others that never pass, and each comes a second time, of another type."""
        self.count += 1
        client = client or self.client
        token = f"every{self.count}"
        options = {**values[-1], "handle_token": V("s", token)}
        options = pairs([*options.items(), *JUNK.items(), *((key, V("(s)", ("nonsense",)))
                                                            for key in options)])
        request = Request(client, client.predicted(token))
        handle, = self.call(name, kind, *values[:-1], options, fds=fds, client=client)
        assert handle == request.path, (handle, request.path)
        return request

    def make_session(self, name, kind, *values):
        """(handle, the request) of a method that makes a session."""
        token = f"session{self.count}"
        options = {**values[-1], "session_handle_token": V("s", token)}
        request = self.request(name, kind, *values[:-1], options)
        sender = self.client.name[1:].replace(".", "_")
        return f"{PATH}/session/{sender}/{token}", request

    def refused(self, name, kind="()", *values, fds=()):
        try:
            reply = self.call(name, kind, *values, fds=fds)
        except GLib.Error as e:
            return error_name(e)
        raise AssertionError(f"{name} was not refused: {reply}")

    def listen(self, interface, member, path=PATH, client=None):
        """The arguments of each such signal that the guest's program gets from now on."""
        got = []
        client = client or self.client
        client.bus.signal_subscribe(None, interface, member, path, None,
                                    Gio.DBusSignalFlags.NONE, lambda *s: got.append(s[5].unpack()))
        client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId",
                    destination="org.freedesktop.DBus")
        return got

    def dialog(self, name):
        dialog = self.backend.next_dialog(pump=pump)
        assert dialog.name == name, (dialog.name, name)
        self.check(dialog)
        return dialog

    def called(self, name):
        call = self.backend.next_call(name, pump=pump)
        self.check(call)
        return call

    def check(self, call):
        """It is of the VM, and no handle and no name of the guest's is in what the backend got."""
        assert call.app_id in (None, self.app_id), call.arguments
        text = repr(call.arguments)
        for word in (self.client.name, self.client.name[1:].replace(".", "_") + "/", "every",
                     "session0", "activation"):
            assert word not in text, (word, text)
        assert call.parent in (None, ""), text

    def document(self, content=b"content", name="a file", directory=False):
        """(path in the guest, path on the host) of a file the person has opened for the VM."""
        host = self.env.host_file(name, content)
        picked = os.path.dirname(host) if directory else host
        request = self.request("FileChooser.OpenFile", "(ssa{sv})", "", "T",
                               {"directory": V("b", directory)})
        self.dialog("FileChooser.OpenFile").pick(picked)
        return request.path_of_one(), picked

    def guest_file(self, name="from guest.txt", content=b"of the guest"):
        """A descriptor of a file that is no document of the VM."""
        path = os.path.join(self.env.directory(), name)
        with open(path, "wb") as f:
            f.write(content)
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def spooled(self):
        found = []
        for top, _, files in os.walk(self.sidebus.file("rt", "spool")):
            found += [os.path.join(top, name) for name in files]
        return found
