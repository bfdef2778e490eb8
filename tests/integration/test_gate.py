# SPDX-License-Identifier: MIT
"""What stands between the guest and the host: what passes, and what never does."""

import errno
import os
import stat

from rig import boundaries, person
from rig.files import opened, read, write
from rig.guest import (FILE_CHOOSER, PATH, REQUEST, GLib, GuestClient, error_name, path_bytes,
                       pump)
from rig.processes import wait_for
from rig.session import path_uri

INVALID = "org.freedesktop.portal.Error.InvalidArgument"


def not_opened(env, request, before):
    """The guest got nothing, and nothing was exported."""
    env.hostile(boundaries.DOCUMENTS)
    response, results = request.wait()
    assert response != 0 or not results.get("uris"), (response, results)
    assert env.sidebus.exported() == before, (before, env.sidebus.exported())


def host_call(env, monitor, member="OpenFile"):
    """(sender, path of the request on the host) of the call xdg-desktop-portal got last."""
    monitor.calls(FILE_CHOOSER, member)
    call = [m for m in monitor.messages() if m["type"] == "method_call"
            and m.get("interface") == FILE_CHOOSER and m.get("member") == member][-1]
    options = dict(dict(call["payload"])["data"][-1])
    token = dict(options["handle_token"])["data"]
    sender = call["sender"]
    return sender, f"{PATH}/request/{sender[1:].replace('.', '_')}/{token}"


# --- who may answer --------------------------------------------------------------------------

def forge(connection, destination, path, uri):
    body = GLib.Variant("(ua{sv})", (0, {"uris": GLib.Variant("as", [uri])}))
    connection.emit_signal(destination, path, REQUEST, "Response", body)
    connection.flush_sync(None)


def test_forged_response(env):
    """a stranger on the session bus forges a Response: nothing is exported, the client gets none"""
    secret = env.host_file("id_rsa", b"secret")
    monitor = env.closing(env.session.monitor())
    before = env.sidebus.exported()
    request = env.client().open_file(title="victim")
    dialog = env.dialog()
    sender, path = host_call(env, monitor)
    stranger = env.session.connect()
    for destination in (sender, None):
        forge(stranger, destination, path, path_uri(secret))
    stranger.close_sync(None)
    assert request.silent(1.0)
    env.hostile(boundaries.HOST_PORTAL, 2)
    assert env.sidebus.exported() == before
    # The true answer still arrives, once.
    real = env.host_file("real", b"real")
    dialog.pick(real)
    assert read(request.path_of_one()) == b"real"


def test_late_response(env):
    """a Response after Close, or a second one, reaches nobody"""
    monitor = env.closing(env.session.monitor())
    request = env.client().open_file()
    dialog = env.dialog()
    sender, path = host_call(env, monitor)
    request.close()
    env.chooser.wait_closed(dialog)
    before = env.sidebus.exported()
    stranger = env.session.connect()
    forge(stranger, sender, path, path_uri(env.host_file("late")))
    stranger.close_sync(None)
    assert request.silent(0.5) and env.sidebus.exported() == before
    env.hostile(boundaries.HOST_PORTAL)


def test_forged_by_guest(env):
    """a guest forges a Response, and calls another's request: the other never notices"""
    victim, attacker = env.client(), env.client()
    request = victim.open_file()
    dialog = env.dialog()
    forge(attacker.bus, victim.name, request.path, "file:///etc/passwd")
    forge(attacker.bus, None, request.path, "file:///etc/passwd")
    for _ in range(2):
        try:
            attacker.call(request.path, REQUEST, "Close")
            raise AssertionError("another client's request was closed")
        except GLib.Error as e:
            assert error_name(e) in ("org.freedesktop.DBus.Error.AccessDenied",
                                     "org.freedesktop.DBus.Error.UnknownObject",
                                     "org.freedesktop.portal.Error.NotAllowed"), e
    # GLib itself drops a Response that the portal's owner did not send.
    assert request.silent(0.5) and not dialog.closed
    env.hostile(boundaries.ROUTER, 4)
    dialog.answer(1)
    assert request.wait()[0] == 1


