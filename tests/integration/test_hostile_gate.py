# SPDX-License-Identifier: MIT
"""The gate and an sbportal that stops at nothing: other names, other things, other forms."""

import ctypes
import os
import random
import re
import select
import signal
import socket
import struct

from gi.repository import Gio

from rig import backend, boundaries
from rig.gate import DENIED, PEER, Gate, called_for, open_gate, rows_of
from rig.guest import FILE_CHOOSER, PATH, PROPERTIES, REQUEST, GLib, error_name, path_bytes, pump
from rig.processes import sanitized, scale, wait_for
from rig.wire import fixed, with_u32

PORTAL = "org.freedesktop.portal."
INVALID = PORTAL + "Error.InvalidArgument"
NO_ROOM = "org.freedesktop.DBus.Error.LimitsExceeded"  # for a copy
from rig.world import ALLOW
ERROR = "org.freedesktop.DBus.Error."
REQUESTS = 64  # LIMIT_REQUESTS_VM


def alive(gate, env):
    """It still does what it should."""
    handle = gate.ask()
    env.dialog().answer(1)
    assert gate.response(handle)[0] == 1


# --- what is not in the table ---------------------------------------------------------------------

DESTINATIONS = (None, "org.freedesktop.systemd1", "org.freedesktop.portal.Desktop", ":1.0",
                "org.freedesktop.portal.Documents", "org.freedesktop.secrets",
                "org.freedesktop.DBus",
                "org.freedesktop.impl.portal.PermissionStore", "org.gnome.Shell",
                "org.freedesktop.impl.portal.desktop.sidebustest")
PATHS = (PATH, "/", "/org/freedesktop/systemd1", "/org/freedesktop/portal/documents",
         "/org/freedesktop/secrets", "/org/freedesktop/DBus", "/org/gnome/Shell",
         "/org/freedesktop/impl/portal/PermissionStore", PATH + "/request/vm/x",
         PATH + "/session/vm/x", PATH + "/request/1_1/x")
CALLS = (
    ("org.freedesktop.systemd1.Manager", "StartTransientUnit", "(ssa(sv)a(sa(sv)))",
     ("x.service", "fail", [("ExecStart", GLib.Variant("a(sasb)", [("/bin/sh", ["sh"], False)]))],
      [])),
    ("org.freedesktop.systemd1.Manager", "SetEnvironment", "(as)", (["PATH=/tmp"],)),
    ("org.freedesktop.systemd1.Manager", "Exit", "()", ()),
    (PORTAL + "Documents", "Add", "(hbb)", (0, True, True)),
    (PORTAL + "Documents", "AddFull", "(ahusas)", ([0], 0, "", [])),
    (PORTAL + "Documents", "List", "(s)", ("",)),
    (PORTAL + "Documents", "Delete", "(s)", ("1",)),
    (PORTAL + "Documents", "RevokePermissions", "(ssas)", ("1", "", [])),
    ("org.freedesktop.impl.portal.PermissionStore", "SetPermission", "(sbssas)",
     ("devices", True, "camera", "", ["yes"])),
    ("org.freedesktop.impl.portal.FileChooser", "OpenFile", "(osssa{sv})",
     ("/", "", "", "t", {})),
    ("org.freedesktop.impl.portal.Access", "AccessDialog", "(osssssa{sv})",
     ("/", "", "", "t", "s", "b", {})),
    ("org.freedesktop.Secret.Service", "OpenSession", "(sv)", ("plain", GLib.Variant("s", ""))),
    ("org.gnome.Shell", "Eval", "(s)", ("1",)),
    (PORTAL + "Background", "RequestBackground", "(sa{sv})", ("", {})),
    (PORTAL + "ScreenCast", "CreateSession", "(a{sv})", ({},)),
    (PORTAL + "RemoteDesktop", "CreateSession", "(a{sv})", ({},)),
    (PORTAL + "Camera", "AccessCamera", "(a{sv})", ({},)),
    (PORTAL + "Realtime", "MakeThreadRealtimeWithPID", "(ttu)", (1, 1, 1)),
    (PORTAL + "Flatpak", "Spawn", "(ayaaya{uh}a{ss}ua{sv})", (b"", [], {}, {}, 0, {})),
    ("org.freedesktop.host.portal.Registry", "Register", "(sa{sv})", ("org.gnome.Terminal", {})),
    (PORTAL + "Gate", "PortalRestarted", "()", ()),
    (REQUEST, "Response", "(ua{sv})", (0, {})),
    (PROPERTIES, "Set", "(ssv)", (FILE_CHOOSER, "version", GLib.Variant("u", 9))),
    (PROPERTIES, "Get", "(ss)", ("org.freedesktop.systemd1.Manager", "Version")),
    (PROPERTIES, "GetAll", "(s)", (PORTAL + "Camera",)),
    (PROPERTIES, "Get", "(s)", (FILE_CHOOSER,)),
    ("org.freedesktop.DBus.Introspectable", "Introspect", "()", ()),
    ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "()", ()),
    (PEER, "GetMachineId", "()", ()), (PEER, "Ping", "()", ()),
    ("org.freedesktop.DBus", "AddMatch", "(s)", ("eavesdrop=true",)),
    ("org.freedesktop.DBus", "RequestName", "(su)", ("org.freedesktop.portal.Desktop", 7)),
    ("org.freedesktop.DBus", "GetConnectionUnixProcessID", "(s)", ("org.freedesktop.DBus",)),
    ("org.freedesktop.DBus.Monitoring", "BecomeMonitor", "(asu)", ([], 0)),
    ("org.freedesktop.DBus.Debug.Stats", "GetStats", "()", ()),
)


