# SPDX-License-Identifier: MIT
"""A person on this machine's Debian and a VM: installed from the packages, used as users do.

The tests stand in an order: they share the boots of two VMs, "web" and "other".
"""

import hashlib
import json
import os
import re

import programs
from programs import DOCUMENTS, ENVIRONMENT, GET_VERSION, Asking, call, host_file, opened
from rig.processes import wait_for

DIRECT = GET_VERSION.replace("--user", "--address=unix:path={}")


def the_desktop(env):
    return env.desktop()


def web(env, ready=True):
    """(the VM that most tests use, its desktop)"""
    desktop = the_desktop(env)
    return env.vm(desktop, "web", config="Label=Web\n", ready=ready), desktop


def unit_is(desktop, unit, state):
    """Waits for a state of a unit of the person's."""
    return wait_for(f"{unit} to be {state}", lambda: desktop.run(
        ["systemctl", "--user", "is-active", unit], check=False).out.strip() == state, 60)


# --- the unit on the host, without a guest -----------------------------------------------------

SPARE = "/home/person/spare"


def spare(desktop, name="spare", text=None):
    """Writes a configuration; the socket that its guest would use."""
    listen = f"{SPARE}/{name}"
    desktop.run(["mkdir", "-p", "-m", "700", SPARE])
    desktop.put(f"/home/person/.config/sidebus/{name}.conf",
                text or f"[VM]\nListen=unix:{listen}\n")
    return listen


def serves(desktop, listen):
    """A program that connects as the guest would is answered by the host's portal."""
    return desktop.run(DIRECT.format(listen)).out.startswith("u ")


def left(desktop, name):
    """What there is of an instance: processes, sockets, mounts."""
    return desktop.run(
        f"pgrep -u person -af '[s]bsupervisor.* --vm {name}|[s]brouter|[s]bportal|[v]irtiofsd|"
        f"[x]dg-document-portal.*{name}'; ls -d $XDG_RUNTIME_DIR/sidebus/{name} {SPARE}/{name}; "
        f"grep $XDG_RUNTIME_DIR/sidebus /proc/self/mountinfo; true").out


def test_host_unit(env):
    """the host's unit: a configuration file and systemctl --user start are all it takes"""
    desktop = the_desktop(env)
    listen = spare(desktop)
    desktop.run("systemctl --user start sidebus@spare")
    assert serves(desktop, listen)
    status = desktop.run("systemctl --user status sidebus@spare").out
    assert "active (running)" in status and "serving VM" in status, status
    # The share waits for its VMM without taking a CPU: O_NONBLOCK would make it spin.
    flags = desktop.run("for pid in $(pgrep -u person -f '[v]irtiofsd --fd'); do "
                        "sed -n 's/^flags:.//p' /proc/$pid/fdinfo/3 || true; done").out.split()
    assert flags and not any(int(value, 8) & os.O_NONBLOCK for value in flags), flags
    shown = desktop.run("systemctl --user show -p NRestarts -p WatchdogUSec sidebus@spare").out
    assert "NRestarts=0" in shown and "WatchdogUSec=0" not in shown, shown
    desktop.run("systemctl --user stop sidebus@spare")
    assert left(desktop, "spare") == "", left(desktop, "spare")
    unit_is(desktop, "sidebus@spare", "inactive")


def test_host_unit_killed(env):
    """the host's unit: started again after kill -9 of the supervisor"""
    desktop = the_desktop(env)
    listen = spare(desktop)
    desktop.run("systemctl --user start sidebus@spare")
    before = desktop.run("systemctl --user show -p MainPID --value sidebus@spare").out.strip()
    desktop.run(["kill", "-KILL", before])
    wait_for("another supervisor", lambda: desktop.run(
        "systemctl --user show -p MainPID -p ActiveState --value sidebus@spare").out.split()
        not in ([before, "active"], ["0", "activating"], ["0", "failed"]), 60)
    unit_is(desktop, "sidebus@spare", "active")
    assert serves(desktop, listen)
    assert desktop.run("pgrep -u person -xc sbsupervisor").out.strip() == "1"
    desktop.run("systemctl --user stop sidebus@spare")
    assert left(desktop, "spare") == "", left(desktop, "spare")


