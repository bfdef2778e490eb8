# SPDX-License-Identifier: MIT
"""systemd as PID 1 in a container: a host that starts in a second and goes without a trace.

    box = Container(tree, scratch, "web", binds=["/some/dir:/opt/dir"])
    box.run(["id", "-u"], user=("person", 1000)).out
    box.stop()

Its network is its own (so are abstract sockets), its cgroup too; the host's systemd, if any, is
not asked.  It needs root, and a mount namespace of the caller's own (see own_mounts()).
"""

import os
import re
import signal
import subprocess

from . import linux
from .processes import Done, descendants, scale, status, wait_for
from .sidebus import Notifying

CGROUP = "sidebus-test"
PROPAGATE = "/run/systemd/nspawn/propagate"  # of nspawn's own, for each container
# A program in a cgroup: the directories, then --, then the command.
IN_CGROUP = ('while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit; shift; done; shift; '
             'exec "$@"')


def own_mounts():
    """What this process mounts from now on is its own, and goes with it."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)


def _cgroups():
    """The directories that are this process's cgroup: of version 2, and of systemd's version 1."""
    with open("/proc/self/cgroup", encoding="utf-8") as f:
        paths = dict(line.rstrip("\n").split(":", 2)[1:] for line in f)
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            before, after = line.split(" - ")
            kind, _, options = after.split()[:3]
            name = "" if kind == "cgroup2" else "name=systemd"
            if kind == "cgroup2" or kind == "cgroup" and name in options.split(","):
                found.append(before.split()[4] + paths.get(name, "/"))
    return found


def remove_stale():
    """What is left of containers whose maker was killed too hard to clean up."""
    for parent, prefix in (*((cgroup, CGROUP) for cgroup in _cgroups()), (PROPAGATE, "sb")):
        for name in os.listdir(parent) if os.path.isdir(parent) else ():
            match = re.fullmatch(prefix + r"-(\d+)-.*", name)
            if match and status(int(match[1])) is None:
                _remove_tree(os.path.join(parent, name))


def _remove_tree(directory):
    """Of directories only: a cgroup, or what nspawn leaves."""
    for top, _, _ in os.walk(directory, topdown=False):
        try:
            os.rmdir(top)
        except OSError:
            pass  # a process that is still ending: the next run removes it


def end(nsenter):
    """Kills what an nsenter runs.  Not nsenter: its child would become ours, and be a zombie."""
    for pid in descendants(nsenter):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _reap():
    """Orphans that came to us from a container; it does not end before they are waited for."""
    for pid in descendants(zombies=True):
        state = status(pid)
        if state and state[:2] == (os.getpid(), "Z") and _in_container(pid):
            os.waitpid(pid, os.WNOHANG)


def _in_container(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as f:
        ids = re.search(r"^NSpid:\s*(.*)$", f.read(), re.MULTILINE)
    return len(ids[1].split()) > 1


class Container(Notifying):
    def __init__(self, tree, scratch, name, *, binds=(), arguments=()):
        os.makedirs(scratch, exist_ok=True)
        self.name = f"sb-{os.getpid()}-{name}"
        self.cgroups = []
        remove_stale()
        for parent in _cgroups():
            self.cgroups.append(os.path.join(parent, f"{CGROUP}-{os.getpid()}-{name}"))
            os.makedirs(self.cgroups[-1], exist_ok=True)
        argv = ["sh", "-c", IN_CGROUP, "sh", *self.cgroups, "--",
                # It is powered off when its maker dies.
                "setpriv", "--pdeathsig", "TERM",
                "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
                "--notify-ready=yes", "--console=read-only", "--private-network",
                # A machine's kernel has Landlock; an older systemd-nspawn does not let it through.
                "--system-call-filter=landlock_create_ruleset landlock_add_rule "
                "landlock_restrict_self",
                "--link-journal=no", "--resolv-conf=off", "--timezone=off",
                "--machine=" + self.name,
                "--directory=" + tree, *("--bind=" + bind for bind in binds), *arguments,
                "systemd.unit=multi-user.target"]
        env = {"PATH": os.environ["PATH"], "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        self._start(argv, os.path.join(scratch, "console.log"), env,
                    os.path.join(scratch, "notify"))
        self.process.name = "systemd-nspawn"
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise

    @property
    def leader(self):
        """The pid of its PID 1; None before it has one."""
        said = re.search(r"^X_NSPAWN_LEADER_PID=(\d+)$", self.notify.read(), re.MULTILINE)
        return int(said[1]) if said else None

    def path(self, path):
        """A path in there as seen from here; of no use where it leads over symbolic links."""
        return f"/proc/{self.leader}/root{path}"

    def enter(self, argv, user=None, env=None, directory="/"):
        """A command that runs argv in there.  user: (name, uid); it is ended with the command."""
        become = []
        if user and user[1]:
            become = ["--reuid", user[0], "--regid", user[0], "--init-groups"]
        return ["nsenter", "--target", str(self.leader), "--mount", "--uts", "--ipc", "--net",
                "--pid", "--cgroup", "--root", "--wd", "--", "setpriv", "--pdeathsig", "KILL",
                *become, "env", "-i", "--chdir=" + directory,
                *(f"{key}={value}" for key, value in (env or {}).items()), *argv]

    def run(self, argv, *, user=None, env=None, directory="/", data=None, timeout=60):
        """Runs a command to its end; a Done."""
        with subprocess.Popen(self.enter(argv, user, env, directory), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            try:
                out, err = child.communicate(data or b"", timeout * scale())
            except subprocess.TimeoutExpired:
                end(child.pid)
                out, err = child.communicate()
                raise AssertionError(f"{argv} did not end within {timeout:.0f} s; it said:\n"
                                     f"{out!r}\n{err!r}") from None
        return Done.of(argv, child.returncode, out, err)

    def stop(self):
        """Powers it off; what does not end is killed."""
        try:
            self.process.signal(signal.SIGTERM)
            wait_for("the container to end", self._ended, 60)
        finally:
            self.kill()

    def _ended(self):
        _reap()
        return not self.process.running()

    def kill(self):
        if self.leader and status(self.leader):
            os.kill(self.leader, signal.SIGKILL)
        self.process.kill()
        self.notify.close()
        wait_for("the container's processes to end",
                 lambda: _reap() or not self.leader or status(self.leader) is None)
        for directory in (*self.cgroups, os.path.join(PROPAGATE, self.name)):
            _remove_tree(directory)
