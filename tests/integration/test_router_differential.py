# SPDX-License-Identifier: MIT
"""sbrouter, dbus-daemon and dbus-broker are told the same, and say the same; where not, it is listed why."""

import random
import re

from gi.repository import Gio, GLib

from rig.router import BUS, ERROR, HungUp, Standalone, signal
from rig.sides import BROKER, DAEMON, Known, Side, sides
from rig.wire import variant

ALLOW, REPLACE, NO_QUEUE = 1, 2, 4


# --- names -------------------------------------------------------------------------------------

NAMES = ["t.One", "t.Two", "t.three.Three"]


def play_names(players, chance, flags, steps):
    for step in range(steps):
        who, name = chance.randrange(3), chance.choice(NAMES)
        what = chance.choice(["RequestName"] * 3 + ["ReleaseName", "ReleaseName", "ListQueuedOwners",
                                                    "GetNameOwner", "NameHasOwner"])
        flag = chance.choice(flags)
        body = variant("(su)", name, flag) if what == "RequestName" else variant("(s)", name)
        ours, *theirs = ((s.plain(s.clients[who].ask(what, body)),
                          [s.heard(c) for c in s.clients]) for s in players)
        for side, answer in zip(players[1:], theirs):
            assert ours == answer, (step, what, name, flag, ours, side.name, answer)


def release_all(players):
    for side in players:
        for client in side.clients:
            for name in NAMES:
                client.ask("ReleaseName", variant("(s)", name))
        for client in side.clients:
            side.heard(client)


