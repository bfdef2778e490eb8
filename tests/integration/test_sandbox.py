# SPDX-License-Identifier: MIT
"""What the processes of an instance are shut into, seen from outside and from inside."""

import errno
import json
import os
import re
import socket
import stat
import subprocess
import sys

from rig import boundaries, daemon_tries, linux, person, processes
from rig.guest import FILE_CHOOSER, GuestClient
from rig.limits import limit
from rig.processes import sanitized, wait_for
from rig.session import LIBEXEC
from rig.sidebus import in_namespace

OURS = ("sbrouter", "sbportal")
DAEMONS = ("xdg-permission-store", "xdg-document-portal")
KINDS = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
CAP_SYS_ADMIN = 1 << 21


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def capabilities(pid):
    status = status_of(pid)
    return {kind: int(status["Cap" + kind], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")}


def namespaces(pid):
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in KINDS}


def of_program(sidebus, names):
    """{pid: name} of the processes that run a program of these names."""
    found = {pid: os.path.basename(argv[0]) for pid, argv in sidebus.children().items() if argv}
    return {pid: name for pid, name in found.items() if name in names}


def ours(sidebus):
    found = of_program(sidebus, OURS)
    assert sorted(found.values()) == ["sbportal", "sbrouter", "sbrouter"], found
    return found


def client_of(env, sidebus):
    return env.closing(GuestClient(env.own_agent(sidebus).address))


# --- ours, from outside ------------------------------------------------------------------------

def test_no_privileges(env):
    """no new privileges and a filter everywhere; no capability in any set in what reads the guest"""
    everybody = {env.sidebus.process.pid: ["sbsupervisor"], **env.sidebus.children()}
    for pid, argv in everybody.items():
        assert status_of(pid)["NoNewPrivs"] == "1", argv
        assert status_of(pid)["Seccomp"] == "2", argv
    for pid, name in ours(env.sidebus).items():
        assert set(capabilities(pid).values()) == {0}, (name, capabilities(pid))
        # Its own list, on top of sbsupervisor's.
        assert int(status_of(pid)["Seccomp_filters"]) >= 2, name


def test_alone(env):
    """each of them is in namespaces of every kind, of its own, and the first process there"""
    seen = {env.sidebus.process.pid: namespaces(env.sidebus.process.pid)}
    seen.update((pid, namespaces(pid)) for pid in of_program(env.sidebus, DAEMONS))
    for pid, name in ours(env.sidebus).items():
        for other, spaces in seen.items():
            same = set(spaces.values()) & set(namespaces(pid).values())
            assert not same, (name, other, same)
        seen[pid] = namespaces(pid)
        assert status_of(pid)["NSpid"].split()[-1] == "1", name


def test_empty_root(env):
    """their file system is one empty directory, which cannot be written"""
    if sanitized(env.build):
        return  # the leak checker needs /proc, so there the root stays
    for pid, name in ours(env.sidebus).items():
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as f:
            lines = f.read().splitlines()
        assert len(lines) == 1, (name, lines)
        fields = lines[0].split()
        assert fields[4] == "/" and {"ro", "nosuid", "nodev", "noexec"} <= set(fields[5].split(",")), \
            (name, lines)
        assert fields[fields.index("-") + 1] == "tmpfs", (name, lines)
        assert os.listdir(f"/proc/{pid}/root/") == [], name


def test_no_network(env):
    """no network but a loopback that is down, and none of the host's abstract sockets"""
    with socket.socket(socket.AF_UNIX) as s:
        name = f"sidebus-test-{os.getpid()}"
        s.bind("\0" + name)
        s.listen()
        with open("/proc/self/net/unix", encoding="utf-8", errors="replace") as f:
            assert name in f.read()
        for pid, program in {**ours(env.sidebus), **of_program(env.sidebus, DAEMONS)}.items():
            with open(f"/proc/{pid}/net/unix", encoding="utf-8", errors="replace") as f:
                assert name not in f.read(), program
            with open(f"/proc/{pid}/net/dev", encoding="utf-8") as f:
                assert [line.split(":")[0].strip() for line in f][2:] == ["lo"], program


def test_limits(env):
    """no process, no longer file, no core, bounded descriptors and memory"""
    expected = {"Max processes": "0", "Max file size": "0", "Max core file size": "0"}
    if sanitized(env.build):
        del expected["Max processes"]  # the leak checker is one
    for pid, name in ours(env.sidebus).items():
        with open(f"/proc/{pid}/limits", encoding="ascii") as f:
            rows = [re.split(r"\s{2,}", line.strip()) for line in f]
        limits = {row[0]: row[1:3] for row in rows}
        for key, value in expected.items():
            assert limits[key] == [value, value], (name, key, limits[key])
        for key in ("Max open files", "Max address space"):
            assert sanitized(env.build) or "unlimited" not in limits[key], (name, key)
        assert int(limits["Max open files"][1]) <= 4096, (name, limits)


def look_into(pid):
    """Which of a process's secrets can be had in /proc."""
    script = ("import os,sys\n"
              "for name in ('fd', 'map_files'):\n"
              "    try: os.listdir(f'/proc/{sys.argv[1]}/{name}'); print(name)\n"
              "    except PermissionError: pass\n"
              "for name in ('mem', 'environ', 'root/.'):\n"
              "    try: os.close(os.open(f'/proc/{sys.argv[1]}/{name}', os.O_RDONLY)); print(name)\n"
              "    except PermissionError: pass\n")
    return ["/usr/bin/python3", "-ISc", script, str(pid)]


def test_not_dumpable(env):
    """they cannot be looked into: not by the instance's own daemons, not when these have all rights"""
    if sanitized(env.build):
        return  # the leak checker looks into its own process by ptrace, so these builds let it
    daemon = env.sidebus.child("xdg-document-portal")
    for pid, name in ours(env.sidebus).items():
        # nsenter into the user namespace of the daemons gives every capability there.
        done = subprocess.run(["nsenter", "--target", str(daemon), "--user", "--mount",
                               "--preserve-credentials", *look_into(pid)],
                              capture_output=True, text=True, timeout=30, check=True)
        assert done.stdout == "", (name, done.stdout)


# --- the daemons: what they see ------------------------------------------------------------------

def mountinfo(pid):
    """{mount point: (root, options, type)}; of several at one place, the one on top."""
    found = {}
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as f:
        for line in f:
            fields = line.split()
            kind = fields[fields.index("-") + 1]
            found[fields[4].encode().decode("unicode_escape")] = (
                fields[3], set(fields[5].split(",")), kind)
    return found


def in_view(pid, *argv):
    """Runs a command where the daemon is, without its capabilities; its output."""
    return subprocess.run(["nsenter", "--target", str(pid), "--user", "--mount", "--net", "--ipc",
                           "--preserve-credentials", "setpriv", "--bounding-set", "-all", "--",
                           *argv], capture_output=True, text=True, timeout=60, check=False)


CONNECT = """
import socket, sys
for path in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(path.replace("@", chr(0), 1) if path[0] == "@" else path)
            print(path)
        except OSError:
            pass
"""


def reached(pid, paths):
    """Those of some sockets that a program where the daemon is can connect to."""
    done = in_view(pid, "/usr/bin/python3", "-ISc", CONNECT, *paths)
    assert done.returncode == 0, done
    return done.stdout.splitlines()


def listener(env, path):
    s = env.closing(socket.socket(socket.AF_UNIX))
    s.bind("\0" + path[1:] if path[0] == "@" else path)
    s.listen()
    return path


def test_daemons_sockets(env):
    """the portal daemons reach no socket of the session: by path, by abstract name, in /tmp, ..."""
    session = env.own_session()
    runtime = session.env["XDG_RUNTIME_DIR"]
    agents = os.path.join("/tmp", f"sb-agent-{os.getpid()}")
    os.mkdir(agents, 0o700)
    agent = os.path.join(env.tmp, "agent")
    home = env.directory()
    in_home = [os.path.join(home, name) for name in (".gnupg/S.gpg-agent", ".ssh/master",
                                                     ".ssh/agent/s.1")]
    for path in in_home:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    sockets = [listener(env, path) for path in (
            *in_home,
        os.path.join(runtime, "pipewire-0"), os.path.join(agents, "agent.1"),
        f"/tmp/sb-plain-{os.getpid()}", agent, f"@sidebus-test-{os.getpid()}")]
    bus = re.search(r"unix:path=([^,;]+)", session.env["DBUS_SESSION_BUS_ADDRESS"])[1]
    sockets.append(bus)
    try:
        sidebus = env.closing(env.own_sidebus(session, extra_env={"SSH_AUTH_SOCK": agent, "HOME": home}))
        late = listener(env, os.path.join(runtime, "late-0"))
        here = [path for path in (*sockets, late) if connects(path)]
        assert here == [*sockets, late], here
        private = sidebus.file("rt", "private", "bus")
        for daemon in of_program(sidebus, DAEMONS):
            assert reached(daemon, [*sockets, late, private]) == [private]
            # Nor by the eyes of one who sees it.
            assert reached(daemon, [f"/proc/{sidebus.process.pid}/root{bus}"]) == []
            env.hostile(boundaries.DAEMONS, len(sockets) + 2)
    finally:
        for path in (os.path.join(agents, "agent.1"), f"/tmp/sb-plain-{os.getpid()}"):
            os.unlink(path)
        os.rmdir(agents)


def connects(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex("\0" + path[1:] if path[0] == "@" else path) == 0


# Binds a socket to each path, whose directories are made, and becomes what follows "--".
LEAVE_SOCKETS = """
import os, socket, sys
split = sys.argv.index("--")
for path in sys.argv[1:split]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    socket.socket(socket.AF_UNIX).bind(path)
os.execv(sys.argv[split + 1], sys.argv[split + 1:])
"""


def beside(*changes, paths=()):
    """A command prefix: where the changes are made and sockets lie at the paths."""
    return [*in_namespace(*changes), sys.executable, "-ISc", LEAVE_SOCKETS, *paths, "--"]


def shown(sidebus, paths):
    """Those of some paths at which the daemons see a socket; outside there is one at each."""
    for path in paths:
        assert stat.S_ISSOCK(os.stat(f"/proc/{sidebus.process.pid}/root{path}").st_mode), path
    daemon = sidebus.child("xdg-document-portal")
    return [path for path in paths if in_view(daemon, "test", "-S", path).returncode == 0]


def test_daemons_late_sockets(env):
    """where sockets come later, the daemons see none: X11, ICE, the login's own runtime directory"""
    places = ["/tmp/.X11-unix", "/tmp/.ICE-unix", f"/run/user/{os.geteuid()}"]
    made = [place for place in places[:2] if not os.path.exists(place)]
    try:
        sidebus = env.closing(env.own_sidebus(before=beside(
            "disk:/run", *(f"disk:{place}" for place in places))))
        late = [f"{place}/late" for place in places]
        for path in late:
            listener(env, f"/proc/{sidebus.process.pid}/root{path}")
        assert shown(sidebus, late) == []
        env.hostile(boundaries.DAEMONS, len(late))
    finally:
        for place in made:
            os.rmdir(place)


def test_daemons_mounted_sockets(env):
    """a disk in memory that is mounted below /run is searched, too; the instance's own socket stays"""
    paths = ["/run/socket", "/run/disk/socket", "/run/disk/a directory/socket", "/run/a disk/socket"]
    sidebus = env.closing(env.own_sidebus(arguments=["--runtime-dir", "/run/vm"], before=beside(
        "disk:/run", "disk:/run/disk", "disk:/run/a disk", paths=paths)))
    own = "/run/vm/private/bus"
    assert shown(sidebus, [*paths, own]) == [own]
    env.hostile(boundaries.DAEMONS, len(paths))


def test_daemons_closed_directory(env):
    """a directory below /tmp that lets the person pass, but not list it: the daemons see it empty"""
    place = os.path.join("/tmp", f"sb-closed-{os.getpid()}")
    os.mkdir(place, 0o700)
    try:
        path = listener(env, os.path.join(place, "socket"))
        # Of a group that is not mapped in a namespace of ours: no capability there opens it.
        person.give_to_other_group(place)
        os.chmod(place, 0o311)
        sidebus = env.closing(env.own_sidebus())
        assert connects(path) and shown(sidebus, [path]) == []
        env.hostile(boundaries.DAEMONS)
    finally:
        os.chmod(place, 0o700)
        os.unlink(path)
        os.rmdir(place)


CROWD = """
import os, socket, sys
count, directories = map(int, sys.argv[1:3])
os.mkdir("/run/beside")
for path in ("/run/above", "/run/beside/socket"):
    socket.socket(socket.AF_UNIX).bind(path)
for d in range(directories):  # what came last is found first
    os.mkdir(f"/run/crowd{d}")
    for n in range(count // directories + (d < count % directories)):
        os.mkdir(f"/run/crowd{d}/{n}")
os.execv(sys.argv[3], sys.argv[3:])
"""


def test_daemons_crowd(env):
    """more below /run than is looked at: in the log and the status; what is above it, or beside it, is covered"""
    most, each = limit(env, "COVER_ENTRIES"), limit(env, "COVER_DIRECTORY")
    others = 3 + 5  # directories and sockets of CROWD, of the five that are crowded there
    for number, directories, crowded in ((most - others, 5, False), (most - others + 1, 5, True),
                                         (each, 1, False), (each + 1, 1, True), (most + 1, 1, True)):
        sidebus = env.own_sidebus(before=[*in_namespace("disk:/run"), sys.executable, "-ISc", CROWD,
                                          str(number), str(directories)])
        said = "(less protected: sockets of /run or /tmp may be seen)" in sidebus.notify.read()
        logged = "may see sockets there" in sidebus.log()
        assert (said, logged) == (crowded, crowded), (number, sidebus.notify.read())
        covered = ["/run/above"] if directories > 1 else ["/run/above", "/run/beside/socket"]
        seen = in_view(sidebus.child("xdg-document-portal"), "stat", "-c", "%F", *covered).stdout
        assert seen == "character special file\n" * len(covered), seen  # /dev/null
        assert client_of(env, sidebus).get(FILE_CHOOSER, "version")
        assert sidebus.stop() == 0, sidebus.log()


def test_daemons_runtime_dir(env):
    """of the person's runtime directory they see gvfs and the instance's own part, nothing else"""
    session = env.own_session()
    runtime = session.env["XDG_RUNTIME_DIR"]
    place = os.path.join(runtime, "sidebus", "demo")
    secret = os.path.join(runtime, "secret")
    with open(secret, "w", encoding="ascii") as f:
        f.write("secret")
    link = os.path.join(env.tmp, "run")  # by another name it is the same directory
    os.symlink(runtime, link)
    sidebus = env.closing(env.own_sidebus(session, arguments=["--runtime-dir", place],
                                          extra_env={"XDG_RUNTIME_DIR": link}))
    daemon = sidebus.child("xdg-document-portal")
    done = in_view(daemon, "ls", "-A", runtime)
    assert sorted(done.stdout.split()) == ["gvfs", "sidebus"], done
    assert in_view(daemon, "touch", os.path.join(runtime, "new")).returncode != 0
    assert in_view(daemon, "test", "-S", os.path.join(place, "private", "bus")).returncode == 0
    # With all rights there it cannot be uncovered; what is mounted there itself can.
    assert linux.where(daemon, lambda: linux.umount(runtime)) == errno.EINVAL
    assert linux.where(daemon, lambda: linux.umount("/proc")) == errno.EINVAL
    assert linux.where(daemon, lambda: (linux.mount("none", "/tmp", "tmpfs"),
                                        linux.umount("/tmp"))) == 0
    # Nor the groups of processes, which their owner ends by a byte.
    assert os.listdir("/sys/fs/cgroup")
    assert in_view(daemon, "ls", "-A", "/sys/fs/cgroup").stdout == ""
    assert linux.where(daemon, lambda: linux.umount("/sys/fs/cgroup")) == errno.EINVAL
    _, options, kind = mountinfo(daemon)[runtime]
    assert kind == "tmpfs" and {"ro", "nosuid", "nodev", "noexec"} <= options, options
    assert client_of(env, sidebus).get(FILE_CHOOSER, "version")


def test_daemons_files(env):
    """files stay: what is in /tmp, beside a socket too, is picked and read"""
    place = os.path.join("/tmp", f"sb-files-{os.getpid()}")
    os.mkdir(place, 0o700)
    picked = os.path.join(place, "letter")
    try:
        with open(picked, "wb") as f:
            f.write(b"read me")
        beside = listener(env, os.path.join(place, "socket"))
        sidebus = env.closing(env.own_sidebus())
        request = client_of(env, sidebus).open_file()
        env.dialog().pick(os.fsencode(picked))
        with open(request.path_of_one(), "rb") as f:
            assert f.read() == b"read me"
        assert reached(sidebus.child("xdg-document-portal"), [beside]) == []
    finally:
        for name in os.listdir(place):
            os.unlink(os.path.join(place, name))
        os.rmdir(place)


def test_daemons_late_mounts(env):
    """what is mounted after the start, as by gvfs, is picked and read"""
    session = env.own_session()
    runtime = session.env["XDG_RUNTIME_DIR"]
    sidebus = env.closing(env.own_sidebus(session, before=in_namespace("shared")))
    agent = env.own_agent(sidebus)
    # Mounted where the supervisor is, which is a mount namespace of its own in this test.
    pid = sidebus.process.pid
    assert linux.where(pid, lambda: linux.mount("none", os.path.join(runtime, "gvfs"), "tmpfs",
                                                linux.MS_NOSUID)) == 0
    with open(f"/proc/{pid}/root{runtime}/gvfs/file", "wb") as f:
        f.write(b"remote")
    client = env.closing(GuestClient(agent.address))
    request = client.open_file()
    session.chooser.next_dialog().pick(os.fsencode(runtime) + b"/gvfs/file")
    path = request.path_of_one()
    with open(path, "rb") as f:
        assert f.read() == b"remote"


def test_daemons_capabilities(env):
    """the document portal may mount in its own namespace, and nothing of them may more"""
    for pid, name in of_program(env.sidebus, DAEMONS).items():
        allowed = CAP_SYS_ADMIN if name == "xdg-document-portal" else 0
        for kind, value in capabilities(pid).items():
            assert value & ~allowed == 0, (name, kind, hex(value))


def test_virtiofsd(env):
    """virtiofsd sees the share and nothing else, in a namespace of its own, with its own filter"""
    sidebus = env.closing(env.own_sidebus(virtiofsd=env.virtiofsd))
    first = sidebus.child("virtiofsd")
    portal = sidebus.child("xdg-document-portal")

    def filters(pid):
        return int(status_of(pid)["Seccomp_filters"])

    def shut_in():
        """The process that serves: the one with a filter of its own, beside sbsupervisor's."""
        return [pid for pid in (first, *processes.descendants(first))
                if filters(pid) > filters(portal)]
    pid = wait_for("virtiofsd to shut itself in", shut_in)[0]
    for kind in ("user", "mnt", "pid", "net"):
        assert namespaces(pid)[kind] != namespaces(portal)[kind], kind
    for one in (first, pid):
        with open(f"/proc/{one}/environ", "rb") as f:
            names = {entry.partition(b"=")[0] for entry in f.read().split(b"\0") if entry}
        # What a wrapper's shell adds is its own.
        assert names <= {b"PATH", b"LANG", b"PWD", b"SHLVL", b"_"}, names
    root, _, fstype = mountinfo(pid)["/"]
    assert root.endswith("/by-app/org.sidebus.vm.demo") and fstype.startswith("fuse"), (root, fstype)


# --- the daemons: what they can do to others -----------------------------------------------------

def tried(env, variable, real, waived=""):
    """What a program in a daemon's place could do, and what it did to others of the person's."""
    victims = env.closing(daemon_tries.Victims())
    config = f"[Sandbox]\nWaive={waived}\n" if waived else ""
    sidebus = env.closing(env.own_sidebus(config=config, extra_env={
        variable: daemon_tries.make(env, real, victims.pids)}))
    said = sidebus.wait_log(daemon_tries.PREFIX + r"(\{.*\})")[1]
    assert client_of(env, sidebus).get(FILE_CHOOSER, "version")
    env.hostile(boundaries.DAEMONS, 64 + len(victims.pids) + 4)
    return json.loads(said), victims


ALL_DOORS = sorted(daemon_tries.DOORS)
SIGNALS_BOUND = linux.landlock_abi() >= 6


def arrive(victims, doors):
    """By these doors signals came, which were sent before; they may still be on their way."""
    if doors:
        wait_for("the signals", lambda: victims.signalled() == doors)
    assert victims.signalled() == doors, victims.signalled()


def test_daemons_others(env):
    """in a daemon's place: only unix sockets, no signal to others, no server, no new code, no setuid"""
    expected = {"families": [socket.AF_UNIX], "listens": False, "limits": False, "set_id": False,
                "code": linux.memory_may_become_code(),
                # Of that one the kernel says nothing.
                "signals": ["F_SETOWN"] if SIGNALS_BOUND else list(daemon_tries.DOORS)}
    for variable, real in (("SIDEBUS_DOCUMENT_PORTAL", LIBEXEC + "/xdg-document-portal"),
                           ("SIDEBUS_PERMISSION_STORE", LIBEXEC + "/xdg-permission-store"),
                           ("SIDEBUS_VIRTIOFSD", env.virtiofsd)):
        could, victims = tried(env, variable, real)
        assert could == expected, (variable, could)
        arrive(victims, [] if SIGNALS_BOUND else ALL_DOORS)


def test_daemons_layers(env):
    """the sockets are the filter's doing, the signals Landlock's: with one waived they are there"""
    real = ("SIDEBUS_DOCUMENT_PORTAL", LIBEXEC + "/xdg-document-portal")
    could, victims = tried(env, *real, waived="landlock")
    assert could["families"] == [socket.AF_UNIX] and not could["listens"], could
    arrive(victims, ALL_DOORS)
    could, victims = tried(env, *real, waived="seccomp")
    assert {socket.AF_UNIX, socket.AF_VSOCK} <= set(could["families"]), could
    assert could["listens"] and could["limits"] and could["set_id"], could
    arrive(victims, [] if SIGNALS_BOUND else ALL_DOORS)


# --- a kernel that lacks a layer -------------------------------------------------------------------

LACKING = (("no-landlock", "landlock", r"no Landlock.*lsm=.*Waive=landlock.*sidebus\.conf"),
           ("no-pid-namespaces", "namespaces", r"sbrouter.* namespaces.*sysctl.*Waive=namespaces"))


def test_layer_missing(env):
    """a kernel without a layer: one line that names it, how to get it, and how to do without"""
    for change, _, pattern in LACKING:
        sidebus = env.own_sidebus(ready=False, extra_env={"SIDEBUS_LOG_LEVEL": "err"},
                                  before=in_namespace(change))
        assert sidebus.process.wait(40) == 1
        lines = sidebus.log().splitlines()
        assert len(lines) == 1 and re.search(pattern, lines[0]), lines
        sidebus.notify.close()


def test_layer_waived(env):
    """a layer that is waived by name: it is served without, and that is logged and in the status"""
    for change, layer, _ in LACKING:
        sidebus = env.closing(env.own_sidebus(config=f"[Sandbox]\nWaive={layer}\n",
                                              before=in_namespace(change)))
        assert client_of(env, sidebus).get(FILE_CHOOSER, "version")
        assert f"is served without {layer}, as its configuration says" in sidebus.log()
        assert sidebus.notify.has(f"STATUS=Serving VM 'demo' (less protected: without {layer})"), \
            sidebus.notify.read()


def test_each_waived(env):
    """each layer waived for itself: it is gone, and the others are there"""
    for layer in ("namespaces", "seccomp", "landlock"):
        sidebus = env.closing(env.own_sidebus(config=f"[Sandbox]\nWaive={layer}\n"))
        for pid, name in ours(sidebus).items():
            filters = status_of(pid)["Seccomp"]
            assert filters == ("0" if layer == "seccomp" else "2"), (layer, name)
            apart = len(status_of(pid)["NSpid"].split()) > 1
            assert apart == (layer != "namespaces"), (layer, name)
        assert client_of(env, sidebus).get(FILE_CHOOSER, "version")
        assert f"without {layer}" in sidebus.notify.read()


def test_waive_unknown(env):
    """Waive= of a layer that does not exist: refused, and the names are said"""
    for value in ("", "all", "landlock,seccomp", "capabilities"):
        sidebus = env.own_sidebus(ready=False, config=f"[Sandbox]\nWaive={value}\n",
                                  extra_env={"SIDEBUS_LOG_LEVEL": "err"})
        assert sidebus.process.wait() == 3
        assert re.search(r"sidebus\.conf:2: Waive=.*namespaces, landlock", sidebus.log()), sidebus.log()
        sidebus.notify.close()


# --- by hand -----------------------------------------------------------------------------------------

def by_hand(env, program, *arguments):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        return subprocess.run([os.path.join(env.build, program), "--ipc-fd", str(theirs.fileno()),
                               *arguments], pass_fds=[theirs.fileno()], capture_output=True,
                              text=True, timeout=30, check=False)


def test_in_namespaces_by_hand(env):
    """--in-namespaces where nobody has made any: refused before anything is unmounted"""
    before = mountinfo("self")
    for program in OURS:
        done = by_hand(env, program, "--in-namespaces")
        assert done.returncode == 1 and "nobody has made namespaces" in done.stderr, done
    assert mountinfo("self") == before


def test_waive_by_hand(env):
    """--waive of a layer that does not exist: a wrong command line, and the names are said"""
    for program in OURS:
        done = by_hand(env, program, "--waive", "everything")
        assert done.returncode == 2 and "namespaces, landlock and seccomp" in done.stderr, done


def test_hung_file_systems(env):
    """A file system that never answers, where gvfs has its own and below /tmp: nobody waits for it"""
    gvfs = os.path.join(env.session.env["XDG_RUNTIME_DIR"], "gvfs")
    os.makedirs(gvfs, exist_ok=True)
    for place in (gvfs, env.directory()):
        sidebus = env.own_sidebus(before=in_namespace(f"hung:{place}"))
        client = env.closing(GuestClient("unix:path=" + sidebus.file("dbg", "vm.sock")))
        assert client.get(FILE_CHOOSER, "version") > 0
        assert sidebus.stop() == 0, sidebus.log()


def test_strangers(env):
    """A child of the process that became sbsupervisor is not its own: it lives on"""
    sidebus = env.own_sidebus(before=["/bin/sh", "-c", "sleep 1000 & exec \"$@\"", "sh"])
    stranger = sidebus.child("sleep")
    assert sidebus.stop() == 0, sidebus.log()
    assert processes.status(stranger) is not None, sidebus.log()
    os.kill(stranger, 9)