def test_host_unit_hangs(env):
    """the host's unit: a supervisor that hangs is ended by systemd's watchdog, and started again"""
    desktop = the_desktop(env)
    listen = spare(desktop)
    dropin = ".config/systemd/user/sidebus@spare.service.d"
    desktop.put(f"/home/person/{dropin}/soon.conf", "[Service]\nWatchdogSec=3s\n")
    desktop.run("systemctl --user daemon-reload && systemctl --user start sidebus@spare")
    before = desktop.run("systemctl --user show -p MainPID --value sidebus@spare").out.strip()
    desktop.run(["kill", "-STOP", before])
    wait_for("the restart", lambda: desktop.run(
        "systemctl --user show -p NRestarts --value sidebus@spare").out.strip() == "1", 60)
    unit_is(desktop, "sidebus@spare", "active")
    assert serves(desktop, listen)
    assert "Watchdog timeout" in desktop.journal("--boot", "-n", "200")
    assert desktop.run(["test", "-e", f"/proc/{before}"], check=False).status != 0
    desktop.run("systemctl --user stop sidebus@spare")
    assert left(desktop, "spare") == "", left(desktop, "spare")
    desktop.run(f"rm -r {dropin} && systemctl --user daemon-reload")


def test_host_unit_bad_configuration(env):
    """the host's unit: a bad configuration is not tried again, and file and line are named"""
    desktop = the_desktop(env)
    spare(desktop, "bad", "[VM]\nLabel=Fine\nListem=unix:/nowhere\n")
    done = desktop.run("systemctl --user start sidebus@bad", check=False)
    assert done.status != 0
    shown = desktop.run("systemctl --user show -p ActiveState -p ExecMainStatus -p NRestarts "
                        "-p SubState sidebus@bad").out
    assert set(shown.split()) == {"ActiveState=failed", "SubState=failed", "ExecMainStatus=3",
                                  "NRestarts=0"}, shown
    journal = desktop.journal("-u", "sidebus@bad")
    assert re.search(r"sidebus/bad\.conf:3: .*Listem", journal), journal


def test_host_unit_dropin(env):
    """the host's unit: a drop-in changes it for one VM"""
    desktop = the_desktop(env)
    spare(desktop)
    desktop.put("/home/person/.config/systemd/user/sidebus@spare.service.d/loud.conf",
                "[Service]\nEnvironment=SIDEBUS_LOG_LEVEL=debug\n")
    desktop.run("systemctl --user daemon-reload && systemctl --user start sidebus@spare")
    assert "ROUTER_READY" in desktop.journal("-u", "sidebus@spare", "--boot", "-n", "60")
    desktop.run("systemctl --user stop sidebus@spare")
    desktop.run("rm -r .config/systemd/user/sidebus@spare.service.d && "
                "systemctl --user daemon-reload")


def test_system_unit(env):
    """the system's unit: refused without an owner, works as the owner that is printed"""
    desktop = the_desktop(env)
    listen = spare(desktop, "boot")
    done = desktop.run("systemctl start sidebus@boot", user="root", check=False)
    assert done.status != 0, done
    status = desktop.run("systemctl status --no-pager --full sidebus@boot", user="root",
                         check=False).out
    assert "owner.conf" in status and "failed" in status, status
    text = desktop.run("sbsupervisor --vm boot --print systemd-owner").out
    desktop.put("/etc/systemd/system/sidebus@boot.service.d/owner.conf", text, owner="root")
    desktop.run("systemctl daemon-reload && systemctl start sidebus@boot", user="root")
    assert serves(desktop, listen)
    owners = desktop.run("ps -o user= -p $(pgrep -d, -f '[s]bsupervisor --vm boot')").out.split()
    assert set(owners) == {"person"}, owners
    desktop.run("systemctl stop sidebus@boot", user="root")
    assert left(desktop, "boot") == "", left(desktop, "boot")


# --- the first boot ----------------------------------------------------------------------------

def test_first_call(env):
    """the guest boots; sbagent starts with the first program, whose call is answered"""
    vm, _ = web(env, ready=False)
    programs.first_call(env, vm)


def test_guest_units(env):
    """the guest's systemd: everything runs, nothing failed, no error in the journal"""
    vm, _ = web(env)
    state = vm.run("systemctl is-system-running; systemctl --failed --plain --no-legend",
                   user="root", check=False).out.split()
    assert state == ["running"], state
    errors = vm.run("journalctl -b -p err --no-pager -q", user="root").out
    assert errors == "", errors
    ours = vm.run("journalctl -b -p warning --no-pager -q -u sbagent.service -u sbagent.socket "
                  "-u run-sidebus-doc.mount", user="root").out
    assert ours == "", ours