def test_names(env):
    """2400 random requests and releases of names: the same answers, the same signals in the same order

    Left out with dbus-daemon: who asks to replace an owner that does not allow it, and then waits.
    It lets that one wait in front of the others, which the specification does not say."""
    chance = random.Random(1)
    players = sides(env, 4)
    for side in players:
        side.clients[3].add_match("sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                                  "arg0namespace='t'")
    play_names(players, chance, [f for f in range(8) if f & NO_QUEUE or not f & REPLACE], 800)
    release_all(players)
    play_names(players, chance, [f for f in range(8) if f & ALLOW], 800)
    release_all(players)
    play_names([s for s in players if s.name != DAEMON], chance, range(8), 800)


# --- the driver ----------------------------------------------------------------------------------

TEXTS = ["", "a", "a.b", "not.owned", ":1.99999", ":", "org.freedesktop.DBus", "..", "a b.c", "t.Own",
         "org.freedesktop.DBus.Local", "x" * 255, "x." + "y" * 253, "x." + "y" * 254, ":1.0\u00e9",
         "\u20ac" * 600, "x" + "\u20ac" * 600, "xx" + "\U0001f600" * 600]

BODIES = ([variant("(s)", t) for t in TEXTS] +
          [None, variant("(u)", 1), variant("(ss)", "a.b", "c"), variant("(v)", GLib.Variant("s", "a.b")),
           variant("(as)", ["a.b"]), variant("(ss)", BUS, "Features")] +
          [variant("(su)", t, f) for t in TEXTS for f in (0, 7, 8, 0xffffffff)])

# (interface, method); not ReloadConfig, which dbus-broker leaves to whoever started it.
METHODS = [(BUS, m) for m in (
    "RequestName", "ReleaseName", "NameHasOwner", "GetNameOwner", "ListQueuedOwners",
    "StartServiceByName", "GetConnectionUnixUser", "GetConnectionUnixProcessID",
    "GetConnectionCredentials", "AddMatch", "RemoveMatch", "ListNames", "ListActivatableNames",
    "GetId", "NoSuchMethod", "Hello", "GetConnectionSELinuxSecurityContext",
    "GetAdtAuditSessionData", "UpdateActivationEnvironment")]
METHODS += [(BUS + ".Peer", "Ping"), (BUS + ".Peer", "GetMachineId"), (BUS + ".Properties", "Get"),
            (BUS + ".Properties", "GetAll"), (BUS + ".Properties", "Set"), (BUS + ".NoSuch", "GetId"),
            (BUS + ".Introspectable", "Introspect"), (BUS + ".Monitoring", "BecomeMonitor")]


def comparable(side, member, answer):
    """An answer without what must be different on another bus."""
    if not isinstance(answer, tuple):
        return answer
    if member in ("GetId", "GetMachineId"):
        return len(answer[0])
    if member == "Introspect":
        return {(i.name, m.name) for i in Gio.DBusNodeInfo.new_for_xml(answer[0]).interfaces
                for m in i.methods} >= {(BUS, "Hello"), (BUS, "AddMatch"), (BUS, "GetNameOwner")}
    if member == "GetConnectionCredentials":
        return sorted(answer[0])
    if member == "ListNames":
        return sorted(n.replace("+", "") for n in side.plain(answer[0]) if not n.startswith(":"))
    return side.plain(answer)


def asks(key, *members):
    return key[0][1] in members


def first(key):
    return key[1].unpack()[0] if key[1] else None


DRIVER_KNOWN = (
    (DAEMON, lambda k, *_: asks(k, "StartServiceByName") and first(k) in ("t.Own", BUS),
     "owned is owned (specification, StartServiceByName: 2, DBUS_START_REPLY_ALREADY_RUNNING); "
     "dbus-daemon looks for a service file first, and fails without one"),
    (BROKER, lambda k, *_: asks(k, "StartServiceByName") and first(k) in ("t.Own", BUS), "the same"),
    (DAEMON, lambda k, *_: asks(k, "GetAll") and first(k) == "",
     "\"An empty string may be provided for the interface name\" (Properties)"),
    (BROKER, lambda k, *_: asks(k, "GetAll") and first(k) == "", "the same"),
    (BROKER, lambda k, *_: asks(k, "Get", "GetAll") and first(k) == BUS,
     "Features and Interfaces are those of this bus; dbus-broker names none"),
    (DAEMON, lambda k, *_: asks(k, "GetConnectionUnixProcessID") and first(k) == BUS,
     "the bus is another process"),
    (BROKER, lambda k, *_: asks(k, "GetConnectionUnixProcessID") and first(k) == BUS, "the same"),
    (DAEMON, lambda k, ours, theirs: asks(k, "GetConnectionCredentials") and
     theirs == sorted([*ours, "UnixGroupIDs"]),
     "\"if the message bus is able to determine some but not all of the caller's groups, [...] it must not "
     "add this credential\": the router's user namespace has its own user's and group's ids only"),
    (BROKER, lambda k, ours, theirs: asks(k, "GetConnectionCredentials") and
     theirs == sorted([*ours, "UnixGroupIDs"]), "the same", (37,)),
    (BROKER, lambda k, _, theirs: asks(k, "GetConnectionCredentials") and theirs == "hung up",
     "dbus-broker 37 adds a ProcessFD, and closes the connection of who has not negotiated descriptors"),
    (BROKER, lambda k, ours, _: asks(k, "AddMatch", "RemoveMatch") and ours == ERROR + "LimitsExceeded",
     "a rule that is over 1024 bytes and no rule: either may be said first"),
)


def ask(side, member, body, interface):
    """The first client's answer, and what else it was told is forgotten."""
    try:
        answer = side.clients[0].ask(member, body, interface=interface)
        side.heard(side.clients[0])
        return answer
    except HungUp:
        side.clients[0].close()
        side.connect(0)
        return "hung up"


def test_driver(env):
    """every method of the driver with 96 kinds of arguments: the same answers and error names"""
    players = sides(env, 2)
    known = Known(*DRIVER_KNOWN)
    for side in players:
        assert side.clients[1].ask("RequestName", variant("(su)", "t.Own", 0)) == (1,)
    for interface, member in METHODS:
        for body in BODIES:
            answers = [comparable(s, member, ask(s, member, body, interface)) for s in players]
            known.compare(((interface, member), body), players, answers)
    known.end()


# --- match rules ------------------------------------------------------------------------------------

KEYS = ["type", "sender", "interface", "member", "path", "path_namespace", "destination", "eavesdrop",
        "arg0", "arg1", "arg2", "arg63", "arg64", "arg0path", "arg1path", "arg0namespace", "argpath",
        "arg1namespace", "arg", "foo", "Type"]
VALUES = ["signal", "error", "a.b", "a.c", "M", "/", "/a", "/a/b", "/a/", "true", "false", "t.One", ":1.1",
          "x", "", "a", "a.b.c", "it's", "a,b", "back\\slash", "org.freedesktop.DBus", " ", "b\u00e9"]


def quoted(chance, value):
    form = chance.randrange(10)
    if form == 0 and "'" not in value:
        return value
    if form == 1:
        return "".join("\\'" if c == "'" else f"'{c}'" for c in value)
    if form == 2:
        return "'" + value
    return "'" + value.replace("'", "'\\''") + "'"


def random_rule(chance):
    pairs = []
    for _ in range(chance.choice([0, 1, 1, 2, 2, 3, 4])):
        before, after = chance.choice([""] * 8 + [" ", "\t"]), chance.choice([""] * 8 + [" ", "\n"])
        pairs.append(before + chance.choice(KEYS) + after + chance.choice(["="] * 20 + ["", "=="]) +
                     quoted(chance, chance.choice(VALUES)))
    return chance.choice([","] * 20 + [",,", ", "]).join(pairs) + chance.choice([""] * 8 + [",", " "])


def likely_rule(chance):
    """One that is valid, and fits some of SIGNALS."""
    choices = {"type": ["signal"], "sender": ["t.One", BUS, ":1.77"], "interface": ["a.b", "a.c"],
               "member": ["M", "N"], "path": ["/", "/a", "/a/b"], "path_namespace": ["/", "/a", "/a/b"],
               "arg0": ["x", "", "a.b"], "arg0path": ["/a/", "/a/b", "x", "/"],
               "arg0namespace": ["a", "a.b"], "arg1": ["x", "/a"], "arg1path": ["/", "/a/", "/a/b"]}
    keys = chance.sample(sorted(choices), chance.choice([1, 1, 2, 3]))
    if any(len([k for k in keys if k.startswith(same)]) > 1 for same in ("path", "arg0", "arg1")):
        return likely_rule(chance)
    return ",".join(f"{k}='{chance.choice(choices[k])}'" for k in keys)


def all_signals():
    bodies = [None, variant("(s)", "x"), variant("(s)", ""), variant("(s)", "a.b.c"), variant("(s)", "a.bc"),
              variant("(ss)", "a.b", "/a"), variant("(s)", "/a/"), variant("(s)", "/a/b/c"),
              variant("(o)", "/a/b"), variant("(so)", "x", "/a/b"), variant("(us)", 1, "x"),
              variant("(ass)", ["x"], "x"), variant("(vs)", GLib.Variant("s", "x"), "x")]
    places = [("/", "a.b", "M"), ("/a", "a.b", "N"), ("/a/b", "a.c", "M"), ("/ab", "a.b.c", "N")]
    return [(path, interface, member, body) for body in bodies for path, interface, member in places]


def mutated_rule(chance):
    """A valid rule with some characters lost, added, changed or exchanged."""
    rule = list(likely_rule(chance))
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        at = chance.randrange(len(rule) or 1)
        what = chance.randrange(4) if rule else 0
        odd = chance.choice("=',\\ \t\n.:/a0_-1\u00e9")
        if what == 0:
            rule.insert(at, odd)
        elif what == 1:
            del rule[at]
        elif what == 2:
            rule[at] = odd
        else:
            other = chance.randrange(len(rule))
            rule[at], rule[other] = rule[other], rule[at]
    return "".join(rule)


def pairs_of(rule, key):
    """Whether the rule has that key, as it is written."""
    return re.search(rf"(^|[,\s]){key}\s*=", rule) is not None


RULES_KNOWN = (
    (DAEMON, lambda k, ours, _: ours != () and re.search(r"(^|,)\s*=", k),
     "a rule is of key/value pairs (Match Rules); dbus-daemon stops at an empty key, and never looks "
     "at what follows"),
    (DAEMON, lambda k, ours, _: ours != () and re.search(r"arg(0[0-7]|0x|-)", k),
     "argN: N is a number from 0 to 63; dbus-daemon reads it as C does, 010 as 8"),
    (BROKER, lambda k, ours, _: ours != () and re.search(r"arg0[0-9]|(^|,)\s*=", k),
     "the same two; dbus-broker skips an empty key, and zeros before the number"),
    (BROKER, lambda k, ours, _: ours == () and re.search(r"(sender|destination|arg0namespace)\s*='?:", k),
     "a unique name of one element: libdbus lets it pass (dbus_validate_bus_name), nobody ever has it"),
    (BROKER, lambda k, ours, _: ours != () and (pairs_of(k, "arg") or pairs_of(k, "argpath")),
     "arg and argpath without a number are no keys; dbus-broker takes them"),
    (BROKER, lambda k, ours, _: ours == () and "eavesdrop" in k,
     "eavesdrop, \"'true', 'false'\" (Match Rules): dbus-broker refuses some that are alone or last"),
)


def test_rule_grammar(env):
    """9000 rules, most of them odd or damaged: accepted and refused alike, and removed alike"""
    chance = random.Random(2)
    players = sides(env, 1)
    known, accepted = Known(*RULES_KNOWN), 0
    for step in range(9000):
        rule = random_rule(chance) if step % 2 else mutated_rule(chance)
        body = variant("(s)", rule)
        answers = [s.clients[0].ask("AddMatch", body) for s in players]
        for s, answer in zip(players, answers):
            if answer == ():
                assert s.clients[0].ask("RemoveMatch", body) == (), (s.name, rule)
        accepted += answers[0] == ()
        known.compare(rule, players, answers)
    assert 1000 < accepted < 8000, accepted
    known.end()


# What dbus-daemon 1.14 takes and we refuse: it was never meant.
REFUSED = {
    "='x'": "a rule ends at an empty key: what follows is never looked at",
    "type='signal',='x',member=": "the same",
    "arg00='x'": "numbers are read as C writes them: this is octal",
    "arg010='x'": "and this is arg8",
    "arg0x10='x'": "hexadecimal",
}

# What both take and mean differently: (rule, value of arg0 that fits ours).
READ_DIFFERENTLY = {
    r"arg0=a\,arg1=b": ("a\\", "dbus-daemon: the comma after a backslash belongs to the value"),
    r"arg0=a\\'b": ("a\\'b", "dbus-daemon: the second backslash is used up, and a quote opens"),
}


def test_rule_differences(env):
    """match rules that we read otherwise than dbus-daemon, as the specification has it"""
    side = Side(env, Standalone(env.build, env.tmp), 2)
    listener, speaker = side.clients
    for rule, why in REFUSED.items():
        assert listener.add_match(rule) == "org.freedesktop.DBus.Error.MatchRuleInvalid", (rule, why)
    for rule, (value, why) in READ_DIFFERENTLY.items():
        assert listener.add_match(rule) == (), (rule, why)
        speaker.send(signal("M", variant("(ss)", value, "b")))
        assert speaker.alive()
        assert [m.get_member() for m in listener.signals()] == ["M"], (rule, why)


MATCHING_KNOWN = (
    (BROKER, lambda k, *_: "path_namespace='/'" in k,
     "path_namespace: \"the given value, or that value followed by one or more path components\"; "
     "for dbus-broker nothing is below /"),
    (BROKER, lambda k, *_: "arg1=" in k,
     "argN is the argument at index N, whatever is before it; dbus-broker looks no further than the "
     "first that is no string", (37,)),
)


def test_rule_matching(env):
    """400 rules and 52 signals each: the same signals arrive"""
    chance = random.Random(3)
    players = sides(env, 3)
    sent = all_signals()
    known, arrived = Known(*MATCHING_KNOWN), 0
    for side in players:
        assert side.clients[1].ask("RequestName", variant("(su)", "t.One", 0)) == (1,)
    for step in range(400):
        rule = likely_rule(chance)
        sender = 1 + step % 2
        heard = []
        for side in players:
            listener, speaker = side.clients[0], side.clients[sender]
            assert listener.add_match(rule) == (), rule
            for serial, (path, interface, member, body) in enumerate(sent):
                speaker.send(signal(member, body, path=path, interface=interface, serial=serial + 1000))
            assert speaker.alive()
            heard.append([(m.get_path(), m.get_interface(), m.get_member(), m.get_serial())
                          for m in listener.signals()])
            assert listener.ask("RemoveMatch", variant("(s)", rule)) == ()
        known.compare(rule, players, heard)
        arrived += len(heard[0])
    assert arrived > 400, arrived
    known.end()
