# SPDX-License-Identifier: MIT
"""sbrouter under a supervisor: guests' streams, who may own what, whose pid is said, ipc."""

import os
import socket
import struct
import subprocess

from gi.repository import Gio

from rig import boundaries
from rig.limits import limit
from rig.processes import wait_for
from rig.router import (BUS, CID, ERROR, FDS, GUEST, MACHINE_ID, OWNER, PORTAL, PRIVATE, SUPERVISOR,
                        VM, Client, Supervised, signal)
from rig.wire import call, variant



def router(env, bus=VM, **arguments):
    return env.closing(Supervised(env.build, env.tmp, env.source, bus, **arguments))


def guest_bus(env):
    r = router(env)
    r.path = r.listen(GUEST)
    return r


def raw(env, path, data):
    """What a stream that begins with data hears before it is cut off."""
    env.hostile(boundaries.GUEST)
    with env.closing(Client(path, authenticate=False)) as c:
        c.send(data)
        assert c.is_cut_off(), data
        return c.buffer


# --- guests ---------------------------------------------------------------------------------------

def test_guest_streams(env):
    """a greeting with and without numbers, or none: what the driver says of each"""
    r = guest_bus(env)
    cases = ((b"", None, None), (b"SIDEBUS/1 CLIENT\n", None, None),
             (b"SIDEBUS/1 CLIENT uid=1000 pid=4242\n", 1000, 4242),
             (b"SIDEBUS/1 CLIENT pid=7\n", None, 7), (b"SIDEBUS/1 CLIENT uid=0 x=y\n", 0, None))
    asker = env.closing(r.client())
    tokens = set()
    for greeting, uid, pid in cases:
        with r.client(greeting=greeting) as c:
            if greeting:
                assert c.greeted.startswith(b"SIDEBUS/1 OK token="), c.greeted
                tokens.add(c.greeted[19:])
            name = variant("(s)", c.name)
            assert asker.ask("GetConnectionUnixUser", name) == \
                (ERROR + "Failed" if uid is None else (uid,)), greeting
            assert asker.ask("GetConnectionUnixProcessID", name) == \
                (ERROR + "UnixProcessIdUnknown" if pid is None else (pid,)), greeting
            known = {"UnixUserID": uid, "ProcessID": pid}
            assert asker.ask("GetConnectionCredentials", name) == \
                ({k: v for k, v in known.items() if v is not None},), greeting
    assert len(tokens) == 4 and all(len(t) == 32 for t in tokens), tokens
    driver = variant("(s)", BUS)
    assert asker.ask("GetConnectionUnixProcessID", driver) == ERROR + "UnixProcessIdUnknown"
    assert asker.ask("GetConnectionCredentials", driver) == ({},)
    assert asker.ask("GetMachineId", interface=BUS + ".Peer") == (MACHINE_ID.hex(),)


def test_portal_is_kept(env):
    """whatever guests send, and however slowly sbportal reads: its connection stays"""
    r = guest_bus(env)
    portal = env.closing(Client(r.peer(PORTAL)))
    name = "org.freedesktop.portal.Desktop"
    assert portal.ask("RequestName", variant("(su)", name, 0)) == (1,)
    assert portal.add_match(f"sender='{BUS}',member='NameOwnerChanged'") == ()
    assert portal.add_match("member='M'") == ()
    guest, other = env.closing(r.client()), env.closing(r.client())
    for size in (60 << 20, 2 << 20):
        body = variant("(s)", "x" * size)
        guest.send(call("/", "t.T", "M", body, destination=name, serial=77))
        assert guest.result(77) == ERROR + "LimitsExceeded"
        guest.send(signal("M", body))
    body = variant("(s)", "x" * 1000000)
    for serial in range(100, 130):
        guest.send(signal("M", body))
        guest.send(signal("M", body, destination=name))
        guest.send(call("/", "t.T", "M", body, destination=name, serial=serial))
    assert guest.result(129) == ERROR + "LimitsExceeded" and guest.alive()
    r.client().close()
    other.send(call("/", "t.T", "M", destination=name, serial=79))
    assert other.alive()
    got = heard_until(portal, other.name)
    assert 3 <= got.count(guest.name) <= 6 and portal.alive(), got


