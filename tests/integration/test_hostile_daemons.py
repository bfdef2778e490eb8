# SPDX-License-Identifier: MIT
"""The programs on the private bus, and virtiofsd, when they are not what they should be."""

import os
import re

from rig import boundaries
from rig.guest import FILE_CHOOSER, GLib, GuestClient, error_name, path_bytes
from rig.processes import wait_for, zombies
from rig.rogue_daemon import DOCUMENTS, MOUNTED, STORE, make
from rig.sidebus import left_behind

ME = "org.sidebus.vm.demo"


class World:
    """An instance on a document portal of the test's own, and a guest's program."""

    def __init__(self, env, answers=None, **arguments):
        self.env = env
        daemon = make(env, [DOCUMENTS], {**MOUNTED, **(answers or {})}, **arguments)
        self.sidebus = env.own_sidebus(extra_env={"SIDEBUS_DOCUMENT_PORTAL": daemon})
        self.client = env.closing(GuestClient(env.own_agent(self.sidebus).address))

    def pick(self):
        request = self.client.open_file()
        self.env.dialog().pick(self.env.host_file("picked", b"x"))
        return request


def ended(sidebus, pattern):
    """The instance ends with an error; one line of its log has the pattern; nothing is left."""
    children = sidebus.children()
    assert sidebus.process.wait() == 1, sidebus.log()
    lines = [line for line in sidebus.log().splitlines() if re.search(pattern, line)]
    assert len(lines) == 1, f"{pattern}: {lines}\n{sidebus.log()}"
    assert not left_behind(sidebus, children), left_behind(sidebus, children)


# --- the document portal: answers -----------------------------------------------------------------

ADDED_WRONG = [
    "(@as [], @a{sv} {})", "([''], @a{sv} {})", "(['../1'], @a{sv} {})", "(['/etc'], @a{sv} {})",
    "(['1/..'], @a{sv} {})", "(['ABC'], @a{sv} {})", "(['1 '], @a{sv} {})", "(['1\\n'], @a{sv} {})",
    "(['12345678901234567'], @a{sv} {})", "('..',)", "('g',)", "(uint32 1,)", "([1], @a{sv} {})",
    "(@a{sv} {}, ['1'])", "(['1'],)", "(b'1',)", "@() ()", "(<'1'>,)", "((['1'], @a{sv} {}),)",
    "(objectpath '/1',)", 5000, 1000000,
    ["org.freedesktop.portal.Error.Failed", "/home/me/\x1b[1msecret\n" * 50],
    ["x.y", ""], ["org.freedesktop.DBus.Error.NoMemory", "x" * 100000],
]


def test_wrong_ids(env):
    """what AddFull may answer but should not: no file reaches the guest, the instance goes on"""
    world = World(env, {"AddFull": [*ADDED_WRONG, "(['1'], @a{sv} {})"],
                        "GrantPermissions": [["x.y", "no"], "@() ()"]})
    for answer in ADDED_WRONG:
        assert world.pick().wait()[0] == 2, answer
    assert world.pick().wait()[0] == 2  # added, but not granted
    assert world.pick().uris()[0].endswith("/1/picked")  # and the last is as it should be
    assert "\x1b" not in world.sidebus.log()
    assert world.sidebus.stop() == 0
    env.hostile(boundaries.PRIVATE_BUS, len(ADDED_WRONG) + 1)


READ = f"{{'{ME}': ['read', 'write']}}"
INFO_WRONG = [
    f"(b'', {READ})", f"(b'relative', {READ})", f"(b'relative/path', {READ})",
    f"([byte 47, 97], {READ})", f"([byte 47, 97, 0, 97, 0], {READ})", f"(@ay [], {READ})",
    f"('/a', {READ})", "(b'/a',)", "(b'/a', @a{sas} {})", "(b'/a', {'other': ['read']})",
    f"(b'/a', {{'{ME}': ['write']}})", f"(b'/a', {{'{ME}': 'read'}})",
    f"(b'/a', {{'{ME}': @as []}})", f"({READ}, b'/a')", "@() ()", "(uint32 1,)", 5000,
    ["x.y", "/home/me/secret"], ["org.freedesktop.DBus.Error.AccessDenied", "x" * 100000],
]


