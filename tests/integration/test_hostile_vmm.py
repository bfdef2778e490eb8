# SPDX-License-Identifier: MIT
"""A guest, or its VMM, that says to virtiofsd what no kernel would."""

import errno
import os
import random
import struct
import time

from rig import boundaries
from rig.guest import GLib, GuestClient
from rig.processes import sanitized, wait_for
from rig.vhost_fuse import (CREATE, GETATTR, GETXATTR, IN, IOCTL, LINK, LISTXATTR, LOOKUP, MKNOD, NEXT,
                            OPEN, OUT, READLINK, RENAME, RING, ROOT, SETATTR, SETUPMAPPING, SETXATTR, SIZE,
                            SYMLINK, WRITE, Gone, Vm)

HOST_PATH = "user.document-portal.host-path"


class Share:
    """An instance with virtiofsd; a directory the guest may write, a file, a secret beside them."""

    def __init__(self, env, top="s", **arguments):
        """top: a name of its own, where a test has two."""
        self.env = env
        self.sidebus = env.closing(env.own_sidebus(virtiofsd=env.virtiofsd, **arguments))
        self.client = env.closing(GuestClient(env.own_agent(self.sidebus).address))
        self.secret = env.host_file(f"{top}/secret/id_rsa", b"secret")
        self.host = os.path.dirname(env.host_file(f"{top}/shared/harmless", b"harmless"))
        self.shared = self.pick(self.host, directory=GLib.Variant("b", True))
        self.file = self.pick(env.host_file(f"{top}/file", b"a file"))
        for name, target in (("link", self.secret), ("up", "../.."), ("root", "/")):
            os.symlink(target, os.path.join(self.host, os.fsencode(name)))

    def pick(self, path, **options):
        """(document id, name), as bytes."""
        request = self.client.open_file(**options)
        self.env.dialog().pick(path)
        relative = os.path.relpath(request.path_of_one(), os.fsencode(self.sidebus.documents))
        return relative.split(b"/")

    def vm(self):
        """A VM that has mounted the share; one that has ended is started again within a while."""
        self.sidebus.child("virtiofsd")
        return self.env.closing(Vm(self.sidebus.file("rt", "virtiofs.sock")).begin())

    def node(self, vm, *names):
        node = ROOT
        for name in names:
            error, node, _ = vm.look_up(node, name)
            assert not error, (names, error)
        return node

    def nodes(self, vm):
        """What there is to ask of."""
        return {"root": ROOT, "a document": self.node(vm, self.shared[0]),
                "its directory": self.node(vm, *self.shared),
                "a file": self.node(vm, *self.shared, b"harmless"),
                "a file's document": self.node(vm, self.file[0]),
                "that file": self.node(vm, *self.file),
                "a symlink": self.node(vm, *self.shared, b"link")}

    def unharmed(self):
        with open(self.secret, "rb") as f:
            assert f.read() == b"secret"
        assert os.listdir(os.path.dirname(self.secret)) == [b"id_rsa"]
        top = sorted(os.listdir(os.path.dirname(self.host)))
        assert top == [b"file", b"secret", b"shared"], top
        assert self.sidebus.process.running()


def portals(env):
    """This release's document portal, and the newest."""
    newest = {"SIDEBUS_DOCUMENT_PORTAL": env.newer_portal + "/xdg-document-portal",
              "SIDEBUS_PERMISSION_STORE": env.newer_portal + "/xdg-permission-store"}
    return {"top": "own"}, {"top": "new", "extra_env": newest}


