# SPDX-License-Identifier: MIT
"""The documents as a VM mounts them: virtiofsd."""

import errno
import fcntl
import os
import signal
import socket
import stat
import struct

from rig.guest import FILE_CHOOSER, GLib, GuestClient
from rig.processes import command_line, descendants, status, wait_for

NS_GET_PARENT = 0xb702
VHOST_USER_GET_FEATURES = 1


def with_share(env):
    return env.closing(env.own_sidebus(virtiofsd=env.virtiofsd))


def user_namespaces(pid):
    """The inode numbers of the user namespaces around a process, innermost first."""
    fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    found = []
    while True:
        found.append(os.fstat(fd).st_ino)
        try:
            parent = fcntl.ioctl(fd, NS_GET_PARENT)
        except OSError:
            return found
        finally:
            os.close(fd)
        fd = parent


def listening(directory):
    """The paths of the unix sockets below directory, as the kernel lists them."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as f:
        words = [line.split() for line in f]
    return sorted({w[7] for w in words if len(w) > 7 and w[7].startswith(directory + "/")})


def share_socket(sidebus):
    """The vhost-user socket: the one of the runtime directory that is no D-Bus."""
    path, = (p for p in listening(sidebus.file("rt")) if "virtiofs" in os.path.basename(p))
    return path


def test_namespace(env):
    """virtiofsd runs in the documents' user and mount namespace, not in ours"""
    sidebus = with_share(env)
    portal = user_namespaces(sidebus.child("xdg-document-portal"))
    # Its own sandbox puts it one level deeper.
    share = wait_for("virtiofsd's namespace", lambda: user_namespaces(sidebus.child("virtiofsd")))
    assert portal[0] in share[:2], (portal, share)
    assert portal[0] not in user_namespaces("self"), portal


def test_shares(env):
    """it shares this VM's documents only, uncached, without attributes"""
    sidebus = with_share(env)
    arguments = command_line(sidebus.child("virtiofsd"))
    words = dict(word.partition("=")[::2] for word in arguments)
    assert words["--shared-dir"].endswith("/doc/by-app/org.sidebus.vm.demo"), arguments
    assert words["--cache"] == "never" and words["--seccomp"] == "kill", arguments
    assert "--xattr" not in words, arguments


def test_ids(env):
    """--guest-user: the documents are that user's in the guest, the person's on the host"""
    sidebus = env.closing(env.own_sidebus(virtiofsd=env.virtiofsd,
                                          arguments=["--guest-user", "1234:99"]))
    arguments = command_line(sidebus.child("virtiofsd"))
    for word in (f"--translate-uid=squash-guest:0:{os.getuid()}:4294967295",
                 f"--translate-gid=squash-guest:0:{os.getgid()}:4294967295",
                 "--translate-uid=squash-host:0:1234:4294967295",
                 "--translate-gid=squash-host:0:99:4294967295"):
        assert word in arguments, arguments


