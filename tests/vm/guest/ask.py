#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""ask.py open|open-many|save|directory: gets documents, and prints their paths as a JSON list."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.guest import GLib, GuestClient  # noqa: E402  (the path is set above)


def main():
    action = sys.argv[1]
    client = GuestClient(os.environ["DBUS_SESSION_BUS_ADDRESS"])
    ask = client.save_file if action == "save" else client.open_file
    options = {name: GLib.Variant("b", True)
               for name, of in (("multiple", "open-many"), ("directory", "directory"))
               if of == action}
    request = ask(title=action, **options)
    response, results = request.wait(3600)
    paths = [os.fsdecode(path) for path in request.paths()] if response == 0 else None
    print(json.dumps(paths))


if __name__ == "__main__":
    main()
