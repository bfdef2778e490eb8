# SPDX-License-Identifier: MIT
"""What a guest does inside its documents, and the person then picks: nothing outside is touched."""

import ctypes
import errno
import os
import socket
import stat
import subprocess
import sys
import time

from rig import boundaries
from rig.files import read, write
from rig.guest import GLib, GuestClient
from rig.session import path_uri
from rig.sidebus import in_namespace
from rig.world import PORTAL, World

DIRECTORY = {"directory": GLib.Variant("b", True)}
NOT_ALLOWED = (errno.EPERM, errno.EACCES, errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL,
               errno.EROFS)


class Share:
    """A directory that the guest may write, a secret beside it, and what is granted now."""

    def __init__(self, env, sidebus=None, client=None):
        self.env = env
        self.sidebus = sidebus or env.sidebus
        self.client = client or env.client()
        self.secret = env.host_file("secret/id_rsa", b"secret", mode=0o600)
        self.host = os.path.dirname(env.host_file("shared/harmless", b"harmless"))
        self.guest = self.pick(self.host, **DIRECTORY)[0]
        self.granted = self.sidebus.exported()

    def pick(self, path, save=False, **options):
        """What the guest gets."""
        request = self.client.save_file() if save else self.client.open_file(**options)
        self.env.dialog().pick(path)
        response, results = request.wait()
        return request.paths() if response == 0 and results.get("uris") else []

    def unharmed(self):
        assert read(self.secret) == b"secret"
        assert os.listdir(os.path.dirname(self.secret)) == [b"id_rsa"]
        assert stat.S_IMODE(os.stat(self.secret).st_mode) == 0o600
        assert sorted(os.listdir(os.path.dirname(self.host))) == [b"secret", b"shared"]


# --- links ----------------------------------------------------------------------------------------

def plant(share):
    """Symlinks to wherever a guest might want; their names."""
    secret = share.secret
    targets = [secret, os.path.dirname(secret), b"../secret/id_rsa", b"../secret", b"..", b"/",
               b"../beside/../secret/id_rsa", b"/proc/self/root" + secret, b"/proc/self/cwd",
               b"/proc/self/fd/0", b"/proc/self/environ", b"/dev/null", b"/etc/passwd", b"harmless",
               b"self", b"nowhere", b"./" * 1000 + b"harmless", b"a" * 255, b"/" * 4000,
               os.fsencode(share.sidebus.documents), os.fsencode(share.sidebus.file("rt")),
               os.fsencode(share.env.session.file("bus"))]
    names = []
    for n, target in enumerate(targets):
        names.append(b"self" if target == b"self" else b"link%d" % n)
        os.symlink(target, os.path.join(share.guest, names[-1]))
    os.symlink(b"link0", os.path.join(share.guest, b"chain"))
    os.mkdir(os.path.join(share.guest, b"inner"))
    os.symlink(os.path.dirname(secret), os.path.join(share.guest, b"inner/out"))
    return [*names, b"chain", b"link1/id_rsa", b"inner/out/id_rsa", b"inner/out", b"inner/../chain",
            b"link4/secret/id_rsa", b"link5" + secret]


def test_symlinks(env):
    """symlinks planted in a document: none is followed, to open, to save, to a folder"""
    share = Share(env)
    names = plant(share)
    for name in names:
        path = os.path.join(share.host, name)
        assert share.pick(path) == [], name
        assert share.pick(path, **DIRECTORY) == [], name
        for target in (path, os.path.join(path, b"new")):
            for saved in share.pick(target, save=True):
                try:
                    write(saved, b"overwritten")
                except OSError:
                    pass
    share.unharmed()
    assert read(os.path.join(share.host, b"harmless")) == b"harmless"
    assert share.sidebus.exported() == share.granted
    env.hostile(boundaries.DOCUMENTS, 4 * len(names))


def attempt(what, *arguments):
    """None, or the errno of what the guest tries; anything but a refusal is looked at."""
    try:
        what(*arguments)
        return None
    except OSError as e:
        assert e.errno in NOT_ALLOWED + (errno.ENOENT, errno.EEXIST, errno.ENOTDIR), e
        return e.errno


def test_hard_links(env):
    """hard links: none from outside into a document, none out of it; one inside is the same file"""
    share = Share(env)
    other = share.pick(env.host_file("shared/other", b"other"))[0]
    inside = os.path.join(share.guest, b"harmless")
    for source, target in ((share.secret, os.path.join(share.guest, b"in")),
                           (inside, share.secret + b".out"),
                           (inside, os.path.join(os.path.dirname(other), b"across")),
                           (other, os.path.join(share.guest, b"across"))):
        assert attempt(os.link, source, target) is not None, (source, target)
    os.unlink(os.path.join(share.host, b"other"))
    if attempt(os.link, inside, os.path.join(share.guest, b"twin")) is None:
        twin, = share.pick(os.path.join(share.host, b"twin"))
        assert read(twin) == b"harmless"
    share.unharmed()
    env.hostile(boundaries.DOCUMENTS, 5)


