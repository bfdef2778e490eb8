# SPDX-License-Identifier: MIT
"""What --print says is taken by those it is said to."""

import json
import os
import re
import socket
import struct
import subprocess
import textwrap
import threading
import xml.etree.ElementTree

from rig.processes import Process, wait_for

FORMATS = ("qemu", "libvirt", "cloud-hypervisor", "crosvm", "firecracker", "libkrun",
           "systemd-owner")
ENDS_IN_PORT, KERNEL = "unix:/nonexistent/vms/vsock_7000", "vsock:7000"


def run_print(env, name, *arguments, extra_env=None):
    """Without a session bus, and where nothing can be made."""
    return subprocess.run(
        [os.path.join(env.build, "sbsupervisor"), "--vm", "web", *arguments, "--print", name],
        env={"XDG_RUNTIME_DIR": "/nonexistent/run", "HOME": "/nonexistent/home",
             **(extra_env or {})},
        capture_output=True, text=True, timeout=30, check=False)


def printed(env, name, *arguments):
    done = run_print(env, name, *arguments)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def options(text):
    """The words of a command line, as a shell reads them; without the remarks."""
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith("#")]
    said = subprocess.run(["sh", "-c", "printf '%s\\0' " + "".join(lines)], capture_output=True,
                          text=True, check=True).stdout
    return said.split("\0")[:-1]


# --- QEMU: a real one ------------------------------------------------------------------------

class VsockDevice:
    """As much of a vhost-user vsock device as QEMU asks for before a guest runs."""

    GET_FEATURES, GET_PROTOCOL_FEATURES, GET_CONFIG = 1, 15, 24
    VERSION_1_AND_PROTOCOL, CONFIG = 1 << 32 | 1 << 30, 1 << 9

    def __init__(self, path, cid):
        self.cid = cid
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            peer, _ = self.socket.accept()
        except OSError:
            return
        with peer:
            while header := peer.recv(12, socket.MSG_WAITALL):
                request, _, size = struct.unpack("=III", header)
                payload = peer.recv(size, socket.MSG_WAITALL) if size else b""
                answer = self._answer(request, payload)
                if answer:
                    peer.sendall(struct.pack("=III", request, 5, len(answer)) + answer)

    def _answer(self, request, payload):
        if request == self.GET_FEATURES:
            return struct.pack("=Q", self.VERSION_1_AND_PROTOCOL)
        if request == self.GET_PROTOCOL_FEATURES:
            return struct.pack("=Q", self.CONFIG)
        if request == self.GET_CONFIG:
            return payload[:12] + struct.pack("=Q", self.cid)
        return None

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Qemu:
    """A QEMU that does not start its guest, and its monitor."""

    def __init__(self, env, words):
        path = os.path.join(env.directory(), "qmp")
        self.process = Process(
            ["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-nodefaults", "-display",
             "none", "-S", "-qmp", f"unix:{path},server=on,wait=off", *words],
            log=os.path.join(env.tmp, "qemu.log"), env=dict(os.environ))
        self.monitor = socket.socket(socket.AF_UNIX)
        self.monitor.settimeout(30)

        def answers():
            assert self.process.running(), self.process.log()
            return self.monitor.connect_ex(path) == 0
        wait_for("QEMU's monitor", answers)
        self.lines = self.monitor.makefile("r", encoding="utf-8")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        text = json.dumps({"execute": command, "arguments": arguments})
        self.monitor.sendall(text.encode())
        while "event" in (answer := json.loads(self.lines.readline())):
            pass
        return answer["return"]

    def devices(self):
        """{type: {property: value}} of the devices without an id."""
        found = {}
        for child in self.ask("qom-list", path="/machine/peripheral-anon"):
            if child["name"].startswith("device["):
                path = "/machine/peripheral-anon/" + child["name"]
                found[child["type"].removeprefix("child<").removesuffix(">")] = path
        return found

    def close(self):
        self.lines.close()
        self.monitor.close()
        self.process.kill()


