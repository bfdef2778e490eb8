# SPDX-License-Identifier: MIT
"""A virtual machine, as the person on the Desktop runs it.

    vm = VM(desktop, "web", config="Label=Web\\n", layers=layers.guest())
    vm.start()
    vm.run(["id", "-u"]).out                       # as the guest's user; "root" by user="root"
    vm.put("/tmp/x", b"…"); vm.get("/tmp/x")
    vm.reboot(); vm.kill(); vm.start()
    vm.qmp("query-status")

QEMU gets the arguments that "sbsupervisor --vm NAME --print qemu" prints, with another memory
size, and what this rig needs besides: a kernel, drives, a console, an agent.  It runs as a unit
of the person's systemd (vm-NAME), and so does its vsock (vm-NAME-vsock).  No KVM: it is emulated.
"""

import contextlib
import os
import re
import shlex
import time

from .desktop import HOME, OURS, add_test_programs, overlay
from .guest_agent import GuestAgent, Monitor
from .images import pack
from .processes import Timeout, listens, scale, wait_for

FIRST_CID = 42
PORT = 7000
KERNEL = ("console=ttyS0 quiet loglevel=4 panic=-1 net.ifnames=0 mitigations=off no_timer_check "
          "tsc=unstable random.trust_cpu=on")
BOOT_SECONDS = 300  # a limit for a guest that hangs

# What a login session has in the guest; the bus in it is sbagent's, where a test says so.
GUEST_USER = {"HOME": "/home/user", "USER": "user", "LOGNAME": "user", "LANG": "C.UTF-8",
              "PATH": "/usr/local/bin:/usr/bin:/bin", "XDG_RUNTIME_DIR": "/run/user/1000"}


class Layers:
    """What this run adds to the guest's image: a squashfs for each drive, the last on top."""

    def __init__(self, directory, images, packages, source):
        self.directory = directory
        os.makedirs(directory)
        self.images = images
        self.packages = packages
        self.source = source

    def _made(self, name, lower, packages, programs=False):
        """The squashfs, and the trees that it lies over."""
        path = os.path.join(self.directory, name + ".squashfs")
        scratch = os.path.join(self.directory, name)
        upper = os.path.join(scratch, "upper")
        if not os.path.exists(path):
            view, upper = overlay(lower, scratch)
            self.packages.install(view, *packages)
            if programs:
                add_test_programs(view, self.source, self.packages.build)
            pack(upper, path + ".new")
            os.rename(path + ".new", path)
        return path, f"{upper}:{lower}"

    def guest(self):
        """sidebus-guest and the test programs, as in any guest."""
        return [self._made("guest", self.images.guest().tree, ["sidebus-guest"], True)[0]]

    def host(self):
        """The package sidebus too: a VM that is itself a host."""
        guest, lower = self._made("guest", self.images.guest().tree, ["sidebus-guest"], True)
        return [guest, self._made("host", lower, ["sidebus"])[0]]


def printed_options(text, memory):
    """(QEMU's options, the command line of its vsock or None), of what --print qemu said."""
    comments = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    vsock = next((line for line in comments if line.startswith("vhost-device-vsock ")), None)
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    words = shlex.split(lines.replace("\\\n", " "))
    options = [re.sub(r"^4G$|(?<=size=)4G(?=,|$)", f"{memory}M", word) for word in words]
    return options, vsock and shlex.split(vsock)