def test_names(env):
    """names that a kernel never looks up: no way above the share, and none around a document"""
    tried = 0
    for arguments in portals(env):
        share = Share(env, **arguments)
        vm = share.vm()
        nodes = share.nodes(vm)
        for where, node in nodes.items():
            for name in (b"../secret", b"../../etc", b"/etc/passwd", b"/", b"//", b"./..", b"",
                         b"harmless/..", b"../by-app", b"x" * 256, b"y" * 5000, b"\xff" * 255,
                         b"link/id_rsa", b"root/etc", b"up/secret", b"../../../../../../../../etc",
                         share.file[0] + b"/" + share.file[1], b".xdp-x"):
                error, found, _ = vm.look_up(node, name)
                # virtiofsd walks a name with a slash, in a root of its own: the share's top.
                assert error or found in nodes.values(), (where, name, found)
                tried += 1
        node = share.node(vm, *share.shared)
        for _ in range(10):
            error, node, _ = vm.look_up(node, b"..")
            assert not error and node in nodes.values(), (error, node)
            tried += 1
        share.unharmed()
    env.hostile(boundaries.VMM, tried)


def test_symlinks(env):
    """a planted symlink: its text may be read, it is neither opened nor walked through"""
    tried = 0
    for arguments in portals(env):
        share = Share(env, **arguments)
        vm = share.vm()
        for name in (b"link", b"up", b"root"):
            node = share.node(vm, *share.shared, name)
            assert vm.request(READLINK, node)[0] == 0
            for flags in (os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_TRUNC, os.O_PATH,
                          os.O_WRONLY | os.O_CREAT, os.O_DIRECTORY):
                error, _ = vm.request(OPEN, node, struct.pack("=II", flags, 0))
                assert error in (errno.ELOOP, errno.EINVAL, errno.ENOTDIR, errno.EBADF), \
                    (name, flags, error)
                tried += 1
            for inner in (b"id_rsa", b"etc", b"secret", b"..", b"."):
                error, found, _ = vm.look_up(node, inner)
                assert error, (name, inner, found)
                tried += 1
        share.unharmed()
    env.hostile(boundaries.VMM, tried)


FATTR_MODE = 1


def test_set_ids(env):
    """no program that runs as the person, or their group, whoever starts it: neither made nor changed"""
    tried = 0
    for arguments in portals(env):
        share = Share(env, **arguments)
        vm = share.vm()
        node = share.node(vm, *share.shared)
        file = share.node(vm, *share.shared, b"harmless")
        for mode in (0o4755, 0o2755, 0o6777, 0o755):
            name = b"%o" % mode
            body = struct.pack("=IIII", os.O_RDWR | os.O_CREAT, 0o100000 | mode, 0, 0) + name + b"\0"
            created = vm.request(CREATE, node, body)[0]
            changed = vm.request(SETATTR, file, struct.pack("=II60xI16x", FATTR_MODE, 0, mode))[0]
            refused = errno.EPERM if mode & 0o6000 else 0
            # A sanitizer opens files itself: its filter does not look at how.
            assert sanitized(env.build) or created == refused, (mode, created)
            assert changed == refused, (mode, changed)
            tried += 2 if refused else 0
        for path in (b"755", b"harmless"):
            assert os.stat(os.path.join(share.host, path)).st_mode & 0o7777 == 0o755, path
        new = [n for n in os.listdir(share.host) if n.isdigit()]
        assert sanitized(env.build) or new == [b"755"], new
        share.unharmed()
    env.hostile(boundaries.VMM, tried)


def test_attributes(env):
    """extended attributes are not passed: the host's path of a document stays on the host"""
    tried, told = 0, []
    for arguments in portals(env):
        share = Share(env, **arguments)
        path = os.path.join(os.fsencode(share.sidebus.documents), *share.file)
        if HOST_PATH in os.listxattr(path):
            told.append(os.getxattr(path, HOST_PATH))
        vm = share.vm()
        for where, node in share.nodes(vm).items():
            for name in (HOST_PATH, "user.x", "trusted.overlay.opaque", "security.capability",
                         "system.posix_acl_access", ""):
                name = name.encode() + b"\0"
                for opcode, body in ((GETXATTR, struct.pack("=II", 4096, 0) + name),
                                     (GETXATTR, struct.pack("=II", 0, 0) + name),
                                     (SETXATTR, struct.pack("=II", 1, 0) + name + b"x"),
                                     (LISTXATTR, struct.pack("=II", 4096, 0))):
                    error, reply = vm.request(opcode, node, body)
                    assert error and b"/" not in reply, (where, name, opcode, error, reply)
                    tried += 1
        share.unharmed()
    # The newest has the attribute: what is not passed is there.
    assert told and told[-1].rstrip(b"\0").endswith(b"/new/file"), told
    env.hostile(boundaries.VMM, tried)


