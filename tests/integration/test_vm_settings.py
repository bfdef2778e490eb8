# SPDX-License-Identifier: MIT
"""What a VM's own configuration changes of the files and dialogs that it gets."""

import errno
import os

from rig.files import opened, read, refused, write
from rig.guest import GLib, GuestClient


def own_chain(env, **arguments):
    sidebus = env.closing(env.own_sidebus(**arguments))
    return sidebus, env.closing(GuestClient(env.own_agent(sidebus).address))


def test_open_read(env):
    """Open=read: the guest may only read what is opened, and still saves"""
    _, client = own_chain(env, config="[Documents]\nOpen=read\n")
    host = env.host_file("kept", b"kept")
    guest = opened(env, host, client)
    assert read(guest) == b"kept"
    assert refused(write, guest, b"changed") == errno.EACCES
    request = client.save_file()
    env.dialog().pick(os.path.join(os.path.dirname(host), b"new"))
    write(request.path_of_one(), b"saved")


def test_guest_documents(env):
    """--guest-documents: the URIs name the place where the guest has mounted them"""
    host = env.host_file("a b")
    for arguments, place in (([], b"/run/sidebus/doc/"),
                             (["--guest-documents", "/mnt/my docs"], b"/mnt/my docs/")):
        _, client = own_chain(env, debug=False, arguments=arguments)
        guest = opened(env, host, client)
        assert guest.startswith(place) and guest.endswith(b"/a b"), guest


def test_label(env):
    """Label=: the dialog's title says which VM it is from"""
    _, client = own_chain(env, config="[VM]\nLabel=My work VM\n")
    client.open_file(title="Open")
    assert env.dialog().title == "My work VM: Open"


def test_window_handles(env):
    """WindowHandles=pass: handles of windows reach the dialog, anything else does not"""
    _, client = own_chain(env, config="[Portals]\nWindowHandles=pass\n")
    for parent, seen in (("x11:1f", "x11:1f"), ("wayland:abc", "wayland:abc"), ("", ""),
                         ("file:///etc", ""), ("x11", "")):
        client.open_file(parent=parent)
        dialog = env.dialog()
        assert dialog.parent == seen, (parent, dialog.parent)
        dialog.answer(1)


def test_app_id(env):
    """documents are granted to an app of this VM's own, named after it"""
    host = env.host_file("whose")
    sidebus, client = own_chain(env, vm="other.VM-2")
    identifier = os.path.relpath(opened(env, host, client), os.fsencode(sidebus.documents))
    private = env.closing(GuestClient("unix:path=" + os.path.join(sidebus.debug, "private.sock")))
    documents = "org.freedesktop.portal.Documents"
    path, apps = private.call("/org/freedesktop/portal/documents", documents, "Info",
                              GLib.Variant("(s)", (os.fsdecode(identifier.split(b"/")[0]),)),
                              destination=documents)
    assert bytes(path) == host + b"\0"
    assert {app: sorted(rights) for app, rights in apps.items() if rights} == {
        "org.sidebus.vm.other_2eVM_2d2": ["read", "write"]}, apps