def send(gate, answers, destination, path, interface, member, kind, values):
    """The answer goes to answers: an error's name, or the reply."""
    message = Gio.DBusMessage.new_method_call(destination, path, interface, member)
    if kind != "()":
        message.set_body(GLib.Variant(kind, values))
    if "h" in kind:
        fds = Gio.UnixFDList.new()
        with open("/dev/null", "rb") as null:
            fds.append(null.fileno())
        message.set_unix_fd_list(fds)

    def on_reply(bus, result):
        reply = bus.send_message_with_reply_finish(result)
        answers.append(((destination, path, interface, member), reply.get_error_name()))

    gate.bus.send_message_with_reply(message, Gio.DBusSendMessageFlags.NONE, -1, None, on_reply)


def test_every_destination(env):
    """35 calls to 10 names on 11 paths: each is refused, and the session bus hears of none"""
    gate = open_gate(env, config=ALLOW)
    monitor = env.closing(env.session.monitor())
    answers, sent = [], 0
    for destination in DESTINATIONS:
        for path in PATHS:
            for call in CALLS:
                send(gate, answers, destination, path, *call)
                sent += 1
        wait_for("the answers", lambda: pump() or len(answers) == sent)
    for call, error in answers:
        assert error in (DENIED, ERROR + "UnknownInterface", ERROR + "UnknownObject",
                         ERROR + "UnknownProperty"), (call, error)
    alive(gate, env)
    passed = called_for(monitor)
    assert passed <= {(FILE_CHOOSER, "OpenFile"), (PROPERTIES, "Get")}, passed
    assert gate.sidebus.log().count("is not in the table") < 500, "the log was flooded"
    env.hostile(boundaries.GATE, sent)


# --- whose documents ------------------------------------------------------------------------------