def test_socket(env):
    """the vhost-user socket is the person's alone, and virtiofsd answers on it"""
    sidebus = with_share(env)
    sidebus.child("virtiofsd")
    path = share_socket(sidebus)
    mode = os.stat(path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600, oct(mode)
    assert os.stat(os.path.dirname(path)).st_mode & 0o077 == 0
    features(path)


def features(path):
    """What a VMM asks first."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path)
        s.sendall(struct.pack("=III", VHOST_USER_GET_FEATURES, 1, 0))
        request, flags, size = struct.unpack("=III", s.recv(12))
        assert (request, flags & 7, size) == (VHOST_USER_GET_FEATURES, 5, 8)


def test_next_boot(env):
    """a VMM that left is followed by the next: virtiofsd serves it, too"""
    sidebus = with_share(env)
    first = sidebus.child("virtiofsd")
    features(share_socket(sidebus))
    wait_for("virtiofsd to end with its VMM", lambda: not os.path.exists(f"/proc/{first}"))
    assert sidebus.child("virtiofsd") != first
    features(share_socket(sidebus))


def test_boots(env):
    """VMMs that come and go: each is served at the same socket, and none has to wait longer"""
    sidebus = with_share(env)
    path = share_socket(sidebus)
    inode = os.stat(path).st_ino
    for count in range(1, 6):
        pid = sidebus.child("virtiofsd")
        features(path)
        wait_for("virtiofsd to end with its VMM", lambda: not os.path.exists(f"/proc/{pid}"))
        lines = wait_for("the line about it", lambda: [
            line for line in sidebus.log().splitlines() if "virtiofsd ended" in line][count - 1:])
        assert lines[0].endswith("status 0; it is started again in 0.2 s"), lines
        assert os.stat(path).st_ino == inode


def test_idle_killed(env):
    """virtiofsd is killed while no VM runs, twice in a row: the next VMM finds a new one"""
    sidebus = with_share(env)
    path = share_socket(sidebus)
    inode = os.stat(path).st_ino
    for _ in range(2):
        pid = sidebus.child("virtiofsd")
        os.kill(pid, signal.SIGKILL)
        wait_for("virtiofsd to end", lambda: not os.path.exists(f"/proc/{pid}"))
        features(path)
        assert os.stat(path).st_ino == inode


def test_early_vmm(env):
    """a VMM that comes while there is no virtiofsd waits for it, and does not fail"""
    sidebus = with_share(env)
    path = share_socket(sidebus)
    pid = sidebus.child("virtiofsd")
    # The supervisor cannot start the next one before we let it.
    sidebus.process.signal(signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    wait_for("virtiofsd to end", lambda: (status(pid) or "  Z")[1] == "Z")
    with socket.socket(socket.AF_UNIX) as vmm:
        vmm.settimeout(20)
        vmm.connect(path)
        vmm.sendall(struct.pack("=III", VHOST_USER_GET_FEATURES, 1, 0))
        sidebus.process.signal(signal.SIGCONT)
        assert struct.unpack("=III", vmm.recv(12))[0] == VHOST_USER_GET_FEATURES


def test_served_killed(env):
    """virtiofsd is killed under a VMM: that one's share ends, the next VMM is served"""
    sidebus = with_share(env)
    path = share_socket(sidebus)
    with socket.socket(socket.AF_UNIX) as vmm:
        vmm.settimeout(20)
        vmm.connect(path)
        vmm.sendall(struct.pack("=III", VHOST_USER_GET_FEATURES, 1, 0))
        assert len(vmm.recv(20, socket.MSG_WAITALL)) == 20
        os.kill(sidebus.child("virtiofsd"), signal.SIGKILL)
        assert vmm.recv(1) == b""
    features(path)


def test_tag(env):
    """AdvertiseTag=yes: virtiofsd tells the VMM the share's tag; else it does not"""
    for config, arguments in (("", []), ("[Documents]\nAdvertiseTag=yes\n", ["--tag=sidebus"])):
        sidebus = env.closing(env.own_sidebus(virtiofsd=env.virtiofsd, config=config))
        words = command_line(sidebus.child("virtiofsd"))
        assert [word for word in words if word.startswith("--tag")] == arguments, words
        features(share_socket(sidebus))


# --- what the person takes back: docs/ARCHITECTURE.md, "Taking a grant back" ---------------------

DOCUMENTS = "org.freedesktop.portal.Documents"


def held(env):
    """A document that the guest may write and holds open: (its path, the open file, id, host)."""
    host = env.host_file("taken back", b"one\n")
    request = env.client().open_file()
    env.dialog().pick(host)
    path = request.path_of_one()
    return path, env.closing(open(path, "r+b", buffering=0)), path.split(b"/")[-2].decode(), host


def on_private_bus(env, member, *arguments):
    bus = env.closing(GuestClient("unix:path=" + os.path.join(env.sidebus.debug, "private.sock")))
    bus.call("/org/freedesktop/portal/documents", DOCUMENTS, member,
             GLib.Variant("(" + "".join("as" if isinstance(a, list) else "s" for a in arguments)
                          + ")", arguments), destination=DOCUMENTS)


def still_works(file, host):
    """What was open before stays so, in both directions."""
    assert file.read() == b"one\n"
    file.write(b"two\n")
    with open(host, "rb") as f:
        assert f.read() == b"one\ntwo\n"


def refused(error, path, mode):
    try:
        open(path, mode).close()
    except OSError as e:
        assert e.errno == error, e
        return
    raise AssertionError(f"{path} can be opened")


def test_revoked_write(env):
    """the right to write is taken back: new opens read only, who has it open writes on"""
    path, file, document, host = held(env)
    on_private_bus(env, "RevokePermissions", document, "org.sidebus.vm.demo", ["write"])
    refused(errno.EACCES, path, "r+b")
    refused(errno.EACCES, path + b".tmp", "wb")
    with open(path, "rb") as f:
        assert f.read() == b"one\n"
    still_works(file, host)


def test_revoked(env):
    """all rights are taken back: the path is gone at once, who has it open reads and writes on"""
    path, file, document, host = held(env)
    on_private_bus(env, "RevokePermissions", document, "org.sidebus.vm.demo",
                   ["read", "write", "grant-permissions", "delete"])
    refused(errno.ENOENT, path, "rb")
    assert document not in env.sidebus.exported()
    still_works(file, host)


def test_deleted(env):
    """the document is deleted: the same; picked again, the file is a document anew"""
    path, file, document, host = held(env)
    on_private_bus(env, "Delete", document)
    refused(errno.ENOENT, path, "rb")
    assert document not in env.sidebus.exported()
    still_works(file, host)
    request = env.client().open_file()
    env.dialog().pick(host)
    with open(request.path_of_one(), "rb") as f:
        assert f.read() == b"one\ntwo\n"


def test_taken_back_by_stop(env):
    """a stop ends what is held open, too"""
    sidebus = env.own_sidebus()
    client = env.closing(GuestClient(env.own_agent(sidebus).address))
    request = client.open_file()
    env.dialog().pick(env.host_file("held", b"one\n"))
    fd = os.open(request.path_of_one(), os.O_RDONLY)
    assert sidebus.stop() == 0
    for end in (lambda: os.read(fd, 1), lambda: os.close(fd)):
        try:
            end()
        except OSError as e:
            assert e.errno == errno.ENOTCONN, e
        else:
            raise AssertionError("still readable")


def test_gone(env):
    """it ends with the instance"""
    sidebus = env.own_sidebus(virtiofsd=env.virtiofsd)
    pid = sidebus.child("virtiofsd")
    below = [pid, *descendants(pid)]
    assert sidebus.stop() == 0, sidebus.log()
    assert not any(os.path.exists(f"/proc/{p}") for p in below)


def test_without(env):
    """without a Rust virtiofsd one line says so, and all but the share runs"""
    sidebus = env.closing(env.own_sidebus(virtiofsd="/nonexistent/virtiofsd"))
    lines = [line for line in sidebus.log().splitlines() if "virtiofsd" in line]
    assert len(lines) == 1 and "/nonexistent/virtiofsd" in lines[0], lines
    assert env.closing(GuestClient(env.own_agent(sidebus).address)).get(FILE_CHOOSER, "version")