def test_qemu(env):
    """qemu: a real one takes the options, with odd names of directories, and finds its devices"""
    places = [os.path.join(env.directory(), f"{name}, it's \"$x\"") for name in "lr"]
    os.mkdir(places[0], 0o700)
    places.append(os.path.join(places[0], "vsock_7000"))
    sidebus = env.closing(env.own_sidebus(
        virtiofsd=env.virtiofsd, listen=places[2],
        arguments=["--runtime-dir", places[1], "--cid", "42"]))
    done = subprocess.run([*sidebus.argv, "--print", "qemu"], env=sidebus.env, capture_output=True,
                          text=True, timeout=30, check=True)
    device, = (options(line[2:]) for line in done.stdout.splitlines()
               if line.startswith("# vhost-device-vsock "))
    assert device[:2] == ["vhost-device-vsock", "--guest-cid=42"], device
    assert device[3] == "--uds-path=" + places[2].removesuffix("_7000"), device
    env.closing(VsockDevice(device[2].removeprefix("--socket="), 42))
    qemu = env.closing(Qemu(env, [word.replace("4G", "64M") for word in options(done.stdout)]))
    memory, = qemu.ask("query-memdev")
    assert (memory["id"], memory["size"], memory["share"]) == ("mem", 64 << 20, True), memory
    devices = qemu.devices()
    assert "vhost-user-vsock-pci" in devices, devices
    share = devices["vhost-user-fs-pci"]
    assert qemu.ask("qom-get", path=share, property="tag") == "sidebus"


def test_qemu_lines(env):
    """qemu: one option on a line, a backslash at each end but the last"""
    for address in (KERNEL, ENDS_IN_PORT):
        lines = [line for line in
                 printed(env, "qemu", "--cid", "42", "--listen", address).splitlines()
                 if not line.startswith("#")]
        assert all(line.endswith(" \\") for line in lines[:-1]), lines
        assert not lines[-1].endswith("\\")
        assert all(line.startswith("-") and len(options(line.removesuffix("\\"))) == 2
                   for line in lines), lines
    assert "vhost-vsock-pci,guest-cid=42" in options(
        printed(env, "qemu", "--cid", "42", "--listen", KERNEL))


def test_qemu_kernel_vsock(env):
    """qemu: each device of a kernel's vsock is one that a real QEMU has, with these properties"""
    words = options(printed(env, "qemu", "--cid", "42", "--listen", KERNEL))
    devices = [words[n + 1] for n, word in enumerate(words) if word == "-device"]
    assert any(device.startswith("vhost-vsock-pci,") for device in devices), devices
    for device in devices:
        name, *settings = device.split(",")
        done = subprocess.run(["qemu-system-x86_64", "-device", name + ",help"],
                              capture_output=True, text=True, timeout=60, check=True)
        known = set(re.findall(r"^ *([a-z][\w.-]*)=<", done.stdout, re.MULTILINE))
        assert settings and {word.split("=")[0] for word in settings} <= known, (device, known)


# --- the others: by their syntax ----------------------------------------------------------------

def test_libvirt(env):
    """libvirt: well-formed, with what the VM is configured with"""
    namespace = "{http://libvirt.org/schemas/domain/qemu/1.0}"
    for address in (KERNEL, "unix:/it's <a> & \"b\"/vsock_7000"):
        text = printed(env, "libvirt", "--cid", "42", "--listen", address)
        domain = xml.etree.ElementTree.fromstring(text)
        assert domain.find("memoryBacking/access").get("mode") == "shared"
        assert domain.find("devices/filesystem/source").get("socket") == \
            "/nonexistent/run/sidebus/web/virtiofs.sock"
        assert "io.systemd.credential:sidebus.port=7000" in \
            [entry.text for entry in domain.iter("entry")]
        if address == KERNEL:
            assert domain.find("devices/vsock/cid").get("address") == "42"
        else:
            words = [arg.get("value") for arg in domain.iter(namespace + "arg")]
            assert "socket,id=sidebus-vsock,path=/it's <a> & \"b\"/vsock.vhost" in words, words


