#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""inside.py CHANGE... -- COMMAND: runs COMMAND where something a host should have is missing.

The command runs as the same user, without privileges, in a user and mount namespace of its own:
  no-fuse         there is no /dev/fuse
  no-fusermount   there is no fusermount3
  no-namespaces   no further user namespace can be made
  no-pid-namespaces  no further one of processes
  no-landlock     the kernel knows nothing of Landlock
  shared          nothing is missing: what is mounted there is seen in namespaces made there
  disk:DIR        at DIR, which is made, is an empty disk, in memory
  small-disk:DIR  the same, of 1 MiB and 64 files
  hung:DIR        at DIR is a file system that never answers; who serves it is our child
"""

import errno
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig import linux  # noqa: E402  (the path is set above)


def no_fuse():
    """A /dev with all that programs need but fuse."""
    names = [n for n in os.listdir("/dev") if n in ("null", "zero", "full", "random", "urandom",
                                                    "tty", "shm", "pts", "ptmx")]
    stage = tempfile.mkdtemp(prefix="sb-dev-")
    linux.mount("none", stage, "tmpfs", linux.MS_NOSUID, "mode=755")
    for link in ("fd", "stdin", "stdout", "stderr"):
        os.symlink("/proc/self/fd" + {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}[link],
                   os.path.join(stage, link))
    for name in names:
        source, target = os.path.join("/dev", name), os.path.join(stage, name)
        if os.path.isdir(source):
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
        linux.mount(source, target, None, linux.MS_BIND | linux.MS_REC)
    linux.mount(stage, "/dev", None, linux.MS_BIND | linux.MS_REC)


def no_fusermount():
    """A /usr/bin with all but fusermount3: links into the real one, which is elsewhere."""
    real, stage = tempfile.mkdtemp(prefix="sb-bin-"), tempfile.mkdtemp(prefix="sb-bin-")
    linux.mount("/usr/bin", real, None, linux.MS_BIND | linux.MS_REC)
    linux.mount("none", stage, "tmpfs", linux.MS_NOSUID, "mode=755")
    for name in os.listdir(real):
        if name not in ("fusermount3", "fusermount"):
            os.symlink(os.path.join(real, name), os.path.join(stage, name))
    linux.mount(stage, "/usr/bin", None, linux.MS_BIND | linux.MS_REC)


def no_namespaces():
    with open("/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as f:
        f.write("0")


def no_pid_namespaces():
    with open("/proc/sys/user/max_pid_namespaces", "w", encoding="ascii") as f:
        f.write("0")


def no_landlock():
    linux.refuse_system_call(444, errno.EOPNOTSUPP)  # landlock_create_ruleset, of every machine


def shared():
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_SHARED)


def disk(directory, options=""):
    os.makedirs(directory, exist_ok=True)
    linux.mount("none", directory, "tmpfs", linux.MS_NOSUID, "mode=700" + options)


def small_disk(directory):
    disk(directory, ",size=1m,nr_inodes=64")


def hung(directory):
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    linux.mount("none", directory, "fuse", linux.MS_NOSUID | linux.MS_NODEV,
                f"fd={fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}")
    if os.fork() == 0:  # while it has the descriptor, there is somebody who might answer
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.closerange(1, fd)
        signal.pause()


CHANGES = {"no-fuse": no_fuse, "no-fusermount": no_fusermount, "no-namespaces": no_namespaces,
           "no-pid-namespaces": no_pid_namespaces, "no-landlock": no_landlock, "shared": shared,
           "disk": disk, "small-disk": small_disk, "hung": hung}


def main():
    split = sys.argv.index("--")
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
    linux.map_only_me(uid, gid)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    for change in sys.argv[1:split]:
        name, *arguments = change.split(":", 1)
        CHANGES[name](*arguments)
    # The exec drops the namespace's capabilities: none is ambient.
    os.execvp(sys.argv[split + 1], sys.argv[split + 1:])


if __name__ == "__main__":
    main()
