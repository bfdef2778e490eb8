# SPDX-License-Identifier: MIT
"""Values that a method of the portal table is not for, made from its row.

What is right about them, the table's documentation says (docs/PORTALS.md, common/limits.h): a key
that is not listed is dropped, one of another type is an error, and so is what is beyond a bound.
"""

import functools
import typing

from gi.repository import GLib

from .backend import split
from .world import V, pairs

# In all that may not reach the host, whatever else becomes of it.
EVIL = "evil"

INVALID = "org.freedesktop.portal.Error.InvalidArgument"
NOT_SUPPORTED = "org.freedesktop.DBus.Error.NotSupported"
ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
WRONG_ARGUMENTS = "org.freedesktop.DBus.Error.InvalidArgs"
# sbrouter's, of a message that is not valid: its sender is out.
DISCONNECTED = "disconnected"
LIMITS = "org.freedesktop.DBus.Error.LimitsExceeded"

REFUSED = (INVALID,)
PASSES = ()


class Input(typing.NamedTuple):
    what: str
    body: GLib.Variant
    # The names of which one is the error, before the host hears of the call; none: it passes, and
    # the host sees what the row allows.
    errors: tuple = PASSES
    # Keys that the host does not see.
    absent: tuple = ()
    # It may be refused, too: by a rule of one portal's that the table does not tell.
    either: bool = False


@functools.cache
def any_type():
    """One value of each kind of type."""
    return (V("s", EVIL), V("b", True), V("u", 1), V("i", -1), V("t", 1), V("x", -1),
                V("n", -1), V("q", 1), V("y", 1), V("d", .5), V("o", "/" + EVIL), V("g", "a{sv}"),
                V("h", 0), V("as", [EVIL]), V("ay", EVIL.encode()), V("aay", [EVIL.encode()]),
                V("ah", [0]), V("a{sv}", {EVIL: V("s", EVIL)}), V("aa{sv}", [{}]),
                V("a(sa{sv})", [(EVIL, {})]), V("av", [V("s", EVIL)]), V("v", V("s", EVIL)),
                V("v", V("v", V("a{sv}", {EVIL: V("v", V("h", 0))}))), V("(s)", (EVIL,)),
                V("a{ss}", {EVIL: EVIL}), V("au", []), V("(ddd)", (0, 0, 0)),
                V("a(us)", [(1, EVIL)]), V("(sa(us))", (EVIL, [])), V("aaaaaaaaas", []))


def some_types(number):
    """For a key: those that are most unlike, and a few of the others, not the same for each."""
    types = any_type()
    always = [value for value in types if value.get_type_string() in ("h", "v", "a{sv}")]
    return always + [types[(number * 7 + n) % len(types)] for n in range(7)]


