# SPDX-License-Identifier: MIT
"""sbportal between a real bus and a gate of the test's own: requests, limits, what it answers."""

import os
import re
import subprocess

from gi.repository import Gio, GLib

from rig.guest import (DESKTOP, FILE_CHOOSER, PATH, PROPERTIES, REQUEST, Request, error_name,
                       path_bytes, pump)
from rig.portal import (DOCUMENTS, INTROSPECTABLE, PEER, PORTAL, call_with_fds, fails, method_call,
                        open_request, send, start)
from rig.processes import Process, wait_for

V = GLib.Variant


# --- requests -----------------------------------------------------------------------------------

def test_request(env):
    """A request: the predicted handle, then one Response to its caller, with guest URIs"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    order, overheard = [], []

    def record(_bus, message, incoming, _data):
        if incoming:
            order.append(message.get_message_type().value_nick + ":" + (message.get_member() or ""))
        return message

    client.bus.add_filter(record, None)
    other.bus.signal_subscribe(None, REQUEST, None, None, None, Gio.DBusSignalFlags.NONE,
                               lambda *signal: overheard.append(signal))
    request, token = open_request(rig, client)
    rig.tell(f"respond {token} 0 doc:4f3a/My%20file%23.txt doc:7/d/%FF")
    response, results = request.wait()
    assert response == 0
    assert results == {"uris": [f"file://{DOCUMENTS}/4f3a/My%20file%23.txt",
                                f"file://{DOCUMENTS}/7/d/%FF"], "choices": [("encoding", "utf8")]}
    assert order.index("method-return:") < order.index("signal:Response")
    assert other.call(PATH, PEER, "Ping") == () and request.silent(0) is False
    pump()
    assert not overheard
    assert request.senders == [other.call("/org/freedesktop/DBus", "org.freedesktop.DBus",
                                          "GetNameOwner", V("(s)", (DESKTOP,)),
                                          destination="org.freedesktop.DBus")[0]]
    assert fails(request.close) == "org.freedesktop.DBus.Error.UnknownMethod"
    rig.tell(f"respond {token} 0 doc:4f3a/again")  # once is once
    rig.quiet()
    assert len(request.responses) == 1


def test_responses(env):
    """Cancelled, other, and what the gate must not say: no documents, no unknown results"""
    rig = start(env)
    client = rig.client()
    for code in (1, 2):
        request, token = open_request(rig, client)
        rig.tell(f"respond {token} {code}")
        assert request.wait() == (code, {"uris": [], "choices": [("encoding", "utf8")]})
    request, token = open_request(rig, client)
    rig.tell(f"respond {token} 0 file:///etc/passwd doc:1/../2/x doc:1/ok doc:zz/x doc:1/%2e%2e")
    assert request.uris() == [f"file://{DOCUMENTS}/1/ok"]
    assert rig.log().count("is no document") == 4
    for command in ("respond-badly {}", "respond {} 3"):
        request, token = open_request(rig, client)
        rig.tell(command.format(token))
        assert request.wait() == (2, {})
    rig.tell("respond nobody 0")
    rig.alive()


def test_handles(env):
    """Handle paths: the token, its default, one that is taken; bad tokens are refused"""
    rig = start(env)
    client = rig.client()

    def handle(options):
        path, = client.call(PATH, FILE_CHOOSER, "OpenFile", V("(ssa{sv})", ("", "", options)))
        rig.call("OpenFile")
        rig.expect("reply")
        return path

    assert handle({}) == client.predicted("t")
    assert handle({"handle_token": V("s", "Tok_3n")}) == client.predicted("Tok_3n")
    again = handle({"handle_token": V("s", "Tok_3n")})
    assert re.fullmatch(client.predicted("Tok_3n") + "/[0-9]+", again), again
    assert handle({"handle_token": V("s", "x" * 64)}) == client.predicted("x" * 64)
    for bad in ("", "a.b", "a/b", "../t", "ä", "a-b", "x" * 65, "x" * 10240, " "):
        assert fails(handle, {"handle_token": V("s", bad)}) == \
            "org.freedesktop.portal.Error.InvalidArgument", bad
    rig.quiet()
    # as the documentation of Request wants it of clients: the longer path works like any other
    request = Request(client, again)
    request.close()
    assert rig.expect("close") == ["r3"]


def test_close(env):
    """Close: the gate is told, no Response follows; only the owner may"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    request, token = open_request(rig, client)
    assert fails(other.call, request.path, REQUEST, "Close") == \
        "org.freedesktop.DBus.Error.AccessDenied"
    assert fails(client.call, request.path, REQUEST, "Close", V("(s)", ("x",))) == \
        "org.freedesktop.DBus.Error.InvalidArgs"
    assert fails(client.call, request.path, REQUEST, "Open") == \
        "org.freedesktop.DBus.Error.UnknownMethod"
    rig.quiet()
    request.close()
    assert rig.expect("close") == [token]
    assert fails(request.close) == "org.freedesktop.DBus.Error.UnknownMethod"
    rig.tell(f"respond {token} 0 doc:1/x")  # crossed the Close
    rig.quiet()
    assert request.silent()


