#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""soak.py BUILD [ROUNDS]: one instance lives through many ends of its VM.  As root; "make soak".

Each round the guest reboots, QEMU is killed and started again, and documents are opened, read,
written and closed.  After each of them the guest's programs are answered, and recent documents
are where they were.  In the end our processes are the same as in the beginning, and hold no more
open files than after the first round.  One line is said per round.  Not part of "make check".
"""

import os
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS, os.path.dirname(os.path.abspath(__file__))]
from programs import GET_VERSION, call, host_file, opened  # noqa: E402
from rig import container, linux, processes, virtiofsd  # noqa: E402
from rig.vm_environment import VmEnv  # noqa: E402

DOCUMENTS = 10  # per round
# What must neither end nor grow; virtiofsd ends with each QEMU, by design.
OURS = ("sbsupervisor", "sbrouter", "sbportal", "xdg-document-po")
# Of each: name, pid, open files, PSS in KiB; names as the kernel cuts them.
LOOK = ("for pid in $(pgrep -u person -x '" + "|".join(OURS) + "'); do echo "
        "$(cat /proc/$pid/comm) $pid $(ls /proc/$pid/fd | wc -l) "
        "$(sed -n 's/^Pss: *\\([0-9]*\\).*/\\1/p' /proc/$pid/smaps_rollup); done")


def look(desktop):
    """{(name, pid): (open files, PSS)} of our processes."""
    rows = [line.split() for line in desktop.run(LOOK, user="root").out.splitlines()]
    return {(name, int(pid)): (int(files), int(pss)) for name, pid, files, pss in rows}


def settled(desktop, before):
    """The same once connections that have ended are forgotten, as they should be."""
    def no_more():
        now = look(desktop)
        assert set(now) == set(before), f"processes came or went: {before} and now {now}"
        return now if all(now[p][0] <= before[p][0] for p in now) else None
    try:
        return processes.wait_for("open files to be closed", no_more, 60)
    except processes.Timeout:
        raise AssertionError(f"open files grew: {before} and now {look(desktop)}") from None


def still_there(vm, desktop, path, guest, word):
    """A document from before, both ways, and a call."""
    assert call(vm, GET_VERSION).startswith("u ")
    desktop.put(path, word)
    assert vm.get(guest) == word.encode(), (guest, word)
    vm.run(["tee", guest], input=word + " back")
    assert desktop.get(path) == (word + " back").encode(), (path, word)


def documents(vm, desktop, word):
    for n in range(DOCUMENTS):
        path = host_file(desktop, f"soak/{n}.txt", word)
        still_there(vm, desktop, path, opened(vm, desktop, path), f"{word} {n}")


def one_round(vm, desktop, recent, number):
    """What happens in a round, with the seconds that each took."""
    took = []
    for name, happens in (("reboot", vm.reboot), ("kill", lambda: (vm.kill(), vm.start())),
                          ("documents", lambda: documents(vm, desktop, f"round {number}"))):
        started = time.monotonic()
        happens()
        still_there(vm, desktop, *recent, f"{number} {name}")
        took.append(f"{name} {time.monotonic() - started:.0f} s")
    return ", ".join(took)


def soak(env, rounds):
    desktop = env.desktop()
    vm = env.vm(desktop, "web", config="Label=Web\n")
    path = host_file(desktop, "soak/recent.txt", "first")
    recent = path, opened(vm, desktop, path)
    first = None
    for number in range(1, rounds + 1):
        took = one_round(vm, desktop, recent, number)
        first = first or look(desktop)
        now = settled(desktop, first)
        print(f"round {number} of {rounds}: {took}; "
              + ", ".join(f"{name} {files} files {pss} KiB"
                          for (name, _), (files, pss) in sorted(now.items())), flush=True)


def main():
    build, rounds = os.path.abspath(sys.argv[1]), int((sys.argv[2:] or ["20"])[0])
    if os.geteuid() != 0:
        sys.exit("soak.py: systemd-nspawn needs root: sudo make soak")
    if rounds < 2:
        sys.exit("soak.py: 2 rounds at least: the later ones are compared with the first")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _frame: sys.exit(128 + n))
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    root = tempfile.mkdtemp(prefix="sb-", dir="/tmp")
    os.chmod(root, 0o755)
    try:
        virtiofsd.unpacked(build)
        env = VmEnv(build, os.path.dirname(TESTS), root)
        env.begin()
        soak(env, rounds)
        env.end()
        env.stop()
    finally:
        processes.kill_descendants()
        container.remove_stale()
        shutil.rmtree(root, ignore_errors=True)
    print(f"{rounds} rounds: {rounds} reboots, {rounds} times QEMU killed, "
          f"{rounds * DOCUMENTS} documents opened")


if __name__ == "__main__":
    main()