def test_portal_name(env):
    """a guest cannot own the portal's names on the VM bus"""
    client = env.client()
    for name in ("org.freedesktop.portal.Desktop", "org.freedesktop.portal.Documents",
                 "org.freedesktop.impl.portal.PermissionStore"):
        try:
            client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                        GLib.Variant("(su)", (name, 7)), destination="org.freedesktop.DBus")
            raise AssertionError(name)
        except GLib.Error as e:
            assert error_name(e) == "org.freedesktop.DBus.Error.AccessDenied", e


# --- what reaches the host -------------------------------------------------------------------

def options_of(*pairs):
    """An a{sv} with these pairs, keys twice and all."""
    return GLib.Variant.new_array(GLib.VariantType("{sv}"), [
        GLib.Variant.new_dict_entry(GLib.Variant("s", key), GLib.Variant("v", value))
        for key, value in pairs])


def sent(env, *pairs, title="Options", parent="", member="OpenFile"):
    """(parent, title, options) as xdg-desktop-portal gets them from the gate."""
    env.hostile(boundaries.ROUTER, max(1, len(pairs)))
    monitor = env.closing(env.session.monitor())
    request = env.client().request(member, parent, title, raw_options=options_of(*pairs))
    call, = monitor.calls(FILE_CHOOSER, member)
    env.dialog().answer(1)
    request.wait()
    return call


def test_unknown_options(env):
    """options outside the table never reach the host"""
    _, _, options = sent(
        env, ("activation_token", GLib.Variant("s", "token")), ("app_id", GLib.Variant("s", "x")),
        ("writable", GLib.Variant("b", True)), ("current_name", GLib.Variant("s", "not OpenFile's")),
        ("", GLib.Variant("s", "")), ("x" * 1000, GLib.Variant("v", GLib.Variant("s", "deep"))),
        ("modal", GLib.Variant("b", False)), ("multiple\n", GLib.Variant("b", True)))
    assert [key for key, _ in options if key != "handle_token"] == ["modal"], options


def test_duplicate_options(env):
    """a key that comes twice passes once"""
    _, _, options = sent(
        env, ("modal", GLib.Variant("b", False)), ("modal", GLib.Variant("b", True)),
        ("modal", GLib.Variant("s", "not even a boolean")),
        ("handle_token", GLib.Variant("s", "one")), ("handle_token", GLib.Variant("s", "two")))
    keys = [key for key, _ in options]
    assert sorted(keys) == ["handle_token", "modal"], options
    assert dict(options)["modal"] == {"type": "b", "data": False}, options


def test_wrong_types(env):
    """a known option of a wrong type is an error, or is dropped; it never passes"""
    wrong = {"modal": "s", "multiple": "u", "directory": "ab", "accept_label": "ay",
             "filters": "as", "current_filter": "s", "choices": "a(ss)", "current_folder": "s",
             "handle_token": "u"}
    values = {"s": "x", "u": 1, "ab": [True], "ay": b"x\0", "as": ["x"], "a(ss)": [("a", "b")]}
    for key, kind in wrong.items():
        try:
            _, _, options = sent(env, (key, GLib.Variant(kind, values[kind])))
            assert key == "handle_token" or key not in dict(options), options
            assert dict(options).get(key, {"type": "s"})["type"] == "s", options
        except GLib.Error as e:
            assert error_name(e) in (INVALID, "org.freedesktop.DBus.Error.InvalidArgs"), (key, e)
    assert not env.chooser.opened()


def test_bad_tokens(env):
    """a handle_token that is no path element is an error"""
    for token in ("", "../x", "a/b", "a-b", "ä", "x" * 10000):
        try:
            env.client().request("OpenFile", "", "t", raw_options=options_of(
                ("handle_token", GLib.Variant("s", token))))
            raise AssertionError(f"token {token[:20]!r} was taken")
        except GLib.Error as e:
            env.hostile(boundaries.ROUTER)
            assert error_name(e) == INVALID, (token, e)
    assert not env.chooser.opened()


def test_own_token(env):
    """the host sees a token of the supervisor's own, another one each time"""
    tokens = [dict(sent(env, ("handle_token", GLib.Variant("s", "guess_me")))[2])["handle_token"]
              ["data"] for _ in range(3)]
    assert len(set(tokens)) == 3 and all(len(t) >= 16 and "guess" not in t for t in tokens), tokens


