# SPDX-License-Identifier: MIT
"""Where bytes come in that are not believed: a section of docs/TRUST.md each.

What a test tries there is counted by env.hostile(BOUNDARY, n): an input that an honest peer would
not send, be it a message, a packet, a file, a name or an end at the wrong moment.
"""

GUEST = "guest to sbrouter"
ROUTER = "sbrouter to sbportal"
GATE = "sbportal to the gate"
IPC = "children to sbsupervisor"
HOST_PORTAL = "host's portal to sbsupervisor"
PRIVATE_BUS = "private bus to sbsupervisor"
DOCUMENTS = "documents to the host"
VMM = "VMM to virtiofsd"
CONFIGURATION = "configuration to sbsupervisor"
AGENT = "guest's programs to sbagent"
HOST = "host to the guest"
KERNEL = "a process taken over to the kernel"
DAEMONS = "portal daemons to the session"

ALL = (GUEST, ROUTER, GATE, IPC, HOST_PORTAL, PRIVATE_BUS, DOCUMENTS, VMM, CONFIGURATION, AGENT,
       HOST, KERNEL, DAEMONS)

# Where the input of each fuzzer comes from: tests/fuzz/DIR/fuzz_NAME.c.
FUZZERS = {
    "address": CONFIGURATION, "body": GUEST, "connection": GUEST, "dbus_name": GUEST,
    "driver": GUEST, "dropin": HOST,
    "escape": GUEST, "greeting": GUEST, "guest_path": ROUTER, "handle": ROUTER, "icon_check": GATE,
    "ini": CONFIGURATION, "inlet": GATE, "ipc_recv": IPC, "markup": GATE, "match_rule": GUEST,
    "message": GUEST,
    "png": ROUTER, "portal_rebuild": GATE, "refusal": AGENT, "remembered": CONFIGURATION,
    "sasl": GUEST,
}


def add(counts, others):
    """Adds {boundary: number} to another."""
    for boundary, number in others.items():
        counts[boundary] = counts.get(boundary, 0) + number


def lines(counts):
    """One line for each boundary at which something was tried, in the order of docs/TRUST.md."""
    return [f"hostile inputs, {boundary}: {counts[boundary]}" for boundary in ALL
            if counts.get(boundary)]