def test_ids_of_others(env):
    """ids of another VM, of the host's document portal, and guessed ones: as if there were none"""
    host = os.path.dirname(env.host_file("theirs/file", b"x"))
    client = env.client()
    request = client.open_file(directory=GLib.Variant("b", True))
    env.dialog().pick(host)
    theirs = os.path.relpath(request.path_of_one(), os.fsencode(env.sidebus.documents))
    theirs = os.fsdecode(theirs).split("/")[0]
    fds = Gio.UnixFDList.new()
    with open(os.path.join(host, b"file"), "rb") as f:
        fds.append(f.fileno())
    reply, _ = env.session.bus.call_with_unix_fd_list_sync(
        PORTAL + "Documents", "/org/freedesktop/portal/documents", PORTAL + "Documents", "Add",
        GLib.Variant("(hbb)", (0, True, False)), None, 0, 20000, fds, None)
    gate = open_gate(env)
    random_ids = [f"{random.Random(n).getrandbits(32):x}" for n in range(100)]
    tried = 0
    for identifier in (theirs, reply.unpack()[0], "", "0", "..", ".", "by-app", "/",
                       "doc:" + theirs, theirs.upper(), theirs + "\n", "f" * 16, "f" * 17,
                       "f" * 4000, "%2e%2e",
                       "org.sidebus.vm.demo", *random_ids):
        documents = PORTAL + "Documents"
        path = GLib.Variant("(ay)", (os.fsencode(f"{identifier}/theirs") + b"\0",))
        assert gate.call(PATH, documents, "Lookup", path) == ("",), identifier
        tried += 1
        for call in (("Info", GLib.Variant("(s)", (identifier,))),
                     ("GrantPermissions", GLib.Variant("(ssas)", (identifier, "x", ["read"])))):
            assert gate.refused(PATH, documents, *call).startswith("org.freedesktop."), identifier
    monitor = env.closing(env.session.monitor())
    for identifier in (theirs, reply.unpack()[0]):
        for rest in ("theirs", "file", "", "theirs/file", "theirs/../.."):
            gate.ask("SaveFile", current_folder=path_bytes(f"{identifier}/{rest}"))
            env.dialog().answer(1)
            tried += 1
    for _, _, options in monitor.calls(FILE_CHOOSER, "SaveFile", 10):
        assert "current_folder" not in dict(options), options
    env.hostile(boundaries.GATE, tried)


# --- options --------------------------------------------------------------------------------------

# Keys of the host's own, of its backends', of other methods; each with a word that must not pass.
SMUGGLED = {key: GLib.Variant("s", "nonsense") for key in (
    "app_id", "activation_token", "handle", "parent_window", "desktop-file", "prioritys", "",
    "x" * 900, "nonsense", "modal\n", "Modal", "ask", "writable ", "session_handle",
    "restore_token", "uri",
    "source_type", "types", "pid", "path", "file", "fd", "handle_token", "session_handle_token")}
SMUGGLED["deep"] = GLib.Variant("a{sv}", {"nonsense": GLib.Variant("v", GLib.Variant("s", "x"))})
PLAIN = {"s": "", "o": "/", "u": 0, "b": False, "i": 0, "t": 0, "ay": b"\0", "as": [],
         "a(sa{sv})": []}


def test_smuggled_options(env):
    """25 keys that no row has, in the options of every method: none goes on, by name or value"""
    gate = open_gate(env, config=ALLOW)
    monitor = env.closing(env.session.monitor())
    answers, sent = [], 0
    for interface, member, kind in rows_of(env.source):
        kinds = backend.split(kind)
        if "a{sv}" not in kinds or "h" in kinds:
            continue
        values = tuple(SMUGGLED if k == "a{sv}" else PLAIN[k] for k in kinds)
        send(gate, answers, None, PATH, interface, member, f"({kind})", values)
        sent += 1
        wait_for("an answer", lambda: pump() or len(answers) == sent)
        env.chooser._pump(seconds=0)
        for dialog in env.chooser.opened():
            dialog.answer(2)
        env.chooser.new.clear()
    alive(gate, env)
    passed = called_for(monitor)
    for m in monitor.messages():
        text = str(m.get("payload")) if m["type"] == "method_call" else ""
        assert "nonsense" not in text and "x" * 900 not in text, m
    env.note(f"{sent} methods; of {len(passed)} the host heard")
    assert sent > 20 and len(passed) > 12, (sent, passed)
    env.hostile(boundaries.GATE, sent * len(SMUGGLED))


# --- descriptors ----------------------------------------------------------------------------------

def memfd(name="x", size=0):
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    os.truncate(fd, size)
    return fd


def deleted(directory):
    path = os.path.join(directory, "../" + os.path.basename(directory) + "/deleted")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return fd


def fifo(directory):
    path = os.path.join(directory, "fifo")
    os.mkfifo(path)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def pipe_end(which):
    ends = os.pipe()
    os.close(ends[1 - which])
    return ends[which]


def detached(thing):
    return thing.detach()


def listening(directory):
    s = socket.socket(socket.AF_UNIX)
    s.bind(os.path.join(directory, "s"))
    s.listen()
    return s.detach()


