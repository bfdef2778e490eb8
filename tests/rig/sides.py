# SPDX-License-Identifier: MIT
"""sbrouter beside the buses that it is compared with, and the list of what may differ."""

import os

from .peers import Broker, Daemon
from .router import BUS, Client, Standalone
from .wire import call

IDENTITY = b"AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode()
DAEMON, BROKER = Daemon.name, Broker.name


class Side:
    """One of the buses, and clients on it, which are told apart by their place."""

    def __init__(self, env, bus, n):
        self.env, self.bus = env, env.closing(bus)
        self.name = getattr(bus, "name", "sbrouter")
        self.clients, self.names = [], {}
        self.kept = [[] for _ in range(n)]  # what was read by the way
        for i in range(n):
            self.clients.append(None)
            self.connect(i)

    def connect(self, place):
        """A new client in that place; the one that was there stays known by its old name."""
        client = self.env.closing(Client(self.bus.path, mechanism=IDENTITY))
        times = sum(name.startswith(f"<{place}") for name in self.names.values())
        self.names[client.name] = f"<{place}{'+' * times}>"
        self.clients[place] = client

    def plain(self, value):
        """The value with unique names replaced by whose they are."""
        if isinstance(value, (tuple, list)):
            return type(value)(self.plain(v) for v in value)
        return self.names.get(value, value) if isinstance(value, str) else value

    def heard(self, client):
        """What signals the client got since the last time."""
        return [(m.get_member(), self.plain(m.get_sender()),
                 self.plain(m.get_body().unpack()) if m.get_body() else ())
                for m in client.signals()]

    def described(self, m):
        """All of a message that must be the same: of the bus's own no serial, and no error's text."""
        body = self.plain(m.get_body().unpack()) if m.get_body() else ()
        mine = m.get_sender() == BUS
        return (int(m.get_message_type()), self.plain(m.get_sender()), self.plain(m.get_destination()),
                m.get_path(), m.get_interface(), m.get_member(), m.get_error_name(),
                m.get_reply_serial(), None if mine else m.get_serial(),
                None if mine else int(m.get_flags()), None if mine and m.get_error_name() else body)

    def everything(self, client):
        """Every message that the client got since the last time."""
        serial = client.next_serial()
        client.send(call("/", BUS + ".Peer", "Ping", serial=serial))
        found = []
        while True:
            m = client.message()
            if m is None:
                return found + ["hung up"]
            if m.get_reply_serial() == serial and m.get_sender() == BUS:
                return found
            found.append(self.described(m))

    def all_heard(self, actor):
        """What each client got; the actor is asked first, so that what it did is done."""
        self.kept[actor] += self.everything(self.clients[actor])
        found = [kept + self.everything(c) for kept, c in zip(self.kept, self.clients)]
        self.kept = [[] for _ in self.clients]
        return found


def sides(env, n, releases=None):
    """sbrouter, then those that it is compared with: this machine's own, and newer ones.

    releases: only these; their programs' directories."""
    found = [Side(env, Standalone(env.build, env.tmp), n)]
    for programs in releases or dict.fromkeys(["", env.newer_buses]):
        found += [Side(env, peer(env.tmp, programs=programs), n) for peer in (Daemon, Broker)]
    for side in found:
        for client in side.clients:
            side.heard(client)
    return found


class Known:
    """Where we mean to differ: rows of (with whom, when, why), with a fourth: before which version of it.

    A row that nothing needs is an error."""

    def __init__(self, *rows):
        self.rows, self.used, self.different = rows, set(), []
        self.versions = {}  # of those that were compared

    def compare(self, key, sides_, answers):
        """key: what was asked, which the rows' conditions are given with both answers."""
        for side, answer in list(zip(sides_, answers))[1:]:
            self.versions.setdefault(side.name, set()).add(side.bus.version)
            if answer == answers[0]:
                continue
            row = next((i for i, (peer, applies, *_) in enumerate(self.rows)
                        if peer == side.name and applies(key, answers[0], answer)), None)
            if row is None:
                self.different.append(f"{key!r}: {answers[0]}, {side.name} {answer}")
            else:
                self.used.add(row)

    def end(self):
        assert not self.different, f"{len(self.different)} more:\n" + "\n".join(self.different[:40])
        unused = [why for i, (peer, _, why, *before) in enumerate(self.rows) if i not in self.used
                  and not (before and min(self.versions[peer]) >= before[0])]
        assert not unused, f"no longer different: {unused}"
