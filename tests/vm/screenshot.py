# SPDX-License-Identifier: MIT
"""A screen for a Desktop: what the person sees, what the person presses, and a picture of it.

    screen = Screen(env, vm)        # until the test's end, its desktop's dialogs are GTK's
    letter = Letter(vm)             # a program in the guest asks for a file
    dialog = screen.dialog()
    dialog.go()
    dialog.keys("Return")
    letter.facts()["line"]          # what the program read

check_*(env, vm) are what tests do with it; the VM's label is LABEL.

The dialog is that of xdg-desktop-portal-gtk; keys come to it from the X server, as those of a
keyboard do.  The guest's console is on the screen too, in a terminal.  Of a screen on which what
should be seen does not come, a picture is left in the build directory.
"""

import json
import os
import shlex

from rig.processes import Timeout, wait_for

DISPLAY = ":7"
WIDTH, HEIGHT = 1024, 768
SELECTED = bytes.fromhex("3584e4")  # Adwaita's, and of nothing else on this screen

LABEL = "Web"
HOME = "/home/person"
FOLDER = HOME + "/Letters"
NAME = "letter from home.txt"
LINE = "Dear guest, this line was written on the host."
SIZES = {"2026 budget.ods": 18431, "aunt Clara.txt": 1874, "from the bank.pdf": 90210,
         "holiday plans.txt": 642, NAME: 0, "tax return.pdf": 310442}

# Adwaita without anything that moves: a picture is taken when nothing changes any more.
GTK_SETTINGS = """[Settings]
gtk-theme-name=Adwaita
gtk-icon-theme-name=Adwaita
gtk-font-name=Cantarell 11
gtk-cursor-blink=false
gtk-enable-animations=false
"""

WINDOW_MANAGER = """<?xml version="1.0" encoding="UTF-8"?>
<openbox_config xmlns="http://openbox.org/3.4/rc">
  <focus><focusNew>yes</focusNew></focus>
  <theme>
    <name>Clearlooks</name><titleLayout>LC</titleLayout>
    <font place="ActiveWindow"><name>Cantarell</name><size>11</size><weight>bold</weight></font>
    <font place="InactiveWindow"><name>Cantarell</name><size>11</size></font>
  </theme>
  <desktops><number>1</number></desktops>
</openbox_config>
"""

# What a guest may call its dialog, and what the person sees instead of it.
TITLES = [
    ("", LABEL),
    ("Your computer\u2028needs\n\ta <b>file</b>\x1b[2J", LABEL + ": Your computer"),
    ("\u202eretupmoc ruoY\u2066", LABEL + ": retupmoc ruoY"),
    ("x" * 4000, LABEL + ": xxxx"),
]

# Keys that end a dialog, and the portal's Response: that backend takes Escape for "closed".
CANCELLED = {"alt+c": 1, "Escape": 2}

ASK = """
import os, sys
sys.path.insert(0, "/opt/sidebus-test")
from rig.guest import GuestClient
client = GuestClient(os.environ["DBUS_SESSION_BUS_ADDRESS"])
print(client.open_file(title=sys.argv[1]).wait(3600)[0])
"""


def keep(env, name, picture):
    """Leaves a picture in the build directory, whose owner's it is; its path."""
    path = os.path.join(env.build, name)
    with open(path, "wb") as f:
        f.write(picture)
    owner = os.stat(env.build)
    os.chown(path, owner.st_uid, owner.st_gid)
    return path


