# SPDX-License-Identifier: MIT
"""The few system calls Python's library lacks."""

import ctypes
import os
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 0x1000, 0x4000, 0x40000, 0x100000
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PTRACE_SEIZE = 0x4206

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def prctl(option, value):
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), "prctl")


def ptrace_seize(pid):
    """This process is the debugger of that one, which goes on; it waits for its end, too."""
    _check(_libc.ptrace(ctypes.c_long(PTRACE_SEIZE), ctypes.c_long(pid), None, None), "ptrace")


def unshare(flags):
    _check(_libc.unshare(flags), "unshare")


def mount(source, target, kind=None, flags=0, options=None):
    def encode(text):
        return None if text is None else os.fsencode(text)

    _check(_libc.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags),
                       encode(options)), f"mount {target}")


def umount(target):
    """At once, or when the last that uses it ends."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def refuse_system_call(number, error):
    """From here on, for this process and what comes of it, the call fails with this errno."""
    program = struct.pack("=" + "HBBI" * 4,
                          0x20, 0, 0, 0,                    # load the number
                          0x15, 0, 1, number,               # another: to the last line
                          0x06, 0, 0, 0x00050000 | error,   # SECCOMP_RET_ERRNO
                          0x06, 0, 0, 0x7fff0000)           # SECCOMP_RET_ALLOW
    text = ctypes.create_string_buffer(program)
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(text)))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    _check(_libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), fprog, 0, 0), "seccomp")


def landlock_abi():
    """The version of Landlock that this kernel has; -1: none."""
    return _libc.syscall(ctypes.c_long(444), None, ctypes.c_long(0), ctypes.c_long(1))


def memory_may_become_code():
    """Whether this kernel, of before 6.3, has no rule against it that a process can ask for."""
    return _libc.prctl(66, 0, 0, 0, 0) < 0  # PR_GET_MDWE


def where(pid, change):
    """Runs change() where a process is, in a user namespace that is ours, with all rights there.

    0, or the errno that it failed with."""
    child = os.fork()
    if child == 0:
        status = 255
        try:
            for name, flag in (("user", CLONE_NEWUSER), ("mnt", CLONE_NEWNS)):
                fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
                _check(_libc.setns(fd, flag), f"setns {name}")
            change()
            status = 0
        except OSError as e:
            status = e.errno
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def map_only_me(uid, gid):
    """In a user namespace just made: this user and group, mapped to themselves."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"),
                       ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as f:
            f.write(text)
