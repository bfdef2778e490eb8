# SPDX-License-Identifier: MIT
"""What the guest's programs of test_clients.py have in common: they tell the test what they got.

Each is started with an action and its arguments, and writes a JSON line for each thing that it
has to say.  Where it waits for the test, that writes a line.
"""

import json
import os
import sys


def say(what):
    print(json.dumps(what), flush=True)


def told(run, quit_, watch):
    """Runs the program's main loop until the test has written a line, or is gone.

    run, quit_: the loop's.  watch(fd, function): calls it when there is something to be read."""
    def on_line():
        os.read(0, 1)  # a line is one byte
        quit_()
    watch(0, on_line)
    run()


def main(actions):
    actions[sys.argv[1]](*sys.argv[2:])
