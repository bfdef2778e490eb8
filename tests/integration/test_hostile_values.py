# SPDX-License-Identifier: MIT
"""Every method of the portal table, and every key of it, with values that it is not for.

The inputs are made from the table itself (rig/hostile.py), so a new row has its own.  For each:
the guest gets the documented error, or the host's portal gets a call in which everything is of
the row (rig/portal_table.py), and no trace of what was to be left out.
"""

import json
import os

from gi.repository import Gio, GLib

from rig.guest import DESKTOP, PATH, PROPERTIES, REQUEST, pump
from rig.hostile import DISCONNECTED, EVIL, WRONG_ARGUMENTS, Hostile
from rig.portal_table import Conformance, Table
from rig.processes import scale
from rig.world import ALLOW, DOCUMENTS_NAME, DOCUMENTS_PATH, PORTAL, SESSION, V, World, eventually
from test_taken_over import open_gate

DENIED = ("denied",)
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"


def make_session(w, name, kind, *values):
    handle, request = w.make_session(name, kind, *values)
    w.dialog(name).answer(0, **({"shortcuts": ("a(sa{sv})", [])} if "Shortcuts" in name else {}))
    assert request.wait()[0] == 0, request.responses
    return handle


def on_time():
    """Lets what came be seen, without a pause: there are thousands."""
    late = []
    source = GLib.timeout_add(int(20000 * scale()), lambda: late.append(True))
    GLib.MainContext.default().iteration(True)
    if not late:
        GLib.source_remove(source)
    return not late


class Sender:
    """Who tries the inputs: .bus is its connection, .sidebus the instance behind it."""

    def __init__(self):
        self.responses = {}

    def listen(self, sender):
        self.bus.signal_subscribe(
            sender, REQUEST, "Response", None, None, Gio.DBusSignalFlags.NONE,
            lambda *s: self.responses.update({s[2]: s[5].unpack()[0]}))

    def call(self, message, fds, bus=None):
        """The error's name or None, and the reply's values."""
        message.set_unix_fd_list(Gio.UnixFDList.new_from_array([os.dup(fd) for fd in fds]))
        reply, _ = (bus or self.bus).send_message_with_reply_sync(
            message, Gio.DBusSendMessageFlags.NONE, int(20000 * scale()), None)
        body = reply.get_body()
        return reply.get_error_name(), body.unpack() if body else ()

    def response(self, handle):
        while handle not in self.responses:
            assert on_time(), f"no Response for {handle}"
        return self.responses.pop(handle)

    def version(self, interface):
        message = Gio.DBusMessage.new_method_call(self.destination, PATH, PROPERTIES, "Get")
        message.set_body(V("(ss)", (interface, "version")))
        return self.call(message, ())[1][0]

    def close(self, path, interface):
        error, values = self.call(Gio.DBusMessage.new_method_call(
            self.destination, path, interface, "Close"), ())
        assert error is None, (error, values)


class Guest(Sender):
    """A hostile program, on a VM that may use everything, and what it has."""

    destination = DESKTOP

    def __init__(self, env, session, limits):
        super().__init__()
        self.w = w = World(env, session)
        self.sidebus, self.bus = w.sidebus, w.client.bus
        location, = w.call("Location.CreateSession", "(a{sv})",
                           {"session_handle_token": V("s", "mine")})
        inhibit = make_session(w, "Inhibit.CreateMonitor", "(sa{sv})", "", {})
        shortcuts = make_session(w, "GlobalShortcuts.CreateSession", "(a{sv})", {})
        self.document = w.document(name="a document")
        own = {PORTAL + "Location": location, PORTAL + "Inhibit": inhibit,
               PORTAL + "GlobalShortcuts": shortcuts}
        mine, w.client = w.client, w.new_client()
        w.count += 10
        others = make_session(w, "Inhibit.CreateMonitor", "(sa{sv})", "", {})
        w.client = mine
        self.hostile = {interface: Hostile(limits, w.sidebus.documents, own, (
            others, "/", PATH, PATH + "/session/vm/sb" + "0" * 32, inhibit + "x",
            *(handle for of, handle in own.items() if of != interface),
            w.client.predicted("evil"))) for interface in own}
        self.default = Hostile(limits, w.sidebus.documents, own, ())
        self.listen(DESKTOP)

    def fds(self, method):
        """What a call of this method may carry: one, of the kind that it is for."""
        roles = {v.role for v in method.args}
        if "FD_DOCUMENT" in roles:
            path, _ = self.document
            return [os.open(path, os.O_RDWR | os.O_CLOEXEC)]
        if method.interface.endswith(".Secret"):
            reader, writer = os.pipe()
            self.w.env.closing(os.fdopen(reader, "rb"))
            return [writer]
        return [self.w.guest_file()]

    def inputs(self, method):
        return self.hostile.get(method.interface, self.default).inputs(method)

    def send(self, method, body, fds, bus=None):
        documents = method.interface in (DOCUMENTS_NAME, PORTAL + "FileTransfer")
        message = Gio.DBusMessage.new_method_call(
            DOCUMENTS_NAME if documents else DESKTOP, DOCUMENTS_PATH if documents else PATH,
            method.interface, method.member)
        if body.n_children():
            message.set_body(body)
        return self.call(message, fds, bus)