class VM:
    def __init__(self, desktop, name, *, layers, config="", memory=768, sidebus=True):
        """config: more lines of its configuration.  sidebus: whether an instance serves it."""
        self.desktop = desktop
        self.name = name
        self.layers = layers
        self.memory = memory
        self.sidebus = sidebus
        self.cid = FIRST_CID + desktop.vms
        desktop.vms += 1
        self.directory = f"{HOME}/vms/{name}"
        self.unit = f"sidebus@{name}.service"
        self.qemu = self.vsock = self.monitor = self.agent = None
        self.started = None
        self.boots = 0
        self.lost = None  # why it did not come up once
        desktop.run(["mkdir", "-p", "-m", "700", f"{HOME}/vms", self.directory])
        if sidebus:
            desktop.put(f"{HOME}/.config/sidebus/{name}.conf",
                        f"[VM]\nCID={self.cid}\nListen=unix:{self.directory}/vsock_{PORT}\n"
                        + config)

    def file(self, name):
        """A file of this VM's, as seen from here."""
        return self.desktop.container.path(f"{self.directory}/{name}")

    # --- its life ---------------------------------------------------------------------------

    def start(self, ready=True):
        """Starts its instance, where that does not run, and QEMU.  ready: wait for the guest."""
        with self._coming_up():
            self._start()
        if ready:
            self.wait_ready()

    @contextlib.contextmanager
    def _coming_up(self):
        """What does not come up once is not tried again: each time would take minutes."""
        assert not self.lost, f"the VM {self.name} did not come up before: {self.lost}"
        try:
            yield
        except BaseException as e:
            self.lost = str(e) or type(e).__name__
            self.kill()
            raise

    def _start(self):
        self._ended()
        options = []
        if self.sidebus:
            self.desktop.run(["systemctl", "--user", "start", self.unit], timeout=120)
            said = self.desktop.run(["sbsupervisor", "--vm", self.name, "--print", "qemu"]).out
            options, vsock = printed_options(said, self.memory)
            if vsock:
                vsock[0] = f"{OURS}/tools/{vsock[0]}"
                self.vsock = self.desktop.start(vsock, unit=f"vm-{self.name}-vsock")
                self._wait_socket(re.search(r"--socket[= ](\S+)", " ".join(vsock))[1], self.vsock)
        else:
            options = ["-m", f"{self.memory}M"]
        for name in ("qmp", "agent"):
            self.desktop.run(["rm", "-f", f"{self.directory}/{name}"])
        self.started = time.monotonic()
        self.boots += 1
        self.qemu = self.desktop.start(["qemu-system-x86_64", *options, *self._own_options()],
                                       unit=f"vm-{self.name}")
        self._wait_socket(f"{self.directory}/qmp", self.qemu)
        self.monitor = Monitor(self.file("qmp"))
        self.agent = GuestAgent(self.file("agent"))

    def _wait_socket(self, path, program):
        def listening():
            assert program.running(), f"{program.unit} ended:\n{program.log()}"
            return listens(self.desktop.container.path(path))
        wait_for(f"{program.unit} to listen at {path}", listening, 60)

    def _own_options(self):
        images = f"{OURS}/images"
        drives = [f"{images}/root.squashfs",
                  *(f"{OURS}/layers/{os.path.basename(path)}" for path in self.layers)]
        options = ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35",
                   "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
                   "-kernel", f"{images}/kernel", "-initrd", f"{images}/initramfs",
                   "-append", f"{KERNEL} systemd.machine_id={self.cid:032x} "
                              f"systemd.hostname={self.name}",
                   "-chardev", f"file,id=console,path={self.directory}/console.log,append=on",
                   "-serial", "chardev:console",
                   "-qmp", f"unix:{self.directory}/qmp,server=on,wait=off",
                   "-chardev", f"socket,id=agent,path={self.directory}/agent,server=on,wait=off",
                   "-device", "virtio-serial-pci",
                   "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
                   "-object", "rng-random,id=rng,filename=/dev/urandom",
                   "-device", "virtio-rng-pci,rng=rng"]
        for n, path in enumerate(drives):
            options += ["-drive", f"file={path},if=none,id=drive{n},format=raw,readonly=on",
                        "-device", f"virtio-blk-pci,drive=drive{n}"]
        return options

    def wait_ready(self):
        """Until the agent answers and the guest's systemd has started everything."""
        with self._coming_up():
            self._wait_ready()

    def _wait_ready(self):
        limit = time.monotonic() + BOOT_SECONDS * scale()
        while not self.agent.answers(1):
            assert self.qemu.running(), f"QEMU of {self.name} ended:\n{self.qemu.log()}"
            if time.monotonic() > limit:
                raise Timeout(f"the guest {self.name} does not come up; its console:\n"
                              + self.console()[-3000:])
        self.agent.run(["/bin/systemctl", "is-system-running", "--wait"], timeout=BOOT_SECONDS)

    def _ended(self):
        for thing in (self.monitor, self.agent):
            if thing:
                thing.close()
        self.monitor = self.agent = None
        if self.qemu:
            self.qemu.wait()
        if self.vsock:
            self.vsock.stop()
        self.qemu = self.vsock = None

    def running(self):
        return self.qemu is not None and self.qemu.running()

    def stop(self):
        """QEMU quits; the guest is not asked."""
        if self.running():
            try:
                self.qmp("quit")
            except ConnectionResetError:
                pass
        self._ended()

    def kill(self):
        """As a crash of QEMU."""
        if self.qemu:
            self.qemu.kill()
        self._ended()

    def reboot(self):
        """From within, QEMU stays; until the guest is up again."""
        before = self.run(["cat", "/proc/sys/kernel/random/boot_id"], user="root").out
        self.boots += 1
        try:
            self.run(["systemctl", "reboot"], user="root", check=False)
        except RuntimeError:
            pass  # the agent that is up again does not know who was asked by the one before

        def again():
            assert self.running(), f"QEMU of {self.name} ended:\n{self.qemu.log()}"
            if not self.agent.answers(1):
                return False
            try:
                done = self.agent.run(["/bin/cat", "/proc/sys/kernel/random/boot_id"])
            except (RuntimeError, Timeout):
                return False  # it went down meanwhile
            return done.status == 0 and done.out != before
        with self._coming_up():
            wait_for(f"the guest {self.name} to come up again", again, BOOT_SECONDS)
            self._wait_ready()

    def qmp(self, command, **arguments):
        return self.monitor.command(command, **arguments)

    # --- in the guest -------------------------------------------------------------------------

    def run(self, command, user="user", input=None, env=None, timeout=60, check=True):
        """Runs a command (list, or string for a shell) in there to its end; a processes.Done."""
        argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
        pairs = {**(GUEST_USER if user == "user" else {}), **(env or {})}
        words = [f"{key}={value}" for key, value in pairs.items()]
        if user == "user":
            become = ["/usr/bin/setpriv", "--reuid", "1000", "--regid", "1000", "--init-groups",
                      "env", "-i", "--chdir=/home/user", *words]
        else:
            become = ["/usr/bin/env", *words]
        data = input.encode() if isinstance(input, str) else input
        done = self.agent.run([*become, *argv], data=data, timeout=timeout)
        return done.must() if check else done

    def put(self, path, data, mode=0o644):
        """A file of the guest's user, in a directory that exists."""
        self.agent.put(path, data.encode() if isinstance(data, str) else data)
        self.run(f"chmod {mode:o} {shlex.quote(path)} && chown 1000:1000 {shlex.quote(path)}",
                 user="root")

    def get(self, path):
        return self.agent.get(path)

    # --- for the report -----------------------------------------------------------------------

    def console(self):
        """What its kernel and systemd said; from its first start on."""
        try:
            with open(self.file("console.log"), "rb") as f:
                return f.read().decode(errors="backslashreplace").replace("\r", "")
        except FileNotFoundError:
            return ""