def opened(path, flags=os.O_RDONLY):
    return os.open(path, flags | os.O_CLOEXEC)


def epoll():
    with select.epoll() as e:
        return os.dup(e.fileno())


def eventfd():
    return ctypes.CDLL(None).eventfd(0, 0o2000000)


# name: (how it is made, given a directory with a regular file; what it may be used for)
BYTES_IN, BYTES_OUT, COPY = 1, 2, 4  # read from; written to; a regular file that is copied
KINDS = {
    "regular": (lambda d: opened(d + "/file"), BYTES_IN | COPY),
    "regular, read and write": (lambda d: opened(d + "/file", os.O_RDWR), 7),
    "regular, write only": (lambda d: opened(d + "/file", os.O_WRONLY), BYTES_OUT),
    "O_PATH": (lambda d: opened(d + "/file", os.O_PATH), 0),
    "O_PATH of a directory": (lambda d: opened(d, os.O_PATH), 0),
    "O_PATH of a symlink": (lambda d: opened(d + "/link", os.O_PATH | os.O_NOFOLLOW), 0),
    "directory": (opened, 0),
    "root directory": (lambda d: opened("/"), 0),
    "FIFO": (fifo, BYTES_IN | BYTES_OUT),
    "pipe, read": (lambda d: pipe_end(0), BYTES_IN),
    "pipe, write": (lambda d: pipe_end(1), BYTES_OUT),
    "socket": (lambda d: detached(socket.socketpair()[0]), BYTES_IN | BYTES_OUT),
    "listening socket": (listening, BYTES_IN | BYTES_OUT),
    "/dev/null": (lambda d: opened("/dev/null", os.O_RDWR), 0),
    "/dev/zero": (lambda d: opened("/dev/zero"), 0),
    "/dev/full": (lambda d: opened("/dev/full", os.O_WRONLY), 0),
    "/dev/fuse": (lambda d: opened("/dev/fuse", os.O_RDWR), 0),
    "terminal": (lambda d: opened("/dev/ptmx", os.O_RDWR | os.O_NOCTTY), 0),
    "memfd": (lambda d: memfd(), 7),
    "memfd, named like a path": (lambda d: memfd("../../../etc/passwd"), 7),
    "memfd, named like nothing": (lambda d: memfd("\n/.. (deleted)"), 7),
    "memfd of a TiB": (lambda d: memfd(size=1 << 40), BYTES_IN | BYTES_OUT),
    "memfd of 257 MiB": (lambda d: memfd(size=257 << 20), BYTES_IN | BYTES_OUT),
    "deleted": (deleted, 7),
    "epoll": (lambda d: epoll(), 0),
    "eventfd": (lambda d: eventfd(), 0),
    "pidfd": (lambda d: os.pidfd_open(os.getpid()), 0),
    "namespace": (lambda d: opened("/proc/self/ns/user"), BYTES_IN),
    "/proc/self": (lambda d: opened("/proc/self"), 0),
}
# (interface, member, signature, values, which argument or option is the descriptor, what for)
ROWS = (
    ("Trash", "TrashFile", "(h)", (0,), None),
    ("OpenURI", "OpenDirectory", "(sha{sv})", ("", 0, {}), None),
    ("OpenURI", "OpenFile", "(sha{sv})", ("", 0, {}), COPY),
    ("Wallpaper", "SetWallpaperFile", "(sha{sv})", ("", 0, {}), COPY),
    ("Print", "Print", "(ssha{sv})", ("", "T", 0, {}), BYTES_IN),
    ("Secret", "RetrieveSecret", "(ha{sv})", (0, {}), BYTES_OUT),
    ("Email", "ComposeEmail", "(sa{sv})",
     ("", {"attachment_fds": GLib.Variant("ah", [0])}), COPY),
)


def own_directory(env):
    """One with a file and a symlink in it."""
    directory = env.directory()
    with open(directory + "/file", "wb") as f:
        f.write(b"content")
    os.symlink("/etc/passwd", directory + "/link")
    return directory


