# SPDX-License-Identifier: MIT
"""Who stands for the person at the desk.

An ordinary user is that person.  Root is not: nothing of a desktop runs as root, and root may
do everything, so that no test of a refusal would mean anything.  So root makes a user for this
run, in a group of its own and one more, and becomes it for everything but the cleaning up.
That user gets a mount namespace in which it may open /dev/fuse, whatever the machine's own
/dev/fuse allows; the machine's own is not touched.
"""

import grp
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

from . import linux, processes, quota

NAME = "sidebus-test"  # and the runner's pid: two runs at once do not meet


class Unable(Exception):
    """This machine lacks something; the text says what and what to do."""


def usable_fuse():
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except OSError as e:
        raise Unable(f"/dev/fuse cannot be opened ({e.strerror}); the document portal needs it: "
                     "load the module (modprobe fuse) and allow this user to open it") from None


def _can_be_copied(path):
    """Not so: a socket or FIFO that somebody left there, and what has just gone."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def copy(source, target, skip):
    """A tree for others to read, without what the patterns in skip name.

    A pattern is of a name, wherever it is; with a "/" before it, of a path from the top."""
    by_name = shutil.ignore_patterns(*skip)

    def ignore(directory, names):
        paths = {name: os.path.join(directory, name) for name in names}
        return by_name(directory, names) | {
            name for name, path in paths.items()
            if "/" + os.path.relpath(path, source) in skip or not _can_be_copied(path)}

    shutil.copytree(source, target, symlinks=True, ignore=ignore)
    subprocess.run(["chmod", "-R", "a+rX,go-w", target], check=True)


def _run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unable(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")


def _remove_user(name):
    subprocess.run(["userdel", name], capture_output=True, check=False)
    for group in (name, name + "-g"):
        subprocess.run(["groupdel", group], capture_output=True, check=False)


def _remove_stale():
    """Users of runs that were killed too hard to clean up."""
    for entry in pwd.getpwall():
        match = re.fullmatch(NAME + r"-(\d+)", entry.pw_name)
        if match and processes.status(int(match[1])) is None:
            _remove_user(entry.pw_name)
            if re.fullmatch(r"/tmp/sb-\w+/home", entry.pw_dir):
                shutil.rmtree(os.path.dirname(entry.pw_dir), ignore_errors=True)


def _own_fuse(directory):
    """A /dev/fuse that everybody may open, in this mount namespace only."""
    if not os.path.exists("/dev/fuse"):
        raise Unable("there is no /dev/fuse; the document portal needs it: modprobe fuse")
    linux.mount("none", directory, "tmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=755")
    node = os.path.join(directory, "fuse")
    os.mknod(node, 0o020666, os.stat("/dev/fuse").st_rdev)
    os.chmod(node, 0o666)
    linux.mount(node, "/dev/fuse", None, linux.MS_BIND)


def _own_quota(directory, uid):
    """A disk with a quota, which goes with this mount namespace; "" where there can be none."""
    try:
        return quota.make(directory, uid)
    except OSError as e:
        print(f"no disk with a quota: {e}", file=sys.stderr)
        return ""


def _become(user, groups, root, argv):
    """In the child: the namespace, the user, then argv."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    _own_fuse(os.path.join(root, "dev"))
    with_quota = _own_quota(os.path.join(root, "quota"), user.pw_uid)
    os.setgroups(groups)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGTERM)
    os.chdir(user.pw_dir)
    keep = ("PATH", "LANG", "LC_ALL", "TERM", "NO_COLOR", "ASAN_OPTIONS", "UBSAN_OPTIONS",
            "SIDEBUS_TEST_PATIENCE", "SIDEBUS_SOAK_SECONDS")
    env = {name: os.environ[name] for name in keep if name in os.environ}
    env.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name, SHELL="/bin/sh",
               SIDEBUS_TEST_ROOT=root, **{quota.VARIABLE: with_quota})
    os.execve(argv[0], argv, env)


def _make_user(root):
    name = f"{NAME}-{os.getpid()}"
    home = os.path.join(root, "home")
    _run("groupadd", name + "-g")
    _run("useradd", "--no-create-home", "--home-dir", home, "--shell", "/bin/sh", "--user-group",
         "--groups", name + "-g", name)
    user = pwd.getpwnam(name)
    os.mkdir(home, 0o700)
    os.chown(home, user.pw_uid, user.pw_gid)
    return user, [user.pw_gid, grp.getgrnam(name + "-g").gr_gid]


def _watch(pid):
    """Waits for the child; a signal to us is passed on to it first."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _frame: os.kill(pid, signal.SIGTERM))
    while True:
        _, raw = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(raw)
        return code if code >= 0 else 128 - code


def _top(build, source):
    """What is not to be copied with the sources, as copy() wants it: "/out" for out/san."""
    return "/" + os.path.relpath(os.path.abspath(build), source).split(os.sep)[0]


def run_as_person(script, build, arguments):
    """Root only: runs SCRIPT BUILD ARGUMENTS as a user made for it; its exit status.

    The programs and the tests are copied to where that user can read them."""
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    _remove_stale()
    source = os.path.dirname(os.path.dirname(os.path.abspath(script)))
    root = tempfile.mkdtemp(prefix="sb-", dir="/tmp")
    try:
        os.chmod(root, 0o755)
        os.mkdir(os.path.join(root, "dev"), 0o755)
        copy(build, os.path.join(root, "build"),
             ("*.o", "*.d", "*.a", "san", "*.deb", "apt", "images", "/fuzz"))
        copy(source, os.path.join(root, "source"),
             ("/.git", "__pycache__", "/build", _top(build, source)))
        user, groups = _make_user(root)
        argv = [sys.executable, "-B", os.path.join(root, "source", "tests", os.path.basename(script)),
                os.path.join(root, "build"), *arguments]
        pid = os.fork()
        if pid == 0:
            try:
                _become(user, groups, root, argv)
            except (OSError, Unable) as e:
                print(f"{os.path.basename(script)}: {e}", file=sys.stderr)
            os._exit(1)
        return _watch(pid)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        processes.kill_descendants()
        _remove_user(f"{NAME}-{os.getpid()}")
        shutil.rmtree(root, ignore_errors=True)


def other_group():
    """A group id of this user's that is not its first, or None."""
    mine = os.getegid()
    return next((g for g in os.getgroups() if g != mine), None)


def give_to_other_group(path):
    """Makes a file of this user's belong to another group than the user's own.

    A member of a second group may say so; others have the ids that /etc/subgid gives them."""
    group = other_group()
    if group is not None:
        os.chown(path, -1, group)
        return
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--map-auto",
                           "chgrp", "1", path], capture_output=True, text=True, check=False)
    if done.returncode != 0 or os.stat(path).st_gid == os.getegid():
        raise Unable("this user is in one group only and has no ids in /etc/subgid, so there is "
                     "no file of another group to try: usermod --add-subgids 100000-165535 "
                     f"{pwd.getpwuid(os.getuid()).pw_name} ({done.stderr.strip()})")
