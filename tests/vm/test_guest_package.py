# SPDX-License-Identifier: MIT
"""The guest's package under systemd, in a container: what needs no VM."""

import os

from rig.container import Container
from rig.desktop import PATH, overlay
from rig.images import releases, run, write
from rig.processes import wait_for


class Guest:
    """A system with the package, without user 1000, whose image brings these credentials."""

    def __init__(self, env, release, **credentials):
        scratch = env.directory()
        view, _ = overlay(env.images.desktop(release), os.path.join(scratch, "root"))
        env.packages.install(view, "sidebus-guest")
        run("chroot", view, "userdel", "person")
        for name, value in credentials.items():
            os.makedirs(f"{view}/usr/lib/credstore", exist_ok=True)
            write(f"{view}/usr/lib/credstore/sidebus.{name}", value)
        self.box = Container(view, os.path.join(scratch, "box"), release)

    def __enter__(self):
        wait_for("the boot", lambda: self.run("systemctl list-jobs --no-legend") == "", 60)
        return self

    def __exit__(self, *_error):
        self.box.stop()

    def run(self, command):
        done = self.box.run(["sh", "-c", command], user=("root", 0), env={"PATH": PATH})
        return done.out.strip()

    def socket(self):
        return self.run("systemctl is-active sbagent.socket; stat -c %u:%g:%a /run/sidebus/bus")


def test_no_such_user(env):
    """the bus belongs to the guest's user by number, who need not exist yet"""
    for release in releases():
        for credentials, owner in (({}, "1000:0"), ({"user": "1001"}, "1001:0"),
                                   ({"user": "1001:1002"}, "1001:1002")):
            with Guest(env, release, port="7000", **credentials) as guest:
                assert guest.run("getent passwd 1000 1001") == ""
                assert guest.socket() == f"active\n{owner}:600", (release, guest.socket())
                assert guest.run("systemctl --failed --no-legend") == ""
                guest.run("systemctl restart sbagent.socket")
                assert guest.socket() == f"active\n{owner}:600", (release, guest.socket())


def test_removed(env):
    """the package removed: no unit is left, also not of documents that could not be mounted"""
    units = "systemctl list-units --all --no-legend --plain 'run-sidebus*'"
    for release in releases():
        with Guest(env, release, port="7000", tag="of-no-device") as guest:
            assert "failed" in guest.run(units), guest.run(units)
            guest.run("dpkg --remove sidebus-guest")
            assert guest.run(units) == "" and guest.run("ls /run/sidebus/bus") == ""
            assert guest.run("systemctl --failed --no-legend") == ""