def hold_descriptors(env, limit):
    """An instance that began with this ulimit, and 64 calls of 16 descriptors that wait in it."""
    gate = env.closing(Gate(env, speak=False, before=[
        "/bin/sh", "-c", f"ulimit {limit} 1024; exec \"$@\"", "sh"]))
    gate.raw.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
    gate.sidebus.wait_ready()
    os.kill(env.session.portal.pid, signal.SIGSTOP)  # it does not say which version it has
    fd = opened("/dev/null")
    for serial in range(1, REQUESTS + 1):
        m = Gio.DBusMessage.new_method_call(None, PATH, PORTAL + "Settings", "Read")
        m.set_body(GLib.Variant("(ss)", ("org.freedesktop.appearance", "color-scheme")))
        fds = Gio.UnixFDList.new()
        for _ in range(16):
            fds.append(fd)
        m.set_unix_fd_list(fds)
        m.set_serial(serial)
        try:
            socket.send_fds(gate.raw, [bytes(m.to_blob(Gio.DBusCapabilityFlags.UNIX_FD_PASSING))],
                            [fd] * 16)
        except OSError:
            break  # it hung up
        env.hostile(boundaries.GATE)
    os.close(fd)
    return gate.sidebus


def test_room_for_descriptors(env):
    """as many descriptors as 64 calls may have, with systemd's soft limit of 1024: there is room"""
    try:
        sidebus = hold_descriptors(env, "-Sn")
        held = f"/proc/{sidebus.process.pid}/fd"
        wait_for("all of them", lambda: len(os.listdir(held)) > REQUESTS * 16)
        with open(f"/proc/{sidebus.child('xdg-permission-store')}/limits", encoding="ascii") as f:
            soft = [line.split()[3] for line in f if line.startswith("Max open files")]
        assert soft == ["1024"], soft  # it may use select()
    finally:
        os.kill(env.session.portal.pid, signal.SIGCONT)
    assert sidebus.stop() == 0, sidebus.log()


def test_no_room_for_descriptors(env):
    """the same with a hard limit of 1024: said at the start, and at the end whose fault it is"""
    try:
        sidebus = hold_descriptors(env, "-n")
        assert sidebus.process.wait() == 1
    finally:
        os.kill(env.session.portal.pid, signal.SIGCONT)
    assert re.search(r"room for 1024, .* set LimitNOFILE=", sidebus.log()), sidebus.log()
    assert "gate: cannot read on: no descriptor is left: set LimitNOFILE=" in sidebus.log()
    assert "sbportal has sent" not in sidebus.log()


def with_fds(gate, row, fds):
    """None, or the error's name."""
    interface, member, kind, values, _ = row
    fd_list = Gio.UnixFDList.new()
    for fd in fds:
        fd_list.append(fd)
    try:
        gate.bus.call_with_unix_fd_list_sync(
            None, PATH, PORTAL + interface, member, GLib.Variant(kind, values), None,
            Gio.DBusCallFlags.NONE, int(20000 * scale()), fd_list, None)
        return None
    except GLib.Error as e:
        return error_name(e)


def test_descriptor_kinds(env):
    """29 kinds of descriptor in each role: what is more than bytes, or no document, is refused"""
    gate = open_gate(env, config=ALLOW)
    tried = 0

    def open_files():
        return len(os.listdir(f"/proc/{gate.sidebus.process.pid}/fd"))

    alive(gate, env)
    before = open_files()
    for row in ROWS:
        for name, (make, uses) in KINDS.items():
            fd = make(own_directory(env))
            error = with_fds(gate, row, [fd])
            os.close(fd)
            may = row[4] is not None and uses & row[4]
            refused = (INVALID, PORTAL + "Error.NotAllowed", NO_ROOM)
            assert (error is None) if may else error in refused, (row, name, error)
            if may:
                env.dialog().answer(2)
            tried += not may
        # None at all, one that is not there, and some that nobody asked for.
        assert with_fds(gate, row, []) is not None, row
        tried += 1
    wait_for("the descriptors to be closed", lambda: pump() or open_files() <= before)
    alive(gate, env)
    env.hostile(boundaries.GATE, tried)


# --- forms ----------------------------------------------------------------------------------------

