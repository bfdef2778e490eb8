# SPDX-License-Identifier: MIT
"""The portal table as the programs have it, and whether a message of the host's is one of its rows.

It is read from portal_table.c's program, so a new row is known here by itself.
"""

import json
import os
import re
import subprocess
import typing
import unicodedata


class Value(typing.NamedTuple):
    """An argument, or a key of a dictionary."""
    name: str
    type: str
    role: str
    since: int
    members: list

    @classmethod
    def of(cls, found):
        return cls(**{**found, "members": [cls.of(m) for m in found["members"]]})


class Method(typing.NamedTuple):
    interface: str
    member: str
    kind: str
    since: int
    args: list
    options: list
    results: list

    @classmethod
    def of(cls, found):
        return cls(**{**found, **{name: [Value.of(v) for v in found[name]]
                                  for name in ("args", "options", "results")}})

    @property
    def name(self):
        return f"{self.interface.rpartition('.')[2]}.{self.member}"

    @property
    def signature(self):
        return "".join(v.type for v in self.args)

    def has(self, role):
        """Whether there is such a key."""
        return any(v.role == role for v in self.options)


class Table:
    def __init__(self, build):
        program = os.path.join(build, "tests", "rig", "portal_table")
        found = json.loads(subprocess.run([program], capture_output=True, check=True).stdout)
        self.limits = found["limits"]
        self.interfaces = found["interfaces"]
        self.methods = [Method.of(m) for m in found["methods"]]

    def method(self, interface, member):
        return next((m for m in self.methods if (m.interface, m.member) == (interface, member)),
                    None)


# --- what the host may see of a row --------------------------------------------------------------

# Characters that turn the direction of what is read, or are not seen.
HIDDEN = {*"\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u3164\ufeff\uffa0",
          *map(chr, (*range(0x202a, 0x202f), *range(0x2060, 0x2070), *range(0xe0000, 0xe1000)))}


def shown_badly(text):
    """Control characters, ends of lines, bidi characters and invisible ones in it."""
    return [c for c in text if c in HIDDEN or unicodedata.category(c) in ("Cc", "Zl", "Zp")]


class Conformance:
    """Says what is wrong with a call as the host's portal got it (busctl's JSON, see Monitor)."""

    def __init__(self, limits, label, version):
        """version: the host's, of the interface."""
        self.limits = limits
        self.label = label
        self.version = version

    def check(self, method, payload):
        assert payload["type"] == method.signature, (method.name, payload["type"])
        for value, data in zip(method.args, payload["data"]):
            if value.role == "OPTIONS":
                self.dictionary(method.options, data)
                tokens = {"HANDLE_TOKEN", "SESSION_TOKEN"}
                for option in method.options:  # what is written though nobody sent it
                    if option.role in tokens | {"ALWAYS_TRUE", "TITLE"}:
                        assert option.name in [key for key, _ in data], (option.name, data)
            else:
                self.value(value, data)

    def dictionary(self, rows, entries):
        keys = [key for key, _ in entries]
        assert len(set(keys)) == len(keys), ("a key twice", keys)
        for key, found in entries:
            row = next((v for v in rows if v.name == key), None)
            found = dict(found)
            assert row and row.role != "NEVER" and row.since <= self.version, ("a key", key)
            if row.type == "v":
                assert row.role == "ANY" or found["type"] in ("s", "(sv)"), (key, found)
                # Of any type: it holds no descriptor, and nothing that JSON has no words for.
                assert "h" not in found["type"], (key, found)
            else:
                assert found["type"] == row.type, (key, found)
                self.value(row, found["data"])

    def value(self, v, data):
        check = getattr(self, "of_" + v.role.lower(), None)
        if check:
            check(v, data)
        else:
            self.plain(v, data)

    def strings(self, data):
        if isinstance(data, str):
            yield data
        elif isinstance(data, (list, tuple)):
            for item in data:
                yield from self.strings(item)

    def plain(self, v, data):
        if isinstance(data, list) and v.type != "ay":
            assert len(data) <= self.limits["ARRAY_ITEMS"], (v.name, len(data))
        for text in self.strings(data):
            assert len(text.encode()) <= self.limits["STRING_BYTES"], (v.name, len(text))

    def of_text(self, v, data):
        self.plain(v, data)
        for text in self.strings(data):
            assert not shown_badly(text), (v.name, text)
            assert len(text.encode()) <= self.limits["TEXT_BYTES"], (v.name, len(text))

    def of_title(self, v, data):
        assert data.startswith(self.label) and not shown_badly(data), (v.name, data)
        assert len(data.encode()) <= self.limits["TEXT_BYTES"] + len(self.label) + 2, len(data)

    def of_lines(self, v, data):
        assert not shown_badly(data.replace("\n", "").replace("\t", "")), (v.name, data[:100])
        assert len(data.encode()) <= self.limits["LINES_BYTES"], (v.name, len(data))

    def of_body(self, v, data):
        self.of_lines(v, data)
        assert not re.search(r"<[A-Za-z/!?]|&[A-Za-z0-9#]+;", data), data[:100]

    def of_action(self, v, data):
        assert re.fullmatch(r"vm\.[A-Za-z0-9.-]*", data), (v.name, data[:100])
        assert len(data) <= 3 * self.limits["STRING_BYTES"] + 3, (v.name, len(data))

    def of_markup(self, v, data):
        self.of_lines(v, data)
        assert not re.search(r"<(?!/?[bi]>)", data), data[:100]

    def of_parent_window(self, v, data):
        assert data == "", (v.name, data)

    def of_handle_token(self, v, data):
        assert re.fullmatch("sb[0-9a-f]{32}", data), (v.name, data)

    of_session_token = of_handle_token

    def of_session(self, v, data):
        assert re.fullmatch(r"/org/freedesktop/portal/desktop/session/\w+/sb[0-9a-f]{32}", data), \
            (v.name, data)

    def of_always_true(self, v, data):
        assert data is True, (v.name, data)

    def of_notification_id(self, v, data):
        assert data.startswith("org.sidebus.vm.demo/"), (v.name, data)

    def of_dict(self, v, data):
        if v.type == "a{sv}":
            return self.dictionary(v.members, data)
        assert len(data) <= self.limits["ARRAY_ITEMS"], (v.name, len(data))
        for item in data:
            if v.type == "a(sa{sv})":
                self.plain(v, item[0])
                item = item[1]
            self.dictionary(v.members, item)
        return None

    of_some_dicts = of_dict

    def of_basename(self, v, data):
        name = data if isinstance(data, str) else bytes(data[:-1]).decode(errors="replace")
        assert name not in ("", ".", "..") and "/" not in name, (v.name, name)
        assert not shown_badly(name), (v.name, name)

    def of_basenames(self, v, data):
        assert len(data) <= self.limits["ARRAY_ITEMS"], (v.name, len(data))
        for name in data:
            self.of_basename(v, name)