def heard_until(client, sender):
    """Who sent the members M that came, up to the first of that sender."""
    got = []
    while sender not in got:
        message = client.message()
        assert message is not None, "hung up"
        if message.get_member() == "M":
            got.append(message.get_sender())
    return got


def test_bad_greetings(env):
    """greetings that are wrong get one line that says so, and the end"""
    r = guest_bus(env)
    witness = env.closing(r.client())
    for data, answer in ((b"SIDEBUS/1 ATTACH\n", b"Verb"), (b"SIDEBUS/1 FD token=a\n", b"Verb"),
                         (b"SIDEBUS/1 WHAT\n", b"Verb"), (b"SIDEBUS/2 CLIENT\n", b"Version"),
                         (b"SIDEBUS/1 CLIENT pid=x\n", b""), (b"x" * 300, b""),
                         (b"SIDEBUS/1 CLIENT uid=1 uid=2\n", b""), (b"GET / HTTP/1.1\r\n", b"")):
        heard = raw(env, r.path, data)
        assert heard.startswith(b"SIDEBUS/1 ERROR " + answer) and heard.endswith(b"\n"), heard
    for data in (b"\0AUTH", b"SIDEBUS/1 CLI"):
        with env.closing(Client(r.path, authenticate=False)) as c:
            c.send(data)  # half of it, and then gone
    assert witness.alive()


