# SPDX-License-Identifier: MIT
"""A stock D-Bus client in the guest: GLib's, which GTK programs use.

It does what the portal documentation asks of a client: it subscribes to Response on the path
that it predicts from its unique name and its token, and only then calls.
"""

import itertools
import os
import time
import urllib.parse

from gi.repository import Gio, GLib

from .processes import scale, wait_for

DESKTOP = "org.freedesktop.portal.Desktop"
PATH = "/org/freedesktop/portal/desktop"
FILE_CHOOSER = "org.freedesktop.portal.FileChooser"
REQUEST = "org.freedesktop.portal.Request"
PROPERTIES = "org.freedesktop.DBus.Properties"

_tokens = itertools.count(1)


def pump():
    """Delivers the signals that have arrived."""
    context = GLib.MainContext.default()
    while context.iteration(False):
        pass


def path_bytes(path):
    """The portals' form of a path: its bytes with a NUL."""
    return GLib.Variant("ay", os.fsencode(path) + b"\0")


def uri_path(uri):
    """The bytes of a file URI's path."""
    prefix = "file://"
    assert uri.startswith(prefix + "/"), uri
    return urllib.parse.unquote_to_bytes(uri[len(prefix):])


def error_name(error):
    return Gio.DBusError.get_remote_error(error)


class Request:
    """A portal request: its Response is waited for, or it is closed."""

    def __init__(self, client, path=None):
        """path None: every Response is kept until moved() tells which one is ours."""
        self.client = client
        self.path = path
        self.responses = []
        self.others = []
        self.senders = []
        self.subscription = client.bus.signal_subscribe(
            DESKTOP, REQUEST, "Response", path, None, Gio.DBusSignalFlags.NONE, self._on_response)

    def _on_response(self, _bus, sender, path, _interface, _member, arguments):
        if self.path is None:
            self.others.append((sender, path, arguments))
        elif path == self.path:
            self.senders.append(sender)
            self.responses.append(arguments)

    def moved(self, path):
        """The reply named this path."""
        self.path = path
        for sender, where, arguments in self.others:
            self._on_response(None, sender, where, None, None, arguments)

    def wait(self, seconds=20.0):
        """(response, {name: value}) of its one Response."""
        def arrived():
            pump()
            return self.responses
        wait_for("the Response", arrived, seconds)
        assert len(self.responses) == 1, self.responses
        return self.responses[0].unpack()

    def types(self):
        """The signatures of the results."""
        results = self.responses[0].get_child_value(1)
        names = results.unpack().keys()
        return {name: results.lookup_value(name, None).get_type_string() for name in names}

    def uris(self):
        response, results = self.wait()
        assert response == 0, (response, results)
        return results["uris"]

    def paths(self):
        """The paths the guest got, as bytes."""
        return [uri_path(uri) for uri in self.uris()]

    def path_of_one(self):
        paths = self.paths()
        assert len(paths) == 1, paths
        return paths[0]

    def close(self):
        self.client.call(self.path, REQUEST, "Close")

    def silent(self, seconds=0.5):
        """True when no Response is there, nor comes for a while."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and not self.responses:
            pump()
            time.sleep(0.01)
        return not self.responses


class GuestClient:
    """One program's connection to the bus at address."""

    def __init__(self, address):
        flags = (Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                 | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
        self.bus = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)

    @property
    def name(self):
        return self.bus.get_unique_name()

    def call(self, path, interface, member, arguments=None, *, destination=DESKTOP, seconds=20.0):
        """The reply's values; GLib.Error is the error reply."""
        reply = self.bus.call_sync(destination, path, interface, member, arguments, None,
                                   Gio.DBusCallFlags.NONE, int(seconds * scale() * 1000), None)
        return reply.unpack() if reply else ()

    def get(self, interface, name, path=PATH):
        return self.call(path, PROPERTIES, "Get", GLib.Variant("(ss)", (interface, name)))[0]

    def predicted(self, token):
        return f"{PATH}/request/{self.name[1:].replace('.', '_')}/{token}"

    def request(self, member, *arguments, options=None, interface=FILE_CHOOSER, raw_options=None):
        """Calls a portal method that answers by a Response.

        arguments: strings before the options.  options: {name: GLib.Variant}; the token is added.
        raw_options: the whole a{sv} instead, for what no decent client sends; the answer is then
        taken on the path that the reply names."""
        if raw_options is not None:
            request = Request(self)
        else:
            token = f"t{next(_tokens)}"
            raw_options = GLib.Variant("a{sv}", {"handle_token": GLib.Variant("s", token),
                                                 **(options or {})})
            request = Request(self, self.predicted(token))
        body = GLib.Variant.new_tuple(*(GLib.Variant("s", a) for a in arguments), raw_options)
        handle, = self.call(PATH, interface, member, body)
        if request.path is None:
            request.moved(handle)
        assert handle == request.path, (handle, request.path)
        return request

    def open_file(self, title="Open a file", parent="", **options):
        return self.request("OpenFile", parent, title, options=options)

    def save_file(self, title="Save a file", parent="", **options):
        return self.request("SaveFile", parent, title, options=options)

    def save_files(self, title="Save files", parent="", **options):
        return self.request("SaveFiles", parent, title, options=options)

    def close(self):
        if not self.bus.is_closed():
            self.bus.close_sync(None)


