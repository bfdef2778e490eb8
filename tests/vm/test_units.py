# SPDX-License-Identifier: MIT
"""The host's units from inside: their hardening is on, and every place a person picks from works.

Containers with systemd; no VM is booted: the guest's program speaks to the unit's socket.
"""

import os
import re

from rig.guest import GLib, GuestClient, path_bytes
from rig.processes import wait_for

RELEASES = ("bookworm", "trixie")
LISTEN = "/home/person/units/socket"
STICK = "/run/media/person/STICK"
GVFS = "/run/user/1000/gvfs"
# Where a person's files are; the last two are mounted when the unit runs already.
PLACES = ("/home/person/Documents", "/tmp/units", "/mnt/units", STICK, GVFS + "/remote")
SHARE = "/run/user/1000/sidebus/units/documents/doc/by-app/org.sidebus.vm.units"


class Unit:
    """sidebus@units of one of the two service managers, with a guest's program."""

    def __init__(self, env, desktop, manager):
        self.desktop = desktop
        self.user = "person" if manager == "user" else "root"
        self.control = "systemctl --user" if manager == "user" else "systemctl"
        self.env = env
        desktop.run(["mkdir", "-p", "-m", "700", os.path.dirname(LISTEN)])
        desktop.put("/home/person/.config/sidebus/units.conf", f"[VM]\nListen=unix:{LISTEN}\n")
        if manager == "system":
            owner = desktop.run("sbsupervisor --vm units --print systemd-owner").out
            desktop.put("/etc/systemd/system/sidebus@units.service.d/owner.conf", owner,
                        owner="root")
        self.manage("daemon-reload")
        self.manage("start sidebus@units")
        self.pid = int(self.manage("show -p MainPID --value sidebus@units"))
        self.client = GuestClient("unix:path=" + desktop.container.path(LISTEN))

    def manage(self, words):
        return self.desktop.run(f"{self.control} {words}", user=self.user).out

    def close(self):
        self.client.close()
        self.manage("stop sidebus@units")

    def status(self, pid=None):
        text = self.desktop.run(["cat", f"/proc/{pid or self.pid}/status"], user="root").out
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def documents(self):
        """The share as the daemons see it, in the person's /proc."""
        def found():
            done = self.desktop.run("for pid in $(pgrep -u person xdg-document-po); do "
                                    f"test -d /proc/$pid/root{SHARE} && echo $pid; done; true")
            return done.out.split()
        return f"/proc/{wait_for('the share', found)[0]}/root{SHARE}"

    def here(self, guest_path):
        prefix = b"/run/sidebus/doc/"
        assert guest_path.startswith(prefix), guest_path
        return f"{self.documents()}/{os.fsdecode(guest_path[len(prefix):])}"


def prepare(desktop):
    assert desktop.chooser  # it runs before it is asked
    for place in PLACES[:3]:
        desktop.run(f"mkdir -p {place} && chown person: {place}", user="root")


def mount_later(desktop):
    """What comes when the unit runs: a stick, and what gvfs would mount."""
    desktop.run(f"mkdir -p {STICK} && mount -t tmpfs -o uid=1000,gid=1000 none {STICK} && "
                f"mount -t tmpfs -o uid=1000,gid=1000 none {GVFS} && mkdir {GVFS}/remote && "
                f"chown person: {GVFS}/remote", user="root")


def unmount(desktop):
    desktop.run(f"umount -l {STICK}; umount -l {GVFS}; true", user="root")


def check_place(env, unit, place):
    """A file there is opened and read, written, and another one saved."""
    desktop = unit.desktop
    desktop.put(f"{place}/opened.txt", b"from the host")
    request = unit.client.open_file()
    env.dialog().pick(f"{place}/opened.txt")
    opened = unit.here(request.path_of_one())
    assert desktop.run(["cat", opened]).out == "from the host", place
    desktop.run(f"echo -n from the guest >{opened}")
    assert desktop.get(f"{place}/opened.txt") == b"from the guest", place
    request = unit.client.save_file("saved.txt")
    env.dialog().pick(f"{place}/saved.txt")
    saved = unit.here(request.path_of_one())
    desktop.run(f"echo -n saved >{saved}")
    assert desktop.get(f"{place}/saved.txt") == b"saved", place
    desktop.run(f"rm {place}/opened.txt {place}/saved.txt")


def check_inside(unit, spaces):
    """The unit is what it says: filters, no capabilities, namespaces; nothing of the machine."""
    assert unit.status()["NoNewPrivs"] == "1" and unit.status()["Seccomp"] == "2"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(unit.status()[kind], 16) == 0, (kind, unit.status()[kind])
    for kind in spaces:
        ours, theirs = unit.desktop.run(f"readlink /proc/{unit.pid}/ns/{kind} /proc/1/ns/{kind}",
                                        user="root").out.split()
        assert ours != theirs, kind
    options = unit.desktop.run(f"awk '$5 == \"/proc/sys\" {{ print $6 }}' "
                               f"/proc/{unit.pid}/mountinfo | tail -n 1", user="root").out
    assert "ro" in options.strip().split(","), options


def check_unit(env, release, manager, spaces):
    desktop = env.desktop(release)
    prepare(desktop)
    unit = env.closing(Unit(env, desktop, manager))
    check_inside(unit, spaces)
    try:
        mount_later(desktop)
        for place in PLACES:
            check_place(env, unit, place)
    finally:
        unmount(desktop)
    journal = desktop.run("journalctl --no-pager -b -o cat | grep -i 'sidebus@units.*\\(fail\\|ignor\\)'",
                          user="root", check=False).out
    assert not [line for line in journal.splitlines() if "Unknown key" not in line], journal


def test_user_unit(env):
    """the user's unit: open, save and read in $HOME, /tmp, /mnt, /run/media and gvfs"""
    for release in RELEASES:
        check_unit(env, release, "user", ("user", "mnt"))


def test_system_unit(env):
    """the system's unit: the same"""
    for release in RELEASES:
        check_unit(env, release, "system", ("mnt",))


def test_nobody(env):
    """as the user that stands for all unknown ones: refused, like root, with the reason"""
    desktop = env.desktop()
    for user in ("nobody", "root"):
        done = desktop.run(["runuser", "-u", user, "--", "env", "XDG_RUNTIME_DIR=/tmp",
                            "sbsupervisor", "--vm", "x", "--listen", "unix:/tmp/x"], user="root",
                           check=False)
        assert done.status == 3 and "sbsupervisor does not serve user 65534" in done.err \
            or user == "root" and "does not run as root" in done.err, (user, done)