class Screen:
    """An X server with a window manager; the portal's dialogs open on it."""

    def __init__(self, env, vm):
        """vm: whose console is shown."""
        self.desktop = desktop = vm.desktop
        self.env = env
        self.programs = []
        env.closing(self)
        self._write_files()
        self._start(f"exec Xvfb {DISPLAY} -screen 0 {WIDTH}x{HEIGHT}x24 -nolisten tcp")
        wait_for("the X server", lambda: self.run("xdotool", "getdisplaygeometry",
                                                  check=False).status == 0)
        self._start("exec openbox")
        # Its status says nothing.
        self.run("display", "-window", "root", "-size", f"{WIDTH}x{HEIGHT}",
                 "gradient:#5e8ac7-#1c3d6e", check=False)
        self._start("exec xterm -fa 'DejaVu Sans Mono' -fs 10 -bg white -fg '#2e3436' "
                    "-geometry 96x11+40+500 "
                    f"-T '{vm.name}, a virtual machine: its console' "
                    f"-e tail -n 0 -F {vm.directory}/console.log")
        self.window("its console$")
        desktop.use_backend("gtk", DISPLAY=DISPLAY)

    def _write_files(self):
        for name, size in SIZES.items():
            self.desktop.put(f"{FOLDER}/{name}", b"x" * size or LINE + "\n")
        for name, text in (("gtk-3.0/settings.ini", GTK_SETTINGS),
                           ("gtk-3.0/bookmarks", f"file://{FOLDER}\n"),
                           ("openbox/rc.xml", WINDOW_MANAGER)):
            self.desktop.put(f"{HOME}/.config/{name}", text)

    def _start(self, command):
        self.programs.append(self.desktop.start(command, env={"DISPLAY": DISPLAY}))

    def run(self, *argv, check=True):
        return self.desktop.run(list(argv), env={"DISPLAY": DISPLAY}, check=check)

    # --- what the person sees -----------------------------------------------------------------

    def windows(self, pattern):
        """{id: title} of the windows to be seen whose title matches."""
        found = self.run("xdotool", "search", "--onlyvisible", "--name", pattern, check=False)
        told = {window: self.run("xdotool", "getwindowname", window, check=False)
                for window in found.out.split()}
        return {window: done.out.rstrip("\n") for window, done in told.items() if not done.status}

    def wait(self, what, condition):
        """As wait_for(); a picture is left when it does not come."""
        try:
            return wait_for(what, condition, 60)
        except Timeout as e:
            failed = keep(self.env, "screenshot-failed.png", self.picture())
            raise Timeout(f"{e}; the screen is in {failed}") from None

    def window(self, pattern):
        """(id, title) of the one window whose title matches, once it is there."""
        found = self.wait(f"a window titled {pattern}", lambda: self.windows(pattern))
        assert len(found) == 1, found
        return found.popitem()

    def dialog(self):
        """The VM's dialog, with the keyboard's attention."""
        window, title = self.window(f"^{LABEL}(: |$)")
        self.run("xdotool", "windowmove", "--sync", window, "252", "56",
                 "windowsize", window, "720", "400", "windowactivate", "--sync", window)
        return Dialog(self, window, title)

    def pixels(self):
        """Red, green and blue of each point."""
        self.run("import", "-window", "root", "-depth", "8", "ppm:/tmp/screen.ppm")
        data = self.desktop.get("/tmp/screen.ppm")
        header = f"P6\n{WIDTH} {HEIGHT}\n255\n".encode()
        assert data.startswith(header), data[:20]
        return data[len(header):]

    def when(self, what, condition):
        """Waits until condition(pixels) is true of a screen on which nothing changes."""
        last = [b""]

        def still():
            before, last[0] = last[0], self.pixels()
            return before == last[0] and condition(before)
        self.wait(what, still)

    def picture(self):
        """The screen as a PNG of 256 colours."""
        self.run("import", "-window", "root", "-depth", "8", "+dither", "-colors", "256",
                 "-strip", "png8:/tmp/screen.png")
        return self.desktop.get("/tmp/screen.png")

    def stop(self):
        self.desktop.use_backend("scripted")
        for program in reversed(self.programs):
            program.stop()


class Dialog:
    """A file dialog that is open."""

    def __init__(self, screen, window, title):
        self.screen = screen
        self.window = window
        self.title = title

    def keys(self, *keys):
        self.screen.run("xdotool", "key", "--delay", "30", *keys)

    def go(self):
        """To the folder of letters, the first bookmark; the dialog selects its first file."""
        self.keys("alt+1")
        # A selected row of the list is wider than the sidebar, in which one is selected anyway.
        self.screen.when("the folder in the dialog", lambda p: p.count(SELECTED) > 12000)

    def down(self, rows):
        before = self.screen.pixels()
        self.keys(*["Down"] * rows)
        self.screen.when("another row to be selected", lambda p: p != before)

    def wait_closed(self):
        self.screen.wait("the dialog to close",
                         lambda: self.window not in self.screen.windows("."))


