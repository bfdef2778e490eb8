# SPDX-License-Identifier: MIT
"""The systems that the VM tests run on, built once below BUILD/images.

  guest    Debian as a VM: a tree, its squashfs, a kernel and an initramfs that boots them
  desktop  Debian as a person's machine: a tree for systemd-nspawn
  tools    vhost-device-vsock, from Debian sid, with the C library that it wants

Each is a directory that has its name only once it is complete, with a file "key": a hash of
everything it is made from here.  Another key builds it anew.  As root only.

    images = Images("build", say=print)
    images.guest()                     # builds what is missing; a Guest
    images.desktop("trixie")           # the path of the tree

python3 -B -m rig.images BUILD (in tests/) builds them all.
"""

import fcntl
import glob
import hashlib
import inspect
import lzma
import os
import shutil
import subprocess
import sys
import time
import zlib

from . import foreign

# Debian's, in their order: what is built on one runs on the later.
RELEASES = {"bookworm": 12, "trixie": 13}

# What systemd needs to be an ordinary system, in a VM and in a container.
BASE = ("systemd", "systemd-sysv", "dbus", "dbus-bin", "dbus-user-session", "libpam-systemd",
        "kmod", "procps", "passwd", "util-linux", "iproute2", "python3", "python3-gi",
        "python3-dbus", "gir1.2-glib-2.0", "gir1.2-gtk-3.0", "libglib2.0-bin", "xvfb",
        "fonts-dejavu-core", "xdg-desktop-portal", "fuse3", "libseccomp2", "libcap-ng0",
        "libdbus-1-3", "libsystemd0")
GUEST = (*BASE, "udev", "qemu-guest-agent", "gir1.2-gtk-4.0", "python3-pyqt5",
         "qt5-xdgdesktopportal-platformtheme")
DESKTOP = (*BASE, "qemu-system-x86", "xdg-desktop-portal-gtk", "xdotool", "imagemagick",
           "openbox", "xterm", "adwaita-icon-theme", "fonts-cantarell", "virtiofsd?")

TOOLS = ("vhost-device-vsock", "libc6", "libgcc-s1")

LEAVE_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*",
             "/usr/share/lintian/*")

# The kernel's modules that are in the guest, each with those it depends on; the first are in the
# initramfs too.
BOOT_MODULES = ("virtio_pci", "virtio_blk", "squashfs", "overlay")
MODULES = ("virtio_console", "virtio_rng", "virtiofs", "fuse", "autofs4", "loop", "tun",
           "vmw_vsock_virtio_transport", "vhost_vsock", "vsock_loopback", "vsock_diag",
           "unix_diag", "inet_diag", "qemu_fw_cfg")

# Not needed in a machine that lives for a minute, and slow under emulation.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
          "fstrim.timer", "getty.target", "getty@.service", "serial-getty@.service",
          "systemd-random-seed.service", "systemd-pstore.service", "systemd-hwdb-update.service",
          "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
          "systemd-udev-settle.service", "systemd-network-generator.service",
          "systemd-ask-password-wall.path", "systemd-ask-password-console.path",
          "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "dev-hugepages.mount",
          "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount",
          "console-setup.service", "keyboard-setup.service", "e2scrub_reap.service")

INIT = """#!/bin/busybox sh
# The root is a stack of squashfs images, the last drive on top, with a tmpfs over them.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
        insmod "/modules/$module" || echo "initramfs: $module does not load" >/dev/kmsg
done </modules/order
n=0
until [ -b /dev/vda ] || [ $n = 100 ]; do
        sleep 0.1
        n=$((n + 1))
done
lower=
for drive in /dev/vd?; do
        mkdir "/layer/${drive##*/}"
        mount -t squashfs -o ro "$drive" "/layer/${drive##*/}"
        lower=/layer/${drive##*/}${lower:+:$lower}
done
mount -t tmpfs -o size=80% tmpfs /rw
mkdir /rw/upper /rw/work
mount -t overlay -o "lowerdir=$lower,upperdir=/rw/upper,workdir=/rw/work" root /root
for name in dev proc sys; do
        mount --move "/$name" "/root/$name"
done
exec switch_root /root /sbin/init
"""


def machine_release():
    """The Debian release of this machine."""
    with open("/etc/os-release", encoding="utf-8") as f:
        for line in f:
            if line.startswith("VERSION_CODENAME="):
                return line.split("=")[1].strip().strip('"')
    raise RuntimeError("/etc/os-release has no VERSION_CODENAME")


def releases():
    """Those on which a package that was built here can be installed, the newest last."""
    here = machine_release()
    if here not in RELEASES:
        raise RuntimeError(f"the VM tests know Debian's {' and '.join(RELEASES)}, not {here}")
    return [name for name, number in RELEASES.items() if number >= RELEASES[here]]


def run(*argv, **arguments):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **arguments)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv[:4])}…: {done.stderr.strip()[-2000:]}")
    return done.stdout


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


# --- a tree -----------------------------------------------------------------------------------

