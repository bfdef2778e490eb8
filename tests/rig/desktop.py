# SPDX-License-Identifier: MIT
"""A person's machine: a Debian with systemd, its own xdg-desktop-portal, and our package.

    desktop = Desktop(images, "bookworm", scratch, packages=Packages(build), source=source)
    desktop.run("systemctl --user start sidebus@web")      # as person; a shell string or a list
    desktop.run(["ss", "-l"], user="root", check=False).out
    dialog = desktop.chooser.next_dialog()                  # see session.Dialog
    dialog.pick("/home/person/letter.txt")
    desktop.put("/home/person/letter.txt", b"Dear guest")
    desktop.journal("-u", "sidebus@web.service")
    program = desktop.start(["Xvfb", ":7"])                 # program.stop(), program.log()
    desktop.use_backend("gtk", DISPLAY=":7")                # "scripted" again afterwards
    desktop.stop()

It is a container (see container.py) over a copy-on-write view of the image, so each is new.
"""

import glob
import os
import shlex
import shutil
import stat

from . import linux, virtiofsd
from .container import Container
from .images import run, write
from .processes import Process, mounts_below, wait_for
from .session import Backend

PERSON = ("person", 1000)
HOME = "/home/person"
RUNTIME = "/run/user/1000"
OURS = "/opt/sidebus-test"  # in the desktop and in the guest
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

# Where xdg-desktop-portal looks for its backends when a test operates the file chooser.
SCRIPTED = {"XDG_CURRENT_DESKTOP": "sidebustest", "XDG_DESKTOP_PORTAL_DIR": OURS + "/portals"}
# Said, not unset: what environment.d says cannot be taken back.
GTK = {"XDG_CURRENT_DESKTOP": "GNOME",
       "XDG_DESKTOP_PORTAL_DIR": "/usr/share/xdg-desktop-portal/portals"}
DESKTOP_PORTAL = "xdg-desktop-portal.service"


class Packages:
    """Our .debs, and trees that they are installed in."""

    def __init__(self, build):
        self.build = build

    def deb(self, name):
        found = glob.glob(os.path.join(self.build, "deb", name + "_*.deb"))
        assert len(found) == 1, f"{len(found)} packages {name} in {self.build}/deb: make deb"
        return found[0]

    def install(self, tree, *names):
        """dpkg alone must be able to: what they depend on is there, or they do not say so."""
        policy = os.path.join(tree, "usr/sbin/policy-rc.d")
        write(policy, "#!/bin/sh\nexit 101\n", 0o755)
        for name in names:
            shutil.copy(self.deb(name), os.path.join(tree, "tmp", name + ".deb"))
        debs = [f"/tmp/{name}.deb" for name in names]
        run("chroot", tree, "env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--install", *debs)
        run("chroot", tree, "apt-get", "check")
        for name in debs:
            os.unlink(tree + name)
        os.unlink(policy)


def overlay(lower, scratch):
    """A writable view of a tree; (the view, what is written).  The mount is the caller's."""
    names = {name: os.path.join(scratch, name) for name in ("upper", "work", "view")}
    for path in names.values():
        os.makedirs(path)
    linux.mount("overlay", names["view"], "overlay", 0,
                f"lowerdir={lower},upperdir={names['upper']},workdir={names['work']}")
    return names["view"], names["upper"]