class Letter:
    """A program in the guest that asks for a letter; what it says goes to the guest's console."""

    COMMAND = "python3 demo_guest.py OpenFile"
    LOG = "/tmp/letter.log"

    def __init__(self, vm):
        self.vm = vm
        # The shell says what it runs, with a prompt before it.
        session = ("cd /opt/sidebus-test/rig && setpriv --reuid 1000 --regid 1000 --init-groups "
                   "env LANG=C.UTF-8 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/sidebus/bus "
                   f"PS4='user@{vm.name}:~$ ' bash -xc {shlex.quote('uname -nr; ' + self.COMMAND)}")
        shown = f"{{ {session}; echo status=$?; }} 2>&1 | tee {self.LOG} >/dev/console"
        vm.run(f"rm -f {self.LOG}; echo >/dev/console; "
               f"setsid -f sh -c {shlex.quote(shown)} >/dev/null 2>&1", user="root")

    def facts(self):
        """What it said, once it has ended."""
        def ended():
            said = self.vm.run(f"cat {self.LOG}", user="root").out
            return said if "\nstatus=" in said else None
        said = wait_for("the guest's program to end", ended, 120)
        assert said.endswith("status=0\n"), said
        return {name: value for line in said.splitlines() if line.startswith("{")
                for name, value in json.loads(line).items()}

    def kill(self):
        self.vm.run(["pkill", "-f", "^" + self.COMMAND], user="root")


def granted(vm):
    return vm.run(["ls", "/run/sidebus/doc"]).out.split()


def check_picked(env, vm):
    """The person goes to the letter by the keyboard and takes it: the guest reads it, no other.

    The picture that is taken before the last key is the build directory's screenshot.png."""
    screen = Screen(env, vm)
    before = granted(vm)
    letter = Letter(vm)
    dialog = screen.dialog()
    assert dialog.title == f"{LABEL}: Open a letter", dialog.title
    dialog.go()
    dialog.down(sorted(SIZES).index(NAME))
    keep(env, "screenshot.png", screen.picture())
    dialog.keys("Return")
    dialog.wait_closed()
    facts = letter.facts()
    assert facts["response"] == 0 and facts["line"] == LINE, facts
    identifier, name = facts["path"].removeprefix("/run/sidebus/doc/").split("/")
    assert name == NAME, facts
    assert sorted(granted(vm)) == sorted({*before, identifier}), (before, granted(vm), identifier)
    assert vm.run(["ls", "/run/sidebus/doc/" + identifier]).out == NAME + "\n"
    assert screen.desktop.get(f"{FOLDER}/{NAME}").decode() == LINE + "\n"


def check_cancelled(env, vm):
    """Cancel, and Escape: the guest is told which, and gets nothing."""
    screen = Screen(env, vm)
    before = granted(vm)
    for key, response in CANCELLED.items():
        letter = Letter(vm)
        dialog = screen.dialog()
        dialog.go()
        dialog.keys(key)
        dialog.wait_closed()
        facts = letter.facts()
        assert facts["response"] == response and facts["path"] is None, (key, facts)
        assert granted(vm) == before, (before, granted(vm))


def check_gone(env, vm):
    """The guest's program is killed: its dialog leaves the person's screen."""
    screen = Screen(env, vm)
    letter = Letter(vm)
    dialog = screen.dialog()
    letter.kill()
    dialog.wait_closed()


def check_titles(env, vm):
    """Whatever the guest calls its dialog, its title begins with the label, and is one line."""
    screen = Screen(env, vm)
    for asked, start in TITLES:
        vm.run("setsid -f env DBUS_SESSION_BUS_ADDRESS=unix:path=/run/sidebus/bus python3 -c "
               f"{shlex.quote(ASK)} {shlex.quote(asked)} >/tmp/asked 2>&1")
        dialog = screen.dialog()
        assert dialog.title.startswith(start) and dialog.title.isprintable(), dialog.title
        assert asked or dialog.title == LABEL, dialog.title
        dialog.keys("Escape")
        dialog.wait_closed()
        said = wait_for("the guest's program to end",
                        lambda: vm.run(["cat", "/tmp/asked"], check=False).out)
        assert said == f"{CANCELLED['Escape']}\n", said
