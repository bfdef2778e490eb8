# SPDX-License-Identifier: MIT
"""Pages that state what a table states must state the same."""

import os
import subprocess

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def test_ipc_page(env):
    """docs/PROTOCOL.ipc.md is what ipc/ipc_msg.h says"""
    made = subprocess.run([os.path.join(env.build, "tests/rig/ipc_page")], capture_output=True,
                          text=True, check=True).stdout
    with open(os.path.join(SOURCE, "docs/PROTOCOL.ipc.md"), encoding="utf-8") as f:
        assert f.read() == made, "run: make ipc-page"


def test_portals_page(env):
    """docs/PORTALS.md is what the portal table says"""
    made = subprocess.run([os.path.join(env.build, "tests/rig/portals_page")], capture_output=True,
                          text=True, check=True).stdout
    with open(os.path.join(SOURCE, "docs/PORTALS.md"), encoding="utf-8") as f:
        assert f.read() == made, "run: make portals-page"
    # What is refused on purpose has its page, and is not in the table.
    with open(os.path.join(SOURCE, "docs/PORTALS.refused.md"), encoding="utf-8") as f:
        refused = [line.split()[1] for line in f if line.startswith("## ")]
    assert set(refused) >= {"RemoteDesktop", "InputCapture", "Clipboard", "Usb", "DynamicLauncher",
                            "Camera", "ScreenCast"}
    there = [line.split()[1] for line in made.splitlines() if line.startswith("## ")]
    assert there and not [name for name in refused if f"org.freedesktop.portal.{name}" in there]


def test_options_in_pages(env):
    """every option of a program is in its manual page"""
    for program in ("sbsupervisor", "sbrouter", "sbportal", "sbagent"):
        text = subprocess.run([os.path.join(env.build, program), "--help"], capture_output=True,
                              text=True, check=True).stdout
        options = [word[2:] for line in text.splitlines() for word in line.split()[:1]
                   if word.startswith("--")]
        assert options, text
        with open(os.path.join(SOURCE, program, program + ".8"), encoding="utf-8") as f:
            page = f.read()
        missing = [o for o in options if "Fl Fl " + o not in page]
        assert not missing, f"{program}.8 does not name {missing}"