# --- special files --------------------------------------------------------------------------------

def make_socket(path):
    with socket.socket(socket.AF_UNIX) as s:
        os.chdir(os.path.dirname(path))
        s.bind(os.path.basename(path))


def test_special_files(env):
    """FIFOs, sockets and device nodes: made in a document or not, they are never given out"""
    share = Share(env)
    makers = {b"fifo": os.mkfifo, b"socket": make_socket,
              b"null": lambda p: os.mknod(p, 0o666 | stat.S_IFCHR, os.makedev(1, 3)),
              b"mem": lambda p: os.mknod(p, 0o666 | stat.S_IFCHR, os.makedev(1, 1)),
              b"disk": lambda p: os.mknod(p, 0o666 | stat.S_IFBLK, os.makedev(8, 0)),
              b"whiteout": lambda p: os.mknod(p, 0o666 | stat.S_IFCHR, os.makedev(0, 0))}
    made = {name for name, make in makers.items()
            if attempt(make, os.path.join(share.guest, name)) is None}
    os.chdir("/")
    assert not made & {b"null", b"mem", b"disk"}, made
    # Whatever the document portal lets pass, or the guest had made otherwise:
    for name in (b"fifo", b"socket"):
        if name not in made:
            makers[name](os.path.join(share.host, name))
    os.chdir("/")
    for name in (b"fifo", b"socket"):
        path = os.path.join(share.host, name)
        assert share.pick(path) == [] and share.pick(path, save=True) == [], name
        assert share.pick(path, **DIRECTORY) == [], name
    # What looks like a regular file, and is the kernel's word or a process's memory.
    kernels = ["/proc/self/environ", "/proc/self/mem", "/proc/version", "/proc/thread-self/maps",
               "/proc/self/ns/user", "/sys/kernel/uevent_seqnum", "/proc/self/root/proc/1/stat"]
    for path in kernels:
        assert share.pick(path) == [] and share.pick(path, save=True) == [], path
        assert share.pick(os.path.dirname(path), **DIRECTORY) == [], path
    assert share.sidebus.exported() == share.granted
    env.hostile(boundaries.DOCUMENTS, len(makers) + 6 + 3 * len(kernels))


# --- out of a document ----------------------------------------------------------------------------

def exchange(a, b):
    """renameat2(RENAME_EXCHANGE)"""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), 2) < 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def test_renames(env):
    """renames from a document into another, to the list of documents, out, and the other way"""
    share = Share(env)
    top = os.fsencode(share.sidebus.documents)
    beside = share.pick(env.host_file("shared/beside", b"beside"))[0]
    holder = os.path.dirname(share.guest)  # the document's directory, with one name in it
    mine = os.path.join(share.guest, b"harmless")
    for change in (os.rename, exchange):
        for source, target in (
                (mine, os.path.join(top, b"out")), (mine, os.path.join(holder, b"out")),
                (mine, os.path.join(os.path.dirname(beside), b"out")), (mine, beside),
                (beside, os.path.join(share.guest, b"in")), (mine, share.secret),
                (share.secret, os.path.join(share.guest, b"in")), (share.guest, mine + b"-dir"),
                (holder, os.path.join(top, b"deadbeef")), (share.guest, os.path.dirname(beside)),
                (top, os.path.join(share.guest, b"top"))):
            attempt(change, source, target)
            assert os.listdir(share.host) and read(share.secret) == b"secret"
    made = sorted(os.listdir(os.path.dirname(share.host)))
    assert made == [b"secret", b"shared"], made
    assert set(os.listdir(share.host)) <= {b"harmless", b"beside", b"in"}, os.listdir(share.host)
    for path in (os.path.join(top, b"new"), os.path.join(holder, b"new")):
        assert attempt(os.mkdir, path) is not None, path
        assert attempt(os.symlink, "/etc", path) is not None, path
    assert attempt(write, os.path.join(top, b"new"), b"x") is not None
    share.unharmed()
    assert share.sidebus.exported() == sorted(os.fsdecode(n) for n in os.listdir(top))
    env.hostile(boundaries.DOCUMENTS, 27)