def test_libvirt_schema(env):
    """libvirt: valid by libvirt's own schema, once the domain has what every domain has"""
    for address in (KERNEL, "unix:/it's <a> & \"b\"/vsock_7000"):
        text = printed(env, "libvirt", "--cid", "42", "--listen", address, "--guest-documents",
                       "/srv/it's a-doc")
        for old, new in (
                ("  <memoryBacking>",
                 "  <name>web</name>\n  <memory unit='GiB'>4</memory>\n  <memoryBacking>"),
                ("  <os>\n", "  <os>\n    <type arch='x86_64' machine='q35'>hvm</type>\n")):
            assert text.count(old) == 1, text
            text = text.replace(old, new)
        for said, valid in ((text, True), (text.replace("virtiofs'", "virtuefs'"), False),
                            (text.replace("oemStrings", "OEMStrings"), False)):
            path = os.path.join(env.tmp, "domain.xml")
            with open(path, "w", encoding="utf-8") as f:
                f.write(said)
            done = subprocess.run(["virt-xml-validate", path, "domain"], capture_output=True,
                                  text=True, timeout=60, check=False)
            assert (done.returncode == 0) is valid, (said, done)


def test_firecracker(env):
    """firecracker: JSON once the remarks are out"""
    text = printed(env, "firecracker", "--cid", "42", "--listen", 'unix:/a "b"\\/vsock_7000')
    config = json.loads("".join(line for line in text.splitlines() if not line.startswith("#")))
    assert config == {"vsock": {"guest_cid": 42, "uds_path": '/a "b"\\/vsock'}}, config
    assert "systemd.set_credential=sidebus.port:7000" in text


def owner_printed(env, *arguments):
    """systemd-owner with a configuration where this variable says."""
    os.makedirs(os.path.join(env.tmp, "sidebus"), exist_ok=True)
    with open(os.path.join(env.tmp, "sidebus/web.conf"), "w", encoding="ascii") as f:
        f.write("[VM]\nListen=unix:/x\n")
    return run_print(env, "systemd-owner", *arguments, extra_env={"XDG_CONFIG_HOME": env.tmp})


def test_owner_alone(env):
    """systemd-owner: what the unit would not be started with is refused, not dropped"""
    done = owner_printed(env)
    assert done.returncode == 0 and f"XDG_CONFIG_HOME={env.tmp}" in done.stdout, done
    for option, value in (("config", f"{env.tmp}/sidebus/web.conf"), ("state-dir", "/x"),
                          ("runtime-dir", "/x"), ("listen", "unix:/x"), ("cid", "42"),
                          ("guest-user", "1001"), ("guest-documents", "/x"),
                          ("debug-access", "/x"), ("vsock-port", "7000")):
        done = owner_printed(env, "--" + option, value)
        assert done.returncode == 2 and not done.stdout and f"--{option}" in done.stderr, done


def test_guest_path(env):
    """a GuestPath= of one's own: a remark names the mount unit, as systemd would"""
    unit = subprocess.run(["systemd-escape", "-p", "--suffix=mount", "/srv/it's a-doc"],
                          capture_output=True, text=True, check=True).stdout.strip()
    for name in ("qemu", "libvirt", "cloud-hypervisor", "crosvm"):
        address = KERNEL if name == "crosvm" else ENDS_IN_PORT
        text = printed(env, name, "--cid", "42", "--listen", address)
        assert ".mount" not in text, text
        text = printed(env, name, "--cid", "42", "--listen", address, "--guest-documents",
                       "/srv/it's a-doc")
        assert unit in text and "sidebus.tag" not in text, text
        if name == "libvirt":
            xml.etree.ElementTree.fromstring(text)
        else:
            assert unit not in " ".join(options(text))