def test_guest_mechanisms(env):
    """guests authenticate as anybody, or nobody; without a greeting there are no descriptors"""
    r = guest_bus(env)
    for mechanism in (b"AUTH EXTERNAL 30", b"AUTH EXTERNAL 3939393939", b"AUTH EXTERNAL 726f6f74",
                      b"AUTH ANONYMOUS", b"AUTH ANONYMOUS 78"):
        with r.client(mechanism=mechanism) as c:
            assert c.alive(), mechanism
    with env.closing(Client(r.path, authenticate=False)) as c:
        c.send(b"\0AUTH ANONYMOUS\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
        assert c.line().startswith(b"OK ") and c.line().startswith(b"ERROR")
        assert c.say_hello() and c.alive()
        with open("/dev/null", "rb") as null:
            socket.send_fds(c.socket, [b"l"], [null.fileno()])
        assert c.is_cut_off()


def test_guest_descriptors(env):
    """sbagent's clients may send descriptors, which come to nothing: each message is answered"""
    r = guest_bus(env)
    sender = env.closing(r.client(greeting=b"SIDEBUS/1 CLIENT\n", fds=True))
    other = env.closing(r.client(greeting=b"SIDEBUS/1 CLIENT\n"))
    not_supported = ERROR + "NotSupported"

    with open("/dev/null", "rb") as null:
        fds = Gio.UnixFDList.new()
        fds.append(null.fileno())
        for destination in (other.name, BUS, sender.name, "org.example.Nobody"):
            message = Gio.DBusMessage.new_method_call(destination, "/", "t.T", "M")
            message.set_serial(77)
            message.set_unix_fd_list(fds)
            data = message.to_blob(Gio.DBusCapabilityFlags.UNIX_FD_PASSING)
            sender.send(data)  # as it comes by sbagent: the bytes alone
            assert sender.result(77) == not_supported, destination
            socket.send_fds(sender.socket, [data], [null.fileno()])  # the kernel takes them
            assert sender.result(77) == not_supported, destination
        # An answer with some: who waits for it has the error in its place.
        serial = other.next_serial()
        other.send(call("/", "t.T", "Get", destination=sender.name, serial=serial))
        while (asked := sender.message()).get_member() != "Get":
            pass
        reply = Gio.DBusMessage.new_method_reply(asked)
        reply.set_serial(78)
        reply.set_unix_fd_list(fds)
        sender.send(reply.to_blob(Gio.DBusCapabilityFlags.UNIX_FD_PASSING))
        assert other.result(serial) == not_supported
        # Who was promised nothing has broken the protocol.
        other.send(data)
        assert other.is_cut_off()
    assert sender.alive()


def test_portal_names(env):
    """the portal's names are sbportal's alone"""
    r = guest_bus(env)
    portal = env.closing(Client(r.peer(PORTAL), fds=True))
    guest = env.closing(r.client())
    for name in ("org.freedesktop.portal.Desktop", "org.freedesktop.portal.Documents",
                 "org.freedesktop.impl.portal.PermissionStore",
                 "org.freedesktop.host.portal.Registry", "org.freedesktop.portal.x.y",
                 "org.freedesktop.Notifications", "org.freedesktop.ScreenSaver"):
        for flags in range(8):
            assert guest.ask("RequestName", variant("(su)", name, flags)) == ERROR + "AccessDenied"
        assert portal.ask("RequestName", variant("(su)", name, 0)) == (1,)
        for flags in range(8):
            assert guest.ask("RequestName", variant("(su)", name, flags)) == ERROR + "AccessDenied"
        env.hostile(boundaries.GUEST, 16)
        assert guest.ask("GetNameOwner", variant("(s)", name)) == (portal.name,)
    for name in ("org.freedesktop.portals", "org.freedesktop.Notifications.x",
                 "org.freedesktop.ScreenSavers", "t.T"):
        assert guest.ask("RequestName", variant("(su)", name, 0)) == (1,)
    portal.close()
    wait_for("its names to go", lambda: guest.ask(
        "NameHasOwner", variant("(s)", "org.freedesktop.portal.Desktop")) == (False,))


def test_portal_activatable(env):
    """what sbportal owns is listed as activatable, and found running; what guests own is not"""
    r = guest_bus(env)
    portal, guest = env.closing(Client(r.peer(PORTAL), fds=True)), env.closing(r.client())
    names = ["org.freedesktop.portal.Desktop", "org.freedesktop.portal.Documents"]
    assert guest.ask("ListActivatableNames") == ([BUS],)
    changed = "ActivatableServicesChanged"
    assert guest.add_match(f"sender='{BUS}',member='{changed}'") == ()
    for name in names:
        assert portal.ask("RequestName", variant("(su)", name, 0)) == (1,)
        assert changed in [m.get_member() for m in guest.signals()]
    assert guest.ask("RequestName", variant("(su)", "t.T", 0)) == (1,)
    assert changed not in [m.get_member() for m in guest.signals()]
    assert sorted(guest.ask("ListActivatableNames")[0]) == [BUS, *names]
    for name in names:
        assert guest.ask("NameHasOwner", variant("(s)", name)) == (True,)
        assert guest.ask("StartServiceByName", variant("(su)", name, 0)) == (2,)
    portal.close()
    wait_for("its names to go", lambda: guest.ask("ListActivatableNames") == ([BUS],))


def test_listeners(env):
    """a vsock listener's CID, an owner's socket: who is let in is decided before a byte"""
    r = router(env)
    wrong = r.listen(GUEST | CID, cid=42, name="vsock")  # our unix socket is from no CID at all
    owner = r.listen(OWNER | FDS, name="owner")
    assert raw(env, wrong, b"") == b""
    assert "CID" in r.log()
    with env.closing(Client(owner, fds=True)) as c:
        assert c.alive()
        # Still the VM bus: nothing of the host is said, and portal names are not for it either.
        assert c.ask("GetConnectionCredentials", variant("(s)", c.name)) == ({},)
        assert c.ask("RequestName", variant("(su)", "org.freedesktop.portal.Desktop", 0)) == \
            ERROR + "AccessDenied"
    for data in (b"SIDEBUS/1 CLIENT\n", b"\0AUTH ANONYMOUS\r\nBEGIN\r\n"):
        heard = raw(env, owner, data)
        assert b"SIDEBUS" not in heard and b"OK" not in heard, heard


# --- the private bus ----------------------------------------------------------------------------------

def test_private_pid(env):
    """the one pid of the private bus: calls wait until the supervisor says it"""
    r = router(env, PRIVATE)
    r.path = r.listen(OWNER | FDS)
    supervisor = env.closing(Client(r.peer(SUPERVISOR), fds=True))
    daemon = env.closing(r.client())
    uid = os.geteuid()
    asked = []
    for member in ("GetConnectionUnixProcessID", "GetConnectionCredentials"):
        for name in (supervisor.name, daemon.name):
            asked.append((member, ask_later(daemon, member, name)))
    gone = env.closing(r.client())
    ask_later(gone, "GetConnectionUnixProcessID", daemon.name)
    gone.close()
    assert daemon.ask("GetConnectionUnixUser", variant("(s)", supervisor.name)) == (uid,)
    assert daemon.signals() is not None and daemon.alive()
    r.pid(4321)
    for member, serial in asked:
        answer = daemon.result(serial)
        assert answer == ((4321,) if member.endswith("ID") else
                          ({"UnixUserID": uid, "ProcessID": 4321},)), (member, answer)
    r.pid(4322)
    wait_for("the new pid", lambda: daemon.ask("GetConnectionUnixProcessID", variant(
        "(s)", supervisor.name)) == (4322,))
    r.pid(0)
    wait_for("calls to wait again", lambda: waits(daemon))
    for name in ("org.freedesktop.portal.Documents",
                 "org.freedesktop.impl.portal.PermissionStore"):
        assert daemon.ask("RequestName", variant("(su)", name, 1)) == (1,)


def ask_later(c, member, name):
    serial = c.next_serial()
    c.send(call("/org/freedesktop/DBus", BUS, member, variant("(s)", name), serial=serial))
    return serial


def waits(c):
    """Whether a question for a pid is held: Ping overtakes it."""
    first = ask_later(c, "GetConnectionUnixProcessID", c.name)
    second = c.next_serial()
    c.send(call("/", BUS + ".Peer", "Ping", serial=second))
    while True:
        serial = c.message().get_reply_serial()
        if serial in (first, second):
            if serial == first:
                c.reply(second)
            return serial == second


def test_private_held_limit(env):
    """calls that wait for the pid are counted"""
    r = router(env, PRIVATE)
    c = env.closing(Client(r.peer(SUPERVISOR)))
    serials = [ask_later(c, "GetConnectionUnixProcessID", c.name) for _ in range(260)]
    assert c.result(serials[256]) == ERROR + "LimitsExceeded"
    r.pid(5)
    assert c.result(serials[0]) == (5,)


def test_permission_store_private(env):
    """the real xdg-permission-store on the private bus, asked by the supervisor's connection"""
    r = router(env, PRIVATE)
    path = r.listen(OWNER | FDS)
    supervisor = env.closing(Client(r.peer(SUPERVISOR), fds=True))
    store = "org.freedesktop.impl.portal.PermissionStore"
    with subprocess.Popen(["/usr/libexec/xdg-permission-store"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL,
                          env={**os.environ, "XDG_DATA_HOME": env.tmp,
                               "DBUS_SESSION_BUS_ADDRESS": "unix:path=" + path}) as process:
        try:
            wait_for("the store", lambda: supervisor.ask(
                "StartServiceByName", variant("(su)", store, 0)) == (2,))
            to = {"interface": store, "path": "/" + store.replace(".", "/"), "destination": store}
            assert supervisor.ask("SetPermission", variant("(sbssas)", "t", True, "i", "app",
                                                           ["yes"]), **to) == ()
            assert supervisor.ask("List", variant("(s)", "t"), **to) == (["i"],)
        finally:
            process.terminate()


# --- ipc -----------------------------------------------------------------------------------------------

def test_hang_up(env):
    """when the supervisor hangs up, the router ends at once, whoever is connected"""
    r = Supervised(env.build, env.tmp, env.source, VM)
    r.path = r.listen(GUEST)
    c = r.client()
    assert r.hang_up() == 0
    assert c.is_cut_off()
    c.close()


def test_ipc_breaches(env):
    """a supervisor that breaks the protocol: the router logs it and ends"""
    listen = struct.pack("=II", GUEST, 0)
    with socket.socket(socket.AF_UNIX) as s:  # one that blocks
        cases = (
            (VM, "ROUTER_LISTEN", listen, [s]),
            (VM, "ROUTER_CONFIG", struct.pack("=II", 1, VM) + MACHINE_ID, []),  # a second one
            (None, "ROUTER_LISTEN", listen, [s]),  # before the configuration
            (None, "ROUTER_CONFIG", struct.pack("=II", 999, VM) + MACHINE_ID, []),
            (None, "ROUTER_CONFIG", struct.pack("=II", 1, 3) + MACHINE_ID, []),
            (None, "ROUTER_CONFIG", b"short", []),
            (VM, "ROUTER_LISTEN", struct.pack("=II", 64, 0), [s]),
            (VM, "ROUTER_LISTEN", struct.pack("=II", GUEST | CID, 0), [s]),
            (VM, "ROUTER_LISTEN", struct.pack("=II", GUEST, 5), [s]),
            (VM, "ROUTER_LISTEN", listen, []),
            (VM, "ROUTER_LISTEN", listen, [s, s]),
            (VM, "ROUTER_PEER", struct.pack("=II", SUPERVISOR, 0), [s]),
            (PRIVATE, "ROUTER_PEER", struct.pack("=II", PORTAL, 0), [s]),
            (VM, "ROUTER_PEER", struct.pack("=II", PORTAL, 1), [s]),
            (VM, "ROUTER_PID", struct.pack("=II", 5, 0), []),
            (PRIVATE, "ROUTER_PID", struct.pack("=II", 5, 1), []),
            (VM, "ROUTER_READY", struct.pack("=II", 1, 0), []),
            (VM, "PORTAL_READY", struct.pack("=II", 1, 0), []),
        )
        for i, (bus, name, body, fds) in enumerate(cases):
            directory = os.path.join(env.tmp, str(i))
            os.mkdir(directory)
            r = Supervised(env.build, directory, env.source, bus, configure=bus is not None)
            r.say(name, body, fds)
            assert r.process.wait() == 1, (name, body)
            assert "sbsupervisor" in r.log(), (name, body, r.log())
            env.hostile(boundaries.IPC)
            r.ipc.close()


def test_confinement(env):
    """the filter is on, no capability is left, and a new one cannot be gained"""
    r = guest_bus(env)
    assert env.closing(r.client()).alive()
    assert r.status("Seccomp") == "2" and r.status("NoNewPrivs") == "1"
    for key in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(r.status(key), 16) == 0, key


def test_usage(env):
    """a wrong command line: exit status 2 and one line"""
    for argv in ([], ["--standalone"], ["--listen", "unix:/x"], ["--ipc-fd", "77"],
                 ["--ipc-fd", "x"], ["--standalone", "--listen", "unix:/x", "--ipc-fd", "1"],
                 ["--standalone", "--listen"], ["--nothing"], ["operand"],
                 ["--ipc-fd", "1", "--max-connections", "5"],
                 *(["--standalone", "--listen", "unix:/x", "--max-connections", n]
                   for n in ("0", "-1", "x", str(limit(env, "STANDALONE_CONNECTIONS") + 1), "5x",
                             "")),
                 ["--standalone", "--listen", "unix:/x", "--max-queue-bytes",
                  str(5 * limit(env, "BUS_BYTES") + 1)]):
        done = subprocess.run([os.path.join(env.build, "sbrouter"), *argv], capture_output=True,
                              timeout=60, check=False)
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1, (argv, done)
    for address in ("unix:relative", "tcp:localhost", "unix:/" + "x" * 200, "vsock:5",
                    "unix:/no/such/directory/bus"):
        done = subprocess.run([os.path.join(env.build, "sbrouter"), "--standalone", "--listen",
                               address], capture_output=True, timeout=60, check=False)
        assert done.returncode == 1 and done.stderr.count(b"\n") == 1, (address, done)