def test_nodes(env):
    """nodes that were never looked up, or are forgotten: an error"""
    share = Share(env)
    vm = share.vm()
    tried = 0
    for node in (0, 2, 3, 99, 2 ** 31, 2 ** 32, 2 ** 63, 2 ** 64 - 1):
        for opcode, body in ((GETATTR, bytes(16)), (READLINK, b""), (OPEN, bytes(8)),
                             (LOOKUP, b"etc\0"), (SYMLINK, b"x\0/etc\0"),
                             (MKNOD, struct.pack("=IIII", 0o20666, 0x103, 0, 0) + b"null\0"),
                             (LINK, struct.pack("=Q", node) + b"x\0"),
                             (RENAME, struct.pack("=Q", ROOT) + b"a\0b\0")):
            error, _ = vm.request(opcode, node, body)
            assert error, (node, opcode)
            tried += 1
    for where, node in share.nodes(vm).items():
        for opcode, body in ((MKNOD, struct.pack("=IIII", 0o20666, 0x103, 0, 0) + b"null\0"),
                             (MKNOD, struct.pack("=IIII", 0o60660, 0x800, 0, 0) + b"disk\0"),
                             (IOCTL, bytes(32)), (SETUPMAPPING, bytes(40)),
                             (SYMLINK, b"../../x\0/etc\0"), (RENAME, struct.pack("=Q", ROOT)
                                                            + b"harmless\0../out\0"),
                             (LINK, struct.pack("=Q", node) + b"../../out\0")):
            error, _ = vm.request(opcode, node, body)
            assert error, (where, opcode)
            tried += 1
    share.unharmed()
    env.hostile(boundaries.VMM, tried)


class Vms:
    """One VM after the other: when its queue is dead, which hurts only it, the next is booted."""

    def __init__(self, share):
        self.share = share
        self.ended = 0
        self._boot()

    def _boot(self):
        self.vm, self.began = self.share.vm(), time.monotonic()

    def attempt(self, what):
        try:
            what(self.vm)
            alive = self.vm.request(GETATTR, ROOT, bytes(16), 0.5)[0] == 0
        except Gone:
            alive = False
        if not alive:
            self.ended += 1
            # One that has lived for a second has not failed, and is back at once.
            time.sleep(max(0, 1.1 - (time.monotonic() - self.began)))
            self.vm.close()
            self._boot()


def test_requests(env):
    """each opcode with noise, some with nothing or half of it, lengths that lie: no harm"""
    share = Share(env)
    noise = random.Random(1)
    silent = {2, 42, 38}  # FORGET and BATCH_FORGET have no answer; DESTROY ends the session
    opcodes = [*range(0, 64), 4096, 2 ** 31, 2 ** 32 - 1]
    requests = [(opcode, node, noise.randbytes(64), None) for opcode in opcodes
                if opcode not in silent
                for node in ((ROOT, 2 ** 64 - 1) if opcode % 4 == 0 else (ROOT,))]
    requests += [(opcode, ROOT, body, None) for opcode in (LOOKUP, OPEN, RENAME)
                 for body in (b"", b"\0", noise.randbytes(7))]
    requests += [(LOOKUP, ROOT, b"x\0", length) for length in (0, 39, 41, 2 ** 31, 2 ** 32 - 1)]
    vms = Vms(share)
    for opcode, node, body, length in requests:
        vms.attempt(lambda vm, r=(opcode, node, body, 0.3, length): vm.request(*r))
    env.note(f"of {len(requests)} requests {vms.ended} ended the queue, that of this VM alone")
    assert share.node(vms.vm, *share.shared)
    share.unharmed()
    env.hostile(boundaries.VMM, len(requests))


