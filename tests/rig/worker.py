#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""worker.py BUILD SOURCE ROOT REPORT_FD FILE TEST...: runs tests of a file of integration or vm.

Each test is said on REPORT_FD as a JSON line when it begins and when it has ended, so that the
runner can kill a test that hangs and start a new worker for the rest.
"""

import importlib.util
import json
import os
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig import linux, processes  # noqa: E402  (the path is set above)
from rig.environment import Env  # noqa: E402


def load(path):
    sys.path.insert(0, os.path.dirname(path))  # for what its tests share
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def environment(path):
    """The class of what the tests of this file get."""
    if os.path.basename(os.path.dirname(path)) == "vm":
        from rig.vm_environment import VmEnv
        return VmEnv
    return Env


def failure(env):
    """What went wrong: where in the test, where at last, and the ends of the logs."""
    error = traceback.TracebackException(*sys.exc_info())
    frames = [f for f in error.stack if not f"{os.sep}rig{os.sep}" in f.filename]
    if error.stack and error.stack[-1] not in frames:
        frames.append(error.stack[-1])
    error.stack = traceback.StackSummary.from_list(frames)
    text = "".join(error.format())
    for name, log in env.new_log().items():
        text += f"--- log of {name} during the test\n" + "\n".join(log.splitlines()[-25:]) + "\n"
    return text


def run_one(env, test):
    env.begin()
    problem = None
    try:
        test(env)
    except Exception:
        problem = failure(env)
    try:
        env.end()
    except Exception:
        problem = problem or failure(env)
    if problem:
        # What broke this test must not break the next.
        env.drop()
    return problem


def main():
    build, source, root, report_fd, path, *names = sys.argv[1:]
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = os.fdopen(int(report_fd), "w", buffering=1)
    os.set_inheritable(report.fileno(), False)
    env = environment(path)(build, source, root)
    try:
        module = load(path)
        for name in names:
            report.write(json.dumps({"begin": name}) + "\n")
            started, boots = time.monotonic(), env.boots
            problem = run_one(env, getattr(module, name))
            report.write(json.dumps({"end": name, "problem": problem,
                                     "notes": env.notes, "hostile": env.tried,
                                     "boots": env.boots - boots,
                                     "seconds": time.monotonic() - started}) + "\n")
        env.stop()
    finally:
        processes.kill_descendants()


if __name__ == "__main__":
    main()
