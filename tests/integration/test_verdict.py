# SPDX-License-Identifier: MIT
"""The tests' own judgement: what ends badly under a test is told, whatever the test itself saw."""

import contextlib
import os
import signal
import socket
import tempfile

from rig import person
from rig.environment import Env
from rig.processes import wait_for


@contextlib.contextmanager
def judged(env):
    """An environment like a test's, with shared parts of its own."""
    inner = Env(env.build, env.source, tempfile.mkdtemp(dir=env.root, prefix="v"))
    inner.begin()
    try:
        yield inner
    finally:
        inner.drop()


def complaint(action):
    try:
        action()
    except AssertionError as e:
        return str(e)
    return ""


def test_quiet_end(env):
    """parts that run to the end and end with 0: no complaint"""
    with judged(env) as inner:
        assert inner.agent.process.running()
        assert complaint(inner.end) == ""
        assert complaint(inner.stop) == ""
        assert not inner.shared


def test_agent_crashes(env):
    """sbagent is killed while a test runs: that test fails"""
    with judged(env) as inner:
        inner.agent.process.signal(signal.SIGKILL)
        inner.agent.process.wait()
        assert "sbagent ended with -9" in complaint(inner.end)


def test_router_crashes(env):
    """a process of the instance is killed while a test runs: that test fails"""
    with judged(env) as inner:
        os.kill(inner.sidebus.child("sbrouter"), signal.SIGKILL)
        wait_for("the instance to end", lambda: not inner.sidebus.process.running())
        assert "sbsupervisor ended with 1" in complaint(inner.end)


def test_portal_crashes(env):
    """the host's portal dies while a test runs: that test fails"""
    with judged(env) as inner:
        inner.session.portal.kill()
        assert "xdg-desktop-portal ended with -9" in complaint(inner.end)


def test_crash_at_the_end(env):
    """sbagent crashes when it is told to stop: the file's end fails"""
    with judged(env) as inner:
        inner.agent.process.signal(signal.SIGABRT)
        assert "sbagent ended with -6" in complaint(inner.stop)


def test_own_agent_crashes(env):
    """an sbagent of a test's own that is killed: that test fails"""
    with judged(env) as inner:
        agent = inner.own_agent(inner.sidebus)
        agent.process.signal(signal.SIGKILL)
        assert "sbagent ended with -9" in complaint(inner.end)


def test_odd_files_in_source(env):
    """odd files in the source tree do not stop a run by root; a file called build is in it"""
    source, target = os.path.join(env.tmp, "s"), os.path.join(env.tmp, "t")
    os.makedirs(os.path.join(source, "build"))
    os.mkdir(os.path.join(source, "d"))
    for name in ("file", "build"):
        with open(os.path.join(source, "d", name), "w", encoding="utf-8") as f:
            f.write("text")
    os.mkfifo(os.path.join(source, "d", "fifo"))
    os.symlink("/nonexistent", os.path.join(source, "link"))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(os.path.join(source, "socket"))
        person.copy(source, target, ("/build",))
    assert sorted(os.listdir(target)) == ["d", "link"]
    assert sorted(os.listdir(os.path.join(target, "d"))) == ["build", "file"]