REQUEST = struct.pack("=IIQQIIIHH", 42, LOOKUP, 1, ROOT, 0, 0, 0, 0, 0) + b"x\0"


def rings():
    """Tables of descriptors that make no sense."""
    good, answer = (IN, 42, NEXT, 1), (OUT, 4096, WRITE, 0)
    return (
        [(0, 42, NEXT, 1), answer], [(SIZE - 1, 42, NEXT, 1), answer],
        [(SIZE, 42, NEXT, 1), answer], [(2 ** 64 - 1, 42, NEXT, 1), answer],
        [(2 ** 64 - 41, 42, NEXT, 1), answer], [(IN, 2 ** 32 - 1, NEXT, 1), answer],
        [(IN, 0, NEXT, 1), answer], [good, (2 ** 63, 4096, WRITE, 0)],
        [good, (OUT, 2 ** 32 - 1, WRITE, 0)], [good, (OUT, 1, WRITE, 0)],
        [good, (OUT, 0, WRITE, 0)],
        [(IN, 42, 0, 0)], [(OUT, 42, WRITE | NEXT, 1), (IN, 42, 0, 0)], [(IN, 42, NEXT, 0), answer],
        [good, (OUT, 16, WRITE | NEXT, 0)], [(IN, 42, NEXT, RING), answer],
        [(IN, 42, NEXT, 65535), answer], [(IN, 64, 4, 0), answer], [(IN, 17, 4, 0), answer],
        [(IN, 42, 65535, 1), answer], [good, (0, 0x8000, WRITE, 0)],
    )


def test_rings(env):
    """descriptors beside the VM's memory, in circles, of 4 GiB: virtiofsd errs or ends, not more"""
    share = Share(env)
    vms = Vms(share)

    def submit(vm, table, head=0):
        vm.memory[IN:IN + len(REQUEST)] = REQUEST
        vm.descriptors(*table)
        vm.submit(head)
        vm.finished(0.2)

    for table in rings():
        vms.attempt(lambda vm, t=table: submit(vm, t))
    for head in (RING, 65535):
        vms.attempt(lambda vm, h=head: submit(vm, [], h))
    assert share.node(vms.vm, *share.shared)
    env.note(f"of {len(rings()) + 2} broken rings {vms.ended} ended the queue, this VM's alone")
    share.unharmed()
    env.hostile(boundaries.VMM, len(rings()) + 2)


def test_vhost_user(env):
    """a VMM that speaks no vhost-user, or half of it: virtiofsd ends, the next VMM is served"""
    share = Share(env)
    messages = (b"", b"\0", b"\xff" * 12, b"\0" * 4096, b"GET / HTTP/1.1\r\n\r\n",
                struct.pack("=III", 5, 1, 4096), struct.pack("=III", 5, 1, 0),
                struct.pack("=IIIII", 5, 1, 8, 9999, 0), struct.pack("=III", 1, 2, 0),
                struct.pack("=IIIQ", 10, 1, 8, 2 ** 64 - 1), struct.pack("=III", 255, 1, 0))
    for message in messages:
        share.sidebus.child("virtiofsd")
        vm = Vm(share.sidebus.file("rt", "virtiofs.sock"))
        vm.socket.sendall(message)
        time.sleep(1)
        vm.close()
    wait_for("virtiofsd to be back", lambda: share.sidebus.child("virtiofsd"))
    assert share.node(share.vm(), *share.shared)
    share.unharmed()
    env.hostile(boundaries.VMM, len(messages))