def test_guest_mount(env):
    """the documents: mounted by the credential's tag, without devices, setuid, programs"""
    vm, _ = web(env)
    source, kind, options = vm.run(
        f"findmnt -n -o SOURCE,FSTYPE,OPTIONS {DOCUMENTS}").out.split()
    assert (source, kind) == ("sidebus", "virtiofs")
    assert {"rw", "nosuid", "nodev", "noexec"} <= set(options.split(",")), options


def test_guest_credentials(env):
    """the credentials: sbagent has them, the guest's user does not"""
    vm, _ = web(env)
    pid = vm.run("systemctl show -p MainPID --value sbagent.service").out.strip()
    here = "/run/credentials/sbagent.service/sidebus.port"
    assert vm.run(["cat", f"/proc/{pid}/root{here}"], user="root").out.strip() == "7000"
    for path in (here, "/run/credentials/@system/sidebus.port"):
        assert vm.run(["cat", path], check=False).status != 0, path
    owner = vm.run(["ps", "-o", "user=", "-p", pid]).out.strip()
    assert owner == "sbagent", owner


def test_guest_socket(env):
    """the bus: for the guest's user alone"""
    vm, _ = web(env)
    assert vm.run("stat -c '%u %a' /run/sidebus/bus").out.split() == ["1000", "600"]
    done = vm.run(["runuser", "-u", "nobody", "--", "env",
                   "DBUS_SESSION_BUS_ADDRESS=" + programs.BUS, *GET_VERSION.split()],
                  user="root", check=False)
    assert done.status != 0 and "Permission denied" in done.err, done


# --- programs ----------------------------------------------------------------------------------

def test_gtk(env):
    """GTK 3's own file chooser: open, open several, save, a directory, cancel"""
    vm, desktop = web(env)
    programs.start_screen(vm)
    programs.uses_chooser(vm, desktop, "GTK", "gtk_chooser.py")


def test_gtk4(env):
    """GTK 4's own file chooser: open, open several, save, a directory, cancel"""
    vm, desktop = web(env)
    programs.start_screen(vm)
    programs.uses_chooser(vm, desktop, "GTK4", "gtk4_chooser.py")


def test_qt(env):
    """Qt 5's own file chooser: open, open several, save, a directory, cancel"""
    vm, desktop = web(env)
    programs.uses_chooser(vm, desktop, "Qt", "qt_chooser.py")


def test_shell(env):
    """a shell script: open, open several, save, a directory, cancel"""
    vm, desktop = web(env)
    programs.uses_chooser(vm, desktop, "shell", "shell_chooser.sh")


def test_gdbus(env):
    """gdbus: open, open several, save, a directory; it leaves, and its dialog is closed"""
    vm, desktop = web(env)
    programs.uses_chooser(vm, desktop, "gdbus", "gdbus_chooser.sh", actions=programs.ACTIONS[:-1])
    programs.cut_short(vm, desktop)


def test_round_trip(env):
    """the round trip of a Properties.Get from the guest, beside the host's own"""
    vm, desktop = web(env)
    programs.round_trip(env, vm, desktop)


# --- documents ---------------------------------------------------------------------------------

def test_host_changes(env):
    """what the host changes is what the guest sees, at once"""
    vm, desktop = web(env)
    host = host_file(desktop, "changes/living.txt", b"one")
    guest = opened(vm, desktop, host)
    assert vm.get(guest) == b"one"
    for content in (b"two and more", b"3", b""):
        desktop.put(host, content)
        assert vm.get(guest) == content
    # What a program looks at before it saves: there is room.
    assert int(vm.run(["df", "--output=avail", guest]).out.split()[-1]) > 0
    desktop.run(f"mv {host} {host}.away")
    assert vm.run(["cat", guest], check=False).status != 0
    desktop.run(f"mv {host}.away {host}")
    assert vm.get(guest) == b""


