# SPDX-License-Identifier: MIT
"""make bench: that it measures what it says.  How much it is, no test asks."""

import os
import subprocess
import sys

from rig.router import FDS, GUEST, VM, Standalone, Supervised


def run_bench(env, *arguments):
    return subprocess.run([sys.executable, "-B", os.path.join(env.source, "tests/bench/run"),
                           env.build, *arguments], capture_output=True, text=True, check=False)


def client(env, address, *work, seconds="0.01"):
    return subprocess.run([os.path.join(env.build, "tests/bench/client"), "-t", seconds, address,
                           *work], capture_output=True, text=True, check=False)


def bench_rows(env):
    sys.path.insert(0, os.path.join(env.source, "tests/bench"))
    import rows
    return rows


def expected(env):
    """(bus, row) of all that the router and the relay are measured by."""
    return {(bus, row.key) for group in bench_rows(env).GROUPS for row in group.rows
            for bus in ("relay", "sbrouter") if bus not in group.unless}


def test_rows(env):
    """every row is measured of the router and of the relay, and stands in the table"""
    samples = os.path.join(env.tmp, "samples")
    done = run_bench(env, "--rounds", "1", "--seconds", "0.01", "--bus", "relay", "--bus",
                     "sbrouter", "--tsv", samples)
    assert done.returncode == 0, done.stderr
    found = set()
    with open(samples, encoding="ascii") as f:
        for line in f:
            _, bus, row, metric, value = line.split("\t")
            found.add((bus, row))
            assert metric not in ("cpu", "wall") or float(value) > 0, line
    assert expected(env) <= found, expected(env) - found
    table = [line for line in done.stdout.splitlines() if line.startswith("| signal to ")]
    assert len(table) == 4 and all(line.count("|") == 8 for line in table), done.stdout


def test_vsock_rows(env):
    """what is measured over vsock, over a unix socket here: a VM's bus, with its limits, refuses none of it"""
    router = env.closing(Supervised(env.build, env.tmp, env.source, VM))
    path = router.listen(GUEST | FDS)
    groups = bench_rows(env).VSOCK_GROUPS
    for group in groups:
        done = client(env, "unix:path=" + path, *group.options, *group.work)
        assert done.returncode == 0, (group.work, done.stderr)
        assert {line.split("\t")[0] for line in done.stdout.splitlines()} == {r.key for r in group.rows}
    assert len(groups) == 2


def test_other_bus_only(env):
    """a bus that does not listen on vsock, measured by itself"""
    done = run_bench(env, "--rounds", "1", "--seconds", "0.01", "--bus", "dbus-daemon", "connect")
    assert done.returncode == 0 and "connect and Hello" in done.stdout, done


def test_refused(env):
    """what the bus refuses is no result: the client says so and fails"""
    router = env.closing(Standalone(env.build, env.tmp))
    done = client(env, router.address, "call:1048576:128", seconds="10")  # it ends long before
    assert done.returncode == 1 and "LimitsExceeded" in done.stderr, done
    assert not done.stdout, done
    done = client(env, "unix:path=/no/such/bus", "connect")
    assert done.returncode == 1 and "/no/such/bus" in done.stderr, done
    for words in (["nothing"], ["call:x:1"], []):
        assert client(env, router.address, *words).returncode in (1, 2), words


def test_usage(env):
    """unknown words and buses are named, with those that there are"""
    done = run_bench(env, "signal")
    assert done.returncode == 2 and "fanout" in done.stderr, done
    done = run_bench(env, "--bus", "busd")
    assert done.returncode == 2 and "dbus-broker" in done.stderr, done