def add_test_programs(tree, source, build):
    """What tests run in there: the rig, the guest's programs, the benchmark, and C programs of both."""
    target = tree + OURS
    for name, part in (("rig", "tests/rig"), ("guest", "tests/vm/guest"), ("bench", "tests/bench"),
                       ("ipc", "ipc")):
        if os.path.isdir(os.path.join(source, part)):
            shutil.copytree(os.path.join(source, part), os.path.join(target, name),
                            ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("rig", "bench"):
        there = os.path.join(target, "bin", part)
        os.makedirs(there)
        for path in glob.glob(os.path.join(build, "tests", part, "*")):
            if os.path.isfile(path) and os.access(path, os.X_OK):
                shutil.copy(path, there)
    run("chmod", "-R", "a+rX,go-w", target)
    run("chown", "-R", "0:0", target)


class Program:
    """A transient unit in the desktop, as started by systemd-run."""

    def __init__(self, desktop, unit, argv, user, env):
        self.desktop = desktop
        self.unit = unit
        self.manager = ["systemctl", *(["--user"] if user == "person" else [])]
        self.user = user
        self.log_path = desktop.scratch_file(unit + ".log")
        command = ["systemd-run", *(["--user"] if user == "person" else []), "--quiet", "--collect",
                   "--pipe", "--wait", "--unit=" + unit,
                   *(f"--setenv={key}={value}" for key, value in (env or {}).items()), *argv]
        self.process = Process(desktop.enter(command, user), log=self.log_path)
        wait_for(f"{unit} to start", self._started)

    def _started(self):
        if not self.process.running():
            return True  # and ended already
        done = self.desktop.run([*self.manager, "show", "-p", "MainPID", "--value", self.unit],
                                user=self.user)
        return done.out.strip() not in ("", "0")

    def log(self):
        return self.process.log()

    def running(self):
        return self.process.running()

    def wait(self, seconds=60):
        return self.process.wait(seconds)

    def kill(self, signal="KILL"):
        self.desktop.run([*self.manager, "kill", "--signal=" + signal, self.unit], user=self.user,
                         check=False)

    def stop(self):
        """Ends it; its exit status."""
        self.desktop.run([*self.manager, "stop", self.unit], user=self.user, check=False)
        return self.wait()


class Desktop:
    def __init__(self, images, release, scratch, *, packages, source, layers):
        """layers: the directory of those of the guests."""
        self.release = release
        self.images = images
        self.packages = packages
        self.layers = layers
        self.scratch = scratch
        self.vms = 0
        self.programs = 0
        self._chooser = None
        os.makedirs(scratch)
        view, self.layer = overlay(images.desktop(release), os.path.join(scratch, "root"))
        packages.install(view, "sidebus")
        add_test_programs(view, source, packages.build)
        binds = self._configure(view)
        self.container = Container(view, os.path.join(scratch, "container"), release, binds=binds)
        try:
            wait_for("the person's user manager", lambda: self.run(
                ["test", "-S", RUNTIME + "/bus"], check=False).status == 0, 60)
        except BaseException:
            self.container.kill()
            self._unmount()
            raise

    def scratch_file(self, name):
        return os.path.join(self.scratch, name)

    def _configure(self, view):
        """Files of this desktop's own; what else of this machine is to be seen in there."""
        write(view + OURS + "/portals/sidebustest.portal",
              "[portal]\nDBusName=org.freedesktop.impl.portal.desktop.sidebustest\n"
              "Interfaces=org.freedesktop.impl.portal.FileChooser\nUseIn=sidebustest\n")
        write(view + OURS + "/portals/portals.conf", "[preferred]\ndefault=sidebustest\n")
        write(view + "/etc/environment.d/50-rig.conf",
              "".join(f"{key}={value}\n" for key, value in SCRIPTED.items()))
        # The machine's own may not be for everybody.
        fuse = self.scratch_file("fuse")
        os.mknod(fuse, stat.S_IFCHR | 0o666, os.stat("/dev/fuse").st_rdev)
        os.chmod(fuse, 0o666)
        binds = [f"{fuse}:/dev/fuse"]
        for name in ("images", "tools", "layers", "virtiofsd"):
            os.makedirs(view + f"{OURS}/{name}")
        binds += [f"{self.images.guest_directory()}:{OURS}/images",
                  f"{self.images.tools()}:{OURS}/tools", f"{self.layers}:{OURS}/layers"]
        if not os.path.exists(view + virtiofsd.NATIVE):
            unpacked = os.path.dirname(virtiofsd.unpacked(self.packages.build))
            binds.append(f"{unpacked}:{OURS}/virtiofsd")
            write(view + "/etc/systemd/user/sidebus@.service.d/rig.conf",
                  f"[Service]\nEnvironment=SIDEBUS_VIRTIOFSD={OURS}/virtiofsd/virtiofsd\n")
        return binds

    # --- commands ---------------------------------------------------------------------------

    @staticmethod
    def environment(user):
        env = {"PATH": PATH, "LANG": "C.UTF-8", "USER": user, "LOGNAME": user,
               "HOME": HOME if user == "person" else "/root"}
        if user == "person":
            env.update(XDG_RUNTIME_DIR=RUNTIME,
                       DBUS_SESSION_BUS_ADDRESS=f"unix:path={RUNTIME}/bus")
        return env

    def enter(self, argv, user="person", env=None):
        """A command of this machine's that runs argv in there."""
        who = PERSON if user == "person" else ("root", 0)
        return self.container.enter(argv, who, {**self.environment(user), **(env or {})},
                                    HOME if user == "person" else "/root")

    def run(self, command, user="person", input=None, env=None, timeout=60, check=True):
        """Runs a command (list, or string for a shell) to its end; a processes.Done."""
        argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
        data = input.encode() if isinstance(input, str) else input
        done = self.container.run(argv, user=PERSON if user == "person" else ("root", 0),
                                  env={**self.environment(user), **(env or {})}, data=data,
                                  directory=HOME if user == "person" else "/root",
                                  timeout=timeout)
        return done.must() if check else done

    def start(self, command, user="person", env=None, unit=None):
        """A program that runs until it is stopped, under the person's (or root's) systemd."""
        argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
        self.programs += 1
        return Program(self, unit or f"rig-{self.programs}", argv, user, env)

    def put(self, path, data, owner="person", mode=0o644):
        """A new file, written by its owner; directories on the way are made."""
        data = data.encode() if isinstance(data, str) else data
        self.run(f"mkdir -p {shlex.quote(os.path.dirname(path))} && cat >{shlex.quote(path)} && "
                 f"chmod {mode:o} {shlex.quote(path)}", user=owner, input=data)

    def get(self, path):
        """A file's bytes."""
        quoted = shlex.quote(path)
        done = self.run(f"cat {quoted}", user="root")
        return done.out.encode(errors="surrogateescape")

    def journal(self, *arguments, user=True):
        """What the person's journal says; the system's with user=False."""
        whose = ["--user"] if user else []
        return self.run(["journalctl", "--no-pager", *whose, *arguments],
                        user="person" if user else "root", check=False).out

    # --- the portal's backend -----------------------------------------------------------------

    @property
    def chooser(self):
        """The scripted file chooser; it starts when it is first asked for."""
        if self._chooser is None:
            self._chooser = Backend(lambda fd: Process(
                self.enter(["python3", "-B", OURS + "/rig/backend.py", str(fd)]),
                log=self.scratch_file("backend.log"), pass_fds=[fd]))
        return self._chooser

    def settle(self):
        """The next test starts with no dialog open; false when the chooser has ended."""
        if self._chooser is None:
            return True
        if not self._chooser.process.running():
            self._chooser = None
            return False
        self._chooser.settle()
        return True

    def use_backend(self, name, **env):
        """Who shows the host's dialogs: "scripted", or "gtk" (env: DISPLAY=…)."""
        wanted = {**(GTK if name == "gtk" else SCRIPTED), **env}
        self.run(["systemctl", "--user", "set-environment",
                  *(f"{key}={value}" for key, value in wanted.items())])
        self.run(["systemctl", "--user", "stop", DESKTOP_PORTAL, "xdg-desktop-portal-gtk.service"])
        self.run(["systemctl", "--user", "start", DESKTOP_PORTAL], timeout=120)

    def stop(self):
        try:
            if self._chooser:
                self._chooser.stop()
            self.container.stop()
        finally:
            self._unmount()

    def _unmount(self):
        for point in reversed(mounts_below(self.scratch)):
            linux.umount(point)