def test_close_early(env):
    """Close before the gate has answered: done as soon as the handle is known, no Response"""
    rig = start(env)
    client = rig.client()
    rig.tell("hold")
    request = Request(client, client.predicted("early"))
    done = []
    client.bus.send_message_with_reply(
        method_call("OpenFile", V("(ssa{sv})", ("", "", {"handle_token": V("s", "early")}))),
        Gio.DBusSendMessageFlags.NONE, 20000, None,
        lambda bus, result: done.append(bus.send_message_with_reply_finish(result)))
    rig.call("OpenFile")
    request.close()
    assert not done
    assert fails(request.close) == "org.freedesktop.DBus.Error.UnknownMethod"
    rig.player.popen.stdin.write(b"release\n")
    rig.player.popen.stdin.flush()
    assert sorted((rig.line(), rig.line(), rig.line())) == ["close r1", "done release", "reply r1"]
    wait_for("the handle", lambda: (pump(), done)[1])
    assert done[0].get_body().unpack() == (request.path,)
    assert request.silent()


def test_client_leaves(env):
    """A client that leaves: its requests are closed, also one whose handle comes later"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    _, first = open_request(rig, client)
    _, kept = open_request(rig, other)
    rig.tell("hold")
    client.bus.send_message(method_call("SaveFile", V("(ssa{sv})", ("", "", {}))),
                            Gio.DBusSendMessageFlags.NONE)
    rig.call("SaveFile")
    client.close()
    assert rig.expect("close") == [first]
    rig.player.popen.stdin.write(b"release\n")
    rig.player.popen.stdin.flush()
    assert sorted((rig.line(), rig.line(), rig.line())) == ["close r3", "done release", "reply r3"]
    rig.quiet()
    rig.tell(f"respond {kept} 1")


def test_errors(env):
    """Errors of the gate: portal and D-Bus errors by their names, others as Failed"""
    rig = start(env)
    client = rig.client()
    for name, seen in (("org.freedesktop.portal.Error.NotAllowed", None),
                       ("org.freedesktop.DBus.Error.AccessDenied", None),
                       ("org.freedesktop.DBus.ErrorX.Y", "org.freedesktop.portal.Error.Failed"),
                       ("org.gtk.GDBus.UnmappedGError.Quark._x.Code1",
                        "org.freedesktop.portal.Error.Failed")):
        rig.tell("error " + name)
        assert fails(client.open_file) == (seen or name)
        rig.call("OpenFile")
        rig.expect("reply")
    for path in ("/org/freedesktop/portal/desktop/request/1_2/t", "/",
                 "/org/freedesktop/portal/desktop/request/vm/a/b"):
        rig.tell("handle " + path)
        assert fails(client.open_file) == "org.freedesktop.portal.Error.Failed"
        rig.call("OpenFile")
        rig.expect("reply")
    request, token = open_request(rig, client)  # and a handle that is another's
    rig.tell("handle /org/freedesktop/portal/desktop/request/vm/" + token)
    assert fails(client.open_file) == "org.freedesktop.portal.Error.Failed"
    rig.alive()


# --- what reaches the gate ----------------------------------------------------------------------

def test_options(env):
    """Options: known ones pass, unknown ones do not, the token and the window stay here"""
    rig = start(env)
    client = rig.client()
    client.open_file(title="T\u202eitle\x1b", parent="wayland:abc", modal=V("b", True),
                     app_id=V("s", "org.evil"), activation_token=V("s", "x"),
                     filters=V("a(sa(us))", [("Images", [(0, "*.png")])]),
                     extra=V("a{sv}", {"deep": V("v", V("i", 1))}))
    body = rig.call("OpenFile")
    assert '"Title"' in body and "modal" in body and '"*.png"' in body
    for word in ("app_id", "activation_token", "extra", "handle_token", "wayland", "evil"):
        assert word not in body, body
    rig.expect("reply")
    assert fails(client.open_file, modal=V("s", "yes")) == \
        "org.freedesktop.portal.Error.InvalidArgument"
    assert fails(client.save_file, current_name=V("s", "../x")) == \
        "org.freedesktop.portal.Error.InvalidArgument"
    try:
        client.open_file(choices=V("as", []))
    except GLib.Error as e:
        assert "'choices'" in e.message, e.message
    rig.quiet()


def test_windows(env):
    """Window handles pass when the configuration says so, if they are any"""
    rig = start(env, "windows")
    client = rig.client()
    for window, passes in (("x11:1a00b", True), ("wayland:Ab-9_:x", True), ("x11:zz", False),
                           ("x11:", False), ("wayland:a b", False), ("other:1", False),
                           ("x11:1;rm", False), ("wayland:" + "a" * 300, False), ("x11", False)):
        client.open_file(parent=window)
        assert (f'STRING "{window}"' in rig.call("OpenFile")) is passes, window
        token, = rig.expect("reply")
        rig.tell(f"respond {token} 1")


def test_guest_paths(env):
    """Paths of documents become <id>/<rest>; all others are left out"""
    rig = start(env)
    client = rig.client()
    paths = (("/run/sidebus/doc/4f3a/d/e", "4f3a/d/e"), ("/run//sidebus/doc/4f3a/", "4f3a/"),
             ("/home/guest/x", None), ("/run/sidebus/doc/4f3a/../5/x", None),
             ("/run/sidebus/docs/4f3a/x", None), ("/etc/passwd", None))
    for path, expected in paths:
        client.save_file(current_folder=path_bytes(path))
        body = rig.call("SaveFile")
        sent = bytes(int(n) for n in re.findall(r"BYTE (\d+)", body))
        assert sent == (expected.encode() + b"\0" if expected else b""), (path, body)
        assert ("current_folder" in body) is (expected is not None)
        token, = rig.expect("reply")
        rig.tell(f"respond {token} 1")


def test_odd_messages(env):
    """Other byte order, no reply wanted, wrong signatures, no interface, large bodies"""
    rig = start(env)
    client = rig.client()
    message = method_call("SaveFile", V("(ssa{sv})", ("", "big", {
        "current_folder": path_bytes("/run/sidebus/doc/9/x"), "handle_token": V("s", "be")})))
    message.set_byte_order(Gio.DBusMessageByteOrder.BIG_ENDIAN)
    assert send(client, message).get_body().unpack() == (client.predicted("be"),)
    assert "BYTE 57" in rig.call("SaveFile")
    rig.expect("reply")

    message = method_call("OpenFile", V("(ssa{sv})", ("", "", {"handle_token": V("s", "nr")})))
    message.set_flags(Gio.DBusMessageFlags.NO_REPLY_EXPECTED)
    request = Request(client, client.predicted("nr"))
    client.bus.send_message(message, Gio.DBusSendMessageFlags.NONE)
    rig.call("OpenFile")
    token, = rig.expect("reply")
    rig.tell(f"respond {token} 0 doc:1/x")
    assert request.uris() == [f"file://{DOCUMENTS}/1/x"]

    for body in (None, V("(s)", ("x",)), V("(ssa{ss})", ("", "", {})),
                 V("(ssa{sv}s)", ("", "", {}, ""))):
        reply = send(client, method_call("OpenFile", body))
        assert reply.get_error_name() == "org.freedesktop.DBus.Error.InvalidArgs", body
    rig.alive()


def array_of(type_, n):
    """n zero bytes as an array of type_."""
    return GLib.Variant.new_from_bytes(GLib.VariantType("a" + type_), GLib.Bytes.new(bytes(n)),
                                       True)


def test_large_messages(env):
    """Large bodies: bytes nobody knows are left out, what takes long to look through is refused"""
    rig = start(env)
    client = rig.client()
    invalid = "org.freedesktop.portal.Error.InvalidArgument"

    def answer(value, order=Gio.DBusMessageByteOrder.LITTLE_ENDIAN):
        message = method_call("OpenFile", V("(ssa{sv})", ("", "", {"unknown": value})))
        message.set_byte_order(order)
        return send(client, message).get_error_name()

    assert answer(array_of("y", 24 << 20)) is None
    assert "unknown" not in rig.call("OpenFile")
    token, = rig.expect("reply")
    rig.tell(f"respond {token} 1")
    assert answer(array_of("y", 24 << 20), Gio.DBusMessageByteOrder.BIG_ENDIAN) == invalid
    assert answer(array_of("b", 2 << 20)) == invalid
    assert answer(array_of("(yy)", 2 << 20)) == invalid
    assert fails(client.open_file, current_folder=array_of("y", 24 << 20)) == invalid
    keys = V("(ssa{sv})", ("", "", {f"k{i}": V("i", i) for i in range(10000)}))
    reply = send(client, method_call("OpenFile", keys))
    assert reply.get_error_name() == "org.freedesktop.portal.Error.InvalidArgument"
    rig.alive()


def test_descriptors(env):
    """Descriptors: carried where the row has them, in no other place; none is kept"""
    rig = start(env)
    client = rig.client()
    read, write = os.pipe()
    call_with_fds(client, FILE_CHOOSER, "OpenFile", V("(ssa{sv})", ("", "", {"x": V("h", 1)})),
                  [read, write])
    assert "UNIX_FD" not in rig.call("OpenFile")
    rig.expect("reply")
    with open(os.path.join(env.tmp, "page"), "w+") as page:
        page.write("a page")
        page.flush()
        os.lseek(page.fileno(), 0, os.SEEK_SET)
        call_with_fds(client, PORTAL + "Print", "Print",
                      V("(ssha{sv})", ("", "Title", 0, {"token": V("u", 7)})), [page.fileno()])
        body = rig.call("Print")
        assert "fd " not in body and '"Title"' in body and "UINT32 7" in body, body
        assert rig.fds == ["a page"]
        rig.expect("reply")
        os.lseek(page.fileno(), 0, os.SEEK_SET)
        call_with_fds(client, PORTAL + "Email", "ComposeEmail",
                      V("(sa{sv})", ("", {"attachment_fds": V("ah", [0, 1])})),
                      [page.fileno(), page.fileno()])
        rig.call("ComposeEmail")
        assert rig.fds == ["a page", ""]
        rig.expect("reply")
    for member, body in (("Print", V("(ssha{sv})", ("", "", 0, {}))),
                         ("Print", V("(ssha{sv})", ("", "", 5, {})))):
        message = method_call(member, body, interface=PORTAL + "Print")
        reply = send(client, message)
        assert reply.get_error_name() == "org.freedesktop.DBus.Error.NotSupported"
    os.close(read)
    os.close(write)
    rig.quiet()
    rig.alive()


def test_descriptors_are_let_go(env):
    """More descriptors than sbportal may hold pass through it, one message after the other"""
    rig = start(env)
    client = rig.client()
    with open("/dev/null", "rb") as null:
        for _ in range(80):
            call_with_fds(client, PORTAL + "Email", "ComposeEmail",
                          V("(sa{sv})", ("", {"attachment_fds": V("ah", list(range(16)))})),
                          [null.fileno()] * 16)
            rig.call("ComposeEmail")
            assert len(rig.fds) == 16
            token, = rig.expect("reply")
            rig.tell(f"respond {token} 1")
    rig.alive()


def test_limits(env):
    """Too many requests of one client, of all: LimitsExceeded, said in the log but not too often"""
    rig = start(env)
    clients = [rig.client() for _ in range(5)]
    for client in clients[:4]:
        for _ in range(16):
            open_request(rig, client)
        assert fails(client.open_file) == "org.freedesktop.DBus.Error.LimitsExceeded"
    assert fails(clients[4].open_file) == "org.freedesktop.DBus.Error.LimitsExceeded"
    assert fails(clients[4].get, FILE_CHOOSER, "version") == \
        "org.freedesktop.DBus.Error.LimitsExceeded"
    for _ in range(300):
        assert fails(clients[0].open_file) == "org.freedesktop.DBus.Error.LimitsExceeded"
    assert 6 <= rig.log().count("too many requests") < 300
    clients[1].close()
    for _ in range(16):
        rig.expect("close")
    open_request(rig, clients[4])
    rig.alive()


# --- standard interfaces ------------------------------------------------------------------------

def test_properties(env):
    """Properties: only those of the table are asked for and passed on"""
    rig = start(env)
    client = rig.client()
    assert client.get(FILE_CHOOSER, "version") == 4
    assert rig.expect("get") == [FILE_CHOOSER, "version"]
    values, = client.call(PATH, PROPERTIES, "GetAll", V("(s)", (FILE_CHOOSER,)))
    assert values == {"version": 4}
    assert rig.expect("get-all") == [FILE_CHOOSER]
    for arguments in ((FILE_CHOOSER, "Version"), ("org.freedesktop.portal.Camera", "version"),
                      ("org.freedesktop.systemd1.Manager", "Version"), ("", "")):
        assert fails(client.get, *arguments) == "org.freedesktop.DBus.Error.InvalidArgs"
    rig.quiet()


REFERENCE = f"""<node><interface name="{FILE_CHOOSER}">
<method name="OpenFile"><arg type="s" direction="in"/><arg type="s" direction="in"/>
<arg type="a{{sv}}" direction="in"/><arg type="o" direction="out"/></method>
<property name="version" type="u" access="read"/></interface></node>"""


def test_like_gdbus(env):
    """Every odd call is answered as GDBus answers it, in name and words"""
    rig = start(env)
    service, client = rig.client(), rig.client()
    info = Gio.DBusNodeInfo.new_for_xml(REFERENCE)
    service.bus.register_object(PATH, info.interfaces[0], lambda *a: None, lambda *a: V("u", 4),
                                None)
    strings = V("(s)", ("x",))
    odd = [  # path, interface, member, body
        ("/x", FILE_CHOOSER, "OpenFile", None), ("/", "a.b", "C", None), ("/", None, "C", None),
        (PATH, "a.b", "C", None), (PATH, None, "Ping", None), (PATH, FILE_CHOOSER, "Nothing", None),
        (PATH, FILE_CHOOSER, "OpenFile", None), (PATH, FILE_CHOOSER, "OpenFile", strings),
        (PATH, PEER, "Ping", strings), (PATH, PEER, "Nothing", None), ("/x/y", PEER, "Ping", None),
        ("/x/y", PEER, "Nothing", None), (PATH, INTROSPECTABLE, "Introspect", strings),
        ("/x", PROPERTIES, "Get", V("(ss)", ("a.b", "c"))), (PATH, PROPERTIES, "Get", strings),
        (PATH, PROPERTIES, "Get", V("(ss)", ("a.b", "c"))),
        (PATH, PROPERTIES, "Get", V("(ss)", (FILE_CHOOSER, "nothing"))),
        (PATH, PROPERTIES, "Get", V("(ss)", (PROPERTIES, "version"))),
        (PATH, PROPERTIES, "GetAll", V("(s)", ("a.b",))),
        (PATH, PROPERTIES, "Set", V("(ssv)", (FILE_CHOOSER, "version", V("u", 5)))),
        (PATH, PROPERTIES, "Set", V("(ssv)", (FILE_CHOOSER, "nothing", V("u", 5)))),
        (PATH, PROPERTIES, "Set", V("(ssv)", ("a.b", "c", V("u", 5)))),
        (PATH, PROPERTIES, "Nothing", None),
        (PATH + "/request/1_1/t", REQUEST, "Close", None),
    ]
    for path, interface, member, body in odd:
        answers = []
        for destination in (DESKTOP, service.name):
            message = Gio.DBusMessage.new_method_call(destination, path, interface, member)
            if body is not None:
                message.set_body(body)
            done = []
            client.bus.send_message_with_reply(message, Gio.DBusSendMessageFlags.NONE, 20000, None,
                                               lambda bus, result: done.append(
                                                   bus.send_message_with_reply_finish(result)))
            wait_for("the answer", lambda: (pump(), done)[1])
            reply, = done
            answers.append((reply.get_message_type().value_nick, reply.get_error_name(),
                            reply.get_body() and reply.get_body().unpack()))
        assert answers[0] == answers[1], (path, interface, member, answers)
    rig.quiet()


def test_introspect(env):
    """Introspection from the root down to the caller's own requests, and no other's"""
    rig = start(env)
    client, other = rig.client(), rig.client()
    request, _ = open_request(rig, client)

    def introspect(who, path):
        return Gio.DBusNodeInfo.new_for_xml(who.call(path, INTROSPECTABLE, "Introspect")[0])

    path = ""
    for element in request.path[1:].split("/"):
        assert element in [node.path for node in introspect(client, path or "/").nodes]
        path += "/" + element
    portal = introspect(client, PATH)
    chooser = portal.lookup_interface(FILE_CHOOSER)
    assert {m.name for m in chooser.methods} == {"OpenFile", "SaveFile", "SaveFiles"}
    assert chooser.lookup_property("version").signature == "u"
    mine, others = introspect(client, request.path), introspect(other, request.path)
    assert mine.lookup_interface(REQUEST).lookup_signal("Response")
    assert not others.interfaces and not introspect(other, PATH).nodes
    learnt = rig.learnt()
    assert FILE_CHOOSER in learnt and len(learnt) == len(set(learnt))  # once is enough
    values, = client.call(request.path, PROPERTIES, "GetAll", V("(s)", (REQUEST,)))
    assert values == {}
    assert fails(client.get, REQUEST, "x", request.path) == "org.freedesktop.DBus.Error.InvalidArgs"
    assert fails(other.get, REQUEST, "x", request.path) == \
        "org.freedesktop.DBus.Error.UnknownMethod"


def test_builtins(env):
    """What sd-bus would answer itself, asked by guests and by the gate: nothing ends sbportal"""
    rig = start(env)
    client = rig.client()
    for path in ("/", PATH, "/org/freedesktop/DBus"):
        assert client.call(path, PEER, "GetMachineId") == ("ab" * 16,)
        assert client.call(path, PEER, "Ping") == ()
        client.call(path, INTROSPECTABLE, "Introspect")
    assert rig.learnt()
    client.bus.emit_signal(DESKTOP, "/org/freedesktop/DBus", "org.freedesktop.DBus",
                           "NameOwnerChanged", V("(sss)", (client.name, client.name, "")))
    client.bus.emit_signal(DESKTOP, "/", "org.freedesktop.DBus.Peer", "GetMachineId", None)
    assert fails(client.call, PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects") == \
        "org.freedesktop.DBus.Error.UnknownMethod"
    for member in ("GetMachineId", "Ping"):
        rig.tell(f"call {PATH} {PEER} {member}")
        assert rig.expect("answer") == ["org.freedesktop.DBus.Error.UnknownMethod"]
    rig.tell(f"call {PATH} {INTROSPECTABLE} Introspect")
    assert rig.expect("answer") == ["org.freedesktop.DBus.Error.UnknownMethod"]
    rig.alive()


def test_forged_departure(env):
    """A NameOwnerChanged that a guest sends closes nobody's request"""
    rig = start(env)
    client, attacker = rig.client(), rig.client()
    request, token = open_request(rig, client)
    attacker.bus.emit_signal(DESKTOP, "/org/freedesktop/DBus", "org.freedesktop.DBus",
                             "NameOwnerChanged", V("(sss)", (client.name, client.name, "")))
    assert attacker.call(PATH, PEER, "Ping") == ()
    rig.quiet()
    rig.tell(f"respond {token} 1")
    assert request.wait()[0] == 1


