# SPDX-License-Identifier: MIT
"""Other people's programs and libraries on sbrouter: libdbus, GLib, sd-bus, and the tools made of them."""

import contextlib
import os
import subprocess

import dbus
import dbus.bus
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import Gio, GLib

from rig.processes import Process, scale, wait_for
from rig.router import BUS, BUS_PATH, Client, bus
from rig.wire import variant

PYTHON = "/usr/bin/python3"


def run(argv):
    done = subprocess.run(argv, capture_output=True, timeout=60 * scale(), check=False,
                          stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, (argv, done)
    return done.stdout.decode()


def test_command_line_clients(env):
    """dbus-send, gdbus and busctl see the bus and one another"""
    router = bus(env)
    known = env.closing(router.client())
    assert known.ask("RequestName", variant("(su)", "t.Known", 0)) == (1,)
    for argv in (["dbus-send", "--bus=" + router.address, "--print-reply", "--dest=" + BUS, "/",
                  BUS + ".ListNames"],
                 ["gdbus", "call", "--address", router.address, "-d", BUS, "-o", BUS_PATH, "-m",
                  BUS + ".ListNames"],
                 ["busctl", "--address=" + router.address, "--acquired", "list"],
                 ["busctl", "--address=" + router.address, "status", "t.Known"]):
        said = run(argv)
        assert "t.Known" in said or f"PID={os.getpid()}" in said, (argv, said)
    xml = run(["busctl", "--address=" + router.address, "--xml-interface", "introspect", BUS, BUS_PATH])
    assert Gio.DBusNodeInfo.new_for_xml(xml).lookup_interface(BUS) is not None
    assert "Features" in run(["gdbus", "introspect", "--address", router.address, "-d", BUS, "-o",
                              BUS_PATH])


def test_python_dbus(env):
    """python3-dbus: a service, and a call to it from GLib's client"""
    router = bus(env)
    service = dbus.bus.BusConnection(router.address, mainloop=DBusGMainLoop())
    assert service.request_name("t.Python") == dbus.bus.REQUEST_NAME_REPLY_PRIMARY_OWNER
    caller = Gio.DBusConnection.new_for_address_sync(
        router.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT |
        Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
    owner = caller.call_sync(BUS, BUS_PATH, BUS, "GetNameOwner", variant("(s)", "t.Python"), None,
                             Gio.DBusCallFlags.NONE, 20000, None).unpack()[0]
    assert owner == service.get_unique_name()
    done = []  # libdbus answers Peer itself
    caller.call("t.Python", "/", BUS + ".Peer", "Ping", None, None, Gio.DBusCallFlags.NONE, 20000,
                None, lambda c, result: done.append(c.call_finish(result)))
    wait_for("the ping", lambda: GLib.MainContext.default().iteration(False) and False or done)
    caller.close_sync(None)
    service.close()


# --- every library's service, called by every library ------------------------------------------------

def program(env, library):
    if library == "sd-bus":
        return [os.path.join(env.build, "tests", "rig", "sd_bus_echo")]
    return [PYTHON, os.path.join(env.source, "tests", "rig", "echo_service.py"), library]


@contextlib.contextmanager
def service(env, router, witness, library, argv):
    """A program that owns a name for as long as this lasts."""
    name = "t." + library.replace("-", "")
    process = Process(argv(name), log=os.path.join(env.tmp, library + ".log"),
                      env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": router.address})
    try:
        wait_for(f"{library}'s service", lambda: not process.running() or witness.ask(
            "NameHasOwner", variant("(s)", name)) == (True,))
        assert process.running(), process.log()
        yield name
    finally:
        process.stop()


def test_libraries(env):
    """GLib, libdbus and sd-bus: a service of each, called by each, and by dbus-send, gdbus and busctl"""
    router = bus(env)
    witness = env.closing(router.client())
    text = "über \U0001f600 it's"
    for library in ("glib", "dbus", "sd-bus"):
        with service(env, router, witness, library,
                     lambda name: [*program(env, library), router.address, name]) as name:
            for caller in ("glib", "dbus", "sd-bus"):
                said = run([*program(env, caller), router.address, name, text])
                assert sorted(said.splitlines()) == [f"returned {text}", f"said {text}"], \
                    (library, caller, said)
            for argv in (["dbus-send", "--bus=" + router.address, "--print-reply", "--dest=" + name,
                          "/echo", "t.Echo.Echo", "string:" + text],
                         ["gdbus", "call", "--address", router.address, "-d", name, "-o", "/echo",
                          "-m", "t.Echo.Echo", text],
                         ["busctl", "--address=" + router.address, "call", name, "/echo", "t.Echo",
                          "Echo", "s", text]):
                assert "it's" in run(argv).replace("\\'", "'"), (library, argv)
            tree = run(["busctl", "--address=" + router.address, "tree", name])
            assert "/echo" in tree, tree


def test_dbus_test_tool(env):
    """dbus-test-tool: thousands of messages to an echo, to a black hole, to one that does not read"""
    router = bus(env)
    witness = env.closing(router.client())
    spam = ["dbus-test-tool", "spam", "--session", "--payload=hello, world!"]
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": router.address}
    for (tool, *listening), sending in (
            (["echo"], ["--count=20000", "--queue=50"]),
            (["echo"], ["--count=200", "--flood"]),  # all wait at once: more would be refused
            (["echo"], ["--count=5000", "--queue=10", "--messages-per-conn=100"]),
            (["black-hole"], ["--count=20000", "--no-reply"]),
            (["black-hole", "--no-read"], ["--count=50000", "--no-reply"])):
        with service(env, router, witness, tool, lambda name: [
                "dbus-test-tool", tool, "--session", "--name=" + name, *listening]) as name:
            done = subprocess.run([*spam, "--dest=" + name, *sending], capture_output=True,
                                  check=False, timeout=60 * scale(), env=environment)
            assert done.returncode == 0 and not done.stderr, (tool, sending, done)
            assert witness.alive()


def test_session_programs(env):
    """what a desktop's start says to its bus: dbus-update-activation-environment, xdg-permission-store"""
    router = bus(env)
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": router.address, "XDG_DATA_HOME": env.tmp}
    done = subprocess.run(["dbus-update-activation-environment", "--verbose", "LC_ALL=C"],
                          capture_output=True, check=False, timeout=60 * scale(), env=environment)
    assert done.returncode == 0, done
    c = env.closing(Client(router.path))
    store = "org.freedesktop.impl.portal.PermissionStore"
    process = Process(["/usr/libexec/xdg-permission-store"], env=environment,
                      log=os.path.join(env.tmp, "store.log"))
    try:
        c.add_match(f"sender='{store}',member='Changed'")
        wait_for("the store", lambda: c.ask("NameHasOwner", variant("(s)", store)) == (True,))
        to_store = {"interface": store, "path": "/" + store.replace(".", "/"), "destination": store}
        assert c.ask("Set", variant("(sbsa{sas}v)", "t", True, "id", {"app": ["yes"]},
                                    GLib.Variant("s", "data")), **to_store) == ()
        assert c.ask("Lookup", variant("(ss)", "t", "id"), **to_store) == ({"app": ["yes"]}, "data")
        assert [m.get_member() for m in c.signals()] in ([], ["Changed"])
    finally:
        process.stop()