def test_title(env):
    """the dialog's title names the VM; nothing in it poses as something else"""
    assert sent(env, title="Open File")[1] == "demo: Open File"
    title = sent(env, title="a\nb\x1b[1m\u202egnp.exe\u2028\u2066 end")[1]
    assert title.startswith("demo: a") and title.endswith(" end"), title
    assert not set(title) & set("\n\x1b\u202e\u2028\u2066"), ascii(title)
    assert len(sent(env, title="ä" * 2000)[1].encode()) < 1200
    try:
        sent(env, title="x" * 100000)
        raise AssertionError("an endless title was taken")
    except GLib.Error as e:
        assert error_name(e) == INVALID, e


def test_parent_window(env):
    """the guest's window handles stop here"""
    assert [sent(env, parent=p)[0] for p in ("x11:1234", "wayland:handle", "")] == ["", "", ""]


def test_many_requests(env):
    """one client's flood of dialogs is limited; others still get theirs"""
    client, other = env.client(), env.client()
    accepted = 0
    error = None
    for _ in range(40):
        try:
            client.open_file(title="flood")
            accepted += 1
        except GLib.Error as e:
            error = error_name(e)
    assert 0 < accepted <= 16, accepted
    env.hostile(boundaries.ROUTER, 40 - accepted)
    assert error in ("org.freedesktop.DBus.Error.LimitsExceeded",
                     "org.freedesktop.portal.Error.NotAllowed",
                     "org.freedesktop.portal.Error.Failed"), error
    request = other.open_file(title="honest")
    dialogs = [env.dialog() for _ in range(accepted + 1)]
    honest, = (d for d in dialogs if d.title.endswith("honest"))
    honest.answer(1)
    assert request.wait()[0] == 1
    client.close()
    for dialog in dialogs:
        if dialog is not honest:
            env.chooser.wait_closed(dialog)


# --- what the guest gets ---------------------------------------------------------------------

def test_planted_symlink(env):
    """a symlink the guest planted in its directory, then picked: refused, nothing exported"""
    secret = env.host_file("secret/id_rsa", b"secret")
    shared = os.path.dirname(env.host_file("shared/file"))
    guest = opened(env, shared, directory=GLib.Variant("b", True))
    os.symlink(secret, os.path.join(guest, b"photo.jpg"))
    os.symlink(os.path.dirname(secret), os.path.join(guest, b"pictures"))
    os.symlink(b"../secret/id_rsa", os.path.join(guest, b"relative.jpg"))
    assert os.readlink(os.path.join(shared, b"photo.jpg")) == secret
    before = env.sidebus.exported()
    for name in (b"photo.jpg", b"relative.jpg", b"pictures/id_rsa"):
        request = env.client().open_file()
        env.dialog().pick(os.path.join(shared, name))
        not_opened(env, request, before)
        env.sidebus.wait_log(r"(?i)symbolic link|symlink")
    request = env.client().open_file(directory=GLib.Variant("b", True))
    env.dialog().pick(os.path.join(shared, b"pictures"))
    not_opened(env, request, before)
    # A real file beside them can be picked as ever.
    assert os.path.basename(opened(env, os.path.join(shared, b"file"))) == b"file"


def test_planted_symlink_renamed(env):
    """the directory, or one above it, is renamed after the guest planted a symlink: refused still"""
    secret = env.host_file("secret/id_rsa", b"secret")
    shared = os.path.dirname(env.host_file("above/shared/file"))
    guest = opened(env, shared, directory=GLib.Variant("b", True))
    os.symlink(secret, os.path.join(guest, b"photo.jpg"))
    before = env.sidebus.exported()
    files = os.path.dirname(os.path.dirname(shared))
    for old, new, renamed in ((b"above/shared", b"above/renamed", b"above/renamed"),
                              (b"above", b"elsewhere", b"elsewhere/renamed")):
        os.rename(os.path.join(files, old), os.path.join(files, new))
        request = env.client().open_file()
        env.dialog().pick(os.path.join(files, renamed, b"photo.jpg"))
        not_opened(env, request, before)


