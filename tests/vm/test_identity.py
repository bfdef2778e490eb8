# SPDX-License-Identifier: MIT
"""Who a VM is to the host's portal on a person's machine, without a guest.

Debian 12's portal (1.16) knows a program by the systemd unit of the process that connected,
Debian 13's is told.  Both are those of the desktop, with a real user manager.
"""

from rig import images
from rig.processes import wait_for

DESKTOP = "org.freedesktop.portal.Desktop"
PATH = "/org/freedesktop/portal/desktop"
FILE_CHOOSER = "org.freedesktop.portal.FileChooser"
OLD = "bookworm"
SOCKETS = "/home/person/identity"


def serve(desktop, name, label=None, more=""):
    """Starts the unit of a VM; the socket that its guest would use."""
    listen = f"{SOCKETS}/{name}"
    desktop.run(["mkdir", "-p", "-m", "700", SOCKETS])
    desktop.put(f"/home/person/.config/sidebus/{name}.conf",
                f"[VM]\nLabel={label or name}\nListen=unix:{listen}\n{more}")
    desktop.run(["systemctl", "--user", "start", "sidebus@" + name])
    return listen


def stop(desktop, name):
    desktop.run(["systemctl", "--user", "stop", "sidebus@" + name])


def seen(desktop, listen):
    """The application id that the backend gets when the guest asks for a file."""
    chooser = desktop.chooser  # it runs from here on
    desktop.run(["busctl", "--address=unix:path=" + listen, "call", DESKTOP, PATH, FILE_CHOOSER,
                 "OpenFile", "ssa{sv}", "", "Who", "0"])
    return chooser.next_dialog().app_id


def scopes(desktop):
    """The scopes of ours, each with its processes."""
    out = desktop.run(["systemctl", "--user", "list-units", "--all", "--plain", "--no-legend",
                       "app-sidebus-*"]).out
    return {line.split()[0]: processes_in(desktop, line.split()[0]) for line in out.splitlines()}


def processes_in(desktop, unit):
    group = desktop.run(["systemctl", "--user", "show", "-p", "ControlGroup", "--value",
                         unit]).out.strip()
    pids = desktop.run(["cat", f"/sys/fs/cgroup{group}/cgroup.procs"], check=False).out.split()
    return [desktop.run(["cat", f"/proc/{pid}/comm"], check=False).out.strip() for pid in pids]


def by_scope(desktop):
    """Whether this desktop's portal looks at the unit of who connected."""
    return desktop.release == OLD


def test_scope(env):
    """an older portal knows a VM by a scope with the connector alone; a newer one is told"""
    app_id = "org.sidebus.vm.my_2evm_2d2"
    for release in images.releases():
        desktop = env.desktop(release)
        listen = serve(desktop, "my.vm-2")
        assert seen(desktop, listen) == app_id
        found = scopes(desktop)
        if by_scope(desktop):
            (scope, inside), = found.items()
            assert scope.startswith(f"app-sidebus-{app_id}-"), scope
            assert inside == ["sb-connector"], inside
        else:
            assert found == {}, found
        assert "sbsupervisor" in processes_in(desktop, "sidebus@my.vm-2.service")
        stop(desktop, "my.vm-2")
        wait_for("the scope to end", lambda: not scopes(desktop))


def wait_restart(desktop, name, before):
    """Waits until the unit serves with another main process."""
    def served():
        pid, state = desktop.run(["systemctl", "--user", "show", "-p", "MainPID", "-p",
                                  "ActiveState", "--value", "sidebus@" + name]).out.split()
        return pid not in ("0", before) and state == "active"
    wait_for(f"sidebus@{name} to serve again", served, 60)


def main_pid(desktop, name):
    return desktop.run(["systemctl", "--user", "show", "-p", "MainPID", "--value",
                        "sidebus@" + name]).out.strip()


def test_identities(env):
    """two VMs are two applications; the portal restarted, or stopped; the supervisor killed"""
    for release in images.releases():
        desktop = env.desktop(release)
        first, second = serve(desktop, "first"), serve(desktop, "second", "Zweite \\ VM")
        for _ in range(2):
            assert seen(desktop, first) == "org.sidebus.vm.first"
            assert seen(desktop, second) == "org.sidebus.vm.second"
            desktop.run(["systemctl", "--user", "restart", "xdg-desktop-portal.service"])
        desktop.run(["systemctl", "--user", "stop", "xdg-desktop-portal.service"])
        assert seen(desktop, first) == "org.sidebus.vm.first"  # which has started it
        before = main_pid(desktop, "first")
        desktop.run(["kill", "-KILL", before])
        wait_restart(desktop, "first", before)
        assert seen(desktop, first) == "org.sidebus.vm.first"
        for name in ("first", "second"):
            stop(desktop, name)
        wait_for("the scopes to end", lambda: not scopes(desktop))
        assert desktop.run(["pgrep", "-x", "sb-connector"], check=False).out == ""


def test_entry(env):
    """the VM's .desktop file has its label, and stays"""
    desktop = env.desktop(images.machine_release())
    serve(desktop, "named", "Zweite \\ VM")
    stop(desktop, "named")
    text = desktop.get("/home/person/.local/share/applications/org.sidebus.vm.named.desktop")
    assert "\nName=Zweite \\\\ VM\n".encode() in text, text


def test_connector_killed(env):
    """a connector that is killed: the instance says so, and is started anew"""
    for release in images.releases():
        desktop = env.desktop(release)
        listen = serve(desktop, "killed")
        before = main_pid(desktop, "killed")
        done = desktop.run(["pkill", "-KILL", "-x", "sb-connector"], check=False)
        assert (done.status == 0) == by_scope(desktop), done
        if by_scope(desktop):
            wait_restart(desktop, "killed", before)
            assert "sb-connector ended" in desktop.journal("-u", "sidebus@killed")
        assert seen(desktop, listen) == "org.sidebus.vm.killed"
        stop(desktop, "killed")


def test_disposable_identity(env):
    """Disposable=yes: the VM's .desktop file goes with it"""
    desktop = env.desktop(images.machine_release())
    listen = serve(desktop, "brief", more="Disposable=yes\n")
    assert seen(desktop, listen) == "org.sidebus.vm.brief"
    entry = "/home/person/.local/share/applications/org.sidebus.vm.brief.desktop"
    desktop.run(["test", "-f", entry])
    stop(desktop, "brief")
    assert desktop.run(["test", "-e", entry], check=False).status == 1