HANDSHAKE = b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"
ASK = Gate.message(PATH, FILE_CHOOSER, "OpenFile", GLib.Variant("(ssa{sv})", ("", "T", {
    "modal": GLib.Variant("b", True), "directory": GLib.Variant("b", False)})), serial=7)


def raw_gate(env, **arguments):
    gate = env.closing(Gate(env, speak=False, **arguments))
    gate.raw.settimeout(20 * scale())
    gate.raw.sendall(HANDSHAKE)
    gate.sidebus.wait_ready()
    return gate


def resident(gate):
    """KiB, at most so far."""
    with open(f"/proc/{gate.sidebus.process.pid}/status", encoding="ascii") as f:
        return int(next(line.split()[1] for line in f if line.startswith("VmHWM")))


def refused_at_once(env, data, pattern, fds=(), **arguments):
    gate = raw_gate(env, **arguments)
    # Not a message that waits for more, and not by the end of the stream.
    socket.send_fds(gate.raw, [data], fds)
    assert gate.sidebus.process.wait() == 1, gate.sidebus.log()
    gate.sidebus.wait_log(pattern)
    assert not env.chooser.opened()
    env.hostile(boundaries.GATE)


def test_oversize(env):
    """a message over the limit ends the instance by its first 16 bytes; what is held is bounded"""
    gate = raw_gate(env)
    gate.raw.sendall(with_u32(ASK, 4, 100 << 20)[:16])
    assert gate.sidebus.process.wait() == 1
    gate.sidebus.wait_log("sbportal has sent a message of 104857[0-9]{3} bytes, where 2097152")
    env.hostile(boundaries.GATE)
    for offset, size in ((4, (2 << 20) + 1), (4, 0xffffffff), (12, 2 << 20), (12, 0xffffffff)):
        refused_at_once(env, with_u32(ASK, offset, size)[:16], "sbportal has sent a message of")
    # As long as it may be: read, and answered.  As many as may be open: no more memory than that.
    gate = open_gate(env, config="[Portals]\nDefault=ask\n")
    before = resident(gate)
    body = GLib.Variant("(ssa{sv})", ("", "T", {"x": GLib.Variant("s", "x" * ((2 << 20) - 300))}))
    handles = []
    for _ in range(100):
        gate.bus.call(None, PATH, FILE_CHOOSER, "OpenFile", body, None, Gio.DBusCallFlags.NONE, -1,
                      None, lambda *a: handles.append(a))
    wait_for("100 answers", lambda: pump() or len(handles) == 100, 40)
    held = resident(gate) - before
    env.note(f"100 calls of 2 MiB, of which at most 64 are held: {held >> 10} MiB")
    # AddressSanitizer keeps 256 MiB of what was freed.
    assert held < (448 if sanitized(env.build) else 192) << 10, held
    env.hostile(boundaries.GATE, 100)


def test_no_message(env):
    """what is no message, more descriptors than one may have, one in the handshake: the end"""
    with open("/dev/null", "rb") as null:
        fd = null.fileno()
        for data, fds, pattern in (
                (b"\xff" * 16, [], "what is no D-Bus message"),
                (b"l\1\0\2" + ASK[4:], [], "what is no D-Bus message"),
                (HANDSHAKE, [], "what is no D-Bus message"),
                (b"GET / HTTP/1.1\r\n\r\n", [], "what is no D-Bus message"),
                (ASK, [fd] * 17, "more descriptors than one may have"),
                (ASK[:20], [fd] * 253, "more descriptors than one may have")):
            refused_at_once(env, data, "sbportal has sent .*" + pattern, fds)
    gate = env.closing(Gate(env, speak=False))
    gate.sidebus.wait_ready()
    with open("/dev/null", "rb") as null:
        socket.send_fds(gate.raw, [HANDSHAKE], [null.fileno()])
    assert gate.sidebus.process.wait() == 1
    gate.sidebus.wait_log("sbportal has sent a descriptor before the first message")
    env.hostile(boundaries.GATE)