@functools.cache
def blob(size):
    """An ay of so many bytes (GLib's own constructor takes them one by one)."""
    data = (EVIL.encode() * (size // len(EVIL) + 1))[:size]
    return GLib.Variant.new_from_bytes(GLib.VariantType("ay"), GLib.Bytes.new(data), True)


@functools.cache
def texts(count, text=""):
    return V("as", [text] * count)


@functools.cache
def unknown(count):
    """So many keys that nobody knows."""
    return [(f"{EVIL}{n}", V("s", EVIL)) for n in range(count)]


def nested(levels, inner):
    for _ in range(levels):
        inner = V("v", inner)
    return inner


def make(kind, text="x", number=0, items=1, outer=None):
    """A value of that type: each text and each number this, each list of so many."""
    count = items if outer is None else outer
    if kind == "ay":
        return list(text.encode()) + [0]
    if kind.startswith("a{"):
        return {}
    if kind.startswith("a"):
        return [make(kind[1:], text, number, items) for _ in range(count)]
    if kind.startswith("("):
        return tuple(make(k, text, number, items) for k in split(kind[1:-1]))
    return text if kind == "s" else False if kind == "b" else number


class Hostile:
    """Makes the inputs of a method.  A guest's world: its tokens, its paths, its sessions."""

    def __init__(self, limits, documents, sessions, foreign):
        """sessions: {interface: a handle of the caller's}.  foreign: paths that are none."""
        self.limits = limits
        self.documents = documents
        self.sessions = sessions
        self.foreign = foreign
        self.count = 0

    # --- values of the row's own type: (what, value, errors[, how it may end else]) --------------

    def texts(self, limit):
        yield "empty", "", PASSES
        yield "the longest", "y" * limit, PASSES
        yield "too long", EVIL + "y" * (limit - 3), REFUSED
        yield "too long in bytes", "é" * (limit // 2) + "e", REFUSED
        yield "unicode", "a\u202eb\x1b\x07\u2066c\u2028\U0001f600\ufeff", PASSES

    def own_values(self, v):
        """Of an argument or a key, as GLib.Variant of its type."""
        for what, value, errors, *either in getattr(
                self, "of_" + v.role.lower(), self.of_plain)(v):
            yield what, value if isinstance(value, V) else V(v.type, value), errors, bool(either)

    def of_plain(self, v):
        if v.type == "s":
            yield from self.texts(self.limits["STRING_BYTES"])
        elif v.type in ("u", "i", "t"):
            low, high = {"u": (0, 2 ** 32 - 1), "i": (-2 ** 31, 2 ** 31 - 1),
                         "t": (0, 2 ** 64 - 1)}[v.type]
            yield "the least", low, PASSES
            yield "the most", high, PASSES
        elif v.type == "b":
            yield "true", True, PASSES
            yield "false", False, PASSES
        elif v.type == "d":
            for number in (float("inf"), -1e300, 5e-324):
                yield f"{number}", number, PASSES
        else:
            yield from self.of_text(v)

    def of_text(self, v):
        if v.type == "s":
            yield from self.texts(self.limits["STRING_BYTES"])
            return
        most = self.limits["ARRAY_ITEMS"]
        yield "plain", make(v.type), PASSES
        yield "unicode", make(v.type, "a\u202eb\x1bc"), PASSES
        yield "a text too long", make(v.type, EVIL + "y" * self.limits["STRING_BYTES"]), REFUSED
        yield "numbers", make(v.type, number=2 ** 32 - 1), PASSES
        if v.type.startswith("a"):
            yield "nothing", [], PASSES
            yield "as many as may be", make(v.type, outer=most), PASSES
            yield "too many", make(v.type, EVIL, outer=most + 1), REFUSED
        if v.type.count("a") > 1:
            yield "too many within", make(v.type, EVIL, items=most + 1, outer=1), REFUSED
        elif v.type.startswith("(") and "a" in v.type:
            yield "too many within", make(v.type, EVIL, items=most + 1), REFUSED

    of_title = of_text

    def of_lines(self, v):
        yield from self.texts(self.limits["LINES_BYTES"])
        yield "lines", "a\nb\r\n\tc\u2029d", PASSES

    def of_markup(self, v):
        yield from self.of_lines(v)
        yield "tags", f"<b><a href='{EVIL}:x'>a</a><img src='{EVIL}'/><b", PASSES

    def of_body(self, v):
        yield from self.of_lines(v)
        yield "tags", "<a href='x:y'>a</a> <img src='x'/> a < b & c &lt; <", PASSES

    def of_action(self, v):
        yield from self.texts(self.limits["STRING_BYTES"])
        yield "an application's", "app.x", PASSES
        yield "what GLib would parse", "x::y z(1)", PASSES

    def of_parent_window(self, v):
        yield "a window", "x11:" + EVIL, PASSES
        yield "another", "wayland:" + EVIL, PASSES
        yield "a path", f"file:///{EVIL}/../", PASSES
        yield "too long", EVIL * self.limits["STRING_BYTES"], REFUSED

    def of_handle_token(self, v):
        most = self.limits["TOKEN_BYTES"]
        for what, token in (("empty", ""), ("too long", "e" * (most + 1)), ("10 kB", "e" * 10240),
                            ("a path", "../evil"), ("a slash", "ev/il"), ("a dot", "e.vil"),
                            ("unicode", "evil\u202e"), ("a space", "ev il"), ("a line", "evil\n"),
                            ("a colon", ":1.1")):
            yield what, token, REFUSED
        self.count += 1
        yield "the longest", f"evil{self.count}".ljust(most, "l"), PASSES

    of_session_token = of_handle_token

    def of_session(self, v):
        for path in self.foreign:
            yield path, path, (ACCESS_DENIED,)

    def of_always_true(self, v):
        yield "false", False, PASSES

    def of_directory(self, v):
        yield "true", True, PASSES

    def of_never(self, v):
        yield "its own type", make(v.type, EVIL), PASSES

    def of_basename(self, v):
        yield "the longest", "y" * 255, PASSES
        for name in ("", ".", "..", "/", "../evil", "evil/", "y" * 256, "evil" * 2000):
            yield f"{name[:9]!r}", name, REFUSED

    def of_basenames(self, v):
        yield "some", [b"y\0"] * self.limits["ARRAY_ITEMS"], PASSES
        yield "too many", [b"evil\0"] * (self.limits["ARRAY_ITEMS"] + 1), REFUSED
        for name in (b"", b"\0", b"evil", b"ev\0il\0", b"../evil\0", b"..\0", b"y" * 256 + b"\0"):
            yield f"{name[:9]!r}", [b"y\0", name], REFUSED

    def of_guest_path(self, v):
        for path in ("/etc/evil", "evil", self.documents + "/../evil", "/" + "evil/" * 800,
                     self.documents + "/evil/x"):
            yield f"{path[-12:]!r}", path.encode() + b"\0", PASSES
        for path in (b"", b"/evil", b"/ev\0il\0", b"/" + b"evil/" * 1000 + b"\0"):
            yield f"{path[:9]!r}", path, REFUSED

    def of_open_uri(self, v):
        yield "a long one", "https://example.org/" + "y" * 4000, PASSES
        for uri in ("https://evil/\n", "https://evil/\x7f", "https://" + "evil" * 1024):
            yield f"{uri[-9:]!r}", uri, REFUSED
        # The policy's: the request ends with Response 2.
        for uri in ("file:///evil", "evil", "", "javascript:evil", "\u202ehttps://evil",
                    "mailto:evil?attach=/evil"):
            yield f"{uri[:12]!r}", uri, ("denied",)

    def of_open_scheme(self, v):
        yield "too long", "evil" * 2000, REFUSED
        for scheme in ("file", "evil", "", "https:"):
            yield f"{scheme!r}", scheme, ("org.freedesktop.portal.Error.NotAllowed",
                                          "org.freedesktop.DBus.Error.UnknownMethod")

    def of_namespace(self, v):
        yield "too long", "evil" * 2000, REFUSED
        for name in ("org.gnome.desktop.evil", "", "*", "org.freedesktop.*", "evil\n"):
            yield f"{name!r}", name, ("org.freedesktop.portal.Error.NotFound",
                                      "org.freedesktop.DBus.Error.UnknownMethod")

    def of_namespaces(self, v):
        most = self.limits["ARRAY_ITEMS"]
        yield "many", ["x"] * most, PASSES
        yield "too many", ["evil"] * (most + 1), REFUSED

    def of_notification_id(self, v):
        most = self.limits["TEXT_BYTES"]
        yield "the longest", "y" * most, PASSES
        yield "another's", "org.sidebus.vm.demo/x/../y\u202e\n", PASSES
        yield "too long", "evil" * 2 * most, REFUSED

    def of_any(self, v):
        depth = self.limits["VARIANT_DEPTH"]
        yield "deep", nested(depth, V("s", "x")), PASSES
        yield "too deep", nested(depth + 1, V("s", EVIL)), REFUSED
        yield "far too deep", nested(50, V("s", EVIL)), REFUSED
        yield "a descriptor", V("h", 0), REFUSED
        yield "descriptors within", V("a{sv}", {EVIL: nested(2, V("(h)", (0,)))}), REFUSED
        yield "too many", V("au", [0] * (self.limits["ARRAY_ITEMS"] + 1)), REFUSED
        yield "a text too long", V("as", [EVIL + "y" * self.limits["STRING_BYTES"]]), REFUSED
        yield "a key too long", V("a{sv}", {EVIL * 2000: V("b", True)}), REFUSED

    def of_icon(self, v):
        for what, value in (("no picture", ("bytes", V("ay", b"<svg>evil"))),
                            ("nothing", ("bytes", V("ay", b""))),
                            ("files", ("themed", V("as", ["/evil", "../evil", "file:///evil"]))),
                            ("nobody's", (EVIL, V("a{sv}", {"themed": V("s", EVIL)}))),
                            ("another type", ("themed", V("s", EVIL))),
                            ("a file", ("file", V("s", "file:///evil")))):
            yield what, V("(sv)", value), PASSES
        yield "a path", V("s", "/evil"), PASSES
        yield "many", V("(sv)", ("themed", V("as", ["x"] * 5000))), PASSES
        yield "too large", V("(sv)", ("bytes", blob(262145))), REFUSED
        for value in any_type():
            if value.get_type_string() != "s":
                yield value.get_type_string(), value, REFUSED

    def of_sound(self, v):
        yield "a word", V("s", EVIL), PASSES
        yield "bytes", V("(sv)", ("bytes", V("ay", b"evil"))), PASSES
        for value in any_type():
            if value.get_type_string() != "s":
                yield value.get_type_string(), value, REFUSED

    def of_fd_bytes(self, v):
        yield "none of this number", 9, (DISCONNECTED,)

    of_fd_sink = of_fd_document = of_fd_writable = of_fd_bytes

    def of_fd_file(self, v):
        if v.type == "h":
            yield from self.of_fd_bytes(v)
            return
        yield "none", [], PASSES
        yield "none of this number", [0, 9], (DISCONNECTED,)
        yield "too many", [0] * (self.limits["MESSAGE_FDS"] + 1), (NOT_SUPPORTED, INVALID)

    def of_dict(self, v):
        def wrap(entries, count=1):
            d = pairs(entries)
            if v.type == "a{sv}":
                return d
            if v.type == "aa{sv}":
                return V.new_array(None, [d] * count)
            return V.new_array(None, [V.new_tuple(V("s", "x"), d)] * count)
        for what, entries, errors, _, either in self.entries(v.members):
            yield what, wrap(entries), errors, *([True] if either else [])
        if v.type != "a{sv}":
            yield "none", V(v.type, []), REFUSED if v.role == "SOME_DICTS" else PASSES
            yield "too many", wrap([], self.limits["ARRAY_ITEMS"] + 1), REFUSED

    of_some_dicts = of_dict

    # --- dictionaries: (what, entries, errors, absent, either) -----------------------------------

    def entries(self, rows):
        """Of known keys, each alone; of keys nobody knows; of both, twice."""
        for v in rows:
            yield from self.of_key(v)
        yield from self.of_unknown_keys()

    def of_key(self, v):
        absent = (v.name,) if v.role == "NEVER" else ()
        for what, value, errors, either in self.own_values(v):
            yield f"{v.name}: {what}", [(v.name, value)], errors, absent, either
        if v.type == "v":
            return
        good = V(v.type, make(v.type)) if v.type != "a{sv}" else V(v.type, {})
        self.count += 1
        for value in some_types(self.count):
            kind = value.get_type_string()
            if kind == v.type:
                continue
            errors = PASSES if v.role == "NEVER" else REFUSED
            yield f"{v.name}: {kind}", [(v.name, value)], errors, absent, False
        if v.role in ("HANDLE_TOKEN", "SESSION_TOKEN", "NEVER") or v.type in ("h", "ah"):
            return
        yield f"{v.name}: twice", [(v.name, good), (v.name, V("s", EVIL)),
                                   (v.name, V("v", V("h", 0)))], PASSES, (), False
        yield f"{v.name}: twice, first wrong", [(v.name, V("v", V("s", EVIL))), (v.name, good)], \
            REFUSED, (), False

    def of_unknown_keys(self):
        for value in any_type():
            yield f"unknown: {value.get_type_string()}", [(EVIL, value)], PASSES, (EVIL,), False
        most = self.limits["OPTION_KEYS"]
        # Beside those that the caller adds, of which there are two at most.
        yield "unknown: many", unknown(most - 2), PASSES, (EVIL + "0",), False
        yield "unknown: too many", unknown(most + 1), REFUSED, (), False
        yield "unknown: large", [(EVIL, blob(400000))], PASSES, (EVIL,), False
        values = self.limits["SKIPPED_VALUES"]
        yield "unknown: too many values", [(EVIL, texts(values + 1))], REFUSED, (), False
        yield "unknown: deep", [(EVIL, nested(50, V("s", EVIL)))], PASSES, (EVIL,), False
        for key in ("", EVIL * 5000, EVIL + "\n\u202e", "HANDLE_TOKEN" + EVIL):
            yield f"unknown: {key[:9]!r}", [(key, V("s", EVIL))], PASSES, (key,), False

    # --- a whole call ------------------------------------------------------------------------

    def good_argument(self, method, v):
        if v.role == "SESSION":
            return V("o", self.sessions[method.interface])
        if v.role in ("OPEN_URI", "OPEN_SCHEME", "NAMESPACE"):
            return V("s", {"OPEN_URI": "https://example.org/", "OPEN_SCHEME": "https",
                           "NAMESPACE": "org.freedesktop.appearance"}[v.role])
        if v.role == "PARENT_WINDOW":
            return V("s", "")
        if v.role == "SOME_DICTS":
            return V(v.type, [("x", {})])
        if v.type in ("a{sv}", "a(sa{sv})", "as"):
            return V(v.type, [] if v.type != "a{sv}" else {})
        return V(v.type, make(v.type))

    def body(self, method, position=None, value=None, options=()):
        """A call as it should be, but for one argument or for its options."""
        self.count += 1
        tokens = [(v.name, V("s", f"evil{self.count}")) for v in method.options
                  if v.role in ("HANDLE_TOKEN", "SESSION_TOKEN")
                  and v.name not in [key for key, _ in options]]
        arguments = []
        for n, v in enumerate(method.args):
            if n == position:
                arguments.append(value)
            elif v.role == "OPTIONS":
                arguments.append(pairs([*options, *tokens]))
            else:
                arguments.append(self.good_argument(method, v))
        return V.new_tuple(*arguments)

    def inputs(self, method):
        yield Input("as it should be", self.body(method), either=True)
        for n, v in enumerate(method.args):
            if v.role == "OPTIONS":
                for what, options, errors, absent, either in self.entries(method.options):
                    yield Input(what, self.body(method, options=options), errors, absent, either)
                yield Input("a message too large", self.body(method, options=[
                    (EVIL, blob(self.limits["GATE_BYTES"]))]), (LIMITS,))
            else:
                for what, value, errors, either in self.own_values(v):
                    yield Input(f"argument {v.name}: {what}", self.body(method, n, value), errors,
                                (), either)
        yield from self.of_signature(method)

    def of_signature(self, method):
        good = self.body(method)
        children = [good.get_child_value(n) for n in range(good.n_children())]
        yield Input("an argument more", V.new_tuple(*children, V("s", EVIL)), (WRONG_ARGUMENTS,))
        if children:
            yield Input("in a struct", V.new_tuple(good), (WRONG_ARGUMENTS,))
            yield Input("an argument less", V.new_tuple(*children[:-1]), (WRONG_ARGUMENTS,))
            yield Input("in a variant", V.new_tuple(*children[:-1], V("v", children[-1])),
                        (WRONG_ARGUMENTS,))
            yield Input("no arguments", V("()", ()), (WRONG_ARGUMENTS,))
