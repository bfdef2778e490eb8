# SPDX-License-Identifier: MIT
"""AF_VSOCK, with the CIDs that VMs have.

The host is a VM whose kernel has vhost_vsock and vsock_loopback; its own VMs are vsock_guest
(see tests/rig/vsock_guest.c).  Everything is tested in there, by tests/vm/guest/vsock_host.py,
which has a test of the same name for each one here: these ask what came of it.
"""

import ast
import json
import os

from rig import images
from rig.processes import scale, wait_for

OURS = "/opt/sidebus-test"
SCRATCH = "/tmp/vsock"  # in the VM
TESTS = OURS + "/guest/vsock_host.py"

# The programs as their packages installed them, where the rig looks for them.
PREPARE = f"""
set -e
rm -rf {SCRATCH}
modprobe -a vhost_vsock vsock_loopback
chmod 666 /dev/vhost-vsock
mkdir -p {SCRATCH}/build {SCRATCH}/root {SCRATCH}/source
ln -s /usr/bin/sbsupervisor /usr/bin/sbagent /usr/libexec/sidebus/sbrouter \
    /usr/libexec/sidebus/sbportal {SCRATCH}/build
ln -s {OURS}/bin {SCRATCH}/build/tests
ln -s {OURS} {SCRATCH}/source/tests
ln -s {OURS}/ipc {SCRATCH}/source
chown -R user: {SCRATCH}
"""

# What a test needs gone before it; nothing loads it again.
UNLOAD = {
    "test_without_device": "modprobe -r -a vhost_vsock vsock_loopback vmw_vsock_virtio_transport",
    "test_without_vsock": "echo install vsock /bin/false >/etc/modprobe.d/no-vsock.conf && "
                          "modprobe -r -a vmw_vsock_virtio_transport_common vsock_diag vsock",
}


class Inside:
    """The VM that plays the host, and the processes that run the tests there."""

    def __init__(self, env):
        with open(os.path.join(env.source, "tests/vm/guest/vsock_host.py"), encoding="utf-8") as f:
            there = [node.name for node in ast.parse(f.read()).body
                     if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        here = [name for name in globals() if name.startswith("test_")]
        assert there == here, "not the same tests: " + " ".join(set(there) ^ set(here))
        self.vm = env.l1(env.desktop(images.machine_release()), "l1", memory=1024)
        self.vm.run(PREPARE, user="root")
        self.runs = 0
        self.results = {}
        self.start(*[name for name in here if name not in UNLOAD])

    def start(self, *names):
        """Runs these, one after the other, in a process of its own."""
        self.runs += 1
        self.report = f"{SCRATCH}/report{self.runs}"
        self.output = f"{SCRATCH}/output{self.runs}"
        patience = f"SIDEBUS_TEST_PATIENCE={6 * scale()}"  # the machine is emulated
        self.vm.run(f"touch {self.report}; {{ {patience} python3 -B {OURS}/rig/worker.py "
                    f"{SCRATCH}/build {SCRATCH}/source {SCRATCH}/root 3 {TESTS} {' '.join(names)} "
                    f"3>{self.report}; echo '{{\"over\": true}}' >>{self.report}; "
                    f"}} >{self.output} 2>&1 </dev/null &")

    def over(self):
        """Whether the process has ended; reads what it reported."""
        lines = self.vm.get(self.report).decode().splitlines(keepends=True)
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        self.results.update({e["end"]: e for e in events if "end" in e})
        return any("over" in e for e in events)

    def unload(self, command):
        """Takes modules out; a stream that was closed holds them for some seconds more."""
        wait_for("the tests in the VM to end", self.over, 600)
        wait_for(command, lambda: self.vm.run(command, user="root", check=False).status == 0, 60)

    def result(self, name):
        """How a test went, once it has ended."""
        wait_for(f"{name} in the VM", lambda: self.over() or name in self.results, 600)
        assert name in self.results, "it was not run:\n" + self.vm.get(self.output).decode()
        return self.results[name]


inside = None


def passed(env, name):
    global inside
    if inside is None:
        try:
            inside = Inside(env)
        except Exception as e:
            inside = e  # what failed once is not tried again for each test
    if isinstance(inside, Exception):
        raise inside
    if name in UNLOAD:
        inside.unload(UNLOAD[name])
        inside.start(name)
    problem = inside.result(name)["problem"]
    assert problem is None, "in the VM:\n" + problem


def test_served(env):
    """A VM is served by its CID: a host file that is picked can be read"""
    passed(env, "test_served")


def test_others_are_refused(env):
    """Peers with another CID are closed before they are read, and are few lines in the log"""
    passed(env, "test_others_are_refused")


def test_ports(env):
    """Two instances cannot have one port; on two ports each serves its own VM only"""
    passed(env, "test_ports")


def test_vm_dies(env):
    """A VM is killed: its programs leave the bus, its dialogs close, its CID serves the next"""
    passed(env, "test_vm_dies")


def test_reset(env):
    """A guest is reset and forgets its streams: they end when its next program comes"""
    passed(env, "test_reset")


def test_same_source_port(env):
    """A guest takes a source port that the host still knows: sbagent tries again with another"""
    passed(env, "test_same_source_port")


def test_snapshot(env):
    """A VM goes back to a snapshot: streams that the host does not know are reset, new ones work"""
    passed(env, "test_snapshot")


def test_stray_packets(env):
    """The host's kernel answers packets of streams that it does not know by a reset"""
    passed(env, "test_stray_packets")


def test_suspended(env):
    """A VM is suspended with a dialog open and calls on their way: nothing is lost"""
    passed(env, "test_suspended")


def test_half_close(env):
    """sbagent over vsock: an end of one direction is passed on, the other goes on"""
    passed(env, "test_half_close")


def test_half_closed_bus(env):
    """A program that ends its direction and reads on still hears what it asked before"""
    passed(env, "test_half_closed_bus")


def test_nobody_there(env):
    """sbagent tells a program why it has no host: nobody listens, or no such machine"""
    passed(env, "test_nobody_there")


def test_stalled(env):
    """A program that stops reading uses up its credit, and holds up nobody else"""
    passed(env, "test_stalled")


def test_flood(env):
    """Connections without end from a wrong CID do not keep the VM's own programs out"""
    passed(env, "test_flood")


def test_bench(env):
    """The benchmark's rows over vsock, which not every kernel can measure"""
    passed(env, "test_bench")


def test_without_device(env):
    """No vsock device: sbagent says so to its programs"""
    passed(env, "test_without_device")


def test_without_vsock(env):
    """No vsock in the kernel: sbsupervisor says so and ends, sbagent tells its programs"""
    passed(env, "test_without_vsock")
