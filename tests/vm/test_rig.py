# SPDX-License-Identifier: MIT
"""The rig of the VM tests itself: what others rely on and would not notice."""

from rig import images, processes
from rig.vm import printed_options

RELEASE = images.machine_release()


def test_desktop(env):
    """A desktop is a person's machine: commands, files, units, as the person and as root"""
    desktop = env.desktop(RELEASE)
    assert desktop.run("id -un; id -u; pwd").out.split() == ["person", "1000", "/home/person"]
    assert desktop.run(["id", "-u"], user="root").out == "0\n"
    assert desktop.run("cat; echo no >&2; exit 3", input="yes", check=False)[1:] == \
        (3, "yes", "no\n")
    desktop.put("/home/person/a b/ä", b"\0\xff" * 70000, mode=0o600)
    assert desktop.get("/home/person/a b/ä") == b"\0\xff" * 70000
    assert desktop.run("stat -c '%U %a' 'a b/ä'").out == "person 600\n"
    state = desktop.run(["systemctl", "--user", "is-system-running", "--wait"],
                        check=False)
    assert state.out == "running\n", state


def test_program(env):
    """A program of the desktop's: it ends when it is stopped, and its output is there"""
    desktop = env.desktop(RELEASE)
    program = desktop.start(["sh", "-c", "echo $GREETING; exec sleep 1000"], env={"GREETING": "hi"})
    processes.wait_for("its output", lambda: program.log() == "hi\n")
    assert program.running()
    program.stop()
    assert not program.running()


def test_command_that_hangs(env):
    """A command that hangs is ended, and so is what it started"""
    desktop = env.desktop(RELEASE)
    try:
        desktop.run(["sh", "-c", "echo begun; sleep 9876; true"], timeout=5)
    except AssertionError as e:
        assert "did not end" in str(e) and "begun" in str(e), e
    else:
        raise AssertionError("it ended")
    assert desktop.run(["pgrep", "-x", "sleep"], check=False).status == 1


def test_printed_options(_env):
    """QEMU's options and the command of its vsock are taken out of what --print qemu says"""
    text = ("# VM 'a': options\n# vhost-device-vsock --guest-cid=42 --uds-path='/a b/c'\n"
            "-m 4G \\\n-object memory-backend-memfd,id=mem,size=4G,share=on \\\n"
            "-smbios 'type=11,value=a:b c=4G'\n")
    assert printed_options(text, 512) == (
        ["-m", "512M", "-object", "memory-backend-memfd,id=mem,size=512M,share=on", "-smbios",
         "type=11,value=a:b c=4G"],
        ["vhost-device-vsock", "--guest-cid=42", "--uds-path=/a b/c"])
