# SPDX-License-Identifier: MIT
"""sbportal's place in the hands of a test: what a translator taken over by a guest can do.

make_libexec() makes a directory for SIDEBUS_LIBEXECDIR with the real sbrouter and, as sbportal, a
script that runs this file.  It takes part in the start as sbportal does, then hands the test its
end of the gate and waits to be ended.
"""

import os
import re
import socket
import struct
import sys

MAX_PACKET = 8192


def message_types(source):
    """{name: number} of ipc/ipc_msg.h, and the ABI."""
    with open(os.path.join(source, "ipc", "ipc_msg.h"), encoding="utf-8") as f:
        text = f.read()
    rows = re.findall(r"^\s+X\((\w+),\s+\w+,\s+\w+,\s+struct", text, re.MULTILINE)
    abi = int(re.search(r"#define IPC_ABI (\d+)u", text)[1])
    return {name: number for number, name in enumerate(rows, 1)}, abi


def make_libexec(directory, build, source, control):
    """Fills directory; the script connects to the unix socket at control when it has the gate."""
    os.symlink(os.path.join(build, "sbrouter"), os.path.join(directory, "sbrouter"))
    program = os.path.join(directory, "sbportal")
    with open(program, "w", encoding="utf-8") as f:
        f.write(f"#!{sys.executable} -B\nimport sys\nsys.path.insert(0, {tests_of(source)!r})\n"
                "from rig import rogue_portal\n"
                f"rogue_portal.main({source!r}, {control!r})\n")
    os.chmod(program, 0o755)


def tests_of(source):
    return os.path.join(source, "tests")


def main(source, control):
    types, abi = message_types(source)
    argv = sys.argv[1:]
    number = next(int(word.partition("=")[2] or argv[n + 1]) for n, word in enumerate(argv)
                  if word.startswith("--ipc-fd"))
    channel = socket.socket(fileno=number)
    channel.setblocking(True)
    packet, fds, _, _ = socket.recv_fds(channel, MAX_PACKET, 4)
    kind, _ = struct.unpack_from("=II", packet)
    assert kind == types["PORTAL_CONFIG"] and len(fds) == 2, (kind, fds)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(control)
        socket.send_fds(s, [b"gate"], [fds[1]])
    os.close(fds[1])
    channel.send(struct.pack("=IIII", types["PORTAL_READY"], 0, abi, 0))
    channel.recv(MAX_PACKET)  # the end of the channel is ours, too
