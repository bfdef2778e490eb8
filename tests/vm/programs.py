# SPDX-License-Identifier: MIT
"""The guest's programs, and what a test sees of them on both sides.

    with Asking(vm, "ask.py", "open") as program:
        program.dialog(desktop).pick("/home/person/letter.txt")
        [path] = program.answers()
"""

import json
import os
import threading
import time

from rig.processes import wait_for

GUEST = "/opt/sidebus-test/guest"
DOCUMENTS = "/run/sidebus/doc"
BUS = "unix:path=/run/sidebus/bus"
PORTAL = "org.freedesktop.portal.Desktop"
PATH = "/org/freedesktop/portal/desktop"
FILE_CHOOSER = "org.freedesktop.portal.FileChooser"
GET_VERSION = f"busctl --user get-property {PORTAL} {PATH} {FILE_CHOOSER} version"

# A session on the agent's socket, and what each toolkit must be told to use portals and no screen.
ENVIRONMENT = {"DBUS_SESSION_BUS_ADDRESS": BUS, "GTK_USE_PORTAL": "1", "GDK_DEBUG": "portals",
               "GSK_RENDERER": "cairo", "GIO_USE_VFS": "local", "NO_AT_BRIDGE": "1",
               "GTK_A11Y": "none", "DISPLAY": ":5", "QT_QPA_PLATFORM": "offscreen",
               "QT_QPA_PLATFORMTHEME": "xdgdesktopportal", "LC_ALL": "C.UTF-8"}
# A program in the guest is slow under emulation: no measure of anything.
PATIENCE = 180


def call(vm, command, **arguments):
    """Runs a command as the guest's user, in its session; what it printed."""
    return vm.run(command, env=ENVIRONMENT, timeout=PATIENCE, **arguments).out


class Asking:
    """A program that runs in the guest as its user, while the test is the person on the host."""

    def __init__(self, vm, program, *arguments):
        self.vm = vm
        self.argv = [os.path.join(GUEST, program), *arguments]
        self.done = self.error = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            self.done = self.vm.run(self.argv, env=ENVIRONMENT, timeout=PATIENCE, check=False)
        except Exception as e:  # told to who asks next
            self.error = e

    def _check(self):
        """What went wrong so far is said."""
        if self.error:
            raise AssertionError(f"{self.argv}: {self.error}") from self.error
        assert self.done is None or self.done.status == 0, (self.argv, self.done)

    def dialog(self, desktop):
        """The next dialog on the host; that the program ended is noticed while it is awaited."""
        def still_there():
            self._check()
            assert self.done is None, f"{self.argv} ended without a dialog: {self.done}"
        return desktop.chooser.next_dialog(PATIENCE, pump=still_there)

    def output(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), f"{self.argv} still runs"
        self._check()
        return self.done.out

    def answers(self):
        """What it printed: JSON, a line for each dialog."""
        return [json.loads(line) for line in self.output().splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _trace):
        if kind and self.done:
            error.add_note(f"{self.argv} had ended: {self.done}")


# --- times, which are told and not judged --------------------------------------------------------

def first_call(env, vm):
    """A guest that has just been started: its first program starts sbagent, and is answered."""
    wait_for("the guest", lambda: vm.agent.answers(1), 300)
    before = vm.run("systemctl is-active sbagent.socket sbagent.service", check=False).out.split()
    assert before == ["active", "inactive"], before
    assert call(vm, GET_VERSION).startswith("u ")
    env.note(f"boot to first portal call: {time.monotonic() - vm.started:.1f} s from QEMU's start")
    assert vm.run("systemctl is-active sbagent.service").out.strip() == "active"
    vm.wait_ready()


def round_trip(env, vm, desktop):
    command = [f"{GUEST}/round_trip.py", "200"]
    guest, host = int(call(vm, command)), int(desktop.run(command).out)
    env.note(f"Properties.Get, median of 200: {guest} us from the guest, {host} us on the host")
    assert guest > 0 and host > 0


# --- documents ---------------------------------------------------------------------------------

def host_file(desktop, name, content=b"", **arguments):
    """A file of the person's; its path."""
    path = os.path.join("/home/person/Documents", name)
    desktop.run(["mkdir", "-p", os.path.dirname(path)])
    desktop.put(path, content, **arguments)
    return path


def granted(vm, desktop, action, *paths):
    """The person picks these host paths; the guest's paths of them."""
    with Asking(vm, "ask.py", action) as program:
        program.dialog(desktop).pick(*paths)
        answer, = program.answers()
    assert answer is not None and len(answer) == len(paths), answer
    assert [os.path.basename(p) for p in answer] == [os.path.basename(p) for p in paths], answer
    assert all(p.startswith(DOCUMENTS + "/") for p in answer), answer
    return answer


def opened(vm, desktop, path):
    return granted(vm, desktop, "open", path)[0]


# --- programs with a file chooser ----------------------------------------------------------------

