# SPDX-License-Identifier: MIT
"""Clients come, do what clients do, and vanish in the middle of it: nothing of them is left.

SIDEBUS_SOAK_SECONDS says how long (make soak-router)."""

import os
import random
import socket
import time

from gi.repository import Gio

from rig.processes import sanitized, wait_for
from rig.router import BUS, BUS_PATH, Client, Standalone, signal
from rig.wire import call, variant

SECONDS = float(os.environ.get("SIDEBUS_SOAK_SECONDS", "8"))
STATS = {"interface": BUS + ".Debug.Stats"}
CLIENTS = 24  # at a time


class Guest:
    """One client that does odd things until it is gone."""

    def __init__(self, router, chance, pipe):
        self.chance, self.pipe = chance, pipe
        self.client = Client(router.path, fds=chance.randrange(2) == 0,
                             say_hello=chance.randrange(8) != 0)
        self.client.socket.setblocking(False)

    def send(self, data, fds=()):
        """What is taken of it; the rest is lost, as with a program that dies."""
        try:
            if fds:
                socket.send_fds(self.client.socket, [data], fds)
            else:
                self.client.socket.send(data)
        except OSError:
            pass

    def ask(self, member, body, **where):
        self.send(call(BUS_PATH, BUS, member, body, serial=self.chance.randrange(1, 1 << 30), **where))

    def name(self, _):
        member, kind, *flags = self.chance.choice([("RequestName", "(su)", self.chance.randrange(8)),
                                                   ("ReleaseName", "(s)")])
        self.ask(member, variant(kind, f"t.N{self.chance.randrange(20)}", *flags))

    def rule(self, _):
        rule = self.chance.choice(["member='M'", f"arg0='{self.chance.randrange(50)}'",
                                   f"sender='{BUS}'", "path_namespace='/a'", "eavesdrop='true'"])
        self.ask(self.chance.choice(["AddMatch", "AddMatch", "RemoveMatch"]), variant("(s)", rule))

    def message(self, others):
        other = self.chance.choice(others).client.name or "t.N1"
        body = variant("(s)", "x" * self.chance.choice([1, 100, 9000, 70000]))
        to = self.chance.choice([other, "t.N1", "t.N2", None])
        serial = self.chance.randrange(1, 1 << 30)
        if self.chance.randrange(2):
            self.send(signal("M", body, destination=to, serial=serial))
        else:
            self.send(call("/a", "t.T", "M", body, destination=to or other, serial=serial))

    def descriptors(self, others):
        n = self.chance.choice([1, 16])
        m = Gio.DBusMessage.new_signal("/a", "t.T", "F")
        m.set_serial(9)
        m.set_destination(self.chance.choice(others).client.name or "t.N1")
        m.set_unix_fd_list(Gio.UnixFDList.new_from_array([os.dup(self.pipe) for _ in range(n)]))
        data = m.to_blob(Gio.DBusCapabilityFlags.UNIX_FD_PASSING)
        # All of them, or fewer than are announced; or the message in two parts, of which one comes.
        self.send(data[:self.chance.choice([len(data), len(data), 20])],
                  [self.pipe] * self.chance.choice([n, n, 1]))

    def read(self, _):
        try:
            self.client.socket.recv(1 << 16)
        except OSError:
            pass

    def half(self, _):
        data = signal("M", variant("(s)", "x" * self.chance.choice([10, 30000, 1 << 20])))
        self.send(data[:self.chance.randrange(1, len(data))])

    def watch(self, _):
        self.ask("BecomeMonitor", variant("(asu)", ["member='M'"], 0))

    def act(self, others):
        acts = [self.name] * 4 + [self.rule] * 4 + [self.message] * 8 + [self.read] * 6 + \
            [self.half, self.watch] + [self.descriptors] * 3
        self.chance.choice(acts)(others)


def held(router, witness):
    """What the bus has: its streams as the kernel counts them, and the rest as it counts that itself."""
    with open("/proc/net/unix", encoding="ascii", errors="replace") as f:
        streams = sum(line.rstrip("\n").endswith(router.path) for line in f)
    return {"streams": streams, **witness.ask("GetStats", **STATS)[0]}


def churn(router, chance, seconds, pipe):
    until, guests, n = time.monotonic() + seconds, [], 0
    while time.monotonic() < until:
        while len(guests) < CLIENTS:
            guests.append(Guest(router, chance, pipe))
            n += 1
        chance.choice(guests).act(guests)
        if chance.randrange(20) == 0:
            guests.pop(chance.randrange(len(guests))).client.close()
    for guest in guests:
        guest.client.close()
    return n


def test_churn(env):
    """clients come and go, with names, rules, calls, descriptors and halves of messages: all is as before"""
    router = env.closing(Standalone(env.build, env.tmp))
    witness = env.closing(router.client())
    chance = random.Random(6)
    r, w = os.pipe()
    churn(router, chance, min(SECONDS / 4, 30), w)  # what a busy bus keeps for itself
    wait_for("them to go", lambda: witness.ask("ListNames")[0] == [BUS, witness.name])
    before, memory = held(router, witness), router.resident()
    n = churn(router, chance, SECONDS, w)
    try:
        wait_for("all to be as before", lambda: held(router, witness) == before, 5)
    except AssertionError:
        raise AssertionError(f"{before}, then {held(router, witness)}") from None
    os.close(w)
    assert os.read(r, 1) == b""  # the last copy is closed: the bus kept none
    os.close(r)
    grown = router.resident() - memory
    # It keeps some spare buffers of any size; a sanitizer keeps more.
    assert grown < (1 << 19 if sanitized(env.build) else 8192), grown
    assert before["streams"] == 2 and n > 50 and witness.alive()
    env.note(f"{n} clients; {grown} KiB more than before")