def _packages(words, release):
    """Those marked with ? only where the release has them: since Debian 13."""
    return [word.rstrip("?") for word in words if not word.endswith("?") or RELEASES[release] > 12]


def make_tree(tree, release, words, user):
    """A Debian with these packages and this user, 1000, that boots to multi-user.target."""
    # In a mount namespace of its own: what it mounts there goes with it, also when it is killed.
    run("unshare", "--mount", "--propagation", "private", "mmdebstrap", "--variant=apt",
        "--include=" + ",".join(_packages(words, release)),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEAVE_OUT),
        '--aptopt=Apt::Install-Recommends "false"', '--aptopt=Acquire::Retries "3"',
        "--keyring=" + foreign.KEYRING, release, tree, foreign.source_line(release))
    units = os.path.join(tree, "etc/systemd/system")
    for unit in MASKED:
        os.symlink("/dev/null", os.path.join(units, unit))
    os.symlink("/usr/lib/systemd/system/multi-user.target", os.path.join(units, "default.target"))
    run("chroot", tree, "useradd", "--create-home", "--shell", "/bin/bash", "--uid", "1000",
        "--groups", "systemd-journal", user)
    write(os.path.join(tree, "etc/fstab"), "")
    write(os.path.join(tree, "etc/hostname"), user + "\n")
    # One that is set: no first boot, no presets.
    write(os.path.join(tree, "etc/machine-id"), hashlib.md5(tree.encode()).hexdigest() + "\n")
    for stamp in ("etc/.updated", "var/.updated"):
        write(os.path.join(tree, stamp), "")


# --- the guest's kernel -------------------------------------------------------------------------

def _decompressors():
    yield b"\xfd7zXZ\x00", lambda data: lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data)
    yield b"\x1f\x8b\x08", lambda data: zlib.decompressobj(31).decompress(data)
    yield b"\x28\xb5\x2f\xfd", lambda data: subprocess.run(
        ["zstd", "-dcq"], input=data, capture_output=True, check=False).stdout


def uncompressed(kernel):
    """The ELF file in a bzImage: to decompress it under emulation takes seconds.  None: none."""
    for magic, decompress in _decompressors():
        at = kernel.find(magic)
        while at >= 0:
            try:
                found = decompress(kernel[at:])
            except (lzma.LZMAError, zlib.error):
                found = b""
            if found.startswith(b"\x7fELF"):
                return found
            at = kernel.find(magic, at + 1)
    return None


class Modules:
    """The modules of an unpacked kernel package."""

    def __init__(self, unpacked):
        if not os.path.exists(os.path.join(unpacked, "lib")):
            os.symlink("usr/lib", os.path.join(unpacked, "lib"))
        self.top = glob.glob(os.path.join(unpacked, "lib/modules/*"))[0]
        self.release = os.path.basename(self.top)
        run("depmod", "-b", unpacked, self.release)
        self.files = {}
        with open(os.path.join(self.top, "modules.dep"), encoding="utf-8") as f:
            for line in f:
                path, needs = line.split(":")
                self.files[self.name(path)] = (path, needs.split())

    @staticmethod
    def name(path):
        return os.path.basename(path).split(".ko")[0].replace("-", "_")

    def closure(self, names):
        """The files of these and of what they need, in an order in which they load."""
        order = []
        for name in names:
            if name not in self.files:
                continue  # built in
            path, needs = self.files[name]
            for file in [*reversed(needs), path]:
                if file not in order:
                    order.append(file)
        return order

    def install(self, tree):
        """Those that a guest may ask for, below tree."""
        target = os.path.join(tree, "usr/lib/modules", self.release)
        for path in self.closure(BOOT_MODULES + MODULES):
            os.makedirs(os.path.dirname(os.path.join(target, path)), exist_ok=True)
            shutil.copy(os.path.join(self.top, path), os.path.join(target, path))
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            shutil.copy(os.path.join(self.top, name), target)
        run("depmod", "-b", tree, self.release)

    def plain(self, path):
        """A module's bytes, not compressed."""
        with open(os.path.join(self.top, path), "rb") as f:
            data = f.read()
        return lzma.decompress(data) if path.endswith(".xz") else data


def make_initramfs(modules, work, output):
    for name in ("bin", "dev", "proc", "sys", "modules", "layer", "rw", "root"):
        os.makedirs(os.path.join(work, name))
    shutil.copy("/bin/busybox", os.path.join(work, "bin/busybox"))
    write(os.path.join(work, "init"), INIT, 0o755)
    order = []
    for path in modules.closure(BOOT_MODULES):
        order.append(os.path.basename(path).split(".ko")[0] + ".ko")
        with open(os.path.join(work, "modules", order[-1]), "wb") as f:
            f.write(modules.plain(path))
    write(os.path.join(work, "modules/order"), "".join(name + "\n" for name in order))
    names = "".join(os.path.relpath(os.path.join(top, name), work) + "\n"
                    for top, dirs, files in os.walk(work) for name in dirs + files)
    with open(output, "wb") as out:
        subprocess.run(["cpio", "--create", "--format=newc", "--quiet"], cwd=work, check=True,
                       input=names.encode(), stdout=out)