def test_planted_symlink_save(env):
    """saving onto or through a planted symlink changes nothing behind it"""
    secret = env.host_file("secret/id_rsa", b"secret")
    shared = os.path.dirname(env.host_file("shared/file"))
    guest = opened(env, shared, directory=GLib.Variant("b", True))
    os.symlink(secret, os.path.join(guest, b"photo.jpg"))
    os.symlink(os.path.dirname(secret), os.path.join(guest, b"pictures"))
    before = env.sidebus.exported()
    request = env.client().save_file()
    env.dialog().pick(os.path.join(shared, b"pictures", b"new"))
    not_opened(env, request, before)
    request = env.client().save_file()
    env.dialog().pick(os.path.join(shared, b"photo.jpg"))
    response, results = request.wait()
    if response == 0 and results["uris"]:
        try:
            write(request.path_of_one(), b"overwritten")
        except OSError:
            pass
    assert read(secret) == b"secret"
    assert os.listdir(os.path.dirname(secret)) == [b"id_rsa"]


def test_planted_race(env):
    """a file replaced by a symlink between dialog and export is not followed"""
    secret = env.host_file("secret/id_rsa", b"secret")
    shared = os.path.dirname(env.host_file("shared/file", b"harmless"))
    guest = opened(env, shared, directory=GLib.Variant("b", True))
    request = env.client().open_file()
    dialog = env.dialog()
    os.unlink(os.path.join(guest, b"file"))
    os.symlink(secret, os.path.join(guest, b"file"))
    before = env.sidebus.exported()
    dialog.pick(os.path.join(shared, b"file"))
    not_opened(env, request, before)


def test_other_group(env):
    """the person's file of another group: readable, not writable in the guest, and said so"""
    host = env.host_file("of the group", b"content", mode=0o660)
    person.give_to_other_group(host)
    assert os.stat(host).st_gid != os.getegid() and os.access(host, os.W_OK)
    guest = opened(env, host)
    assert read(guest) == b"content"
    assert stat.S_IMODE(os.stat(guest).st_mode) & 0o222 == 0
    try:
        write(guest, b"changed")
        raise AssertionError("written")
    except OSError as e:
        assert e.errno == errno.EACCES, e
    assert read(host) == b"content"
    env.sidebus.wait_log(r"(?i)group")


def test_other_group_new(env):
    """a new file in a setgid directory of another group: made, then read only, and said so"""
    directory = os.path.dirname(env.host_file("shared by the group/beside"))
    os.chmod(directory, 0o2770)
    person.give_to_other_group(directory)
    assert os.stat(directory).st_mode & stat.S_ISGID and os.access(directory, os.W_OK)
    request = env.client().save_file()
    host = os.path.join(directory, b"new")
    env.dialog().pick(host)
    guest = request.path_of_one()
    env.sidebus.wait_log(r"/new: granted to be created, then read only, .* group")
    env.sidebus.wait_log(r"granted: .*/new as document .*, to be created, then read$")
    write(guest, b"once")
    assert read(host) == b"once" and os.stat(host).st_gid != os.getegid()
    try:
        write(guest, b"twice")
        raise AssertionError("what is logged is wrong: it can be written again")
    except OSError as e:
        assert e.errno == errno.EACCES, e
    # In a directory of the person's own group it is as ever.
    request = env.client().save_file()
    env.dialog().pick(os.path.join(os.path.dirname(env.host_file("own/beside")), b"new"))
    guest = request.path_of_one()
    write(guest, b"once")
    write(guest, b"twice")


def test_special_files(env):
    """a FIFO, a socket and a device are refused"""
    directory = os.path.dirname(env.host_file("beside"))
    fifo = os.path.join(directory, b"fifo")
    os.mkfifo(fifo)
    before = env.sidebus.exported()
    for path in (fifo, b"/dev/null", os.fsencode(env.sidebus.listen)):
        request = env.client().open_file()
        env.dialog().pick(path)
        not_opened(env, request, before)


def test_file_for_directory(env):
    """a file where a directory was asked for, and the reverse, are not exported"""
    host = env.host_file("d/file", b"x")
    before = env.sidebus.exported()
    for picked, directory in ((os.path.dirname(host), False), (host, True)):
        request = env.client().open_file(directory=GLib.Variant("b", directory))
        env.dialog().pick(picked)
        not_opened(env, request, before)