def test_wrong_paths(env):
    """what Info may answer but should not: the guest's path is no document's"""
    world = World(env, {"Info": [*INFO_WRONG, f"(b'/tmp/x', {READ})"]})
    monitor = env.closing(env.session.monitor())
    path = os.path.join(world.sidebus.documents, "1")
    for _ in INFO_WRONG:
        world.client.save_file(current_folder=path_bytes(path))
        env.dialog().answer(1)
    calls = monitor.calls(FILE_CHOOSER, "SaveFile", len(INFO_WRONG))
    assert len(calls) == len(INFO_WRONG)
    for answer, (_, _, options) in zip(INFO_WRONG, calls):
        assert "current_folder" not in dict(options), (answer, options)
    world.client.save_file(current_folder=path_bytes(path))
    env.dialog().answer(1)
    options = dict(monitor.calls(FILE_CHOOSER, "SaveFile", len(INFO_WRONG) + 1)[-1][2])
    assert bytes(options["current_folder"]["data"]) == b"/tmp\0", options
    assert world.sidebus.stop() == 0
    env.hostile(boundaries.PRIVATE_BUS, len(INFO_WRONG))


def test_long_path(env):
    """a path of a million bytes: the guest's call is refused; what is longer ends the instance"""
    long = "(b'/" + "x" * 1000000 + f"/y', {READ})"
    world = World(env, {"Info": [long, 3 << 20]})
    path = path_bytes(os.path.join(world.sidebus.documents, "1"))
    try:
        world.client.save_file(current_folder=path)
        raise AssertionError("a path of a million bytes reached the host")
    except GLib.Error as e:
        assert error_name(e) == "org.freedesktop.portal.Error.InvalidArgument", e
    assert not env.chooser.opened()
    try:
        world.client.save_file(current_folder=path)
    except GLib.Error:
        pass
    ended(world.sidebus, "the private bus has sent a message of 31457[0-9]{2} bytes, where 2097152")
    env.hostile(boundaries.PRIVATE_BUS, 2)


def test_huge_answer(env):
    """an answer of 120 MiB: the instance ends by its header, and has not grown"""
    world = World(env, {"AddFull": [120 << 20]})
    pid = world.sidebus.process.pid

    def resident():
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return next((int(line.split()[1]) for line in f if line.startswith("VmHWM")), 0)

    most = before = resident()
    world.client.open_file()
    env.dialog().pick(env.host_file("picked", b"x"))
    while world.sidebus.process.running():
        try:
            most = max(most, resident())
        except OSError:
            break
    ended(world.sidebus, "the private bus has sent a message of 1258291[0-9]{2} bytes, where 2")
    env.note(f"an answer of 120 MiB: the supervisor grew by {most - before} KiB")
    assert most - before < 16 << 10, (before, most)
    env.hostile(boundaries.PRIVATE_BUS)


def test_no_answer(env):
    """a document portal that never answers: the guest is told after a while, others meanwhile"""
    world = World(env, {"AddFull": [None]})
    request = world.pick()
    assert world.client.get(FILE_CHOOSER, "version")
    assert request.wait(60)[0] == 2
    assert world.sidebus.stop() == 0
    env.hostile(boundaries.PRIVATE_BUS)


# --- names, signals, calls ------------------------------------------------------------------------

def test_forged_owner(env):
    """one that says it owns the name, and does not: the instance is not ready for that"""
    daemon = make(env, [], talk="forge_owner")
    sidebus = env.own_sidebus(extra_env={"SIDEBUS_DOCUMENT_PORTAL": daemon}, ready=False)
    sidebus.wait_log("forged")
    wait_for("the other programs", lambda: sidebus.child("sbportal"))
    assert not sidebus.notify.has("READY=1")
    os.kill(sidebus.child("daemon"), 9)
    ended(sidebus, "xdg-document-portal was killed by signal 9")
    assert not sidebus.notify.has("READY=1")
    env.hostile(boundaries.PRIVATE_BUS, 4)


