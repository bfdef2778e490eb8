# SPDX-License-Identifier: MIT
"""A disk whose quota is used up, below the documents and below the copies of guest files."""

import errno
import itertools
import os
import struct

from rig import boundaries, quota
from rig.files import read, write
from rig.guest import GLib, GuestClient, pump
from rig.processes import wait_for
from rig.vhost_fuse import FORGET, MKDIR, RELEASE, ROOT, UNLINK, Vm
from rig.world import World

DIRECTORY = {"directory": GLib.Variant("b", True)}


class Guest:
    """A VM that has a directory on such a disk, in which there is a letter."""

    def __init__(self, env):
        self.env = env
        self.host = os.path.join(os.fsencode(quota.directory(env)), b"shared")
        os.mkdir(self.host)
        write(os.path.join(self.host, b"letter"), b"as it was")
        self.sidebus = env.closing(env.own_sidebus(virtiofsd=env.virtiofsd))
        self.client = env.closing(GuestClient(env.own_agent(self.sidebus).address))
        self.document = self.pick(self.host, **DIRECTORY)
        self.sidebus.child("virtiofsd")
        self.vm = env.closing(Vm(self.sidebus.file("rt", "virtiofs.sock")).begin())
        self.node = self.find(self.document, b"shared")

    def pick(self, path, save=False, **options):
        """The id of the document."""
        request = self.client.save_file() if save else self.client.open_file(**options)
        self.env.dialog().pick(path)
        relative = os.path.relpath(request.path_of_one(), os.fsencode(self.sidebus.documents))
        return relative.split(b"/")[0]

    def find(self, *names):
        node = ROOT
        for name in names:
            error, node, _ = self.vm.look_up(node, name)
            assert error == 0, (names, name, error)
        return node

    def put(self, name, content, node):
        """A new file: the errno that ended it, and how much of it the guest was told is written."""
        error, file, handle = self.vm.create(node, name)
        done = 0
        if error:
            return error, done
        while not error and done < len(content):
            error, count = self.vm.write(file, handle, done, content[done:done + 65536])
            done += count
        self.vm.request(RELEASE, file, struct.pack("=QIIQ", handle, 0, 0, 0))
        self.vm.request(FORGET, file, struct.pack("=Q", 1))
        return error, done

    def put_whole(self, name, content):
        """The name, when there was room for it."""
        return name if self.put(name, content, self.node) == (0, len(content)) else None

    def kept(self, name, content, done):
        """What the guest was told is written is there, and nothing that it has not written."""
        try:
            there = read(os.path.join(self.host, name))
        except FileNotFoundError:
            return done == 0
        return len(there) >= done and content.startswith(there)


def test_guest(env):
    """a quota that the guest uses up: it is told so, what was there is whole, the rest goes on"""
    guest = Guest(env)
    new = guest.pick(os.path.join(guest.host, b"new"), save=True)
    # To fill it; as an editor saves, beside the file; and what was picked to be saved to.
    for name, size, node in ((b"fill", 2 * quota.SIZE, guest.node),
                             (b".letter.new", 65536, guest.node),
                             (b"new", 65536, guest.find(new))):
        content = os.urandom(size)
        error, done = guest.put(name, content, node)
        assert error == errno.EDQUOT and done <= quota.SIZE, (name, error, done)
        assert guest.kept(name, content, done), (name, done)
        assert (name == b"fill") == (done > 0), (name, done)
    error, _ = guest.vm.request(MKDIR, guest.node, struct.pack("=II", 0o700, 0) + b"sub\0")
    assert error == errno.EDQUOT, error
    assert read(os.path.join(guest.host, b"letter")) == b"as it was"
    # A file that the person picks then is a document as ever, and with room it can be written.
    letter = guest.find(guest.pick(os.path.join(guest.host, b"letter")), b"letter")
    assert letter
    assert guest.vm.request(UNLINK, guest.node, b"fill\0")[0] == 0
    names = (b"more%d" % n for n in itertools.count())
    more = wait_for("room", lambda: guest.put_whole(next(names), b"z" * 65536))
    assert read(os.path.join(guest.host, more)) == b"z" * 65536
    env.hostile(boundaries.DOCUMENTS, 4)


def test_copies(env):
    """a quota on the runtime directory: a copy that has no room is refused, whole ones pass"""
    place = os.path.join(quota.directory(env), "rt")
    w = World(env, arguments=["--runtime-dir", place])

    def hang_up(size):
        """A picture of the guest's that becomes the person's wallpaper."""
        request = w.request("Wallpaper.SetWallpaperFile", "(sha{sv})", "", 0, {},
                            fds=[w.guest_file(content=b"x" * size)])
        dialog = w.backend.next_dialog(pump=pump)
        if dialog.name == "Access.AccessDialog":  # the first time
            dialog.answer(0)
            dialog = w.dialog("Wallpaper.SetWallpaperURI")
        dialog.answer(0)
        assert request.wait() == (0, {})

    def spooled():
        return sorted(os.path.getsize(os.path.join(top, name))
                      for top, _, names in os.walk(os.path.join(place, "spool")) for name in names)

    def refused(size):
        fd = w.guest_file(content=b"x" * size)
        return w.refused("OpenURI.OpenFile", "(sha{sv})", "", 0, {}, fds=[fd])

    write(os.path.join(os.path.dirname(place), "fill"), b"x" * (quota.SIZE - (448 << 10)))
    got = refused(1 << 20)
    assert got == "org.freedesktop.DBus.Error.LimitsExceeded", got
    assert spooled() == []
    w.sidebus.wait_log("no room for a copy of the guest's file")
    # Two that stay, as somebody may read them; one more has room when the older goes.
    for size in (160 << 10, 120 << 10, 200 << 10):
        hang_up(size)
    assert spooled() == [120 << 10, 200 << 10], spooled()
    w.sidebus.wait_log("is removed: newer ones need the room")
    env.hostile(boundaries.GATE, 4)