# --- start and end ------------------------------------------------------------------------------

def test_sandbox(env):
    """Locked: no new privileges, a filter, no capabilities, three channels and nothing else"""
    rig = start(env)
    with open(f"/proc/{rig.pid}/status") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert {status[s] for s in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}
    if os.geteuid() == 0:  # /proc/PID/fd of what is not dumpable is root's
        fds = f"/proc/{rig.pid}/fd"
        links = [os.readlink(os.path.join(fds, fd)) for fd in os.listdir(fds)]
        sockets = [link for link in links if link.startswith("socket:")]
        assert len(sockets) == 3 and len(links) == 3 + 3 + 1, links  # and 0, 1, 2, and epoll


def test_gate_goes(env):
    """The gate is gone: open requests end with Response 2, waiting calls with an error"""
    rig = start(env)
    client, others = rig.client(), [rig.client() for _ in range(2)]
    request, _ = open_request(rig, client)
    rig.tell("hold")
    done = []

    def record(bus, result):
        reply = bus.send_message_with_reply_finish(result)
        done.append((reply.get_error_name(), reply.get_body().unpack()))

    for _ in range(12):  # more than sbportal handles in one turn of its loop
        for other in others:
            other.bus.send_message_with_reply(method_call("OpenFile", V("(ssa{sv})", ("", "", {}))),
                                              Gio.DBusSendMessageFlags.NONE, 20000, None, record)
            rig.call("OpenFile")
    rig.tell("drop-gate")
    assert request.wait() == (2, {})
    assert rig.expect("exit") == ["1"]
    wait_for("the answers", lambda: (pump(), len(done) == 24)[1])
    # all by sbportal: for one that it left out, the bus would have other words
    (name, _), = set(done)
    assert name in ("org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Timeout")
    assert "connection to the gate is gone" in rig.log()