def test_own_documents_only(env):
    """a VM sees the documents that were granted to it, and no other VM's"""
    share = Share(env)
    other = env.closing(env.own_sidebus(vm="other"))
    client = env.closing(GuestClient(env.own_agent(other).address))
    theirs = Share(env, other, client)
    top, their_top = os.fsencode(share.sidebus.documents), os.fsencode(other.documents)
    identifier = os.path.relpath(theirs.guest, their_top).split(b"/")[0]
    tried = [identifier, b"by-app", b"../" + identifier, b"org.sidebus.vm.other", b"%2e%2e",
             identifier + b"/shared", b"0", b"f" * 8, b"F" * 8, b"f" * 255]
    for name in tried:
        if not name.startswith(b".."):
            assert not os.path.lexists(os.path.join(top, name)), name
    assert set(share.granted) == {os.fsdecode(n) for n in os.listdir(top)}
    env.hostile(boundaries.DOCUMENTS, len(tried))


# --- names ----------------------------------------------------------------------------------------

def test_names(env):
    """names that a guest may choose: of any bytes, of 255 and more, deep: each is that file"""
    share = Share(env)
    names = [bytes([n]) * 3 for n in range(1, 256) if n != ord("/")]
    names += [b"x" * 255, b"\xc3\xa4" * 127, b"%2e%2e", b"..%2f", b"-rf", b" ", b"...", b".xdp-x-y",
              b"a\nb", b"\x1b[1m", "\u202egnp".encode(), b"doc:1", b"file:", b"%00", b"~", b"$HOME"]
    for name in names:
        write(os.path.join(share.guest, name), name)
    for name in names:
        got = share.pick(os.path.join(share.host, name))
        assert got and read(got[0]) == name, (name, got)
        assert os.path.basename(got[0]) == name
    for name in (b"x" * 256, b"x" * 4096, b"\xc3\xa4" * 128):
        try:
            write(os.path.join(share.guest, name), b"x")
            raise AssertionError(name)
        except OSError as e:
            assert e.errno in (errno.ENAMETOOLONG, errno.EINVAL), e
        assert share.pick(os.path.join(share.host, name)) == []
    deep, depth = share.host, 0
    os.chdir(share.guest)
    for depth in range(40):  # 40 times 200 is more than PATH_MAX
        os.mkdir(b"d" * 200)
        os.chdir(b"d" * 200)
        deep = os.path.join(deep, b"d" * 200)
        if depth in (5, 15, 19, 20, 39):
            share.pick(deep, **DIRECTORY)  # as deep as a path can say it is given, then refused
    os.chdir("/")
    assert share.pick(deep, **DIRECTORY) == []
    log = share.sidebus.log()
    assert not set(log) & {"\x1b", "\u202e", "\x07", "\x7f"}
    share.unharmed()
    env.hostile(boundaries.DOCUMENTS, len(names) + 10)


# --- while it is picked ---------------------------------------------------------------------------

SWAP = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
a, b = (os.fsencode(p) for p in sys.argv[1:])
print("swapping", flush=True)
while os.getppid() != 1:
    libc.renameat2(-100, a, -100, b, 2)