class TakenOver(Sender):
    """sbportal in a guest's hands: the same inputs, at the gate itself."""

    destination = None

    def __init__(self, env, session, limits):
        super().__init__()
        self.gate = gate = open_gate(env, config=ALLOW)
        self.sidebus, self.bus = gate.sidebus, gate.bus
        self.env, self.chooser = env, session.chooser
        self.host = env.host_file("a document", b"of the person")
        location, = gate.call(PATH, PORTAL + "Location", "CreateSession", V("(a{sv})", ({},)))
        own = {PORTAL + "Location": location,
               PORTAL + "Inhibit": self.make_session("Inhibit", "CreateMonitor",
                                                     V("(sa{sv})", ("", {}))),
               PORTAL + "GlobalShortcuts": self.make_session("GlobalShortcuts", "CreateSession",
                                                             V("(a{sv})", ({},)))}
        self.hostile = {interface: Hostile(limits, "/run/sidebus/doc", own, (
            "/", PATH, PATH + "/session/vm/sb" + "0" * 32, PATH + "/session/1_1/session1",
            *(handle for of, handle in own.items() if of != interface))) for interface in own}
        self.default = Hostile(limits, "/run/sidebus/doc", own, ())
        self.listen(None)

    def make_session(self, interface, member, body):
        handle, = self.gate.call(PATH, PORTAL + interface, member, body)
        self.chooser.next_dialog(pump=pump).answer(0)
        return self.gate.response(handle)[1]["session_handle"]

    def fds(self, _method):
        return [os.open(self.host, os.O_RDONLY | os.O_CLOEXEC)]

    def inputs(self, method):
        return self.hostile.get(method.interface, self.default).inputs(method)

    def send(self, method, body, fds):
        message = Gio.DBusMessage.new_method_call(None, PATH, method.interface, method.member)
        if body.n_children():
            message.set_body(body)
        return self.call(message, fds)


