# SPDX-License-Identifier: MIT
"""make demo, as a machine without a screen shows it."""

import os
import re
import subprocess

from rig.processes import scale


def run_demo(env, build):
    keep = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS",
            "SIDEBUS_TEST_ROOT", "SIDEBUS_TEST_PATIENCE")
    kept = {name: os.environ[name] for name in keep if name in os.environ}
    return subprocess.run([os.path.join(env.source, "tests", "demo"), build],
                          env=kept, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60 * scale(), check=False)


def test_headless(env):
    """without a screen: each step is told with its facts, the file's first line too; it ends 0"""
    done = run_demo(env, env.build)
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.findall(r"^     (.{12}) (.*)$", done.stdout, re.MULTILINE)
    facts = [name.strip() for name, _ in told]
    for name in ("who asked", "dialog", "picked", "host file", "document id", "grant", "guest path"):
        assert facts.count(name) == 2, (name, done.stdout)  # opened, and saved
    assert ("first line  ", "Dear guest, this line was written on the host.") in told, told
    assert dict(told)["on the host "] == "Dear host, this line was written in the guest.", told
    assert dict(told)["stopped     "].startswith("nothing is left"), told
    assert "\033" not in done.stdout  # no terminal, no colour


def test_fails(env):
    """a part that does not start: the demo says which, and does not end 0"""
    build = os.path.join(env.tmp, "build")
    os.mkdir(build)
    for name in ("sbsupervisor", "sbrouter", "sbagent"):
        os.symlink(os.path.join(env.build, name), os.path.join(build, name))
    done = run_demo(env, build)
    assert done.returncode == 1 and os.path.join(build, "sbportal") in done.stderr, done
    assert "Traceback" not in done.stderr, done.stderr
