# SPDX-License-Identifier: MIT
"""A VM's end of virtiofsd without a VM: vhost-user, one virtqueue, FUSE requests of any form."""

import ctypes
import mmap
import os
import select
import socket
import struct

from .processes import scale

# vhost-user
GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE, SET_VRING_NUM, SET_VRING_ADDR, \
    SET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ENABLE = \
    1, 2, 3, 5, 8, 9, 10, 12, 13, 18
VERSION_1, PROTOCOL_FEATURES = 1 << 32, 1 << 30

# FUSE
LOOKUP, FORGET, GETATTR, SETATTR, READLINK, SYMLINK, MKNOD, MKDIR, UNLINK, RENAME, LINK, OPEN, \
    READ, WRITE_FILE, RELEASE, SETXATTR, GETXATTR, LISTXATTR, INIT, OPENDIR, READDIR, CREATE, \
    IOCTL, SETUPMAPPING = \
    1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 16, 18, 21, 22, 23, 26, 27, 28, 35, 39, 48
ROOT = 1

SIZE = 4 << 20    # of the VM's memory
RING = 128        # descriptors
USER = 1 << 32    # where the VMM says that it has the memory
AVAIL, USED, IN, OUT = 0x2000, 0x3000, 0x100000, 0x200000
NEXT, WRITE = 1, 2
QUEUE = 1         # 0 is for requests that cannot wait


class Gone(Exception):
    """virtiofsd has hung up."""


class Vm:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20 * scale())
        self.socket.connect(path)
        self.fd = os.memfd_create("vm", os.MFD_CLOEXEC)
        os.truncate(self.fd, SIZE)
        self.memory = mmap.mmap(self.fd, SIZE)
        libc = ctypes.CDLL(None)
        self.kick, self.call = (libc.eventfd(0, 0o2004000) for _ in range(2))
        self.unique = self.n_available = self.n_used = 0
        self._set_up()

    def _say(self, request, payload=b"", fds=()):
        socket.send_fds(self.socket, [struct.pack("=III", request, 1, len(payload)) + payload], fds)

    def _features(self):
        self._say(GET_FEATURES)
        _, _, size = struct.unpack("=III", self.socket.recv(12))
        return struct.unpack("=Q", self.socket.recv(size))[0]

    def _set_up(self):
        self._say(SET_OWNER)
        features = self._features()
        self._say(SET_FEATURES, struct.pack("=Q", features & (VERSION_1 | PROTOCOL_FEATURES)))
        self._say(SET_MEM_TABLE, struct.pack("=IIQQQQ", 1, 0, 0, SIZE, USER, 0), [self.fd])
        self._say(SET_VRING_NUM, struct.pack("=II", QUEUE, RING))
        self._say(SET_VRING_BASE, struct.pack("=II", QUEUE, 0))
        self._say(SET_VRING_ADDR, struct.pack("=IIQQQQ", QUEUE, 0, USER, USER + USED,
                                              USER + AVAIL, 0))
        self._say(SET_VRING_CALL, struct.pack("=Q", QUEUE), [self.call])
        self._say(SET_VRING_KICK, struct.pack("=Q", QUEUE), [self.kick])
        if features & PROTOCOL_FEATURES:
            self._say(SET_VRING_ENABLE, struct.pack("=II", QUEUE, 1))
        self._features()  # now all of that is done: a kick that came before would be lost

    def descriptors(self, *rows):
        """(address, length, flags, next) each."""
        for n, row in enumerate(rows):
            struct.pack_into("=QIHH", self.memory, 16 * n, *row)

    def submit(self, head=0):
        struct.pack_into("=H", self.memory, AVAIL + 4 + 2 * (self.n_available % RING), head)
        self.n_available = (self.n_available + 1) & 0xffff
        struct.pack_into("=H", self.memory, AVAIL + 2, self.n_available)
        os.write(self.kick, struct.pack("=Q", 1))

    def finished(self, seconds):
        """Whether the last request has been used within that time; Gone when nobody is there."""
        poll = select.poll()
        poll.register(self.call, select.POLLIN)
        poll.register(self.socket, select.POLLIN | select.POLLRDHUP)
        while struct.unpack_from("=H", self.memory, USED + 2)[0] == self.n_used:
            ready = dict(poll.poll(seconds * 1000 * scale()))
            if self.socket.fileno() in ready:
                raise Gone
            if not ready:
                return False
            os.read(self.call, 8)
        self.n_used = struct.unpack_from("=H", self.memory, USED + 2)[0]
        return True

    def request(self, opcode, node, body=b"", seconds=20.0, length=None):
        """(errno, what came); length: what the header says, if not the truth."""
        self.unique += 1
        data = struct.pack("=IIQQIIIHH", 40 + len(body) if length is None else length, opcode,
                           self.unique, node, 1000, 1000, 1, 0, 0) + body
        self.memory[IN:IN + len(data)] = data
        self.memory[OUT:OUT + 16] = bytes(16)
        self.descriptors((IN, len(data), NEXT, 1), (OUT, 65536, WRITE, 0))
        self.submit()
        if not self.finished(seconds):
            return None, b""
        size, error, _ = struct.unpack_from("=IiQ", self.memory, OUT)
        return -error, bytes(self.memory[OUT + 16:OUT + max(size, 16)])

    def begin(self):
        error, reply = self.request(INIT, 0, struct.pack("=IIII", 7, 31, 1 << 17, 0) + bytes(48))
        assert error == 0 and reply and struct.unpack_from("=I", reply)[0] == 7, (error, reply)
        return self

    def look_up(self, node, name):
        """(errno, node, inode number)"""
        error, reply = self.request(LOOKUP, node, name + b"\0")
        if error:
            return error, None, None
        return 0, struct.unpack_from("=Q", reply)[0], struct.unpack_from("=Q", reply, 40)[0]

    def create(self, node, name):
        """(errno, the new file's node, its handle), open for writing."""
        body = struct.pack("=IIII", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o100600, 0, 0)
        error, reply = self.request(CREATE, node, body + name + b"\0")
        if error:
            return error, None, None
        return 0, struct.unpack_from("=Q", reply)[0], struct.unpack_from("=Q", reply, 128)[0]

    def write(self, node, handle, offset, data):
        """(errno, how much of it)"""
        body = struct.pack("=QQIIQII", handle, offset, len(data), 0, 0, os.O_WRONLY, 0)
        error, reply = self.request(WRITE_FILE, node, body + data)
        return error, 0 if error else struct.unpack_from("=I", reply)[0]

    def close(self):
        if self.fd >= 0:
            self.socket.close()
            self.memory.close()
            for fd in (self.fd, self.kick, self.call):
                os.close(fd)
            self.fd = -1