def pack(tree, output, *leave_out):
    """A squashfs of a tree, quick to make and to read."""
    run("mksquashfs", tree, output, "-comp", "zstd", "-Xcompression-level", "3", "-noappend",
        "-quiet", "-no-progress", *(["-wildcards", "-e", *leave_out] if leave_out else []))


def recipe(*parts):
    """What a tree is made from besides its own lists: another way to make it is another image."""
    return (LEAVE_OUT, MASKED, *(inspect.getsource(part) for part in parts))


# --- the images ---------------------------------------------------------------------------------

GUEST_FILES = {
    # What goes wrong at boot is seen on the console.
    "etc/systemd/journald.conf.d/rig.conf":
        "[Journal]\nStorage=volatile\nForwardToConsole=yes\nMaxLevelConsole=warning\n",
    "etc/tmpfiles.d/rig.conf": "d /run/user 0755 root root\nd /run/user/1000 0700 1000 1000\n",
}

DESKTOP_FILES = {
    "etc/systemd/journald.conf.d/rig.conf": "[Journal]\nStorage=persistent\n",
    "var/lib/systemd/linger/person": "",
}


class Guest:
    """The files a VM boots from."""

    def __init__(self, directory):
        self.tree = os.path.join(directory, "tree")
        self.root = os.path.join(directory, "root.squashfs")
        self.kernel = os.path.join(directory, "kernel")
        self.initramfs = os.path.join(directory, "initramfs")


class Images:
    def __init__(self, build, say=None):
        self.top = os.path.join(os.path.abspath(build), "images")
        self.say = say or (lambda text: None)

    def _have(self, name, make, *made_from):
        """The directory of an image; make(directory) fills a new one."""
        os.makedirs(self.top, exist_ok=True)
        with open(os.path.join(self.top, "lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self._have_locked(name, make, made_from)

    def _have_locked(self, name, make, made_from):
        key = hashlib.sha256(repr(made_from).encode()).hexdigest()
        path = os.path.join(self.top, name)
        try:
            with open(os.path.join(path, "key"), encoding="ascii") as f:
                if f.read() == key:
                    return path
        except FileNotFoundError:
            pass
        started = time.monotonic()
        unfinished = path + ".new"
        for old in (path, unfinished):
            if os.path.exists(old):
                run("rm", "-rf", "--one-file-system", old)
        os.makedirs(unfinished)
        make(unfinished)
        write(os.path.join(unfinished, "key"), key)
        os.rename(unfinished, path)
        self.say(f"image {name}: built in {time.monotonic() - started:.0f} s")
        return path

    def guest_directory(self):
        return os.path.dirname(self.guest().root)

    def guest(self):
        release = machine_release()
        made_from = (release, GUEST, GUEST_FILES, BOOT_MODULES, MODULES, INIT,
                     recipe(make_tree, make_initramfs, pack, uncompressed, Modules,
                            Images._make_guest))
        return Guest(self._have(f"guest-{release}", lambda d: self._make_guest(d, release),
                                *made_from))

    def _make_guest(self, directory, release):
        guest = Guest(directory)
        make_tree(guest.tree, release, GUEST, "user")
        for name, text in GUEST_FILES.items():
            write(os.path.join(guest.tree, name), text)
        work = os.path.join(directory, "work")
        kernel = os.path.join(work, "kernel")
        os.makedirs(kernel)
        apt = foreign.Apt(release, os.path.join(work, "apt"))
        apt.unpack([p for p in apt.depends("linux-image-amd64") if p.startswith("linux-image")],
                   kernel)
        with open(glob.glob(os.path.join(kernel, "boot/vmlinuz-*"))[0], "rb") as f:
            image = f.read()
        with open(guest.kernel, "wb") as f:
            f.write(uncompressed(image) or image)
        modules = Modules(kernel)
        modules.install(guest.tree)
        make_initramfs(modules, os.path.join(work, "initramfs"), guest.initramfs)
        shutil.rmtree(work)
        pack(guest.tree, guest.root)

    def desktop(self, release):
        def make(directory):
            tree = os.path.join(directory, "tree")
            make_tree(tree, release, DESKTOP, "person")
            for name, text in DESKTOP_FILES.items():
                write(os.path.join(tree, name), text)
        made_from = (release, DESKTOP, DESKTOP_FILES, recipe(make_tree))
        return os.path.join(self._have(f"desktop-{release}", make, *made_from), "tree")

    def tools(self):
        """A directory with vhost-device-vsock, whatever C library it wants."""
        def make(directory):
            foreign.unpack("sid", TOOLS, directory)
            run(foreign.wrap(directory, "usr/bin/vhost-device-vsock", "vhost-device-vsock"),
                "--version")
        return self._have("tools", make, "sid", TOOLS)

    def all(self):
        known = releases()
        self.tools()
        self.guest()
        for release in known:
            self.desktop(release)


if __name__ == "__main__":
    Images(sys.argv[1], say=print).all()
