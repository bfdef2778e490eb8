# SPDX-License-Identifier: MIT
"""Pages that state what a table states must state the same."""

import glob
import os
import re
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


def policies(page):
    """{"Portal" or "Portal.Method": default policy} of docs/PORTALS.md, and who has none."""
    found, local = {}, set()
    for text in page.split("\n## ")[1:]:
        name = text.split()[0].rpartition(".")[2]
        default = re.search(r"Default policy: (\w+)", text)[1]
        rows = re.findall(r"^\| (\w+)\(.*?\| \w* \| ([^|]*) \| (\w+) \|", text, re.MULTILINE)
        if "or the host's" not in text and all(k.startswith("answered in") for _, k, _ in rows):
            local.add(name)
            continue
        found[name] = default
        found.update({f"{name}.{method}": policy for method, _, policy in rows
                      if policy != default})
    return found, local


def test_policies_page(env):
    """sidebus.conf.5 tells of each portal, with the policy that the table has"""
    with open(os.path.join(SOURCE, "docs/PORTALS.md"), encoding="utf-8") as f:
        found, local = policies(f.read())
    with open(os.path.join(SOURCE, "sbsupervisor/sidebus.conf.5"), encoding="utf-8") as f:
        page = f.read()
    assert dict(re.findall(r"^\.It Ic ([\w.]+) Ta (\w+) Ta", page, re.MULTILINE)) == found
    told = page.split("The host has no part in\n")[1].split("which are answered")[0]
    assert set(re.findall(r"[A-Z]\w+", told.replace(".Ic", ""))) == local


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


def test_conformance_page(_):
    """docs/CONFORMANCE.md: every file and every test that it names exists, and so does every bus method"""
    with open(os.path.join(SOURCE, "docs/CONFORMANCE.md"), encoding="utf-8") as f:
        page = f.read()
    tests = os.path.join(SOURCE, "tests")
    there = {os.path.basename(path)[:-2] for kind in ("unit", "fuzz")
             for path in glob.glob(os.path.join(tests, kind, "sbrouter", "*.c"))}
    for path in glob.glob(os.path.join(tests, "integration", "test_router*.py")):
        with open(path, encoding="utf-8") as f:
            there.update(re.findall(r"^def (test_\w+)", f.read(), re.MULTILINE))
    named = set(re.findall(r"`((?:test|fuzz)_\w+)`", page))
    assert len(named) > 50 and not named - there, named - there
    files = set(re.findall(r"`(\w+\.c)`", page))
    missing = {name for name in files if not os.path.exists(os.path.join(SOURCE, "sbrouter", name))}
    assert len(files) > 10 and not missing, missing
    with open(os.path.join(SOURCE, "sbrouter/driver_methods.c"), encoding="utf-8") as f:
        methods = re.findall(r'^ +\{BUS, TEXT\("(\w+)"\)', f.read(), re.MULTILINE)
    unsaid = [m for m in methods if m.replace("GetConnection", "") not in page and m != "ReloadConfig"]
    assert len(methods) > 15 and not unsaid, unsaid