def test_owner(env):
    """systemd-owner: a drop-in for this person that systemd can read"""
    directory = os.path.join(env.tmp, "units")
    os.makedirs(os.path.join(directory, "sidebus@web.service.d"))
    with open(os.path.join(directory, "sidebus@.service"), "w", encoding="ascii") as f:
        f.write("[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n")
    with open(os.path.join(directory, "user@.service"), "w", encoding="ascii") as f:
        f.write("[Service]\nExecStart=/bin/true\n")
    with open(os.path.join(directory, "sidebus@web.service.d/owner.conf"), "w",
              encoding="ascii") as f:
        f.write(owner_printed(env).stdout)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "sidebus@web.service"],
                          env=dict(os.environ, SYSTEMD_UNIT_PATH=directory + ":"),
                          capture_output=True, text=True, timeout=60, check=False)
    assert "owner.conf" not in done.stderr and "sidebus@web" not in done.stderr, done
    with open(os.path.join(directory, "sidebus@web.service.d/owner.conf"), encoding="ascii") as f:
        assert f"\nUser={os.getuid()}\n" in f.read()


def test_c(env):
    """libkrun: a C compiler takes it"""
    text = printed(env, "libkrun", "--listen", 'unix:/a "b"\\/guest', "--guest-user", "1001")
    source = ("#include <stdbool.h>\n#include <stddef.h>\n"
              "int krun_set_smbios_oem_strings(int c, const char *const s[]);\n"
              "int krun_add_vsock_port2(int c, int p, const char *f, bool l);\n"
              "void start(int ctx);\nvoid start(int ctx)\n{\n" + text + "}\n")
    done = subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", "-"],
                          input=source, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_readme(env):
    """README.md shows what it prints"""
    with open(os.path.join(env.source, "README.md"), encoding="utf-8") as f:
        page = f.read()
    remark = re.compile(r"<!--.*?-->\n|/\*.*?\*/\n|^#[^\n]*\n", re.DOTALL | re.MULTILINE)
    for name in FORMATS[:-1]:
        address = KERNEL if name in ("qemu", "libvirt", "crosvm") else \
            "unix:/home/me/vms/web/vsock_7000"
        done = run_print(env, name, "--cid", "42", "--listen", address,
                         extra_env={"XDG_RUNTIME_DIR": "/run/user/1000"})
        text = textwrap.indent(remark.sub("", done.stdout), "    ")
        assert text.strip() and text in page, f"README.md lacks\n{text}"


# --- what it does not do -------------------------------------------------------------------------

def test_unfit(env):
    """an address that the VMM's guest cannot reach: status 1, and what to write"""
    for name, address, way_out in (
            ("firecracker", KERNEL, "Listen=unix:"), ("cloud-hypervisor", KERNEL, "Listen=unix:"),
            ("crosvm", ENDS_IN_PORT, "Listen=vsock:PORT"), ("qemu", "unix:/x", "_PORT"),
            ("libkrun", KERNEL, "any path in a directory")):
        done = run_print(env, name, "--cid", "42", "--listen", address)
        assert done.returncode == 1 and not done.stdout and way_out in done.stderr \
            and len(done.stderr.splitlines()) == 1, done


def test_unknown(env):
    """an unknown format: status 2, and the known ones"""
    done = run_print(env, "vmware", "--listen", "unix:/x")
    assert done.returncode == 2 and not done.stdout, done
    assert all(name in done.stderr for name in FORMATS), done


def test_makes_nothing(env):
    """it makes no file or directory and stops no instance"""
    sidebus = env.sidebus
    before = sorted(os.walk(sidebus.directory))
    subprocess.run([*sidebus.argv, "--print", "libkrun"], env=sidebus.env, capture_output=True,
                   timeout=30, check=True)
    assert sorted(os.walk(sidebus.directory)) == before
    where = os.path.join(env.tmp, "nothing")
    done = run_print(env, "libkrun", "--listen", "unix:/x", extra_env={
        "XDG_RUNTIME_DIR": where, "HOME": where, "XDG_STATE_HOME": where})
    assert done.returncode == 0 and not os.path.exists(where), done