def test_guest_writes(env):
    """overwrite, append, write-and-rename: the host's file has the bytes"""
    vm, desktop = web(env)
    host = host_file(desktop, "writes/draft.txt", b"old\n")
    guest = opened(vm, desktop, host)
    for command, content in ((f"echo first > {guest}", b"first\n"),
                             (f"echo second >> {guest}", b"first\nsecond\n"),
                             (f"cd $(dirname {guest}) && echo third > .draft.tmp && "
                              "mv .draft.tmp draft.txt", b"third\n"),
                             (f"dd of={guest} conv=fsync,notrunc status=none", b"FOURd\n")):
        vm.run(command, input="FOUR" if "dd" in command else None)
        assert desktop.get(host) == content, (command, desktop.get(host))
    names = desktop.run(f"ls -A {os.path.dirname(host)}").out.split()
    assert names == ["draft.txt"], names


def may(vm, path, user=None):
    """What a user of the guest may do with a document."""
    become = ["runuser", "-u", user, "--"] if user else []
    done = vm.run([*become, f"{programs.GUEST}/touch_all.py", path],
                  user="root" if user else "user")
    return json.loads(done.out)


USABLE = {"read": "ok", "write": "ok", "append": "ok", "fsync": "ok", "mmap private": "ok",
          # virtiofsd runs without a cache: what the guest would share would be of no file.
          "mmap shared": "ENODEV", "execute": "EACCES"}


def test_users(env):
    """a document is for the guest's user and its root; others of the guest are refused"""
    vm, desktop = web(env)
    guest = opened(vm, desktop, host_file(desktop, "users/mine.txt", b"mine", mode=0o755))
    for user in (None, "root"):
        can = may(vm, guest, user)
        assert {key: can[key] for key in USABLE} == USABLE, (user, can)
    assert set(may(vm, guest, "nobody").values()) == {"EACCES"}
    owner = vm.run(["stat", "-c", "%u:%g", guest]).out.strip()
    assert owner == "1000:1000", owner


def test_read_only(env):
    """a file that the person may only read: the guest may not write"""
    vm, desktop = web(env)
    host = host_file(desktop, "fixed/fixed.txt", b"fixed", mode=0o444)
    guest = opened(vm, desktop, host)
    for user in (None, "root"):
        can = may(vm, guest, user)
        assert (can["read"], can["write"], can["append"]) == ("ok", "EACCES", "EACCES"), can
    assert desktop.get(host) == b"fixed"


def test_directory(env):
    """a directory: create, rename, delete, subdirectories, both ways"""
    vm, desktop = web(env)
    host = os.path.dirname(host_file(desktop, "tree/inside.txt", b"in"))
    guest, = programs.granted(vm, desktop, "directory", host)
    vm.run(f"set -e; cd {guest}; mkdir -p a/b; echo deep >a/b/deep; mv a/b up; rmdir a; "
           "echo x >gone; rm gone; mv inside.txt renamed.txt")
    names = desktop.run(f"cd {host} && find . -type f | sort").out.split()
    assert names == ["./renamed.txt", "./up/deep"], names
    assert desktop.get(f"{host}/up/deep") == b"deep\n"
    desktop.put(f"{host}/up/from host.txt", b"new")
    assert vm.get(f"{guest}/up/from host.txt") == b"new"
    desktop.run(["rm", "-r", f"{host}/up"])
    assert vm.run(["ls", "-A", guest]).out.split() == ["renamed.txt"]


def test_big_file(env):
    """64 MiB, there and back, whole"""
    vm, desktop = web(env)
    host = host_file(desktop, "big/in.bin")
    back = "/home/person/Documents/big/out.bin"
    desktop.run(f"head -c 64M /dev/urandom > {host}")
    wanted = desktop.run(["sha256sum", host]).out.split()[0]
    guest = opened(vm, desktop, host)
    out, = programs.granted(vm, desktop, "save", back)
    assert vm.run(["sha256sum", guest], timeout=180).out.split()[0] == wanted
    vm.run(f"cp {guest} {out} && sync {out}", timeout=180)
    assert desktop.run(["sha256sum", back]).out.split()[0] == wanted
    desktop.run(["rm", host, back])