def test_other_names(env):
    """names of others: the bus's and a unique one are refused, for the store's it waits, no harm"""
    world = World(env, {"AddFull": ["(['1'], @a{sv} {})"], "GrantPermissions": ["@() ()"]},
                  talk="steal_names")
    said = world.sidebus.log()
    assert re.search(r"org\.freedesktop\.DBus: org\.freedesktop\.DBus\.Error\.", said), said
    assert re.search(r":1\.0: org\.freedesktop\.DBus\.Error\.", said), said
    assert re.search(re.escape(STORE) + ": [23]", said), said  # in the queue, or it exists
    assert world.pick().uris()[0].endswith("/1/picked")
    assert world.sidebus.stop() == 0
    env.hostile(boundaries.PRIVATE_BUS, 4)


def test_calls_to_supervisor(env):
    """the supervisor is asked for things on the private bus: errors, and the host hears nothing"""
    monitor = env.closing(env.session.monitor())
    world = World(env, talk="call_supervisor")
    world.sidebus.wait_log("7 calls were refused")
    called = {m.get("member") for m in monitor.messages() if m["type"] == "method_call"}
    assert not called & {"OpenFile", "Close", "Introspect", "Set"}, called
    assert world.sidebus.stop() == 0
    env.hostile(boundaries.PRIVATE_BUS, 7)


def test_flood(env):
    """20 000 signals and as many calls, whose answers are not read: served as ever"""
    world = World(env, {"AddFull": ["(['1'], @a{sv} {})"], "GrantPermissions": ["@() ()"]},
                  talk="flood")
    world.sidebus.wait_log("flooded")
    assert world.pick().uris()[0].endswith("/1/picked")
    assert world.sidebus.stop() == 0
    env.hostile(boundaries.PRIVATE_BUS)  # a flood is one input


def test_mount_refused(env):
    """it says that it cannot mount, in words of its own: the start ends with them, escaped"""
    daemon = make(env, [DOCUMENTS], {"GetMountPoint": [["x.y", "no \x1b[1m mount\n<0>"]]})
    sidebus = env.own_sidebus(extra_env={"SIDEBUS_DOCUMENT_PORTAL": daemon}, ready=False)
    ended(sidebus, r"xdg-document-portal cannot mount the documents: no .*mount")
    assert "\x1b" not in sidebus.log()
    env.hostile(boundaries.PRIVATE_BUS)


# --- never ----------------------------------------------------------------------------------------

def test_never_ready(env):
    """daemons that never own their name, or never say where the mount is: given up after 30 s"""
    cases = ((STORE, "SIDEBUS_PERMISSION_STORE", [], {}),
             (DOCUMENTS, "SIDEBUS_DOCUMENT_PORTAL", [], {}),
             (DOCUMENTS, "SIDEBUS_DOCUMENT_PORTAL", [DOCUMENTS], {"GetMountPoint": [None]}),
             (STORE, "SIDEBUS_PERMISSION_STORE", [DOCUMENTS], {}))
    started = [(name, env.own_sidebus(extra_env={variable: make(env, names, answers)}, ready=False))
               for name, variable, names, answers in cases]
    for name, sidebus in started:
        wait_for("the start to be given up", lambda s=sidebus: not s.process.running(), 60)
        program = "xdg-permission-store" if name == STORE else "xdg-document-portal"
        # A mount that is not told ends the start earlier: sd-bus waits 25 s for an answer.
        ended(sidebus, f"{program} (did not get ready within 30 s|cannot mount the documents)")
    env.hostile(boundaries.PRIVATE_BUS, len(cases))


# --- virtiofsd ------------------------------------------------------------------------------------

VERSIONS = {
    "nothing": "exit 0", "an error": "exit 3", "a signal": "kill -9 $$",
    "too old": "echo virtiofsd 1.12.9", "the C one": "echo virtiofsd version 7.2",
    "no number": "echo virtiofsd x.y", "negative": "echo virtiofsd -1.13",
    "control characters": r"printf 'virtiofsd \033[1m<0>\n'", "binary": "head -c 5000 /dev/urandom",
    "no end of line": "head -c 1000000 /dev/zero", "endless": "yes virtiofsd 1.2",
    "never": "exec sleep 60", "closed": "exec >&- 2>&-; sleep 60",
}