def test_supervisor_goes(env):
    """The supervisor closes the channel: the end, in peace"""
    rig = start(env)
    rig.tell("drop-ipc")
    assert rig.expect("exit") == ["0"]


def test_ipc_violation(env):
    """The supervisor sends what is no message, or the configuration twice: the end"""
    rig = start(env)
    rig.tell("ipc " + "x" * 64)
    assert rig.expect("exit") == ["1"]
    assert "broke the ipc protocol" in rig.log()


def test_bus_goes(env):
    """The VM's bus is gone: sbportal ends and says so"""
    rig = start(env)
    rig.bus.stop()
    assert rig.expect("exit") == ["1"]
    assert "connection to the VM's bus is gone" in rig.log()


def test_name_is_taken(env):
    """Somebody else owns the portal's name: one clear line, exit 1"""
    rig = start(env)
    rig.tell("drop-ipc")
    rig.expect("exit")
    client = rig.client()
    assert client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                       V("(su)", (DESKTOP, 0)), destination="org.freedesktop.DBus") == (1,)
    log = os.path.join(env.tmp, "second.log")
    player = Process([rig.player.popen.args[0], rig.player.popen.args[1], rig.socket, DOCUMENTS],
                     log=log, stdin=subprocess.PIPE)
    wait_for("the exit", lambda: "exit 1" in player.log())
    assert "somebody else owns " + DESKTOP in player.log()
    player.popen.stdin.close()
    player.wait()


def test_command_line(env):
    """Options: help, version, and what is wrong is said"""
    program = os.path.join(env.build, "sbportal")

    def run(*arguments):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert run("--help")[0] == 0 and "--ipc-fd N" in run("--help")[1]
    assert run("--version")[0] == 0
    for arguments in ((), ("--ipc-fd", "x"), ("--ipc-fd=1",), ("--ipc-fd", "-1"), ("--other",),
                      ("--ipc-fd", "77"), ("--ipc-fd", "4294967299"), ("--ipc-fd", "3 ")):
        code, text = run(*arguments)
        assert code == 2 and text.startswith("sbportal: "), (arguments, code, text)
    with open(os.devnull, "rb") as f:  # a descriptor, but no channel
        done = subprocess.run([program, "--ipc-fd", str(f.fileno())], pass_fds=[f.fileno()],
                              capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "channel" in done.stderr, done