def test_names(env):
    """names with spaces, quotes, % and #, UTF-8, control characters, other bytes, 255 of them"""
    vm, desktop = web(env)
    for name in ("two  words ", "100%25 #1?.txt", "it's \"$HOME\" `id`", "żółć 文件",
                 "x" * 255, "-rf", "..."):
        guest = opened(vm, desktop, host_file(desktop, f"names/{name}", name.encode()))
        assert os.path.basename(guest) == name
        assert vm.get(guest) == name.encode()
    for name in ("a\nb\t\x01\x7f\x1b[2J", os.fsdecode(b"caf\xe9 \xff")):
        guest = opened(vm, desktop, host_file(desktop, f"names/{name}", b"odd"))
        assert os.path.basename(guest) == name
        # The guest's agent takes no such path itself.
        assert vm.run(f"cat {os.path.dirname(guest)}/*").out == "odd"


# --- pauses, and ends of one side --------------------------------------------------------------

def test_pause(env):
    """a VM that is frozen with a dialog open gets the answer when it goes on"""
    # Not by QMP: the vsock device of this rig does not survive "stop", which QEMU tells it.
    vm, desktop = web(env)
    host = host_file(desktop, "paused/note.txt", b"while you slept")
    with Asking(vm, "ask.py", "open") as program:
        dialog = program.dialog(desktop)
        vm.qemu.kill("STOP")
        dialog.pick(host)
        wait_for("the grant", lambda: "paused/note.txt" in desktop.journal("-u", "sidebus@web"))
        assert program.done is None
        vm.qemu.kill("CONT")
        (guest,), = program.answers()
    assert vm.get(guest) == b"while you slept"


class Staying:
    """A program of the guest's that is connected until it is cut off."""

    def __init__(self, vm):
        vm.run("rm -f /tmp/stays")
        self.program = Asking(vm, "stay.py", "/tmp/stays")
        wait_for("a connected program",
                 lambda: vm.run("test -e /tmp/stays", check=False).status == 0, 60)

    def cut_off(self):
        assert self.program.output() == "cut off\n"


def test_agent_restart(env):
    """sbagent started again, or killed: programs are cut off, the next one is served"""
    vm, _ = web(env)
    for command in ("systemctl restart sbagent.service",
                    "systemctl kill --signal=KILL sbagent.service"):
        stays = Staying(vm)
        vm.run(command, user="root")
        stays.cut_off()
        assert call(vm, GET_VERSION).startswith("u ")
    assert vm.run("systemctl is-active sbagent.service").out.strip() == "active"


# --- two VMs -----------------------------------------------------------------------------------

def other(env):
    desktop = the_desktop(env)
    return env.vm(desktop, "other", config="Label=Other\n[Documents]\nOpen=read\n"), desktop


def test_two_vms(env):
    """two VMs at once: each sees its own documents, and dialogs say which it is"""
    vm, desktop = web(env)
    second, _ = other(env)
    mine = opened(vm, desktop, host_file(desktop, "two/of web.txt", b"for web"))
    with Asking(second, "ask.py", "open") as program:
        dialog = program.dialog(desktop)
        assert dialog.title.startswith("Other: "), dialog.title
        dialog.pick(host_file(desktop, "two/of other.txt", b"for other"))
        (theirs,), = program.answers()
    assert (vm.get(mine), second.get(theirs)) == (b"for web", b"for other")
    of_web, of_other = (set(v.run(["ls", "-A", DOCUMENTS]).out.split()) for v in (vm, second))
    assert of_other == {theirs.split("/")[4]} and not of_other & of_web, (of_web, of_other)
    for v, path in ((vm, theirs), (second, mine)):
        done = v.run(["cat", path], user="root", check=False)
        assert done.status != 0 and "No such file" in done.err, done


def test_open_read(env):
    """Open=read: what that VM opens it may only read, also its root; what it saves it writes"""
    vm, desktop = other(env)
    guest = opened(vm, desktop, host_file(desktop, "two/kept.txt", b"kept"))
    for user in (None, "root"):
        can = may(vm, guest, user)
        assert (can["read"], can["write"]) == ("ok", "EACCES"), can
    saved, = programs.granted(vm, desktop, "save", "/home/person/Documents/two/saved.txt")
    vm.run(f"echo saved > '{saved}'")
    assert desktop.get("/home/person/Documents/two/saved.txt") == b"saved\n"


def lines_so_far(data):
    """How many whole lines of the writer below are there, from the first on, and none wrong."""
    lines = data.split(b"\n")[:-1]
    assert lines == [b"%08d" % n for n in range(len(lines))], data[-200:]
    return len(lines)


