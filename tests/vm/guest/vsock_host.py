# SPDX-License-Identifier: MIT
"""AF_VSOCK as a host has it.  Run in a VM whose kernel has vhost_vsock and vsock_loopback.

That VM plays the host; its virtual machines are tests/rig/vsock_guest, which have a CID of
their own and no more.  tests/vm/test_vsock.py runs this there and tells what came of it.
"""

import fcntl
import os
import queue
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

from rig import processes
from rig.guest import FILE_CHOOSER, Gio, GLib, GuestClient, error_name, pump
from rig.processes import scale, wait_for
from rig.router import signal as bus_signal
from rig.sidebus import Agent, Sidebus
from rig.wire import RawClient, hello

# Far from the CID that this machine may have itself.
CID, OTHER_CID = 1042, 1043
PORT, OTHER_PORT, NOBODYS_PORT = 7000, 7001, 7999
LOOPBACK_CID = 1
IOCTL_VM_SOCKETS_GET_LOCAL_CID = 0x7B9
BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus")


class Machine:
    """A VM that is only its vsock device: what connects to .path reaches the host's port."""

    def __init__(self, env, cid=CID, port=PORT, first_port=1024):
        self.path = os.path.join(env.directory(), "vm")
        self.log_path = self.path + ".log"
        with open(self.log_path, "wb") as log:
            self.popen = subprocess.Popen(
                [os.path.join(env.build, "tests", "rig", "vsock_guest"), "--cid", str(cid),
                 "--port", str(port), "--listen", self.path, "--first-port", str(first_port)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.said("ready")

    def _read(self):
        for line in self.popen.stdout:
            self.lines.put(line.strip())

    def said(self, pattern):
        """Waits for a line; what it said before is forgotten."""
        while True:
            try:
                line = self.lines.get(timeout=20 * scale())
            except queue.Empty:
                with open(self.log_path, encoding="utf-8") as f:
                    raise AssertionError(f"the VM does not say /{pattern}/: {f.read()}") from None
            if re.fullmatch(pattern, line):
                return line

    def command(self, line, answer):
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()
        return self.said(answer)

    def signal(self, number):
        self.popen.send_signal(number)

    def close(self):
        """As a VMM that is killed."""
        self.popen.kill()
        self.popen.wait()
        self.popen.stdin.close()


def instance(env):
    """The instance of the VM with CID, shared by the tests."""
    if "sidebus" not in env.shared:
        env.shared["sidebus"] = on_vsock(env, CID, PORT)
    return env.shared["sidebus"]


def on_vsock(env, cid, port, **arguments):
    return Sidebus(env.build, env.directory(), env.session.env, vm=f"vm{cid}",
                   arguments=("--listen", f"vsock:{port}", "--cid", str(cid)), **arguments)


def program(env, machine):
    """A program in that VM, behind an sbagent of its own."""
    agent = env.closing(Agent(env.build, env.directory(), machine.path))
    return env.closing(GuestClient(agent.address))


def machine_of(env, **arguments):
    instance(env)
    return env.closing(Machine(env, **arguments))


class Watcher:
    """A tool of the person's on the VM's bus: whose names come and go."""

    def __init__(self, env):
        self.client = env.closing(GuestClient(f"unix:path={instance(env).debug}/vm.sock"))
        self.gone = set()
        self.client.bus.signal_subscribe(BUS[0], BUS[0], "NameOwnerChanged", BUS[1], None,
                                         Gio.DBusSignalFlags.NONE, self._on_change)
        self.client.call(BUS[1], BUS[0], "GetId", destination=BUS[0])

    def _on_change(self, _bus, _sender, _path, _interface, _member, arguments):
        name, _, new = arguments.unpack()
        if not new:
            self.gone.add(name)

    def wait_gone(self, *names):
        wait_for(f"{names} to leave the bus", lambda: [pump()] and self.gone.issuperset(names), 30)


def ping(client):
    """A call that sbportal answers."""
    return client.get(FILE_CHOOSER, "version")


def knock(address, family=socket.AF_VSOCK):
    """Connects and greets.  What is answered: nothing, if all is well."""
    with socket.socket(family) as s:
        s.settimeout(20 * scale())
        try:
            s.connect(address)
            s.sendall(b"SIDEBUS/1 CLIENT\n")
            return s.recv(100)
        except (ConnectionResetError, BrokenPipeError):
            return b""


def local_cid():
    with open("/dev/vsock", "rb") as f:
        return struct.unpack("=I", fcntl.ioctl(f, IOCTL_VM_SOCKETS_GET_LOCAL_CID, bytes(4)))[0]


def test_served(env):
    """A VM is served by its CID: a host file that is picked can be read"""
    client = program(env, machine_of(env))
    assert ping(client) == ping(GuestClient(env.session.address))
    request = client.open_file()
    env.dialog().pick(env.host_file("letter.txt", b"of the host"))
    path = request.path_of_one()
    assert path.endswith(b"/letter.txt"), path
    with open(path, "rb") as f:
        assert f.read() == b"of the host"


def test_others_are_refused(env):
    """Peers with another CID are closed before they are read, and are few lines in the log"""
    sidebus = instance(env)
    other = env.closing(Machine(env, OTHER_CID))
    own = local_cid()
    assert own not in (CID, OTHER_CID)
    for _ in range(20):
        assert knock(other.path, socket.AF_UNIX) == b""
        assert knock((LOOPBACK_CID, PORT)) == b""
        assert knock((own, PORT)) == b""
    refused = re.findall(r"connection refused: .*", sidebus.log())
    assert 1 <= len(refused) < 10, refused
    assert re.search(rf"the VM's CID \({CID}\), but from (1|{OTHER_CID}|{own})\b", refused[0])
    assert knock(machine_of(env).path, socket.AF_UNIX).startswith(b"SIDEBUS/1 OK ")


def test_ports(env):
    """Two instances cannot have one port; on two ports each serves its own VM only"""
    mine = program(env, machine_of(env))
    late = env.own_sidebus(vm="late", ready=False,
                           arguments=("--listen", f"vsock:{PORT}", "--cid", str(OTHER_CID)))
    assert late.process.wait(40) > 0
    late.wait_log(rf"vsock port {PORT} is in use.*choose another")
    low = env.own_sidebus(vm="low", ready=False, arguments=("--listen", "vsock:1000", "--cid", "9"))
    assert low.process.wait(40) > 0
    low.wait_log(r"vsock port 1000: ports below 1024 are for root")
    env.closing(on_vsock(env, OTHER_CID, OTHER_PORT))
    others = program(env, env.closing(Machine(env, OTHER_CID, OTHER_PORT)))
    assert ping(others) == ping(mine)
    strays = [Machine(env, OTHER_CID + 1, OTHER_PORT), Machine(env, OTHER_CID + 2, PORT)]
    for stray in map(env.closing, strays):
        assert knock(stray.path, socket.AF_UNIX) == b""
    assert ping(others) == ping(mine)


def test_vm_dies(env):
    """A VM is killed: its programs leave the bus, its dialogs close, its CID serves the next"""
    watcher, machine = Watcher(env), machine_of(env)
    client = program(env, machine)
    client.open_file()
    dialog = env.dialog()
    machine.close()
    successor = machine_of(env)
    watcher.wait_gone(client.name)
    env.chooser.wait_closed(dialog)
    heir = program(env, successor)
    assert heir.name != client.name
    request = heir.open_file()
    env.dialog().pick(env.host_file("next.txt"))
    assert request.path_of_one().endswith(b"/next.txt")


def test_reset(env):
    """A guest is reset and forgets its streams: they end when its next program comes"""
    watcher, machine = Watcher(env), machine_of(env)
    silent, asking = program(env, machine), program(env, machine)
    asking.open_file()
    dialog = env.dialog()
    machine.command("restart", "forgot 2")
    later = program(env, machine)
    watcher.wait_gone(silent.name, asking.name)
    env.chooser.wait_closed(dialog)
    assert ping(later) > 0


def test_same_source_port(env):
    """A guest takes a source port that the host still knows: sbagent tries again with another"""
    watcher, machine = Watcher(env), machine_of(env)
    client = program(env, machine)
    client.open_file()
    dialog = env.dialog()
    machine.command("rewind", "forgot 1")
    assert ping(program(env, machine)) > 0
    watcher.wait_gone(client.name)
    env.chooser.wait_closed(dialog)


def test_snapshot(env):
    """A VM goes back to a snapshot: streams that the host does not know are reset, new ones work"""
    watcher, machine = Watcher(env), machine_of(env)
    client = program(env, machine)
    client.open_file()
    dialog = env.dialog()
    machine.command("restore", "restored 1")
    try:
        ping(client)
        raise AssertionError("a stream that the host does not know carried a call")
    except GLib.Error as e:
        assert error_name(e) is None, e  # the connection ended; no bus said no
    assert ping(program(env, machine)) > 0
    watcher.wait_gone(client.name)
    env.chooser.wait_closed(dialog)


def test_stray_packets(env):
    """The host's kernel answers packets of streams that it does not know by a reset"""
    machine = machine_of(env)
    for op in ("RW", "SHUTDOWN", "CREDIT_REQUEST", "CREDIT_UPDATE", "RESPONSE"):
        machine.command(f"send {op} 5555", f"sent {op} 5555")
        machine.said("stray RST 5555")
    assert ping(program(env, machine)) > 0


def test_suspended(env):
    """A VM is suspended with a dialog open and calls on their way: nothing is lost"""
    machine = machine_of(env)
    client = program(env, machine)
    request = client.open_file()
    dialog = env.dialog()
    answers = []
    machine.signal(signal.SIGSTOP)
    for _ in range(50):
        client.bus.call(BUS[0], BUS[1], BUS[0], "GetId", None, None, 0, -1, None,
                        lambda bus, result: answers.append(bus.call_finish(result)))
    dialog.pick(env.host_file("while-asleep.txt"))
    assert request.silent(3), "a stopped VM got an answer"
    assert not answers
    machine.signal(signal.SIGCONT)
    assert request.path_of_one().endswith(b"/while-asleep.txt")
    wait_for("the answers", lambda: [pump()] and len(answers) == 50)


class Echo:
    """A host that is no bus: it takes sbagent's line, and is then what the test makes of it."""

    def __init__(self):
        self.listener = socket.socket(socket.AF_VSOCK)
        self.listener.bind((socket.VMADDR_CID_ANY, OTHER_PORT))
        self.listener.listen()
        self.listener.settimeout(20 * scale())

    def accept(self):
        stream, _ = self.listener.accept()
        stream.settimeout(20 * scale())
        line = b""
        while not line.endswith(b"\n"):
            line += stream.recv(1)
        assert line.startswith(b"SIDEBUS/1 CLIENT "), line
        stream.sendall(b"SIDEBUS/1 OK\n")
        return stream

    def close(self):
        self.listener.close()


def read_all(stream):
    data = b""
    while piece := stream.recv(1 << 16):
        data += piece
    return data


def send_and_end(stream, data):
    def send():
        stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_half_close(env):
    """sbagent over vsock: an end of one direction is passed on, the other goes on"""
    host = env.closing(Echo())
    agent = env.closing(Agent(env.build, env.directory(), f"vsock:{LOOPBACK_CID}:{OTHER_PORT}"))
    data, answer = os.urandom(3000000), os.urandom(2000000)
    for guest_first in (True, False):
        with socket.socket(socket.AF_UNIX) as ours:
            ours.settimeout(20 * scale())
            ours.connect(agent.socket)
            ours.sendall(b"x")
            with env.closing(host.accept()) as theirs:
                assert theirs.recv(1) == b"x"
                first, second = (ours, theirs) if guest_first else (theirs, ours)
                thread = send_and_end(first, data)
                assert read_all(second) == data
                thread.join()
                thread = send_and_end(second, answer)
                assert read_all(first) == answer
                thread.join()


def test_half_closed_bus(env):
    """A program that ends its direction and reads on still hears what it asked before"""
    machine = machine_of(env)
    client = env.closing(RawClient(machine.path))
    client.send(hello())
    client.socket.shutdown(socket.SHUT_WR)
    assert client.reply(1).get_body().unpack()[0].startswith(":1.")
    assert client.is_cut_off()


def refusal(env, connect):
    """What a program is told behind an sbagent that looks for the host there."""
    agent = env.closing(Agent(env.build, env.directory(), connect,
                              arguments=("--connect-timeout", "1")))
    try:
        env.closing(GuestClient(agent.address))
    except GLib.Error as e:
        assert error_name(e) == "org.freedesktop.DBus.Error.NoServer", e
        return e.message
    raise AssertionError("there is a host after all")


def test_nobody_there(env):
    """sbagent tells a program why it has no host: nobody listens, or no such machine"""
    text = refusal(env, f"vsock:{LOOPBACK_CID}:{NOBODYS_PORT}")
    assert f"{NOBODYS_PORT} (nobody takes connections on that port)" in text, text
    text = refusal(env, f"vsock:{OTHER_CID}:{PORT}")
    assert f"vsock:{OTHER_CID}:{PORT} (this machine has no vsock device, or " in text, text
    # Refused for its CID: the host takes it, and closes it unread.
    instance(env)
    text = refusal(env, f"vsock:{LOOPBACK_CID}:{PORT}")
    assert f"vsock:{LOOPBACK_CID}:{PORT} (" in text, text


def test_stalled(env):
    """A program that stops reading uses up its credit, and holds up nobody else"""
    machine = machine_of(env)
    stalled = env.closing(RawClient(machine.path))
    stalled.say_hello()
    rule = GLib.Variant("(s)", ("interface='t.T'",))
    message = Gio.DBusMessage.new_method_call(BUS[0], BUS[1], BUS[0], "AddMatch")
    message.set_serial(2)
    message.set_body(rule)
    stalled.send(message.to_blob(Gio.DBusCapabilityFlags.NONE))
    assert stalled.reply(2) is not None
    talker, reader = (program(env, machine) for _ in range(2))
    loud = env.closing(RawClient(machine.path))
    loud.say_hello()
    body = GLib.Variant("(ay)", (bytes(100000),))
    for i in range(300):
        assert loud.send(bus_signal("S", body, serial=10 + i))
        if i % 30 == 0:
            assert ping(reader) > 0
    assert ping(talker) > 0 and ping(reader) > 0
    assert stalled.is_cut_off()
    instance(env).wait_log("it does not read the signals it subscribed to")


def test_flood(env):
    """Connections without end from a wrong CID do not keep the VM's own programs out"""
    machine = machine_of(env)
    other = env.closing(Machine(env, OTHER_CID))
    going = True

    def flood():
        while going:
            streams = []
            for _ in range(200):
                s = socket.socket(socket.AF_UNIX)
                s.connect(other.path)
                streams.append(s)
            for s in streams:
                s.close()

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        client = program(env, machine)
        for _ in range(10):
            assert ping(program(env, machine)) == ping(client)
    finally:
        going = False
        thread.join()
    assert processes.status(instance(env).process.pid)


def test_bench(env):
    """Every row that is for vsock is measured, of the router and of the relay"""
    bench = os.path.join(env.source, "tests/bench")
    sys.path.insert(0, bench)
    import rows
    samples = os.path.join(env.directory(), "samples")
    subprocess.run([sys.executable, "-B", os.path.join(bench, "run"), env.build, "vsock",
                    "--rounds", "1", "--seconds", "0.01", "--tsv", samples], check=True)
    with open(samples, encoding="ascii") as f:
        found = {tuple(line.split("\t")[1:3]) for line in f}
    assert found == {(bus, f"vsock {row.key}") for bus in ("relay", "sbrouter")
                     for group in rows.VSOCK_GROUPS for row in group.rows}


# --- where the kernel has less: test_vsock.py unloads modules before these ------------------------

def test_without_device(env):
    """No vsock device: sbagent says so to its programs"""
    text = refusal(env, f"vsock:{PORT}")
    assert f"vsock:2:{PORT} (this machine has no vsock device" in text, text


def test_without_vsock(env):
    """No vsock in the kernel: sbsupervisor says so and ends, sbagent tells its programs"""
    sidebus = env.own_sidebus(vm="none", ready=False,
                              arguments=("--listen", f"vsock:{PORT}", "--cid", str(CID)))
    assert sidebus.process.wait(40) > 0
    sidebus.wait_log("this kernel has no vsock.*unix:PATH")
    text = refusal(env, f"vsock:{PORT}")
    assert "this kernel has no vsock: modprobe " in text, text