"""


def test_swapped_while_picked(env):
    """a directory that becomes a symlink and back all the time: nothing behind it is given"""
    share = Share(env)
    os.mkdir(os.path.join(share.host, b"sub"))
    write(os.path.join(share.host, b"sub/id_rsa"), b"harmless")
    os.symlink(os.path.dirname(share.secret), os.path.join(share.host, b"away"))
    given = refused = lost = 0
    with subprocess.Popen([sys.executable, "-B", "-c", SWAP, os.path.join(share.host, b"sub"),
                           os.path.join(share.host, b"away")], stdout=subprocess.PIPE) as swapper:
        try:
            assert swapper.stdout.readline() == b"swapping\n"
            until = time.monotonic() + 6
            while time.monotonic() < until:
                save = (given + refused) % 2 == 1
                got = share.pick(os.path.join(share.host, b"sub/id_rsa"), save=save)
                given, refused = given + bool(got), refused + (not got)
                for path in got:
                    try:
                        assert read(path) == b"harmless", path
                        write(path, b"harmless")
                    except OSError:
                        lost += 1  # it is elsewhere at the moment
                assert read(share.secret) == b"secret"
        finally:
            swapper.kill()
    env.note(f"picked while it was swapped: {given} times given, {refused} times refused, "
             f"{lost} times not there when the guest opened it")
    assert given and refused, "there was no race"
    share.unharmed()
    env.hostile(boundaries.DOCUMENTS, given + refused)


def test_nested(env):
    """a document inside a document, whose directory the guest then replaces by a symlink"""
    share = Share(env)
    os.makedirs(os.path.join(share.host, b"outer/inner"))
    write(os.path.join(share.host, b"outer/inner/id_rsa"), b"harmless")
    file, = share.pick(os.path.join(share.host, b"outer/inner/id_rsa"))
    inner, = share.pick(os.path.join(share.host, b"outer/inner"), **DIRECTORY)
    assert read(file) == b"harmless" and os.listdir(inner) == [b"id_rsa"]
    swaps = 0
    for name, target in ((b"outer/inner", os.path.dirname(share.secret)),
                         (b"outer", os.path.dirname(share.host))):
        path = os.path.join(share.guest, name)
        os.rename(path, path + b".away")
        os.symlink(target, path)
        for document in (file, os.path.join(inner, b"id_rsa")):
            for act in (read, lambda p: write(p, b"overwritten")):
                try:
                    assert act(document) != b"secret"
                except OSError:
                    pass
                swaps += 1
        # Picked again where it was, and named as the folder of a dialog.
        assert share.pick(os.path.join(share.host, b"outer/inner/id_rsa")) == []
        assert share.pick(os.path.join(share.host, b"outer/inner"), **DIRECTORY) == []
        swaps += 2
        os.unlink(path)
        os.rename(path + b".away", path)
        share.unharmed()
    env.hostile(boundaries.DOCUMENTS, swaps)


# --- no room --------------------------------------------------------------------------------------

def test_trash(env):
    """a file in a directory that the VM may write is not trashed: a symlink could lead elsewhere"""
    w = World(env)
    early, host = w.document(name="shared/sub/file")  # not yet such a directory
    shared, _ = w.document(name="shared/other", directory=True)
    late = os.path.join(shared, b"sub/file")
    for path in (early, late):
        with open(path, "r+b") as f:
            assert w.refused("Trash.TrashFile", "(h)", 0, fds=[f.fileno()]) == \
                PORTAL + "Error.NotAllowed", path
        env.hostile(boundaries.DOCUMENTS)
    assert os.path.exists(host)
    os.unlink(late)
    assert not os.path.exists(host)


def test_full_disk(env):
    """a full disk under a document: the guest is told, the file is whole, the rest goes on"""
    directory = env.directory()
    sidebus = env.closing(env.own_sidebus(before=in_namespace("small-disk:" + directory)))
    client = env.closing(GuestClient(env.own_agent(sidebus).address))
    inside = os.fsencode(f"/proc/{sidebus.process.pid}/root{directory}")
    write(os.path.join(inside, b"file"), b"as it was")

    def pick(name, save=False, **options):
        request = client.save_file() if save else client.open_file(**options)
        env.dialog().answer(0, uris=("as", [path_uri(os.path.join(directory, name))]))
        response, _ = request.wait()
        return request.path_of_one() if response == 0 else None

    tree, new = pick("", **DIRECTORY), pick("new", save=True)
    assert tree and new and pick("file")
    filled = 0
    with open(os.path.join(tree, b"fill"), "wb", buffering=0) as f:
        try:
            while filled < 64 << 20:
                filled += f.write(b"x" * 65536)
        except OSError as e:
            assert e.errno in (errno.ENOSPC, errno.EDQUOT), e
    assert 0 < filled <= 1 << 20, filled
    for path in (os.path.join(tree, b"more"), new):
        try:
            with open(path, "wb", buffering=0) as f:
                assert f.write(b"y" * 65536) < 65536
        except OSError as e:
            assert e.errno in (errno.ENOSPC, errno.EDQUOT), e
    made = 0
    try:
        while made < 100000:
            write(os.path.join(tree, b"n%d" % made), b"")
            made += 1
    except OSError as e:
        assert e.errno in (errno.ENOSPC, errno.EDQUOT), e
    assert made < 100000
    assert read(os.path.join(inside, b"file")) == b"as it was"
    os.unlink(os.path.join(tree, b"fill"))
    assert read(pick("file")) == b"as it was"
    env.hostile(boundaries.DOCUMENTS, 4 + made)


def test_full_state(env):
    """no room for the list of writable directories: none is given, a file still is"""
    directory = env.directory()
    sidebus = env.closing(env.own_sidebus(
        before=in_namespace("small-disk:" + directory),
        extra_env={"XDG_STATE_HOME": os.path.join(directory, "state")}))
    client = env.closing(GuestClient(env.own_agent(sidebus).address))
    inside = os.fsencode(f"/proc/{sidebus.process.pid}/root{directory}")
    with open(os.path.join(inside, b"fill"), "wb", buffering=0) as f:
        try:
            while f.write(b"x" * 4096):
                pass
        except OSError as e:
            assert e.errno == errno.ENOSPC, e
    host = env.host_file("dir/file", b"content")
    request = client.open_file(**DIRECTORY)
    env.dialog().pick(os.path.dirname(host))
    assert request.wait()[0] != 0
    sidebus.wait_log(r"cannot list .*/dir in .*: No space left on device")
    request = client.open_file()
    env.dialog().pick(host)
    assert read(request.path_of_one()) == b"content"
    os.unlink(os.path.join(inside, b"fill"))
    request = client.open_file(**DIRECTORY)
    env.dialog().pick(os.path.dirname(host))
    assert os.listdir(request.path_of_one()) == [b"file"]
    env.hostile(boundaries.DOCUMENTS, 1)
