# SPDX-License-Identifier: MIT
"""A person on Debian 13 and a VM: its newer xdg-desktop-portal, and dialogs on a screen.

The tests share the boot of one VM, "web".
"""

import screenshot


def web(env):
    return env.vm(env.desktop(release="trixie"), "web", config="Label=Web\n")


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
