# SPDX-License-Identifier: MIT
"""An instance starts, or says why it cannot; it ends, and leaves nothing."""

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from rig import boundaries, linux, processes
from rig.guest import FILE_CHOOSER, GLib, GuestClient, pump
from rig.processes import sanitized, wait_for
from rig.router import Client
from rig.session import DESKTOP, HostSession
from rig.sidebus import in_namespace, left_behind


def client_of(env, sidebus):
    return env.closing(GuestClient(env.own_agent(sidebus).address))


def is_gone(sidebus, pids):
    def clean():
        return not left_behind(sidebus, pids)
    try:
        wait_for("nothing to be left", clean, 10)
    except processes.Timeout:
        raise AssertionError("left behind:\n" + left_behind(sidebus, pids)) from None


def strangers(env, before):
    """Processes that are new and not of the host session, whose bus starts some by itself."""
    def of_session(pid):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            return False
        session = env.shared.get("session")
        return session and b"XDG_RUNTIME_DIR=" + os.fsencode(session.file("run")) in words
    return [pid for pid in processes.descendants() if pid not in before and not of_session(pid)]


COMMAND_LINE, CONFIGURATION = 2, 3


def fails(env, pattern, session=None, extra=None, status=None, **arguments):
    """It ends by itself, not with 0, says one line of error that matches, and leaves nothing."""
    session = session or env.session
    before = processes.descendants()
    sidebus = env.own_sidebus(session, ready=False,
                              extra_env={"SIDEBUS_LOG_LEVEL": "err", **(extra or {})}, **arguments)
    code = sidebus.process.wait(40)
    errors = sidebus.log().splitlines()
    assert code > 0 and code == (status or code), (code, errors)
    assert len(errors) == 1 and re.search(pattern, errors[0]), \
        f"not one line with /{pattern}/:\n{sidebus.log()}"
    assert not sidebus.notify.has("READY=1")
    wait_for("no process to be left", lambda: not strangers(env, before))
    is_gone(sidebus, [])
    sidebus.notify.close()
    return sidebus


# --- it starts -------------------------------------------------------------------------------

def test_processes(env):
    """two routers, the translator and the three daemons run; each ours in its own address space"""
    names = [os.path.basename(argv[0]) for argv in env.sidebus.children().values() if argv]
    for name, count in (("sbrouter", 2), ("sbportal", 1), ("xdg-document-portal", 1),
                        ("xdg-permission-store", 1)):
        assert names.count(name) == count, names


def test_sockets_private(env):
    """the listening sockets are 0600, their directory 0700"""
    for path in (env.sidebus.listen, os.path.join(env.sidebus.debug, "vm.sock"),
                 os.path.join(env.sidebus.debug, "private.sock")):
        assert os.stat(path).st_mode & 0o777 == 0o600, path
        assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700, path


def test_mount_invisible(env):
    """the documents are mounted nowhere but in the instance's own namespace"""
    assert os.path.isdir(env.sidebus.documents)
    assert not processes.mounts_below(env.sidebus.directory)


def namespaces(pid):
    return [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("user", "mnt")]


def test_daemons_namespace(env):
    """the store and the document portal: a user and mount namespace of their own, no setuid helper"""
    daemons = [env.sidebus.child(name) for name in ("xdg-permission-store", "xdg-document-portal")]
    ours = namespaces("self")
    assert namespaces(env.sidebus.process.pid) == ours
    store, portal = map(namespaces, daemons)
    assert store == portal and not set(store) & set(ours), (store, portal, ours)
    for pid in daemons:
        # Only the person's own ids are mapped, which needs no newuidmap(1).
        with open(f"/proc/{pid}/uid_map", encoding="ascii") as f:
            (_, outside, count), = (line.split() for line in f)
        assert (int(outside), int(count)) == (os.geteuid(), 1)


# Stands in for a program: says which descriptors it got, then becomes it.
TELLS_FDS = """#!/usr/bin/python3 -ISE
import os, sys
fds = []
for fd in range(1024):
    try:
        fds.append((fd, os.readlink(f"/proc/self/fd/{fd}").split(":")[0]))
    except OSError:
        pass
with open(f"%s/{os.path.basename(sys.argv[0])}.{os.urandom(8).hex()}", "w") as f:
    f.write(repr(fds))
os.execv(%r + os.path.basename(sys.argv[0]), sys.argv)
"""