class Attack:
    """The inputs of all methods, on one of the host's portals."""

    make_guest = Guest
    is_counted = True  # its notifications

    def __init__(self, env, session):
        self.env = env
        self.session = session
        self.table = Table(env.build)
        self.guest = None
        self.asked = 0  # calls that the host's portal got
        self.tried = []  # (method, input, the host's version or 0, what was wrong or None)

    def run(self, wanted=lambda given: True):
        """Tries those that are wanted; what was wrong with them."""
        self.new_guest()
        monitor = self.env.closing(self.session.monitor(
            "type='method_call',path_namespace='/org/freedesktop/portal'",
            "type='method_call',interface='org.freedesktop.DBus',member='NameHasOwner'",
            "type='method_call',interface='org.freedesktop.DBus',member='GetNameOwner'"))
        try:
            for method in self.table.methods:
                self.attack(method, wanted)
        finally:
            self.session.chooser.be_alone(None)
        found = [wrong for *_, wrong in self.tried if wrong]
        found += self.on_host(monitor)
        assert self.guest.sidebus.process.running() and self.session.portal.running()
        return found

    def new_guest(self):
        if self.guest:
            self.env.to_close.remove(self.guest.sidebus)
            assert self.guest.sidebus.stop() == 0
        self.session.chooser.be_alone(None)
        self.guest = self.make_guest(self.env, self.session, self.table.limits)
        self.session.chooser.be_alone(2)
        self.mark(-1)

    def host_version(self, method):
        """0 when the method is none of the host's."""
        interface = self.table.interfaces[method.interface]
        if method.kind in ("LOCAL", "AT_GATE"):
            return 0
        version = 1 if interface["documents"] else \
            self.guest.version(method.interface)
        return version if method.since <= version else 0

    def attack(self, method, wanted):
        version = self.host_version(method)
        notifies = method.options and method.args[0].role == "NOTIFICATION_ID"
        a_minute = self.table.limits["NOTIFICATIONS_CLIENT"]
        sent = 0
        fds = self.guest.fds(method)
        for given in self.guest.inputs(method):
            if not wanted(given):
                continue
            sent += 1
            if notifies and self.is_counted and sent % a_minute == 0:
                self.new_guest()  # as many as one may show
            wrong = None
            try:
                self.one(method, given, fds, version)
            except (AssertionError, GLib.Error) as e:
                wrong = f"{method.name}, {given.what}: {e}"
            self.mark(len(self.tried))
            self.tried.append((method, given, version, wrong))
        for fd in fds:
            os.close(fd)

    def mark(self, number):
        """What the host heard before this is of that input."""
        self.session.bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                   "org.freedesktop.DBus", "NameHasOwner",
                                   V("(s)", (f"input.n{number}",)), None, 0, 20000, None)

    def one(self, method, given, fds, version):
        if given.errors == (DISCONNECTED,):
            self.disconnected(method, given, fds)
            return
        error, values = self.guest.send(method, given.body, fds)
        if given.errors and given.errors != DENIED:
            assert error in given.errors, (error, values)
        elif error:
            # The host's own reason; or there is nothing that could be asked.
            assert error.startswith((PORTAL + "Error.", "org.freedesktop.DBus.Error.")), error
            assert not version or error != UNKNOWN_METHOD, values
        elif method.kind == "LASTS":
            self.guest.close(values[0], REQUEST)
        elif method.has("HANDLE_TOKEN"):
            response = self.guest.response(values[0])
            assert given.errors != DENIED or response == 2, response
        elif method.has("SESSION_TOKEN"):
            self.guest.close(values[0], SESSION)

    def disconnected(self, method, given, fds):
        try:
            reply = self.guest.send(method, given.body, fds, self.guest.w.new_client().bus)
        except GLib.Error as e:
            assert e.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CLOSED), e
        else:
            raise AssertionError(f"answered: {reply}")

    @staticmethod
    def calls_allowed(given, version):
        """How often the host's portal may be asked over one."""
        return (0,) if given.errors or not version else (0, 1) if given.either else (1,)

    # --- what the host's portal was asked --------------------------------------------------------

    def heard(self, monitor):
        """{number of an input: its calls}, once all have been told."""
        last = f"input.n{len(self.tried) - 1}"
        messages = eventually("busctl to tell all", lambda: (
            monitor.has(last) and monitor.messages()))
        names = {(m.interface, m.member) for m in self.table.methods}
        heard, calls = {}, []
        for m in messages:
            payload = dict(m["payload"])
            if m["member"] == "NameHasOwner":
                heard[int(payload["data"][0].rpartition("n")[2])], calls = calls, []
            elif (m["interface"], m["member"]) in names:
                calls.append((m["interface"], m["member"], payload))
        return heard

    def on_host(self, monitor):
        """What was wrong with what it was asked."""
        heard = self.heard(monitor)
        found = []
        for number, (method, given, version, _) in enumerate(self.tried):
            calls = heard[number]
            self.asked += len(calls)
            try:
                assert len(calls) in self.calls_allowed(given, version), f"asked so: {calls}"
                for interface, member, payload in calls:
                    assert (interface, member) == (method.interface, method.member), member
                    assert EVIL not in json.dumps(payload), payload
                    Conformance(self.table.limits, "demo", version).check(method, payload)
            except AssertionError as e:
                found.append(f"{method.name}, {given.what}: on the host: {e}")
        return found

class AttackOnGate(Attack):
    """What sbportal refuses need not be refused here, as long as the host sees none of it."""

    make_guest = TakenOver
    is_counted = False  # sbportal does that

    def one(self, method, given, fds, version):
        error, values = self.guest.send(method, given.body, fds)
        if method.kind == "LOCAL" or given.errors == (WRONG_ARGUMENTS,):
            assert error, values
        elif not error and method.kind == "LASTS":
            self.guest.close(values[0], REQUEST)
        elif not error and method.has("HANDLE_TOKEN"):
            self.guest.response(values[0])
        elif not error and method.has("SESSION_TOKEN"):
            self.guest.close(values[0], SESSION)

    @staticmethod
    def calls_allowed(given, version):
        return (0, 1) if version else (0,)


def judge(attack, found):
    assert not found, "\n".join([f"{len(found)} of {len(attack.tried)} inputs:",
                                 *(text[:500] for text in found[:20])])


def test_hostile_values(env):
    """every method, every key: of wrong types, beyond bounds, unknown, twice: refused or left out"""
    attack = Attack(env, env.session)
    judge(attack, attack.run())
    assert len(attack.tried) > 3000
    env.note(f"{len(attack.tried)} inputs of {len(attack.table.methods)} methods, "
             f"{attack.asked} calls on the host")


def test_hostile_values_newer(env):
    """those that pass, to a newer portal: it sees what the table allows"""
    attack = Attack(env, env.sessions[-1])
    judge(attack, attack.run(wanted=lambda given: not given.errors))
    env.note(f"{len(attack.tried)} inputs, {attack.asked} calls on the host")


def test_hostile_values_gate(env):
    """the same inputs at the gate, by a sbportal that is the guest's: the host sees no more"""
    attack = AttackOnGate(env, env.session)
    judge(attack, attack.run())
    assert attack.asked > 500
    env.note(f"{len(attack.tried)} inputs, {attack.asked} calls on the host")