def test_bad_uris(env):
    """what a broken backend may answer: no such file, no file URI, no path"""
    before = env.sidebus.exported()
    for uri in ("http://example.org/", "file:relative", "file://elsewhere/etc/passwd", "", "file://",
                "file:///etc/passwd%00.txt", "file:///no/such/file", "/etc/passwd",
                "file:///etc/%zz", "file:///proc/self/root/etc/hostname%2f.."):
        request = env.client().open_file()
        env.hostile(boundaries.HOST_PORTAL)
        env.dialog().answer(0, uris=("as", [uri]))
        not_opened(env, request, before)


def test_good_and_bad(env):
    """of several picked files the ones that cannot be exported are left out, and said"""
    good, fifo = env.host_file("good", b"good"), os.path.join(os.fsencode(env.tmp), b"fifo")
    os.mkfifo(fifo)
    request = env.client().open_file(multiple=GLib.Variant("b", True))
    env.dialog().pick(good, fifo)
    response, results = request.wait()
    if response == 0:
        assert [u.rsplit("/", 1)[1] for u in results["uris"]] == ["good"], results
    env.sidebus.wait_log("fifo")


def test_other_vm(env):
    """a document of one VM is none of another's"""
    host = os.path.dirname(env.host_file("w/file"))
    guest = opened(env, host, directory=GLib.Variant("b", True))
    other = env.closing(env.own_sidebus(vm="other"))
    client = env.closing(GuestClient(env.own_agent(other).address))
    identifier = os.path.relpath(guest, os.fsencode(env.sidebus.documents)).split(b"/")[0]
    assert os.fsdecode(identifier) not in other.exported()
    monitor = env.closing(env.session.monitor())
    stolen = os.path.join(os.fsencode(other.documents), identifier, b"w")
    client.save_file(current_folder=path_bytes(stolen))
    (_, _, options), = monitor.calls(FILE_CHOOSER, "SaveFile")
    assert "current_folder" not in dict(options), options
    env.dialog().answer(1)


# --- the portal goes, and comes back ---------------------------------------------------------

def test_portal_restarts(env):
    """the host's portal dies with a dialog open: Response 2; when it is back, all works"""
    session = env.own_session()
    sidebus = env.closing(env.own_sidebus(session))
    client = env.closing(GuestClient(env.own_agent(sidebus).address))
    request = client.open_file()
    session.chooser.next_dialog(pump=pump)
    session.portal.kill()
    assert request.wait()[0] == 2
    # Meanwhile a call is an error or Response 2, not silence.
    try:
        assert client.open_file().wait()[0] == 2
    except GLib.Error as e:
        assert error_name(e).startswith("org.freedesktop."), e
    session.start_portal()
    host = env.host_file("back", b"back")

    def again():
        try:
            return client.open_file()
        except GLib.Error:
            return None

    request = wait_for("the portal to be used again", again)
    session.chooser.next_dialog(pump=pump).pick(host)
    assert read(request.path_of_one()) == b"back"


def test_many_files(env):
    """of 300 picked files the guest gets 256, and the log says so"""
    host = env.directory()
    paths = []
    for n in range(300):
        paths.append(os.path.join(host, f"{n:03}"))
        with open(paths[-1], "w", encoding="utf-8") as f:
            f.write(str(n))
    request = env.client().open_file(multiple=GLib.Variant("b", True))
    env.dialog().pick(*paths)
    got = request.paths()
    assert len(got) == 256, len(got)
    with open(got[255], encoding="utf-8") as f:
        assert f.read() == "255"
    env.sidebus.wait_log("more than 256 files were picked")


def test_close_while_exporting(env):
    """what is granted is in the log, also when the guest closes the request meanwhile"""
    client = env.client()
    for n in range(20):
        path = os.path.join(env.directory(), f"closed {n}")
        with open(path, "w", encoding="utf-8") as f:
            f.write("x")
        request = client.open_file()
        env.dialog().pick(path)
        try:
            request.close()
        except GLib.Error:
            pass  # it was answered already
    def all_logged():
        return all(f"as document {d}," in env.sidebus.log() for d in env.sidebus.exported())
    wait_for("every grant to be in the log", all_logged)
