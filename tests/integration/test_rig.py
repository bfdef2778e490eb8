# SPDX-License-Identifier: MIT
"""The host session alone, without sidebus: what a program on the host itself gets.

When one of these fails, the fault is in the machine or the rig, and no other result counts.
"""

import os

from rig.guest import FILE_CHOOSER, GLib, GuestClient
from rig.session import path_uri


def host_client(env):
    return env.closing(GuestClient(env.session.address))


def test_host_open_file(env):
    """a host program opens a file through xdg-desktop-portal and gets its URI"""
    path = env.host_file("chosen file.txt", b"data")
    request = host_client(env).open_file("Pick me", modal=GLib.Variant("b", True))
    dialog = env.dialog()
    assert (dialog.member, dialog.title) == ("OpenFile", "Pick me")
    assert dialog.options["modal"] is True and dialog.types["modal"] == "b"
    dialog.pick(path)
    assert request.uris() == [path_uri(path)]


def test_host_cancel(env):
    """a cancelled dialog is Response 1"""
    request = host_client(env).save_file()
    env.dialog().answer(1)
    assert request.wait()[0] == 1


def test_host_close(env):
    """Request.Close closes the dialog, and no Response comes"""
    request = host_client(env).open_file()
    dialog = env.dialog()
    request.close()
    env.chooser.wait_closed(dialog)
    assert request.silent()


def test_host_leaves(env):
    """a program that leaves has its dialog closed"""
    client = host_client(env)
    client.open_file()
    dialog = env.dialog()
    client.close()
    env.chooser.wait_closed(dialog)


def test_host_monitor(env):
    """the monitor shows what a program sends, with types and keys that come twice"""
    monitor = env.closing(env.session.monitor())
    entry = GLib.Variant.new_dict_entry
    twice = GLib.Variant.new_array(None, [
        entry(GLib.Variant("s", "modal"), GLib.Variant("v", GLib.Variant("b", value)))
        for value in (True, False)])
    request = host_client(env).request("OpenFile", "", "Twice", raw_options=twice)
    env.dialog().answer(1)
    assert request.wait()[0] == 1
    (_, title, options), = monitor.calls(FILE_CHOOSER, "OpenFile")
    assert title == "Twice"
    assert options == [("modal", {"type": "b", "data": value}) for value in (True, False)], options


def test_host_person(env):
    """the person is not root, and may use FUSE"""
    assert os.geteuid() != 0
    os.close(os.open("/dev/fuse", os.O_RDWR))
    assert env.session.owner("org.freedesktop.portal.Desktop")


def test_virtiofsd_found(env):
    """a Rust virtiofsd is there: this release's, or Debian 13's"""
    assert env.virtiofsd
