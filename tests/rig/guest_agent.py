# SPDX-License-Identifier: MIT
"""The two sockets by which a test holds a QEMU: its monitor, and the agent in its guest.

    monitor = Monitor(path)
    monitor.command("query-status")
    agent = GuestAgent(path)
    agent.answers(60)                       # once the guest has started it
    agent.run(["id", "-u"]).out
"""

import base64
import json
import random
import socket
import threading
import time

from .processes import Done, Timeout, scale

CHUNK = 1 << 20


class Lines:
    """A connection that carries a JSON object a line."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.unread = b""

    def send(self, thing):
        self.socket.settimeout(30 * scale())
        self.socket.sendall(json.dumps(thing).encode() + b"\n")

    def receive(self, limit):
        """The next object; None when there is none before limit (of time.monotonic())."""
        while b"\n" not in self.unread:
            left = limit - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 20)
            except socket.timeout:
                return None
            if not data:
                raise ConnectionResetError("QEMU has closed the socket")
            self.unread += data
        line, self.unread = self.unread.split(b"\n", 1)
        # The agent begins an answer to a delimited sync with a byte that is no JSON.
        return json.loads(line.lstrip(b"\xff"))

    def close(self):
        self.socket.close()


def _value(answer, what):
    if "error" in answer:
        raise RuntimeError(f"{what}: {answer['error'].get('desc', answer['error'])}")
    return answer["return"]


class Monitor:
    """QEMU's own: QMP."""

    def __init__(self, path):
        self.lines = Lines(path)
        self.lines.receive(time.monotonic() + 30 * scale())  # its greeting
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        names = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.lines.send({"execute": name, "arguments": names})
        limit = time.monotonic() + 30 * scale()
        while True:
            answer = self.lines.receive(limit)
            if answer is None:
                raise Timeout(f"QEMU does not answer to {name}")
            if "event" not in answer:
                return _value(answer, name)

    def close(self):
        self.lines.close()


class GuestAgent:
    """qemu-guest-agent: runs programs in the guest as its root.  Threads may share it."""

    def __init__(self, path):
        self.lines = Lines(path)
        self.lock = threading.RLock()  # a question and its answer
        self.in_step = False  # no answer to something older is on its way

    def close(self):
        self.lines.close()

    def answers(self, seconds):
        """Whether it answers within so many seconds; what it said before is dropped."""
        with self.lock:
            return self._synchronise(seconds)

    def _synchronise(self, seconds):
        self.in_step = False
        mark = random.getrandbits(31)
        self.lines.send({"execute": "guest-sync-delimited", "arguments": {"id": mark}})
        limit = time.monotonic() + seconds
        while True:
            answer = self.lines.receive(limit)
            if answer is None:
                return False
            if answer.get("return") == mark:
                self.in_step = True
                return True

    def command(self, name, seconds=60, **arguments):
        with self.lock:
            if not self.in_step and not self.answers(seconds * scale()):
                raise Timeout(f"the guest agent does not answer; to be asked: {name}")
            names = {key.replace("_", "-"): value for key, value in arguments.items()}
            self.lines.send({"execute": name, "arguments": names})
            answer = self.lines.receive(time.monotonic() + seconds * scale())
            if answer is None:
                self.in_step = False
                raise Timeout(f"the guest agent does not answer to {name}")
        return _value(answer, name)

    def run(self, argv, *, data=None, timeout=60):
        """Runs a command to its end; a Done."""
        given = {"input_data": base64.b64encode(data).decode()} if data is not None else {}
        pid = self.command("guest-exec", path=argv[0], arg=list(argv[1:]), capture_output=True,
                           **given)["pid"]
        limit = time.monotonic() + timeout * scale()
        delay = 0.03
        while True:
            state = self.command("guest-exec-status", pid=pid)
            if state["exited"]:
                break
            if time.monotonic() > limit:
                self.command("guest-exec", path="/bin/kill", arg=["-KILL", str(pid)])
                raise Timeout(f"{argv} did not end in the guest within {timeout:.0f} s")
            # Each question costs the guest, whose agent also logs it, some milliseconds of its CPU.
            time.sleep(delay)
            delay = min(delay * 1.3, 0.5)
        assert not state.get("out-truncated") and not state.get("err-truncated"), \
            f"{argv} said too much for the guest agent: write it to a file and get() it"
        code = -state["signal"] if "signal" in state else state["exitcode"]
        return Done.of(argv, code, base64.b64decode(state.get("out-data", "")),
                       base64.b64decode(state.get("err-data", "")))

    def put(self, path, data):
        handle = self.command("guest-file-open", path=path, mode="w")
        try:
            for start in range(0, len(data), CHUNK):
                piece = base64.b64encode(data[start:start + CHUNK]).decode()
                while piece:
                    count = self.command("guest-file-write", handle=handle, buf_b64=piece)["count"]
                    piece = base64.b64encode(base64.b64decode(piece)[count:]).decode()
        finally:
            self.command("guest-file-close", handle=handle)

    def get(self, path):
        handle = self.command("guest-file-open", path=path, mode="r")
        data = b""
        try:
            while True:
                piece = self.command("guest-file-read", handle=handle, count=CHUNK)
                data += base64.b64decode(piece["buf-b64"])
                if piece["eof"] or not piece["count"]:
                    return data
        finally:
            self.command("guest-file-close", handle=handle)
