# SPDX-License-Identifier: MIT
"""A person on the newest Debian and a VM: its xdg-desktop-portal, and dialogs on a screen.

The newest that tests/rig/images.py knows, which may be this machine's own.

The tests share the boot of one VM, "web".
"""

import programs
import screenshot
from rig import images


def web(env, ready=True):
    return env.vm(env.desktop(images.releases()[-1]), "web", config="Label=Web\n", ready=ready)


# --- the programs that an older portal serves are served by this one, too -------------------------

def test_first_call(env):
    """the guest boots; sbagent starts with the first program, whose call is answered"""
    programs.first_call(env, web(env, ready=False))


def test_round_trip(env):
    """the round trip of a Properties.Get from the guest, beside the host's own"""
    vm = web(env)
    programs.round_trip(env, vm, vm.desktop)


def test_gtk(env):
    """GTK 3's own file chooser: open, open several, save, a directory, cancel"""
    vm = web(env)
    programs.start_screen(vm)
    programs.uses_chooser(vm, vm.desktop, "GTK", "gtk_chooser.py")


def test_gtk4(env):
    """GTK 4's own file chooser: open, open several, save, a directory, cancel"""
    vm = web(env)
    programs.start_screen(vm)
    programs.uses_chooser(vm, vm.desktop, "GTK4", "gtk4_chooser.py")


def test_qt(env):
    """Qt 5's own file chooser: open, open several, save, a directory, cancel"""
    vm = web(env)
    programs.uses_chooser(vm, vm.desktop, "Qt", "qt_chooser.py")


def test_shell(env):
    """a shell script: open, open several, save, a directory, cancel"""
    vm = web(env)
    programs.uses_chooser(vm, vm.desktop, "shell", "shell_chooser.sh")


def test_gdbus(env):
    """gdbus: open, open several, save, a directory; it leaves, and its dialog is closed"""
    vm = web(env)
    programs.uses_chooser(vm, vm.desktop, "gdbus", "gdbus_chooser.sh",
                          actions=programs.ACTIONS[:-1])
    programs.cut_short(vm, vm.desktop)


# --- on a screen, with GTK's own dialog: the person at the keyboard -----------------------------

def test_screen_picked(env):
    """on a screen: the person picks by the keyboard, the guest reads that file and has no other"""
    screenshot.check_picked(env, web(env))


def test_screen_cancelled(env):
    """on a screen: Cancel and Escape reach the guest, which gets nothing"""
    screenshot.check_cancelled(env, web(env))


def test_screen_gone(env):
    """on a screen: a dialog goes when the guest's program is killed"""
    screenshot.check_gone(env, web(env))


def test_screen_titles(env):
    """on a screen: each title begins with the VM's label, whatever the guest calls its dialog"""
    screenshot.check_titles(env, web(env))
