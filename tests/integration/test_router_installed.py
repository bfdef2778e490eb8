# SPDX-License-Identifier: MIT
"""dbus-daemon's own tests (Debian's dbus-tests), pointed at sbrouter: it passes what dbus-daemon passes."""

import os
import subprocess

from rig.peers import Daemon
from rig.processes import scale
from rig.router import Standalone

# Those of the package's programs that can test a bus which runs already.
PROGRAMS = ["test-dbus-daemon", "test-dbus-daemon-eavesdrop", "test-monitor", "test-header-fields",
            "test-uid-permissions", "test-sd-activation", "test-containers"]

# What dbus-daemon passes and sbrouter does not, with the reason; asserted exactly.
EXCEPTIONS = {
    "test-dbus-daemon /properties/features":
        "wants the feature SystemdActivation, which says that the bus starts systemd's services; "
        "this one starts nothing",
    "test-dbus-daemon /properties/get-all": "the same",
}
FLOOR = 42

# Of Debian 12 and of what dbus itself installs.
DIRECTORIES = ["/usr/lib/dbus-1.0/installed-tests/dbus", "/usr/libexec/installed-tests/dbus"]


def program(name):
    found = [path for path in (os.path.join(d, name) for d in DIRECTORIES) if os.path.exists(path)]
    assert found, (name, DIRECTORIES)
    return found[0]


def cases():
    """[(program's path, name of a test in it)]"""
    found = []
    for name in PROGRAMS:
        listed = subprocess.run([program(name), "-l"], capture_output=True, check=True).stdout
        found += [(program(name), line) for line in listed.decode().split("\n")
                  if line.startswith("/")]
    return found


def verdict(path, case, address):
    """"passed" or "skipped", or what went wrong.  A failure would end all tests of a program."""
    done = subprocess.run([path, "--tap", "-p", case], capture_output=True, check=False,
                          timeout=30 * scale(), stdin=subprocess.DEVNULL,
                          env={**os.environ, "DBUS_TEST_DAEMON_ADDRESS": address,
                               "LC_ALL": "C.UTF-8"})
    lines = done.stdout.decode(errors="replace").splitlines()
    results = [line for line in lines if line.startswith(("ok ", "not ok "))]
    if done.returncode != 0 or len(results) != 1 or results[0].startswith("not ok"):
        return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    return "skipped" if "# SKIP" in results[0] else "passed"


def daemon(_, directory):
    return Daemon(directory, ["--systemd-activation"], eavesdrop=True)


def router(env, directory):
    return Standalone(env.build, directory)


def verdicts(env, start):
    """Each case gets a bus of its own: some want to be its first client."""
    found = {}
    for path, case in cases():
        directory = os.path.join(env.tmp, start.__name__, str(len(found)))
        os.makedirs(directory)
        bus = start(env, directory)
        try:
            found[f"{os.path.basename(path)} {case}"] = verdict(path, case, bus.address)
        finally:
            bus.close()
    return found


def test_installed_tests(env):
    """what dbus-daemon passes of its own tests, sbrouter passes, with 2 exceptions"""
    theirs, ours = verdicts(env, daemon), verdicts(env, router)
    passed = [case for case, v in theirs.items() if v == "passed"]
    assert theirs.keys() == ours.keys()
    failed = {case: ours[case] for case in passed if ours[case] != "passed"}
    text = "".join(f"{case}:\n{v}\n" for case, v in failed.items() if case not in EXCEPTIONS)
    assert failed.keys() == EXCEPTIONS.keys(), f"{sorted(failed)}\n{text}"
    assert not [case for case, v in theirs.items() if v == "skipped" and
                ours[case] not in ("skipped", "passed")]
    n = len(passed) - len(failed)
    assert n >= FLOOR, n
    env.note(f"{n} of the {len(passed)} that dbus-daemon passes")