def test_virtiofsd_versions(env):
    """--version answered in every wrong way: there is no share, it is said, and the rest runs"""
    started = {}
    for what, command in VERSIONS.items():
        path = os.path.join(env.directory(), "virtiofsd")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\n{command}\n")
        os.chmod(path, 0o755)
        started[what] = env.own_sidebus(virtiofsd=path, ready=False)
    for what, sidebus in started.items():
        sidebus.wait_ready()
        log = sidebus.log()
        assert "the Rust virtiofsd 1.13 or later is needed" in log, (what, log)
        assert "\x1b" not in log, what
        assert sidebus.stop() == 0, (what, log)
    env.hostile(boundaries.IPC, len(VERSIONS))


# --- what they are handed -------------------------------------------------------------------------

def test_handed(env):
    """a document portal cannot walk from a file or directory it is handed to the session's bus"""
    bus = env.session.address.removeprefix("unix:path=")
    world = World(env, {"AddFull": ["(['1'], @a{sv} {})"], "AddNamedFull": ["('2',)"],
                        "GrantPermissions": ["@() ()"]}, handed=("walk_up", bus))
    picked = env.host_file("directory/picked", b"x")
    directory = os.path.dirname(picked)
    for request, what in (
            (world.client.open_file(), picked),
            (world.client.open_file(directory=GLib.Variant("b", True)), directory),
            (world.client.save_file(), os.path.join(directory, b"new"))):
        env.dialog().pick(what)
        assert request.wait()[0] == 0
    said = re.findall("handed (.*): (.*)$", world.sidebus.log(), re.MULTILINE)
    # A file is no place to start from; from a directory all is found that is to be seen.
    assert said == [(os.fsdecode(picked), ""), (os.fsdecode(directory), "there"),
                    (os.fsdecode(directory), "there")], said
    assert world.sidebus.stop() == 0
    env.hostile(boundaries.DAEMONS, 6)


def test_hidden_file(env):
    """what lies where the daemons see nothing is not given, and the log says why"""
    world = World(env, {"AddFull": ["(['1'], @a{sv} {})"], "GrantPermissions": ["@() ()"]})
    path = os.path.join(os.path.dirname(env.session.address.removeprefix("unix:path=")), "hidden")
    with open(path, "w", encoding="ascii") as f:
        f.write("x")
    request = world.client.open_file()
    env.dialog().pick(os.fsencode(path))
    assert request.wait()[0] == 2
    world.sidebus.wait_log("hidden is not given to the VM: it lies where")
    assert world.sidebus.stop() == 0


# --- what outlives them ---------------------------------------------------------------------------

def test_zombies(env):
    """200 processes that a daemon has left to the supervisor and that ended: reaped while it serves"""
    world = World(env, {"AddFull": ["(['1'], @a{sv} {})"], "GrantPermissions": ["@() ()"]},
                  talk="leave_zombies")
    world.sidebus.wait_log("200 were left")
    wait_for("them to be reaped", lambda: not zombies(world.sidebus.process.pid))
    assert world.pick().uris()[0].endswith("/1/picked")
    assert world.sidebus.stop() == 0
    env.hostile(boundaries.IPC, 200)


def test_left_behind(env):
    """a daemon that leaves processes behind, out of its reach: they end with the instance"""
    for how in ("stop", "kill the daemon"):
        path = os.path.join(env.directory(), "store")
        with open(path, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\n(setsid sh -c 'trap \"\" TERM HUP INT; sleep 600' &)\n"
                    "exec /usr/libexec/xdg-permission-store\n")
        os.chmod(path, 0o755)
        sidebus = env.own_sidebus(extra_env={"SIDEBUS_PERMISSION_STORE": path})
        sidebus.child("sleep")
        children = sidebus.children()
        if how == "stop":
            assert sidebus.stop() == 0, sidebus.log()
        else:
            os.kill(sidebus.child("xdg-permission-store"), 9)
            assert sidebus.process.wait() == 1
        assert not left_behind(sidebus, children), left_behind(sidebus, children)
    env.hostile(boundaries.IPC, 2)
