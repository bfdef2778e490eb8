# SPDX-License-Identifier: MIT
"""docs/TRUST.md names functions, limits and tests: each of them exists."""

import ast
import glob
import os
import re

from rig import boundaries

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Where a section must say something.
PARTS = ("Believed", "Checked", "Not defended", "Shown by")


def text_of(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
        return f.read()


def sections():
    """{heading: text}"""
    parts = text_of("docs/TRUST.md").split("\n## ")[1:]
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in parts}


def functions():
    """The functions that the C sources define."""
    found = set()
    for directory in ("common", "ipc", "sbrouter", "sbportal", "sbsupervisor", "sbagent",
                      "systemd"):
        for path in glob.glob(os.path.join(SOURCE, directory, "**/*.c"), recursive=True):
            with open(path, encoding="utf-8") as f:
                found |= set(re.findall(r"^[a-z][\w \*]*?\b(\w+)\([^;{]*\) \{$", f.read(),
                                        re.MULTILINE))
    return found


def test_boundaries(env):
    """a section for each boundary that the tests count, in their order, with its four parts"""
    found = sections()
    assert list(found) == list(boundaries.ALL), list(found)
    for heading, text in found.items():
        for part in PARTS:
            assert f"*{part}*" in text, (heading, part)
    fuzzers = {os.path.basename(p)[5:-2] for p in glob.glob(os.path.join(SOURCE,
                                                                        "tests/fuzz/*/fuzz_*.c"))}
    assert set(boundaries.FUZZERS) == fuzzers, set(boundaries.FUZZERS) ^ fuzzers
    for name, boundary in boundaries.FUZZERS.items():
        assert "fuzz_" + name in text_of("docs/TRUST.md") or name == "escape", name
        assert boundary in boundaries.ALL, name


def test_functions(env):
    """the functions and limits that it names are in the sources"""
    text, defined = text_of("docs/TRUST.md"), functions()
    named = set(re.findall(r"`(\w+)\(\)`", text)) - {"name"}
    assert len(named) > 60 and len(defined) > 1000, (len(named), len(defined))
    assert named <= defined, sorted(named - defined)
    limits = set(re.findall(r"\bLIMIT_\w+", text))
    assert limits <= set(re.findall(r"^#define (LIMIT_\w+)", text_of("common/limits.h"),
                                    re.MULTILINE)), limits


def test_tests(env):
    """the tests that it names are there, and each section names some"""
    files = {os.path.basename(p)[:-3]: p for kind in ("vm", "integration")
             for p in glob.glob(os.path.join(SOURCE, "tests", kind, "test_*.py"))}
    programs = {os.path.basename(p)[:-2] for kind in ("unit", "fuzz")
                for p in glob.glob(os.path.join(SOURCE, "tests", kind, "*", "*_*.c"))}
    for heading, text in sections().items():
        shown = text.split("*Shown by*:")[1].replace("\n", " ").strip().rstrip(".")
        count = 0
        for group in shown.split(";"):
            name, colon, rest = group.strip().partition(":")
            words = [w.strip() for w in (rest if colon else group).split(",")]
            if colon:
                assert name in files, f"{heading}: there is no {name}.py"
                with open(files[name], encoding="utf-8") as f:
                    there = {n.name for n in ast.parse(f.read()).body
                             if isinstance(n, ast.FunctionDef)}
            else:
                there = programs
            # After a file's functions, units and fuzzers may follow.
            missing = [w for w in words if w not in there | programs]
            assert not missing, f"{heading}: {name}: there is no {missing}"
            count += len(words)
        assert count >= 5, (heading, count)
