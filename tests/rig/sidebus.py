# SPDX-License-Identifier: MIT
"""sbsupervisor and sbagent under test, started as a person or systemd would start them."""

import os
import re
import socket
import sys
import threading

from . import processes
from .processes import Process, wait_for


class Notify:
    """systemd's end of sd_notify(3): a datagram socket that is always read."""

    def __init__(self, path):
        self.path = path
        self.text = ""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self):
        while data := self.socket.recv(65536):
            self.text += data.decode() + "\n"

    def read(self):
        return self.text

    def has(self, line):
        return line in self.read().splitlines()

    def close(self):
        """The empty message, which sd_notify() never sends, ends the thread."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            ours.sendto(b"", self.path)
        os.unlink(self.path)


class Notifying:
    """A program that says READY=1."""

    notify = None
    process = None

    def _start(self, argv, log, env, notify_path):
        self.notify = Notify(notify_path)
        self.process = Process(argv, log=log, env=dict(env, NOTIFY_SOCKET=notify_path))

    def wait_ready(self):
        def ready():
            if self.notify.has("READY=1"):
                return True
            if not self.process.running():
                raise AssertionError(f"{self.process.name} ended with {self.process.wait()} "
                                     f"before it was ready:\n{self.process.log()}")
            return False
        try:
            wait_for(f"{self.process.name} to be ready", ready, 30)
        except processes.Timeout as e:
            raise AssertionError(f"{e}; its log:\n{self.process.log()}") from None

    def log(self):
        return self.process.log()

    def wait_log(self, pattern, seconds=10):
        """Waits until the log holds a line that the pattern matches; the match."""
        return wait_for(f"/{pattern}/ in the log of {self.process.name}",
                        lambda: re.search(pattern, self.log(), re.MULTILINE), seconds)


class Sidebus(Notifying):
    """One VM's instance.  Its documents as the guest sees them are at .documents."""

    def __init__(self, build, directory, env, *, vm="demo", arguments=(), config=None,
                 virtiofsd="/nonexistent/virtiofsd", listen=None, debug=True, extra_env=None,
                 before=(), ready=True):
        """before: a command that execs what follows it.  ready: wait for READY=1."""
        self.directory = directory
        self.vm = vm
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.listen = listen or self.file("l", "g")
        self.documents = self.file("dbg", "doc")
        self.debug = self.file("dbg")
        for name in ("l", "dbg"):
            os.makedirs(self.file(name), mode=0o700, exist_ok=True)
        argv = [*before, os.path.join(build, "sbsupervisor"), "--vm", vm,
                "--listen", "unix:" + self.listen,
                "--runtime-dir", self.file("rt"), "--state-dir", self.file("state")]
        if debug:
            argv += ["--debug-access", self.debug]
        config = config or ""
        with open(self.file("sidebus.conf"), "w", encoding="utf-8") as f:
            f.write(config)
            if "[Limits]" not in config:  # a test opens more dialogs than a person could bear
                f.write("\n[Limits]\nDialogsPerMinute=100000\n")
        argv += ["--config", self.file("sidebus.conf")]
        self.env = {**env, "SIDEBUS_LIBEXECDIR": build, "SIDEBUS_VIRTIOFSD": virtiofsd,
                    "SIDEBUS_LOG_LEVEL": "debug", **(extra_env or {})}
        self.argv = argv + list(arguments)
        self.log_path = self.file("supervisor.log")
        self._start(self.argv, self.log_path, self.env, self.file("notify"))
        if ready:
            self.wait_ready()

    def file(self, *names):
        return os.path.join(self.directory, *names)

    def children(self):
        """{pid: command line} of everything the supervisor started."""
        return {pid: processes.command_line(pid)
                for pid in processes.descendants(self.process.pid)}

    def child(self, program, nth=0):
        """The pid of a process whose program's name is this."""
        def found():
            pids = [pid for pid, argv in sorted(self.children().items())
                    if any(os.path.basename(word) == program for word in argv[:4])]
            return pids[nth] if len(pids) > nth else None
        return wait_for(f"{program} to run", found)

    def exported(self):
        """The ids of the documents the guest may see."""
        return sorted(os.listdir(self.documents))

    def stop(self):
        """Ends it as systemd does.  Its exit status."""
        code = self.process.stop()
        self.notify.close()
        return code

    def kill(self):
        self.process.kill()
        self.notify.close()


def left_behind(sidebus, pids):
    """What is still there of an instance that ended: text, empty when all is clean."""
    found = []
    for pid in pids:
        state = processes.status(pid)
        if state and state[1] != "Z":
            found.append(f"process {pid} {state[2]} {processes.command_line(pid)}")
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as f:
        found += [line for line in f if sidebus.directory in line]
    for name in ("rt", "l", "dbg"):
        for top, directories, files in os.walk(sidebus.file(name)):
            found += [os.path.join(top, entry) for entry in directories + files]
    return "\n".join(found)


class Agent(Notifying):
    """The guest's end: sbagent on a unix socket, carrying to connect: a path, or vsock:…"""

    def __init__(self, build, directory, connect, *, env=None, arguments=(), ready=True):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.socket = os.path.join(directory, "agent")
        self.address = "unix:path=" + self.socket
        self._start([os.path.join(build, "sbagent"), "--listen", "unix:" + self.socket,
                     "--connect", connect if connect.startswith("vsock:") else "unix:" + connect,
                     *arguments],
                    os.path.join(directory, "agent.log"), env or dict(os.environ),
                    os.path.join(directory, "agent-notify"))
        if ready:
            self.wait_ready()

    def stop(self):
        code = self.process.stop()
        self.notify.close()
        return code


def in_namespace(*changes):
    """A command prefix: in a user and mount namespace of its own, with changes made there.

    See tests/rig/inside.py for the changes."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside.py")
    return [sys.executable, "-B", script, *changes, "--"]


