# SPDX-License-Identifier: MIT
"""What is measured, in the order of the table, and what sbrouter is to reach."""

import typing

BODIES = {0: "0 B", 1024: "1 KiB", 65536: "64 KiB", 1048576: "1 MiB"}
KINDS = {"interface": "interfaces", "path": "paths", "arg0": "arg0", "full": "sender, path, ...",
         "sender": "sender, interface", "arg0namespace": "arg0namespace", "path_namespace": "path_namespace",
         "arg1": "arg1"}


class Row(typing.NamedTuple):
    """One line: what the client calls it, what people read, and the target.

    target: of sbrouter's figure to dbus-broker's, or (absolute) of the figure itself."""
    key: str
    label: str
    target: float | None = None
    metric: str = "cpu"
    absolute: bool = False


class Group(typing.NamedTuple):
    """What one client does to one fresh bus.  place: whose CPUs, "same" or "apart"."""
    name: str
    place: str
    options: tuple
    work: tuple
    rows: tuple
    unless: tuple = ()  # buses that cannot do it
    beside: bool = False  # another bus of the same program runs, too


def call_row(n_bytes, window, target=None, how="call"):
    each = ", one send per message" if how == "call-each" else ""
    return Row(f"{how}:{n_bytes}:{window}",
               f"call, {BODIES[n_bytes]}, {window} in flight{each}", target)


def calls(name, place, rows, options=()):
    work = tuple(row.key.replace("call-each", "call") for row in rows)
    return Group(name, place, options, work, tuple(rows))


def driver_row(method, window, label=None):
    return Row(f"driver:{method}:{window}", f"{label or method} of the bus, {window} in flight",
               0.3 if window == 16 else None)


def match_group(kind):
    counts = (10, 10000)
    rows = [Row(f"match:{kind}:{n}", f"signal, 1 of {n} rules on {KINDS[kind]}", 0.5)
            for n in counts]
    rows.append(Row(f"add-match:{kind}:10000", f"AddMatch, {KINDS[kind]}"))
    return Group("match", "apart", (), tuple(f"match:{kind}:{n}" for n in counts), tuple(rows),
                 ("relay",))


def memory(key, label, target=None, metric="each"):
    return Row(key, label, target, metric, True)


DRIVER = [driver_row(method, window) for method in ("GetId", "GetNameOwner", "NameHasOwner")
          for window in (1, 16)]
DRIVER += [driver_row(method, 16) for method in (
    "GetConnectionUnixUser", "GetConnectionUnixProcessID", "GetConnectionCredentials", "ListNames",
    "ListQueuedOwners")]
DRIVER += [driver_row(method, 16, label) for method, label in (
    ("RequestName", "RequestName (its owner)"), ("ReleaseName", "ReleaseName (nobody's)"),
    ("NameHasOwner-none", "NameHasOwner (no)"), ("GetNameOwner-none", "GetNameOwner (error)"),
    ("AddMatch-wrong", "AddMatch (error)"))]
FANOUT = [Row(f"fanout:{n}", f"signal to {n}, each", 0.6 if n >= 10 else None)
          for n in (1, 10, 100, 1000)]

GROUPS = [
    calls("call", "same", [call_row(0, 1, 0.7), call_row(1024, 1, 0.7)]),
    calls("call", "apart", [call_row(0, 16, 0.3), call_row(1024, 16, 0.3), call_row(0, 128),
                            call_row(1024, 128)]),
    calls("call", "apart", [call_row(0, 16, 0.5, "call-each"), call_row(1024, 16, 0.5, "call-each"),
                            call_row(0, 128, None, "call-each")], ("-1",)),
    calls("large", "apart", [call_row(n, w, 0.9 if w < 128 else None)
                            for n in (65536, 1048576) for w in (1, 16, 128)]),
    Group("driver", "apart", (), tuple(row.key for row in DRIVER), tuple(DRIVER)),
    Group("fd", "apart", (), ("fd",), (Row("fd", "call with a descriptor"),)),
    Group("connect", "apart", (), ("connect",), (Row("connect", "connect and Hello", 0.9),)),
    Group("connect", "apart", ("-s",), ("connect",),
          (Row("connect:stepwise", "the same, step by step", 0.9),), ("relay",)),
    Group("fanout", "apart", (), tuple(row.key for row in FANOUT), tuple(FANOUT)),
    *(match_group(kind) for kind in KINDS),
    Group("memory", "apart", (), ("connections",), (
        memory("connections:0", "at start, private", 350, "private"),
        memory("connections:0", "at start, of no file", None, "anonymous"),
        memory("connections:100", "100 idle connections, private", None, "private"),
        memory("connections:1000", "1000 idle connections, private", None, "private"),
        memory("connections:closed", "the same, closed again", None, "private"),
        memory("connections:100", "an idle connection, of 100", 1),
        memory("connections:1000", "an idle connection, of 1000", 1)), ("relay",)),
    Group("memory", "apart", (), ("start",), (
        memory("start", "at start beside another, private", None, "private"),), ("relay",), True),
    *(Group("memory", "apart", (), (f"rules:{kind}",), (
        memory(f"rules:{kind}:10000", f"10 000 rules on {KINDS[kind]}, private", None, "private"),
        memory(f"rules:{kind}:10000", f"a rule on {KINDS[kind]}", 0.3)), ("relay",))
      for kind in ("interface", "arg0", "full")),
]

# sbrouter and the relay only: the others do not listen there.  It is a VM's bus there, with the
# limits of one: a client may send another a few MiB that are not read.
VSOCK_GROUPS = [
    calls("vsock", "apart", [call_row(n, w) for n in BODIES for w in (1, 16) if n * w <= 1 << 20]),
    Group("vsock", "apart", (), ("connect",), (Row("connect", "connect and Hello"),)),
]