def test_descriptors(env):
    """a process that it starts gets the standard three and its channel, nothing else that is open"""
    libexec, told = os.path.join(env.tmp, "libexec"), os.path.join(env.tmp, "told")
    os.mkdir(libexec)
    os.mkdir(told)
    extra = {"SIDEBUS_LIBEXECDIR": libexec}
    for name, directory, variable in (
            ("sbrouter", env.build, None), ("sbportal", env.build, None),
            ("xdg-permission-store", "/usr/libexec", "SIDEBUS_PERMISSION_STORE"),
            ("xdg-document-portal", "/usr/libexec", "SIDEBUS_DOCUMENT_PORTAL")):
        path = os.path.join(libexec, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(TELLS_FDS % (told, directory + "/"))
        os.chmod(path, 0o755)
        if variable:
            extra[variable] = path
    # A careless parent's descriptors: not close-on-exec.
    sidebus = env.closing(env.own_sidebus(
        extra_env=extra, before=["sh", "-c", 'exec "$@" 7</etc/passwd 9</etc/group', "sh"]))
    assert client_of(env, sidebus).get(FILE_CHOOSER, "version")
    found = sorted(os.listdir(told))
    assert len(found) == 5, found
    for name in found:
        with open(os.path.join(told, name), encoding="utf-8") as f:
            fds = ast.literal_eval(f.read())
        extra_fds = [fd for fd in fds if fd[0] > 2]
        assert extra_fds == ([(3, "socket")] if name.startswith("sb") else []), (name, fds)


def test_watchdog(env):
    """the watchdog: signs of life while it runs, as often as the manager asks"""
    sidebus = env.closing(env.own_sidebus(extra_env={"WATCHDOG_USEC": "200000"}))
    wait_for("three signs of life", lambda: sidebus.notify.read().count("WATCHDOG=1") >= 3)


def test_command_line_wins(env):
    """what the command line and the configuration both say: the command line's holds"""
    config = "[Documents]\nGuestPath=/from/file\n[Log]\nLevel=err\n"
    for arguments, place in (([], b"/from/file/"), (["--guest-documents", "/from/line"],
                                                    b"/from/line/")):
        sidebus = env.closing(env.own_sidebus(debug=False, config=config, arguments=arguments))
        request = client_of(env, sidebus).open_file()
        env.dialog().pick(env.host_file("name"))
        assert request.path_of_one().startswith(place)


def test_debug_sockets(env):
    """--debug-access: the VM bus and the private bus answer tools on the host, and can be watched; only there"""
    bus, monitoring = "org.freedesktop.DBus", "org.freedesktop.DBus.Monitoring"
    everything = GLib.Variant("(asu)", ([], 0))
    for name, service in (("vm.sock", "org.freedesktop.portal.Desktop"),
                          ("private.sock", "org.freedesktop.portal.Documents")):
        address = "unix:path=" + os.path.join(env.sidebus.debug, name)
        client = env.closing(GuestClient(address))
        assert client.call("/org/freedesktop/DBus", bus, "NameHasOwner",
                           GLib.Variant("(s)", (service,)), destination=bus)[0]
        watcher = env.closing(Client(os.path.join(env.sidebus.debug, name)))
        assert watcher.ask("BecomeMonitor", everything, interface=monitoring) == ()
        client.call("/org/freedesktop/DBus", bus, "GetId", None, destination=bus)
        while watcher.message().get_member() != "GetId":
            pass
    guest = env.closing(Client(env.sidebus.listen))
    assert guest.ask("BecomeMonitor", everything, interface=monitoring) == bus + ".Error.AccessDenied"


def test_ready_status(env):
    """READY comes once a guest can connect, with a status line"""
    text = env.sidebus.notify.read()
    assert text.count("READY=1") == 1 and "STATUS=" in text, text


def test_activated_portal(env):
    """no portal runs but the bus can start one: it is started"""
    session = env.own_session(portal=False, activatable=True)
    client = client_of(env, env.closing(env.own_sidebus(session)))
    assert client.get(FILE_CHOOSER, "version")


def test_two_instances(env):
    """two VMs at once do not meet"""
    first, second = (env.closing(env.own_sidebus(vm=name)) for name in ("one", "two"))
    clients = [client_of(env, s) for s in (first, second)]
    for client, vm in zip(clients, ("one", "two")):
        client.open_file(title="T")
        assert env.dialog().title == f"{vm}: T"


# --- it cannot start -------------------------------------------------------------------------

def test_no_portal(env):
    """no host portal, and none can be started"""
    fails(env, "(?i)portal", env.own_session(portal=False))


def test_portal_silent(env):
    """the bus starts a portal that does not come: what to install is not the advice"""
    session = env.own_session(portal=False)
    with open(session.file("services", DESKTOP + ".service"), "w", encoding="ascii") as f:
        f.write(f"[D-BUS Service]\nName={DESKTOP}\nExec=/bin/sleep 600\n")
    with open(session.file("bus.conf"), encoding="ascii") as f:
        text = f.read()
    with open(session.file("bus.conf"), "w", encoding="ascii") as f:
        f.write(text.replace("</busconfig>", '<limit name="service_start_timeout">500</limit>\n'
                             "</busconfig>"))
    bus = "org.freedesktop.DBus"
    session.bus.call_sync(bus, "/org/freedesktop/DBus", bus, "ReloadConfig", None, None, 0, 5000,
                          None)
    sidebus = fails(env, "xdg-desktop-portal does not answer.*display", session)
    assert "install" not in sidebus.log(), sidebus.log()


def test_no_session_bus(env):
    """no session bus: none named, none there"""
    session = env.session
    for address in ("", "unix:path=/nonexistent/bus"):
        fails(env, "(?i)session bus", session, extra={"DBUS_SESSION_BUS_ADDRESS": address,
                                                      "XDG_RUNTIME_DIR": env.tmp})


def test_no_namespaces(env):
    """user namespaces are not allowed"""
    fails(env, "(?i)namespace", before=in_namespace("no-namespaces"))


def test_no_fuse(env):
    """/dev/fuse is missing"""
    fails(env, "(?i)/dev/fuse|FUSE", before=in_namespace("no-fuse"))


def test_hung_home(env):
    """what is to be covered lies on a file system that never answers: after 15 s that is said"""
    home = env.directory()
    fails(env, "does not answer: unmount it", extra={"HOME": home},
          before=in_namespace(f"hung:{home}"))


def test_no_fusermount(env):
    """fusermount3 is missing"""
    fails(env, "(?i)fusermount3", before=in_namespace("no-fusermount"))


def test_programs_missing(env):
    """a program it starts is missing: the line names it"""
    for variable in ("SIDEBUS_DOCUMENT_PORTAL", "SIDEBUS_PERMISSION_STORE"):
        fails(env, "/nonexistent/daemon", extra={variable: "/nonexistent/daemon"})


def test_program_fails(env):
    """a program it starts ends at once: the line names it"""
    fails(env, "document-portal|/bin/false", extra={"SIDEBUS_DOCUMENT_PORTAL": "/bin/false"})


def test_socket_in_use(env):
    """the socket's path is in use by another program"""
    path = os.path.join(env.tmp, "used")
    server = env.closing(socket.socket(socket.AF_UNIX))
    server.bind(path)
    server.listen()
    fails(env, re.escape(path), listen=path)
    assert os.path.exists(path)


def test_socket_not_ours(env):
    """something else than a socket is at the socket's path: it stays"""
    path = os.path.join(env.tmp, "precious")
    with open(path, "w", encoding="ascii") as f:
        f.write("precious")
    fails(env, re.escape(path), listen=path)
    with open(path, encoding="ascii") as f:
        assert f.read() == "precious"


def test_socket_stale(env):
    """a socket file that nobody listens on any more is replaced"""
    path = os.path.join(env.tmp, "stale")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    assert client_of(env, env.closing(env.own_sidebus(listen=path))).get(FILE_CHOOSER, "version")


def test_socket_too_long(env):
    """the socket's path is longer than a socket address holds"""
    fails(env, r"(?i)long|107|bytes", listen=os.path.join(env.tmp, "x" * 108))


def test_directory_open(env):
    """the socket's directory is open to others"""
    directory = os.path.join(env.tmp, "open")
    os.mkdir(directory)
    os.chmod(directory, 0o755)
    fails(env, re.escape(directory), listen=os.path.join(directory, "s"))


def test_vm_names(env):
    """odd VM names: refused with the rule, whatever is in them"""
    for name in ("", "a/b", "..", ".hidden", "-x", "a b", "é", "x" * 65, "a\n<0>b", "a\x1b[31m"):
        sidebus = fails(env, "VM name|--vm", vm=name)
        env.hostile(boundaries.CONFIGURATION)
        assert "\x1b" not in sidebus.log()


def test_config_key(env):
    """a bad key or value in the configuration: file and line are named"""
    for text, line in (("[VM]\nLable=x\n", 2), ("# x\n\n[Nothing]\nx=y\n", 4),
                       ("[Documents]\nOpen=maybe\n", 2), ("Label=x\n", 1),
                       ("[VM]\nLabel\n", 2), ("[VM]\nListen=unix:relative\n", 2),
                       ("[VM]\nCID=2\n", 2), ("[VM]\nDisposable=1\n", 2),
                       ("[Documents]\nAdvertiseTag=\n", 2), ("[Documents]\nGuestPath=doc\n", 2),
                       ("[Documents]\nGuestUser=user\n", 2),
                       ("[Documents]\nGuestUser=1000:\n", 2),
                       ("[Portals]\n\nWindowHandles=1\n", 3), ("[Log]\nLevel=all\n", 2)):
        fails(env, rf"sidebus\.conf:{line}\b", config=text, status=CONFIGURATION)
        env.hostile(boundaries.CONFIGURATION)


def test_config_missing(env):
    """--config names a file that is not there"""
    fails(env, "/nonexistent.conf", arguments=["--config", "/nonexistent.conf"],
          status=CONFIGURATION)


def test_config_journal(env):
    """stderr is a system unit's: what is wrong with the configuration is said there"""
    path = os.path.join(env.tmp, "stream")
    with open(path, "wb") as f:
        st = os.fstat(f.fileno())
        # In a namespace of its own it is in no unit of the person's, wherever this test runs.
        done = subprocess.run(
            ["unshare", "--user", "--map-current-user", "--cgroup",
             os.path.join(env.build, "sbsupervisor"), "--vm", "web", "--config", "/nonexistent"],
            env={**env.session.env, "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"}, stderr=f,
            timeout=30, check=False)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert done.returncode == CONFIGURATION and "/nonexistent" in text, (done, text)


def test_status(env):
    """the exit status: 2 for the command line, 3 for the configuration, else 1"""
    fails(env, "CID '2'", arguments=["--cid", "2"], status=COMMAND_LINE)
    fails(env, "--cid, or CID=", arguments=["--listen", "vsock:7000"], status=CONFIGURATION)
    fails(env, "VM name", vm="a/b", status=COMMAND_LINE)
    fails(env, "(?i)fusermount3", before=in_namespace("no-fusermount"), status=1)


def test_runtime_directory(env):
    """the runtime directory cannot be made"""
    fails(env, "/nonexistent", arguments=["--runtime-dir", "/nonexistent/run"])


def files_below(top):
    return sorted(os.path.join(where, name) for where, directories, files in os.walk(top)
                  for name in directories + files)


def test_runtime_directory_of_person(env):
    """--runtime-dir names a directory of the person's: it is refused, nothing in it is touched"""
    precious = os.path.join(env.tmp, "precious")
    os.makedirs(os.path.join(precious, "documents/letters"))
    os.makedirs(os.path.join(precious, "private"))
    for name in ("documents/letters/one", "private/diary", "names"):
        with open(os.path.join(precious, name), "w", encoding="ascii") as f:
            f.write("precious")
    os.chmod(precious, 0o700)
    before = files_below(precious)
    place = ["--runtime-dir", precious]
    sidebus = fails(env, re.escape(precious), arguments=place)
    cleanup = [*sidebus.argv, "--cleanup"]
    assert files_below(precious) == before
    for lock in (None, "precious", ""):
        if lock is not None:
            with open(os.path.join(precious, "lock"), "w", encoding="ascii") as f:
                f.write(lock)
        done = subprocess.run(cleanup, env=sidebus.env, capture_output=True, text=True,
                              timeout=30, check=False)
        # With a lock like ours it is taken for ours: "names" goes, no more.
        assert (done.returncode == 0) == (lock == ""), (lock, done)
        kept = [path for path in before if lock != "" or os.path.basename(path) != "names"]
        assert set(kept) <= set(files_below(precious)), files_below(precious)


def test_directories_open(env):
    """a runtime or state directory that is open to others is refused, and its mode is left"""
    for option in ("--runtime-dir", "--state-dir"):
        directory = os.path.join(env.tmp, "open" + option)
        os.mkdir(directory)
        os.chmod(directory, 0o755)
        fails(env, re.escape(directory) + ".*chmod 700", arguments=[option, directory])
        assert os.stat(directory).st_mode & 0o777 == 0o755 and not os.listdir(directory)
        env.hostile(boundaries.CONFIGURATION)


def test_symlink_of_person(env):
    """a symlink of the person's at a socket's path: refused, and it stays"""
    path = os.path.join(env.tmp, "link")
    os.symlink("/nonexistent/target", path)
    fails(env, re.escape(path), listen=path)
    assert os.readlink(path) == "/nonexistent/target"


def test_debug_link_taken(env):
    """a file or link of the person's is where the debug access puts its link: refused, it stays"""
    directory = env.directory()
    path = os.path.join(directory, "doc")
    with open(path, "w", encoding="ascii") as f:
        f.write("precious")
    fails(env, re.escape(path), debug=False, arguments=["--debug-access", directory])
    with open(path, encoding="ascii") as f:
        assert f.read() == "precious"
    os.unlink(path)
    os.symlink("/proc/self", path)
    fails(env, re.escape(path), debug=False, arguments=["--debug-access", directory])
    assert os.readlink(path) == "/proc/self"


def test_state_of_other_vm(env):
    """the state directory of another VM is refused, and so is one in use"""
    first = env.own_sidebus(vm="one")
    place = ["--state-dir", first.file("state")]
    fails(env, "in use", vm="one", arguments=place)
    assert client_of(env, first).get(FILE_CHOOSER, "version")
    assert first.stop() == 0
    fails(env, "belongs to VM one, not to VM 'two'", vm="two", arguments=place)
    env.closing(env.own_sidebus(vm="one", arguments=place))


def test_lock_race(env):
    """a start that opened the lock of an instance that then ended does not disturb the next one"""
    first = env.own_sidebus()
    place = ["--runtime-dir", first.file("rt"), "--state-dir", first.file("state")]
    trace = os.path.join(env.tmp, "trace")
    late = env.own_sidebus(arguments=place, ready=False, before=[
        "strace", "-f", "-o", trace, "-e", "trace=flock",
        "-e", "inject=flock:delay_enter=3000000:when=1"])

    def waits():
        # It has the file open, and is held before it locks it.
        return any(os.path.realpath(f"/proc/{pid}/fd/{fd}") == first.file("rt", "lock")
                   for pid, argv in late.children().items() if "sbsupervisor" in argv[0]
                   for fd in os.listdir(f"/proc/{pid}/fd"))
    wait_for("the late start to open the lock", waits)
    assert first.stop() == 0
    third = env.closing(env.own_sidebus(arguments=place))
    before = files_below(first.file("rt"))
    assert late.process.wait() > 0, late.log()
    late.notify.close()
    assert "served already" in late.log(), late.log()
    assert files_below(first.file("rt")) == before
    assert client_of(env, third).get(FILE_CHOOSER, "version")


def test_usage(env):
    """unknown options, missing ones"""
    program = os.path.join(env.build, "sbsupervisor")
    for arguments in (["--nothing"], [], ["--vm"], ["--vm", "x", "operand"]):
        done = subprocess.run([program, *arguments], env=env.session.env, capture_output=True,
                              text=True, timeout=30, check=False)
        assert done.returncode > 0 and len(done.stderr.splitlines()) == 1, done
    for flag, pattern in (("--version", r"\d"), ("--help", "--listen")):
        done = subprocess.run([program, flag], env={}, capture_output=True, text=True, timeout=30,
                              check=False)
        assert done.returncode == 0 and re.search(pattern, done.stdout), done


def vsock(port, cid):
    return {"arguments": ["--listen", f"vsock:{port}", "--cid", str(cid)]}


def kernel_has_vsock():
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
        return True
    except OSError:
        return False


def test_vsock_port(env):
    """a vsock port in use: the line names it and the ways out; so does one for the kernel's lack"""
    port = 100000 + os.getpid()
    if not kernel_has_vsock():
        fails(env, "modprobe vhost_vsock.*unix:PATH", **vsock(port, 42))
        return
    env.closing(env.own_sidebus(vm="one", **vsock(port, 42)))
    for cid in (42, 43):
        fails(env, rf"port {port} is in use.*ss --vsock -lp.*Listen=.*sidebus\.port", vm="two",
              **vsock(port, cid))
    fails(env, "vsock port 1023: ports below 1024 are for root", **vsock(1023, 43))
    env.closing(env.own_sidebus(vm="two", **vsock(port + 1, 43)))


def test_cid_twice(env):
    """two VMs with one CID: the second is refused and told whose it is, until the first ends"""
    if not kernel_has_vsock():
        fails(env, "modprobe vhost_vsock", **vsock(7000, 42))
        return
    port, cid = 200000 + os.getpid(), 100000 + os.getpid()
    first = env.own_sidebus(vm="one", **vsock(port, cid))
    claims = os.path.join(env.session.env["XDG_RUNTIME_DIR"], "sidebus")
    assert os.listdir(claims) == [f".cid-{cid}"]
    fails(env, f"CID {cid} is that of VM 'one', which is served now", vm="two",
          **vsock(port + 1, cid))
    assert client_of(env, first).get(FILE_CHOOSER, "version")
    first.kill()
    again = env.own_sidebus(vm="two", **vsock(port + 1, cid))
    # Cleaning up after the first takes nothing from the second.
    for expected in ([f".cid-{cid}"], []):
        subprocess.run([*first.argv, "--cleanup"], env=first.env, timeout=30, check=True)
        assert os.listdir(claims) == expected
        if expected:
            again.kill()


def test_second_of_a_vm(env):
    """a second instance of the same VM is refused, the first goes on"""
    first = env.closing(env.own_sidebus())
    again = ["--runtime-dir", first.file("rt"), "--state-dir", first.file("state")]
    before = processes.descendants()
    second = env.own_sidebus(arguments=again, ready=False)
    assert second.process.wait() > 0, second.log()
    second.notify.close()
    wait_for("no process to be left", lambda: not strangers(env, before))
    assert client_of(env, first).get(FILE_CHOOSER, "version")


# --- it ends ---------------------------------------------------------------------------------

def busy(env, session=None, **arguments):
    """An instance with a document, an open dialog and a client: (sidebus, its processes)."""
    sidebus = env.own_sidebus(session, **arguments)
    client = client_of(env, sidebus)
    request = client.open_file()
    env.dialog().pick(env.host_file("document", b"content"))
    with open(request.path_of_one(), "rb") as f:
        assert f.read() == b"content"
    client.open_file(title="left open")
    return sidebus, list(sidebus.children()), env.dialog()


def test_stop(env):
    """SIGTERM, busy: the dialog is closed, it ends with 0 and leaves nothing"""
    sidebus, pids, dialog = busy(env)
    assert sidebus.stop() == 0, sidebus.log()
    env.chooser.wait_closed(dialog)
    is_gone(sidebus, pids)


def test_stop_says_so(env):
    """SIGTERM: STOPPING=1 is said"""
    sidebus = env.own_sidebus()
    assert sidebus.process.stop() == 0
    assert sidebus.notify.has("STOPPING=1")
    sidebus.notify.close()


def test_stop_early(env):
    """SIGTERM at any moment of the start: it ends and leaves nothing"""
    for milliseconds in (0, 2, 5, 10, 20, 40, 80, 160):
        before = processes.descendants()
        sidebus = env.own_sidebus(ready=False)
        time.sleep(milliseconds / 1000)
        code = sidebus.stop()
        # Before it can handle the signal, the signal ends it.
        assert code in (0, -signal.SIGTERM), (milliseconds, code, sidebus.log())
        wait_for("no process to be left", lambda: not strangers(env, before))
        is_gone(sidebus, [])


def test_kill(env):
    """kill -9 of the supervisor: processes and mounts go at once"""
    sidebus, pids, dialog = busy(env)
    sidebus.kill()
    wait_for("the processes to be gone",
             lambda: all((processes.status(p) or "  Z")[1] in "Z" for p in pids), 10)
    assert not processes.mounts_below(sidebus.directory)
    env.chooser.wait_closed(dialog)


def test_kill_hung(env):
    """kill -9 of the supervisor whose programs hang: none reads that its channel has ended; they go, too"""
    sidebus = env.own_sidebus(virtiofsd=env.virtiofsd)
    pids = [pid for pid in sidebus.children() if processes.status(pid)[0] == sidebus.process.pid]
    assert len(pids) == 6, sidebus.children()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    sidebus.kill()
    wait_for("the processes to be gone",
             lambda: all((processes.status(p) or "  Z")[1] in "Z" for p in pids), 10)


def test_kill_start(env):
    """kill -9, then a start of the same VM: path names are taken over, documents are still there"""
    sidebus, _, _ = busy(env)
    known = sidebus.exported()
    sidebus.kill()
    again = env.closing(env.own_sidebus(listen=sidebus.listen, arguments=[
        "--runtime-dir", sidebus.file("rt"), "--state-dir", sidebus.file("state")]))
    assert again.exported() == known
    assert client_of(env, again).get(FILE_CHOOSER, "version")


def test_kill_cleanup(env):
    """kill -9, then --cleanup: nothing is left"""
    sidebus, pids, _ = busy(env)
    sidebus.kill()
    done = subprocess.run([*sidebus.argv, "--cleanup"], env=sidebus.env, capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == 0, done
    is_gone(sidebus, pids)
    # Where there is nothing to clean up it says nothing and is content.
    done = subprocess.run([*sidebus.argv, "--cleanup"], env=sidebus.env, capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == 0 and not done.stderr, done


def test_cleanup_bad_configuration(env):
    """--cleanup where the configuration is wrong: it cleans up, and does not complain again"""
    for bad in ("[VM]\nNothing=x\n", None):
        sidebus, pids, _ = busy(env, config=DISPOSABLE)
        sidebus.kill()
        if bad:
            with open(sidebus.file("sidebus.conf"), "a", encoding="ascii") as f:
                f.write(bad)
        else:
            os.unlink(sidebus.file("sidebus.conf"))
        done = subprocess.run([*sidebus.argv, "--cleanup"],
                              env={**sidebus.env, "SIDEBUS_LOG_LEVEL": "err"},
                              capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0 and not done.stderr, done
        is_gone(sidebus, pids)
        # Whether it is disposable is not known: its documents stay.
        assert os.path.exists(sidebus.file("state/app-id"))


def test_child_dies(env):
    """a process of it dies: the instance ends, the cause is said, and nothing is left"""
    # Ours are each the first process of their namespace: of what is sent they take this one alone.
    for program, sig in (("sbportal", signal.SIGKILL), ("sbrouter", signal.SIGKILL),
                         ("xdg-document-portal", signal.SIGABRT),
                         ("xdg-permission-store", signal.SIGSEGV)):
        sidebus = env.own_sidebus()
        pids = list(sidebus.children())
        os.kill(sidebus.child(program), sig)
        assert sidebus.process.wait() > 0, (program, sidebus.log())
        sidebus.notify.close()
        is_gone(sidebus, pids)
        assert re.search(f"{program}(-private)? was killed by signal {int(sig)} ", sidebus.log()), \
            sidebus.log()


def ending_virtiofsd(env, status):
    """A virtiofsd that ends at once, and where it writes when it was started."""
    stamps = os.path.join(env.tmp, "stamps")
    program = os.path.join(env.tmp, "virtiofsd")
    with open(program, "w", encoding="ascii") as f:
        f.write('#!/bin/sh\n[ "$1" != --version ] || exec echo virtiofsd 1.13.2\n'
                f"date +%s.%N >>{stamps}\nexit {status}\n")
    os.chmod(program, 0o755)
    return program, stamps


def test_virtiofsd_content(env):
    """a virtiofsd that ends at once with status 0, as if it had served: the same after a few"""
    program, stamps = ending_virtiofsd(env, 0)
    sidebus = env.closing(env.own_sidebus(virtiofsd=program))
    line = sidebus.wait_log(r"virtiofsd ended with status 0; it is started again in 1\.6 s", 60)
    pauses = re.findall(r"started again in ([0-9.]+) s", sidebus.log()[:line.end()])
    assert pauses == ["0.2"] * 8 + ["0.4", "0.8", "1.6"], pauses
    with open(stamps, encoding="ascii") as f:
        starts = [float(stamp) for stamp in f]
    assert starts[10] - starts[9] > 0.8 * 0.95, starts


def test_virtiofsd_fails(env):
    """a virtiofsd that ends at once is started again ever less often, with a line for each"""
    program, stamps = ending_virtiofsd(env, 3)
    # It has ended before all others are ready: nobody waits for it.
    libexec = env.directory()
    os.symlink(os.path.join(env.build, "sbrouter"), os.path.join(libexec, "sbrouter"))
    with open(os.path.join(libexec, "sbportal"), "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\n/bin/sleep 1.2\nexec {env.build}/sbportal "$@"\n')
    os.chmod(os.path.join(libexec, "sbportal"), 0o755)
    sidebus = env.closing(env.own_sidebus(virtiofsd=program,
                                          extra_env={"SIDEBUS_LIBEXECDIR": libexec}))

    def starts():
        with open(stamps, encoding="ascii") as f:
            return [float(line) for line in f]
    wait_for("five starts", lambda: len(starts()) >= 5, 30)
    gaps = [after - before for before, after in zip(starts(), starts()[1:])]
    for gap, least in zip(gaps, (0.2, 0.4, 0.8, 1.6)):
        assert gap > least * 0.95, gaps
    lines = [line for line in sidebus.log().splitlines() if "virtiofsd ended" in line
             or "started again" in line]
    assert len(lines) in (4, 5) and "status 3; it is started again in 0.2 s" in lines[0] \
        and lines[3].endswith(" in 1.6 s"), lines


def test_child_dies_traced(env):
    """a process of it dies under a debugger: that is noticed when the debugger has let it go"""
    sidebus = env.own_sidebus()
    pid = sidebus.child("xdg-permission-store")
    linux.ptrace_seize(pid)
    os.kill(pid, signal.SIGKILL)
    wait_for("it to be dead", lambda: processes.status(pid)[1] == "Z")
    time.sleep(0.2)  # the supervisor has looked, and there is nobody to reap
    assert sidebus.process.running()
    os.waitpid(pid, 0x40000000)  # __WALL: the debugger's part
    assert sidebus.process.wait() == 1, sidebus.log()
    assert "xdg-permission-store was killed by signal 9" in sidebus.log(), sidebus.log()
    sidebus.notify.close()


def test_children_die(env):
    """two processes of it die at once: both causes are said, whichever is known first"""
    deaths = {"sbportal": signal.SIGKILL, "xdg-permission-store": signal.SIGSEGV}
    sidebus = env.own_sidebus()
    pids = {program: sidebus.child(program) for program in deaths}
    sidebus.process.signal(signal.SIGSTOP)
    for program, sig in deaths.items():
        os.kill(pids[program], sig)
    wait_for("both to end", lambda: all(
        processes.status(pid)[1] == "Z" for pid in pids.values()))
    sidebus.process.signal(signal.SIGCONT)
    assert sidebus.process.wait() > 0, sidebus.log()
    sidebus.notify.close()
    for program, sig in deaths.items():
        assert f"{program} was killed by signal {int(sig)} " in sidebus.log(), sidebus.log()


def test_runtime_directory_gone(env):
    """the runtime directory is removed under it: it says so, ends, and leaves nothing"""
    sidebus = env.own_sidebus(extra_env={"SIDEBUS_LOG_LEVEL": "err"})
    pids = list(sidebus.children())
    os.rename(sidebus.file("rt"), sidebus.file("gone"))
    shutil.rmtree(sidebus.file("gone"))
    assert sidebus.process.wait() > 0, sidebus.log()
    sidebus.notify.close()
    is_gone(sidebus, pids)
    assert sidebus.file("rt") in sidebus.log().splitlines()[-1], sidebus.log()


def test_documents_stay(env):
    """documents and the app id outlive the instance"""
    first, _, _ = busy(env)
    known = first.exported()
    assert known
    first.stop()
    again = env.closing(env.own_sidebus(arguments=["--state-dir", first.file("state")]))
    assert again.exported() == known


def test_document_stays(env):
    """a document that was granted before a stop has its id, name, content and rights after it"""
    first = env.own_sidebus(config="[Documents]\nOpen=read\n")
    client = client_of(env, first)
    read_only, writable = env.host_file("read only", b"1"), env.host_file("of the guest")
    guests = []
    for ask, host in ((client.open_file, read_only), (client.save_file, writable)):
        request = ask()
        env.dialog().pick(host)
        guests.append(request.path_of_one())
    with open(guests[1], "wb") as f:
        f.write(b"2")
    assert first.stop() == 0
    again = env.closing(env.own_sidebus(arguments=["--state-dir", first.file("state")]))
    guests = [os.path.join(os.fsencode(again.documents), *guest.split(b"/")[-2:])
              for guest in guests]
    for guest, content in zip(guests, (b"1", b"2")):
        with open(guest, "rb") as f:
            assert f.read() == content
    try:
        os.close(os.open(guests[0], os.O_WRONLY))
        raise AssertionError("read only before, writable after")
    except PermissionError:
        pass
    with open(guests[1], "ab") as f:
        f.write(b"3")
    with open(writable, "rb") as f:
        assert f.read() == b"23"
    # Picked again, it is the same document.
    request = client_of(env, again).open_file()
    env.dialog().pick(read_only)
    assert request.path_of_one() == guests[0]


# --- it is disposable --------------------------------------------------------------------------

DISPOSABLE = "[VM]\nDisposable=yes\n"


def disposable(env, first=None):
    """A disposable instance that holds a directory; in the places of first."""
    places = ["--runtime-dir", first.file("rt"),
              "--state-dir", first.file("state")] if first else []
    sidebus = env.own_sidebus(config=DISPOSABLE, arguments=places)
    assert sidebus.exported() == []
    request = client_of(env, sidebus).open_file(directory=GLib.Variant("b", True))
    picked = os.path.dirname(env.host_file("project/inside", b"content"))
    env.dialog().pick(picked)
    with open(os.path.join(request.path_of_one(), b"inside"), "rb") as f:
        assert f.read() == b"content"
    return sidebus


def machine_id(sidebus):
    with open(sidebus.file("state", "machine-id"), encoding="ascii") as f:
        return f.read()


def test_disposable(env):
    """Disposable=yes: after a stop nothing is kept, the next start knows nothing of it"""
    first = disposable(env)
    known, pids = machine_id(first), list(first.children())
    assert first.stop() == 0, first.log()
    is_gone(first, pids)
    assert not os.path.exists(first.file("state"))
    again = env.closing(disposable(env, first))
    assert machine_id(first) != known  # both have that state directory
    # What it could write into stays listed: what it planted there is there still.
    lists = os.path.join(env.session.env["XDG_STATE_HOME"], "sidebus/.writable-roots")
    texts = []
    for name in os.listdir(lists):
        with open(os.path.join(lists, name), encoding="ascii") as f:
            texts.append(f.read())
    assert os.fsdecode(env.tmp) in "".join(texts), texts


def test_disposable_answers(env):
    """Disposable=yes: "Always allow" was said to one life of the VM"""
    for _ in range(2):
        sidebus = env.own_sidebus(config=DISPOSABLE + "[Portals]\nFileChooser=ask\n",
                                  arguments=["--state-dir", os.path.join(env.tmp, "forgets")])
        request = client_of(env, sidebus).open_file()
        question = env.chooser.next_call("Notification.AddNotification", pump=pump)
        env.chooser.signal("Notification", "ActionInvoked", "sssav", question.app_id,
                           question.arguments["id"], "always", [])
        env.dialog().answer(1)
        assert request.wait()[0] == 1
        assert sidebus.stop() == 0, sidebus.log()
        assert not os.path.exists(os.path.join(env.tmp, "forgets"))


def test_disposable_killed(env):
    """Disposable=yes, kill -9: --cleanup forgets it, and so does the next start"""
    first = disposable(env)
    first.kill()
    assert os.path.exists(first.file("state", "app-id"))
    again = disposable(env, first)
    pids = list(again.children())
    again.kill()
    cleanup = [*again.argv, "--cleanup"]
    done = subprocess.run(cleanup, env=again.env, capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode == 0, done
    is_gone(again, pids)
    assert not os.path.exists(first.file("state"))
    # Where there is nothing to clean up it says nothing and is content.
    done = subprocess.run(cleanup, env=again.env, capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode == 0 and not done.stderr, done


def test_disposable_cleanup_running(env):
    """Disposable=yes: --cleanup beside a running instance is refused, and takes nothing from it"""
    sidebus = env.closing(disposable(env))
    documents = sidebus.exported()
    done = subprocess.run([*sidebus.argv, "--runtime-dir", sidebus.file("other"), "--cleanup"],
                          env=sidebus.env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and "in use by another" in done.stderr, done
    assert sidebus.exported() == documents and machine_id(sidebus)


def test_becomes_disposable(env):
    """Disposable=yes for a VM that was not: what it had is forgotten at that start"""
    first, _, _ = busy(env)
    assert first.exported()
    first.stop()
    again = env.closing(disposable(env, first))
    assert len(again.exported()) == 1


def test_disposable_of_person(env):
    """Disposable=yes: a file of the person's in the state directory stays, and so does the sign"""
    first = disposable(env)
    with open(first.file("state", "note"), "w", encoding="ascii") as f:
        f.write("precious")
    assert first.stop() == 0
    assert "note" in os.listdir(first.file("state")) and "app-id" in os.listdir(first.file("state"))
    first.wait_log("state is not removed: there is something else in it")
    env.closing(disposable(env, first))


def test_state_of_person(env):
    """--state-dir names a directory of the person's: refused, nothing in it is touched"""
    precious = os.path.join(env.tmp, "precious")
    os.makedirs(os.path.join(precious, "flatpak/db"))
    with open(os.path.join(precious, "flatpak/db/documents"), "w", encoding="ascii") as f:
        f.write("precious")
    os.chmod(precious, 0o700)
    before = files_below(precious)
    for config in ("", DISPOSABLE):
        sidebus = fails(env, re.escape(precious) + ".*not of sidebus", config=config,
                        arguments=["--state-dir", precious])
        done = subprocess.run([*sidebus.argv, "--cleanup"], env=sidebus.env, capture_output=True,
                              text=True, timeout=30, check=False)
        assert (done.returncode == 0) == (config == ""), done
        with open(os.path.join(precious, "flatpak/db/documents"), encoding="ascii") as f:
            assert f.read() == "precious"
        assert files_below(precious) == before


def test_session_bus_ends(env):
    """the session bus goes away: the instance ends, and leaves nothing"""
    session = HostSession(env.directory())
    sidebus = env.own_sidebus(session)
    pids = list(sidebus.children())
    session.stop()
    assert sidebus.process.wait() >= 0, sidebus.log()
    sidebus.notify.close()
    is_gone(sidebus, pids)