def test_crash_while_writing(env):
    """a VM that crashes while it writes: the host has what was written, and serves on"""
    vm, desktop = other(env)
    host = "/home/person/Documents/two/log.txt"
    guest, = programs.granted(vm, desktop, "save", host)
    vm.run(["systemd-run", "--uid=1000", f"{programs.GUEST}/write_on.sh", guest], user="root")
    wait_for("the guest to write", lambda: lines_so_far(desktop.run(
        ["cat", host], check=False).out.encode()) > 100, 60)
    before = desktop.run("pgrep -u person -f '[v]irtiofsd --fd'").out.split()
    vm.kill()
    assert lines_so_far(desktop.get(host)) > 100
    unit_is(desktop, "sidebus@other", "active")
    wait_for("another virtiofsd", lambda: set(desktop.run(
        "pgrep -u person -f '[v]irtiofsd --fd'").out.split()) - set(before), 60)
    # Beside it the other VM has noticed nothing.
    first, _ = web(env)
    assert first.run(["ls", "-A", DOCUMENTS]).out
    desktop.run("systemctl --user stop sidebus@other")


# --- boots that follow -------------------------------------------------------------------------

remembered = {}  # by the guest's programs, from one test to the next
RECENT = "/home/person/Documents/recent/report.txt"


def recent(env):
    """A document that the guest remembers from before; its path in the guest."""
    vm, desktop = web(env)
    if "recent" not in remembered:
        remembered["recent"] = opened(vm, desktop, host_file(desktop, "recent/report.txt", b"v1"))
    return vm, desktop, remembered["recent"]


def still_there(vm, desktop, guest, word):
    """A recent file of a program: the same path reads and writes the same file."""
    vm.run(f"echo {word} > {guest}")
    assert desktop.get(RECENT) == word.encode() + b"\n"
    desktop.put(RECENT, b"back " + word.encode())
    assert vm.get(guest) == b"back " + word.encode()


def test_reboot(env):
    """after a reboot of the guest recent files are where they were"""
    vm, desktop, guest = recent(env)
    still_there(vm, desktop, guest, "before")
    vm.reboot()
    still_there(vm, desktop, guest, "rebooted")
    assert call(vm, GET_VERSION).startswith("u ")


def test_host_stopped(env):
    """the host's unit stopped: calls say so; started again: the guest needs nothing"""
    vm, desktop, _ = recent(env)
    stays = Staying(vm)
    desktop.run("systemctl --user stop sidebus@web")
    stays.cut_off()
    done = vm.run(["gdbus", "call", "--session", "--dest", programs.PORTAL, "--object-path",
                   programs.PATH, "--method", "org.freedesktop.DBus.Peer.Ping"],
                  env=ENVIRONMENT, check=False, timeout=programs.PATIENCE)
    assert done.status != 0 and "NoServer" in done.err and "vsock:2:7000" in done.err, done
    desktop.run("systemctl --user start sidebus@web")
    wait_for("the guest to be served", lambda: vm.run(
        GET_VERSION, env=ENVIRONMENT, check=False).status == 0, 60)


def test_started_again(env):
    """QEMU killed, the host's unit restarted, QEMU started: recent files are where they were"""
    vm, desktop, guest = recent(env)
    vm.kill()
    desktop.run("systemctl --user restart sidebus@web")
    vm.start()
    still_there(vm, desktop, guest, "again")
    assert call(vm, GET_VERSION).startswith("u ")


def test_nothing_failed(env):
    """in the end: nothing of ours had to be started again, no unit of the guest reports an error"""
    vm, desktop = web(env)
    shown = desktop.run("systemctl --user show -p NRestarts --value sidebus@web").out.strip()
    assert shown == "0", shown
    # Since its last boot, in which no test has ended it.
    shown = vm.run("systemctl show -p NRestarts --value sbagent.service").out.strip()
    assert shown == "0", shown
    errors = vm.run("journalctl -b -p err --no-pager -q -u sbagent.service -u sbagent.socket "
                    "-u run-sidebus-doc.mount", user="root").out
    assert errors == "", errors


def test_all_stopped(env):
    """in the end nothing is left: no process, no socket, no mount"""
    vm, desktop = web(env)
    vm.stop()
    desktop.run("systemctl --user stop sidebus@web")
    assert left(desktop, "web") == "", left(desktop, "web")
    failed = desktop.run("systemctl --user --failed --plain --no-legend | grep -v sidebus@bad",
                         check=False).out
    assert failed == "", failed
