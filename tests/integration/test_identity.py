# SPDX-License-Identifier: MIT
"""Who the VM is to the host: the application id that the backend of the host's portal gets.

An xdg-desktop-portal since 1.19.4 is told; an older one looks at the unit of the process that
connected, which takes a systemd user manager: without one there is no id, and sidebus says so.
"""

import os
import signal
import threading
import time

from rig import newer_portal
from rig.guest import GLib, GuestClient, pump
from rig.processes import wait_for

DESKTOP = "org.freedesktop.portal.Desktop"
REGISTRY = "org.freedesktop.host.portal.Registry"


def newer_session(env, **arguments):
    return env.own_session(libexec=env.newer_portal, **arguments)


def client_of(env, sidebus):
    return env.closing(GuestClient(env.own_agent(sidebus).address))


def own_chain(env, session, **arguments):
    """An instance on that session, and a guest's program."""
    sidebus = env.closing(env.own_sidebus(session, **arguments))
    return sidebus, client_of(env, sidebus)


def dialog_of(session, client):
    """What the file chooser is told when the guest's program asks; the dialog is over."""
    client.open_file("Which VM is it")
    dialog = session.chooser.next_dialog(pump=pump)
    dialog.answer(1)
    return dialog


def entry(session, app_id):
    return session.file("data", "applications", app_id + ".desktop")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def test_registered(env):
    """the host's dialogs are of the VM's own application, with the VM's label"""
    session = newer_session(env)
    sidebus, client = own_chain(env, session, vm="my.vm", config="[VM]\nLabel=Büro \\ 2\n")
    app_id = "org.sidebus.vm.my_2evm"
    assert dialog_of(session, client).app_id == app_id
    text = read(entry(session, app_id))
    assert "\nName=Büro \\\\ 2\n" in text and "\nNoDisplay=true\n" in text, text
    assert sidebus.wait_log(f"the host's portal knows this VM as {app_id}$")


def test_two_vms(env):
    """two VMs are two applications to the host"""
    session = newer_session(env)
    _, first = own_chain(env, session, vm="first")
    _, second = own_chain(env, session, vm="second")
    assert dialog_of(session, first).app_id == "org.sidebus.vm.first"
    assert dialog_of(session, second).app_id == "org.sidebus.vm.second"
    assert dialog_of(session, first).app_id == "org.sidebus.vm.first"


def test_first_call(env):
    """Register is the first call on the connection, and it is made once"""
    session = newer_session(env)
    monitor = env.closing(session.monitor())
    _, client = own_chain(env, session)
    dialog_of(session, client)
    monitor.calls("org.freedesktop.portal.FileChooser", "OpenFile")
    sent = [m for m in monitor.messages() if m["type"] == "method_call"
            and m.get("path") == "/org/freedesktop/portal/desktop"]
    by_us = next(m["sender"] for m in sent if m["member"] == "OpenFile"
                 and m["interface"] == "org.freedesktop.portal.FileChooser")
    calls = [m["member"] for m in sent if m["sender"] == by_us]
    assert calls[0] == "Register" and calls.count("Register") == 1, calls


def restarted(session):
    """Ends the portal, and starts another."""
    session.portal.kill()
    wait_for("the portal's name to be free", lambda: not session.owner(DESKTOP))
    session.start_portal()


def test_portal_restarts(env):
    """a portal that was restarted is told anew, before anything else"""
    session = newer_session(env)
    sidebus, client = own_chain(env, session)
    for _ in range(3):
        assert dialog_of(session, client).app_id == "org.sidebus.vm.demo"
        restarted(session)
    assert dialog_of(session, client).app_id == "org.sidebus.vm.demo"
    assert "any more" not in sidebus.log()


def test_portal_on_demand(env):
    """a portal that the guest's call starts is told first who calls"""
    session = newer_session(env, portal=False, activatable=True)
    sidebus, client = own_chain(env, session)
    assert dialog_of(session, client).app_id == "org.sidebus.vm.demo"
    first = session.owner(DESKTOP)
    os.kill(session.pid_of(DESKTOP), signal.SIGKILL)
    wait_for("the portal's name to be free", lambda: not session.owner(DESKTOP))
    # No wait for sidebus to have noticed: the call comes before or after that.
    assert dialog_of(session, client).app_id == "org.sidebus.vm.demo"
    assert session.owner(DESKTOP) not in (None, first)
    assert "any more" not in sidebus.log()


def test_restart_in_calls(env):
    """calls that come while the portal is exchanged never reach one that does not know the VM"""
    session = newer_session(env)
    _, client = own_chain(env, session)
    seen = [dialog_of(session, client).app_id]
    for _ in range(3):
        session.portal.kill()
        for _ in range(20):
            try:
                client.open_file("Now or never")
            except GLib.Error:
                pass
        session.start_portal()
        for _ in range(5):
            client.open_file("And again")
        wait_for("five dialogs", lambda: len(session.chooser.opened()) >= 5)
        seen += [dialog.app_id for dialog in session.chooser.opened()]
        session.chooser.settle()
    assert set(seen) == {"org.sidebus.vm.demo"}, seen


def test_exchanged_unseen(env):
    """a call that waits beside the news of another portal: that one is told first who calls"""
    session = newer_session(env)
    sidebus, client = own_chain(env, session)
    assert dialog_of(session, client).app_id == "org.sidebus.vm.demo"
    sidebus.process.signal(signal.SIGSTOP)
    restarted(session)
    call = threading.Thread(target=client.open_file)
    call.start()
    time.sleep(0.3)  # for the call to come as far as it gets; too early is no fault
    sidebus.process.signal(signal.SIGCONT)
    call.join()
    assert session.chooser.next_dialog(pump=pump).app_id == "org.sidebus.vm.demo"


def test_own_entry(env):
    """a .desktop file that the person made their own stays as it is; a changed label is written"""
    session = newer_session(env)
    path = entry(session, "org.sidebus.vm.demo")
    mine = "[Desktop Entry]\nType=Application\nName=Mine\nExec=true\n"
    write(path, mine)
    _, client = own_chain(env, session)
    assert dialog_of(session, client).app_id == "org.sidebus.vm.demo"
    assert read(path) == mine
    for label in ("One", "Two"):
        sidebus = env.own_sidebus(session, vm="label", config=f"[VM]\nLabel={label}\n")
        assert sidebus.stop() == 0
        assert f"\nName={label}\n" in read(entry(session, "org.sidebus.vm.label"))


def test_refused(env):
    """without a .desktop file there is no id: sidebus says so, and serves"""
    session = newer_session(env)
    os.rename(session.file("data", "applications"), session.file("data", "elsewhere"))
    write(session.file("data", "applications"), "no directory")
    sidebus, client = own_chain(env, session)
    assert dialog_of(session, client).app_id == ""
    assert sidebus.wait_log("cannot write org.sidebus.vm.demo.desktop .*Not a directory")
    assert sidebus.wait_log(r"does not take org.sidebus.vm.demo \(.*App info not found")


def test_no_manager(env):
    """an older portal in a session without systemd: no id, and one line that says so"""
    session = env.session
    sidebus, client = own_chain(env, session, vm="plain")
    dialog = dialog_of(session, client)
    if newer_portal.registers():
        assert dialog.app_id == "org.sidebus.vm.plain"
        return
    assert dialog.app_id == ""
    lines = [line for line in sidebus.log().splitlines() if "application id" in line]
    assert len(lines) == 1 and "without a systemd user manager" in lines[0], lines
    assert not any("connector" in name for name in env.processes().values())