TEXTS = {"GTK": [["Texts", [[0, "*.txt"], [1, "text/plain"]]]],
         "GTK4": [["Texts", [[0, "*.txt"], [1, "text/plain"]]]],
         "Qt": [["Texts ", [[0, "*.txt"], [0, "*.text"]]], ["All ", [[0, "*"]]]]}
# Qt 5 listens for the Response only when it has the call's reply, and misses one that comes before.
A_PERSON_TAKES = {"Qt": 3}
ACCEPT = {"Qt": "&Take"}  # Qt sends its own mark of the shortcut; all others "_Take"
# What each asks for, and the same again for a dialog that the person cancels.
ACTIONS = ("open", "open-many", "save", "directory", "open")


def check_dialog(dialog, program, action, label):
    """The host's dialog is the one that the program asked for, and says which VM it is from."""
    options = dialog.options
    assert dialog.member == ("SaveFile" if action == "save" else "OpenFile"), vars(dialog)
    assert dialog.title == f"{label}: {program}: {action}", dialog.title
    # Handles of the guest's windows mean nothing on the host; no name of the guest's is taken.
    assert dialog.parent == "" and dialog.app_id in ("", "org.sidebus.vm.web"), vars(dialog)
    assert options["accept_label"] == ACCEPT.get(program, "_Take"), options
    assert options.get("multiple", False) is (action == "open-many"), options
    assert options.get("directory", False) is (action == "directory"), options
    if action == "save":
        assert options.get("current_name", "proposed.txt") == "proposed.txt", options
    elif action.startswith("open") and program in TEXTS:
        assert options["filters"] == TEXTS[program], options


def picks(desktop, program, action):
    """The host's files that the person picks, {path: content}; None is not there yet."""
    top = f"{program}/{action}"
    names = {"open": {"a letter.txt": b"Dear guest"}, "save": {"proposed.txt": None},
             "open-many": {"żółć 1.txt": b"one", "two.txt": b"two"}}
    if action == "directory":
        host_file(desktop, top + "/letters/inside.txt", b"in")
        return {f"/home/person/Documents/{top}/letters": None}
    here = {host_file(desktop, f"{top}/{name}", content or b""): content
            for name, content in names[action].items()}
    for path in [p for p, content in here.items() if content is None]:
        desktop.run(["rm", path])
    return here


def check_result(desktop, program, action, files, answer):
    """The guest has what was picked, under its name, and its bytes are in the host's file."""
    word = program.lower()
    assert answer is not None and len(answer) == len(files), answer
    assert all(fact["path"].startswith(DOCUMENTS + "/") for fact in answer), answer
    assert {os.path.basename(fact["path"]) for fact in answer} == \
        {os.path.basename(path) for path in files}, answer
    if action == "directory":
        top, = files
        assert answer[0]["names"] == ["inside.txt"], answer
        assert desktop.get(f"{top}/from {word}.txt").startswith(b"new by " + word.encode())
        return
    written = {"open": f"edited by {word}", "save": f"saved by {word}"}.get(action)
    for fact in answer:
        path, = [p for p in files if os.path.basename(p) == os.path.basename(fact["path"])]
        assert fact["shown"] == os.path.basename(path), fact
        assert fact["text"] == (files[path] or b"saved by " + word.encode()).decode(), fact
        if written:
            assert desktop.get(path) == written.encode(), (path, desktop.get(path))
        else:
            assert desktop.get(path) == files[path]


def uses_chooser(vm, desktop, program, command, label="Web", actions=ACTIONS):
    """A program opens a file, several, saves, takes a directory, and is cancelled."""
    asked = []
    with Asking(vm, command, *actions) as asking:
        for n, action in enumerate(actions):
            dialog = asking.dialog(desktop)
            check_dialog(dialog, program, action, label)
            time.sleep(A_PERSON_TAKES.get(program, 0))
            if n == len(ACTIONS) - 1:
                asked.append(None)
                dialog.answer(1)
            else:
                asked.append(picks(desktop, program, action))
                dialog.pick(*asked[-1])
        answers = asking.answers()
    assert len(answers) == len(actions), answers
    for action, files, answer in zip(actions, asked, answers):
        if files is None:
            assert answer is None, answer
        else:
            check_result(desktop, program, action, files, answer)


def cut_short(vm, desktop):
    """gdbus by itself, which leaves with its dialog open: the host's dialog is closed."""
    with Asking(vm, "leave.sh") as asking:
        dialog = desktop.chooser.next_dialog(PATIENCE)
        desktop.chooser.wait_closed(dialog)
        assert "/request/" in asking.output()


# --- the screen that GTK wants -------------------------------------------------------------------

def start_screen(vm):
    vm.run("systemctl is-active -q screen || systemd-run --unit=screen --uid=1000 "
           "Xvfb :5 -screen 0 640x480x24 -nolisten tcp", user="root")
    vm.run("until test -S /tmp/.X11-unix/X5; do sleep 0.1; done", user="root")