def answered(gate):
    """Reads until a Ping of ours is answered; false when the gate is closed instead."""
    ping = Gate.message(PATH, PEER, "Ping", serial=0x7eadbeef)
    marker = struct.pack("=I", 0x7eadbeef)
    data = b""
    try:
        gate.raw.sendall(ping)
        gate.raw.settimeout(0.3 * scale())
        while marker not in data:
            more = gate.raw.recv(65536)
            if not more:
                return False
            data += more
    except (TimeoutError, BrokenPipeError, ConnectionResetError):
        return False
    return True


def mutations():
    """Messages in which a byte or a number is wrong; lengths are tried elsewhere."""
    lengths = set(range(4, 8)) | set(range(12, 16))
    for offset in range(len(ASK)):
        if offset in lengths:
            continue
        for value in (0, 1, 0x7f, 0xff, ASK[offset] ^ 0x20, ASK[offset] ^ 1):
            if value != ASK[offset]:
                yield ASK[:offset] + bytes([value]) + ASK[offset + 1:]


def test_mutations(env):
    """each byte of a call made wrong, one after the other: answered, or the end; no harm"""
    tried = restarts = 0
    gate = None
    for n, message in enumerate(mutations()):
        if gate is None:
            gate = raw_gate(env)
        try:
            gate.raw.sendall(message)
        except (BrokenPipeError, ConnectionResetError):
            pass
        tried += 1
        if n % 16 == 15 and not answered(gate):
            # Either it was ended for it, or what we sent is waited for: it ends as always.
            gate.raw.close()
            assert gate.sidebus.process.wait() == 1, gate.sidebus.log()[-3000:]
            gate = None
            restarts += 1
            env.chooser.settle()
    env.chooser.settle()
    assert tried > 800 and restarts < 60, (tried, restarts)
    env.hostile(boundaries.GATE, tried)


def test_replay(env):
    """the same call with the same serial again and again, and a Close of what is closed"""
    gate = open_gate(env)
    handle = gate.ask()
    env.dialog().answer(0, uris=("as", []))
    gate.response(handle)
    for _ in range(50):
        assert gate.refused(handle, REQUEST, "Close") == ERROR + "UnknownObject"
    handles = {gate.ask() for _ in range(10)}
    assert len(handles) == 10 and handle not in handles
    for h in handles:
        gate.call(h, REQUEST, "Close")
        assert gate.refused(h, REQUEST, "Close") == ERROR + "UnknownObject"
    env.chooser.settle()
    raw = raw_gate(env)
    raw.raw.sendall(ASK * 40)
    dialogs = [env.dialog() for _ in range(32)]  # as many as one VM may have
    assert len({d.handle for d in dialogs}) == 32 and not env.chooser.opened(0.3)
    env.hostile(boundaries.GATE, 39)


def announcing(count, path=PATH.encode()):
    """A call whose header announces so many descriptors."""
    return fixed(1, 5, [(1, b"o", path), (2, b"s", PEER.encode()), (3, b"s", b"Ping"),
                        (9, b"u", count)])


def test_descriptor_counts(env):
    """more and fewer descriptors than the header announces, or no message: the end at once"""
    gate = raw_gate(env)
    assert answered(gate)

    def open_files():
        return len(os.listdir(f"/proc/{gate.sidebus.process.pid}/fd"))

    before = open_files()
    with open("/dev/null", "rb") as null:
        fd = null.fileno()
        for count in (0, 1, 16) * 20:
            socket.send_fds(gate.raw, [announcing(count)], [fd] * count)
        assert answered(gate)
        wait_for("the descriptors to be closed", lambda: open_files() <= before)
        # sd-bus drops these, and forgets the descriptors and their list, as LeakSanitizer sees.
        known = os.path.join(env.directory(), "known")
        with open(known, "w", encoding="ascii") as f:
            f.write("leak:libsystemd.so\n")
        once = {"extra_env": {"LSAN_OPTIONS": "suppressions=" + known}}
        for announced, attached in ((0, 1), (0, 16), (1, 0), (1, 2), (3, 1), (16, 15), (15, 16),
                                    (17, 16), (2 ** 32 - 1, 16)):
            refused_at_once(env, announcing(announced),
                            "sbportal has sent what is no D-Bus message", [fd] * attached, **once)
        for count in (0, 16):
            refused_at_once(env, announcing(count, b"no path"),
                            "sbportal has sent what is no D-Bus message", [fd] * count, **once)
