# SPDX-License-Identifier: MIT
"""A guest program opens and saves host files through the whole chain."""

import os
import subprocess
import sys
import xml.etree.ElementTree

from rig.files import opened, read, saved, write
from rig.guest import (DESKTOP, FILE_CHOOSER, PATH, PROPERTIES, GLib, GuestClient, error_name,
                       path_bytes)

HERE = os.path.dirname(os.path.abspath(__file__))


def boolean(value):
    return GLib.Variant("b", value)


def string(value):
    return GLib.Variant("s", value)


# --- OpenFile ------------------------------------------------------------------------------

def test_open(env):
    """OpenFile: the guest reads the file the person picked, and writes it"""
    host = env.host_file("letter.txt", b"from the host\n")
    guest = opened(env, host, title="Open a letter")
    assert guest.startswith(os.fsencode(env.sidebus.documents) + b"/"), guest
    assert os.path.basename(guest) == b"letter.txt"
    assert read(guest) == b"from the host\n"
    write(guest, b"from the guest\n")
    assert read(host) == b"from the guest\n"


def test_open_only_that(env):
    """OpenFile: the file's neighbours on the host are not in the guest"""
    host = env.host_file("picked", b"1")
    env.host_file("beside", b"2")
    guest = opened(env, host)
    assert os.listdir(os.path.dirname(guest)) == [b"picked"]


def test_open_multiple(env):
    """OpenFile, multiple: each picked file has its own document"""
    hosts = [env.host_file(f"file {n}", b"%d" % n) for n in range(5)]
    request = env.client().open_file(multiple=boolean(True))
    dialog = env.dialog()
    assert dialog.options["multiple"] is True
    dialog.pick(*hosts)
    guests = request.paths()
    assert [read(g) for g in guests] == [b"%d" % n for n in range(5)]
    assert len({os.path.dirname(g) for g in guests}) == 5


def test_open_directory(env):
    """OpenFile, directory: the guest works in the directory the person picked"""
    host = os.path.dirname(env.host_file("project/inside.txt", b"in"))
    request = env.client().open_file(directory=boolean(True))
    dialog = env.dialog()
    dialog.pick(host)
    guest = request.path_of_one()
    assert os.path.basename(guest) == b"project"
    assert read(os.path.join(guest, b"inside.txt")) == b"in"
    os.mkdir(os.path.join(guest, b"sub"))
    write(os.path.join(guest, b"sub", b"new"), b"made in the guest")
    os.rename(os.path.join(guest, b"sub", b"new"), os.path.join(guest, b"renamed"))
    os.rmdir(os.path.join(guest, b"sub"))
    assert sorted(os.listdir(host)) == [b"inside.txt", b"renamed"]
    assert read(os.path.join(host, b"renamed")) == b"made in the guest"


def test_open_dialog_options(env):
    """OpenFile: filters, choices and labels reach the dialog, the answers come back"""
    kind = "(sa(us))"
    images = ("Images", [(0, "*.png"), (1, "image/jpeg")])
    texts = ("Texts", [(1, "text/plain")])
    choices = [("encoding", "Encoding", [("utf8", "Unicode"), ("latin15", "Western")], "latin15"),
               ("reencode", "Reencode", [], "false")]
    request = env.client().open_file(
        accept_label=string("_Take it"), modal=boolean(False),
        filters=GLib.Variant("a" + kind, [images, texts]), current_filter=GLib.Variant(kind, texts),
        choices=GLib.Variant("a(ssa(ss)s)", choices))
    dialog = env.dialog()
    assert dialog.options["accept_label"] == "_Take it"
    assert dialog.options["modal"] is False

    def as_json(value):
        return [as_json(v) for v in value] if isinstance(value, (list, tuple)) else value

    assert dialog.options["filters"] == as_json([images, texts]), dialog.options
    assert dialog.options["current_filter"] == as_json(texts)
    assert dialog.options["choices"] == as_json(choices)
    dialog.pick(env.host_file("picture.png"), current_filter=(kind, images),
                choices=("a(ss)", [("encoding", "utf8"), ("reencode", "true")]))
    _, results = request.wait()
    assert results["choices"] == [("encoding", "utf8"), ("reencode", "true")]
    assert results["current_filter"] == images
    assert set(results) == {"uris", "choices", "current_filter"}, results


def test_open_twice(env):
    """OpenFile: the same file picked twice is one document"""
    host = env.host_file("same")
    assert opened(env, host) == opened(env, host)


# --- Response and Request --------------------------------------------------------------------

def test_cancelled(env):
    """Response 1: the person cancelled, and nothing was exported"""
    before = env.sidebus.exported()
    request = env.client().open_file()
    env.dialog().answer(1)
    response, results = request.wait()
    assert response == 1 and not results.get("uris"), results
    assert env.sidebus.exported() == before


def test_other_failure(env):
    """Response 2: the dialog ended otherwise"""
    request = env.client().save_file()
    env.dialog().answer(2)
    response, results = request.wait()
    assert response == 2 and not results.get("uris"), results


def test_close(env):
    """Request.Close: the host's dialog is closed, no Response comes"""
    client = env.client()
    request = client.open_file()
    dialog = env.dialog()
    request.close()
    env.chooser.wait_closed(dialog)
    assert request.silent()
    # The request object is gone, as on a normal desktop.
    try:
        request.close()
        raise AssertionError("a closed request closed again")
    except GLib.Error as e:
        assert error_name(e) in ("org.freedesktop.DBus.Error.UnknownObject",
                                 "org.freedesktop.DBus.Error.UnknownMethod"), e
    assert opened(env, env.host_file("after"), client)


def test_two_clients(env):
    """two clients at once: each gets the answer of its own dialog, in any order"""
    clients = [env.client(), env.client()]
    requests = [c.open_file(title=f"of client {n}") for n, c in enumerate(clients)]
    dialogs = sorted((env.dialog(), env.dialog()), key=lambda d: d.title)
    hosts = [env.host_file(f"for {n}", b"for %d" % n) for n in range(2)]
    dialogs[1].pick(hosts[1])
    assert read(requests[1].path_of_one()) == b"for 1"
    assert requests[0].silent(0.2)
    dialogs[0].pick(hosts[0])
    assert read(requests[0].path_of_one()) == b"for 0"


def test_same_token(env):
    """two clients with the same token have two requests"""
    first, second = env.client(), env.client()
    options = GLib.Variant("a{sv}", {"handle_token": string("mine")})
    requests = [c.request("OpenFile", "", f"of {n}", raw_options=options)
                for n, c in enumerate((first, second))]
    assert [r.path for r in requests] == [first.predicted("mine"), second.predicted("mine")]
    dialogs = sorted((env.dialog(), env.dialog()), key=lambda d: d.title)
    dialogs[0].answer(1)
    assert requests[0].wait()[0] == 1
    assert requests[1].silent(0.2)
    dialogs[1].answer(2)
    assert requests[1].wait()[0] == 2


def test_token_again(env):
    """one client that uses a token twice at once still has two requests"""
    client = env.client()
    options = GLib.Variant("a{sv}", {"handle_token": string("again")})
    requests = [client.request("OpenFile", "", f"of {n}", raw_options=options) for n in range(2)]
    assert requests[0].path == client.predicted("again") != requests[1].path
    dialogs = sorted((env.dialog(), env.dialog()), key=lambda d: d.title)
    dialogs[0].answer(1)
    dialogs[1].answer(2)
    assert [r.wait()[0] for r in requests] == [1, 2]


def test_client_leaves(env):
    """a client that leaves with a dialog open: the host's request is closed"""
    staying, leaving = env.client(), env.client()
    request = staying.open_file(title="stays")
    kept = env.dialog()
    leaving.open_file(title="leaves")
    dialog = env.dialog()
    leaving.close()
    env.chooser.wait_closed(dialog)
    assert not kept.closed
    kept.answer(1)
    assert request.wait()[0] == 1


def test_response_sender(env):
    """a Response comes from the owner of the portal's name, once"""
    client = env.client()
    request = client.open_file()
    env.dialog().answer(1)
    request.wait()
    owner, = client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner",
                         GLib.Variant("(s)", (DESKTOP,)), destination="org.freedesktop.DBus")
    assert request.senders == [owner]
    request.responses.clear()
    assert request.silent()


# --- SaveFile and SaveFiles ------------------------------------------------------------------

def test_save_new(env):
    """SaveFile: a new file; it is made when the guest writes it"""
    host = os.path.join(os.path.dirname(env.host_file("beside")), b"new.txt")
    guest = saved(env, host, current_name=string("new.txt"))
    assert os.path.basename(guest) == b"new.txt"
    assert not os.path.exists(host)
    write(guest, b"saved")
    assert read(host) == b"saved" and read(guest) == b"saved"


def test_save_existing(env):
    """SaveFile: an existing file is overwritten"""
    host = env.host_file("there", b"a long old content")
    write(saved(env, host), b"new")
    assert read(host) == b"new"


def test_save_odd_name(env):
    """SaveFile: a new file with a name that is not UTF-8"""
    host = os.path.join(os.path.dirname(env.host_file("beside")), b"\xe9t\xe9 \n%41")
    write(saved(env, host), b"saved")
    assert read(host) == b"saved"


def test_save_current_name(env):
    """SaveFile: current_name reaches the dialog; one with a slash is an error"""
    request = env.client().save_file(current_name=string("proposed name.txt"))
    dialog = env.dialog()
    assert dialog.options["current_name"] == "proposed name.txt"
    dialog.answer(1)
    request.wait()
    for name in ("../../.bashrc", "a/b", "..", ""):
        try:
            env.client().save_file(current_name=string(name))
            raise AssertionError(f"current_name {name!r} was taken")
        except GLib.Error as e:
            assert error_name(e) == "org.freedesktop.portal.Error.InvalidArgument", e
    assert not env.chooser.opened()


def test_save_editor(env):
    """SaveFile: an editor that writes a temporary file and renames it over"""
    host = env.host_file("document.txt", b"old")
    guest = saved(env, host)
    temporary = os.path.join(os.path.dirname(guest), b".document.txt.swp")
    write(temporary, b"new, whole")
    os.rename(temporary, guest)
    assert read(host) == b"new, whole" and read(guest) == b"new, whole"
    assert os.listdir(os.path.dirname(host)) == [b"document.txt"]


def test_save_files(env):
    """SaveFiles: the names reach the dialog, each file is saved"""
    directory = os.path.dirname(env.host_file("beside"))
    names = [b"one.txt", b"two \xff.txt"]
    request = env.client().save_files(
        files=GLib.Variant("aay", [name + b"\0" for name in names]))
    dialog = env.dialog()
    assert [bytes(n) for n in dialog.options["files"]] == [n + b"\0" for n in names]
    dialog.pick(*(os.path.join(directory, name) for name in names))
    guests = request.paths()
    assert [os.path.basename(g) for g in guests] == names
    for guest in guests:
        write(guest, b"of " + os.path.basename(guest))
    assert [read(os.path.join(directory, n)) for n in names] == [b"of " + n for n in names]


def test_save_files_slash(env):
    """SaveFiles: a name with a slash is an error"""
    try:
        env.client().save_files(files=GLib.Variant("aay", [b"ok\0", b"../x\0"]))
        raise AssertionError("taken")
    except GLib.Error as e:
        assert error_name(e) == "org.freedesktop.portal.Error.InvalidArgument", e


# --- guest paths in, host paths out ----------------------------------------------------------

def sent(env, member, **options):
    """The options that reached xdg-desktop-portal, as {name: value}."""
    monitor = env.closing(env.session.monitor())
    request = env.client().request(member, "", "Path", options=options)
    (_, _, passed), = monitor.calls(FILE_CHOOSER, member)
    env.dialog().answer(1)
    request.wait()
    return {key: value["data"] for key, value in passed}


def test_folder_in(env):
    """current_folder: a document of this guest becomes the host's path"""
    host = os.path.dirname(env.host_file("work/deep/file"))
    work = os.path.dirname(host)
    guest = opened(env, work, directory=boolean(True))
    for member in ("OpenFile", "SaveFile", "SaveFiles"):
        assert bytes(sent(env, member, current_folder=path_bytes(guest))["current_folder"]) \
            == work + b"\0", member
    options = sent(env, "SaveFile", current_folder=path_bytes(os.path.join(guest, b"deep")))
    assert bytes(options["current_folder"]) == host + b"\0"


def test_file_in(env):
    """current_file: a document of this guest becomes the host's path"""
    host = env.host_file("to save %20\xff".encode("latin-1"))
    guest = opened(env, host)
    assert bytes(sent(env, "SaveFile", current_file=path_bytes(guest))["current_file"]) \
        == host + b"\0"


def test_path_dropped(env):
    """current_folder, current_file: what is no document of this guest is left out"""
    guest = opened(env, os.path.dirname(env.host_file("w/file")), directory=boolean(True))
    documents = os.fsencode(env.sidebus.documents)
    for path in (b"/etc", b"/etc/passwd", os.fsencode(env.session.home), documents,
                 documents + b"/deadbeef/x", documents + b"/../../..", guest + b"/../..",
                 guest + b"/../../deadbeef", guest + b"/../w2", b"relative", b"",
                 os.path.dirname(env.host_file("w/file"))):
        for name in ("current_folder", "current_file"):
            options = sent(env, "SaveFile", **{name: path_bytes(path)})
            assert name not in options, (path, options)


# --- what the portal says of itself ----------------------------------------------------------

def test_version(env):
    """version is the host's, at most what sidebus implements"""
    host = env.closing(GuestClient(env.session.address)).get(FILE_CHOOSER, "version")
    client = env.client()
    assert client.get(FILE_CHOOSER, "version") == min(host, 4)
    everything, = client.call(PATH, PROPERTIES, "GetAll", GLib.Variant("(s)", (FILE_CHOOSER,)))
    assert everything == {"version": min(host, 4)}


def interfaces(client):
    text, = client.call(PATH, "org.freedesktop.DBus.Introspectable", "Introspect")
    node = xml.etree.ElementTree.fromstring(text)
    return {i.get("name"): {m.get("name"): [(a.get("direction", "in"), a.get("type"))
                                            for a in m.iter("arg")] for m in i.iter("method")}
            for i in node.iter("interface")}


def test_introspect(env):
    """Introspect: FileChooser has the methods it has on a normal desktop"""
    host = interfaces(env.closing(GuestClient(env.session.address)))
    guest = interfaces(env.client())
    assert guest[FILE_CHOOSER] == host[FILE_CHOOSER]
    assert PROPERTIES in guest


def test_introspect_tree(env):
    """Introspect: the way from / to the portal's object is there"""
    path = ""
    for element in PATH.split("/")[1:]:
        text, = env.client().call(path or "/", "org.freedesktop.DBus.Introspectable", "Introspect")
        children = [n.get("name") for n in xml.etree.ElementTree.fromstring(text).iter("node")]
        assert element in children, (path, children)
        path += "/" + element


def test_unknown(env):
    """an unknown interface, method, property or object has the usual error"""
    wrong = "org.freedesktop.DBus.Error."
    client = env.client()
    get = lambda *names: (PATH, PROPERTIES, "Get", GLib.Variant("(ss)", names))  # noqa: E731
    for call, names in (
            ((PATH, "org.freedesktop.portal.Nothing", "X"), ("UnknownInterface", "UnknownMethod")),
            ((PATH, FILE_CHOOSER, "Nothing"), ("UnknownMethod",)),
            (("/nowhere", FILE_CHOOSER, "OpenFile"), ("UnknownObject", "UnknownMethod")),
            ((PATH, FILE_CHOOSER, "OpenFile", GLib.Variant("(s)", ("x",))), ("InvalidArgs",)),
            (get(FILE_CHOOSER, "nothing"), ("UnknownProperty", "InvalidArgs")),
            (get("org.freedesktop.portal.Nothing", "version"),
             ("UnknownInterface", "InvalidArgs", "UnknownProperty"))):
        try:
            client.call(*call)
            raise AssertionError(f"{call} was answered")
        except GLib.Error as e:
            allowed = [wrong + n for n in names] + ["org.freedesktop.portal.Error.InvalidArgument"]
            assert error_name(e) in allowed, (call, e)


# --- other clients ---------------------------------------------------------------------------

def guest_program(env, *argv):
    """A program of the guest: it knows sbagent's socket as its session bus."""
    environment = {**{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")},
                   "DBUS_SESSION_BUS_ADDRESS": env.agent.address, "GIO_USE_VFS": "local"}
    return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def output(program):
    out, err = program.communicate(timeout=30)
    assert program.returncode == 0, (out, err)
    return out


def test_gdbus(env):
    """gdbus introspects and calls; when it has left, its dialog is closed"""
    text = output(guest_program(env, "gdbus", "introspect", "--session", "--dest", DESKTOP,
                                "--object-path", PATH))
    assert "interface org.freedesktop.portal.FileChooser {" in text
    text = output(guest_program(env, "gdbus", "call", "--session", "--dest", DESKTOP,
                                "--object-path", PATH, "--method", FILE_CHOOSER + ".OpenFile",
                                "", "of gdbus", "{'handle_token': <'gd'>}"))
    assert "/request/" in text and text.rstrip().endswith("/gd',)"), text
    env.chooser.wait_closed(env.dialog())


def test_dbus_send(env):
    """dbus-send (libdbus) reads the version"""
    text = output(guest_program(env, "dbus-send", "--session", "--print-reply=literal",
                                "--dest=" + DESKTOP, PATH, PROPERTIES + ".Get",
                                "string:" + FILE_CHOOSER, "string:version"))
    assert text.split()[-2:-1] == ["uint32"], text


def test_busctl(env):
    """busctl (sd-bus) introspects the portal"""
    text = output(guest_program(env, "busctl", "--user", "--no-pager", "introspect", DESKTOP, PATH))
    assert FILE_CHOOSER in text and ".OpenFile" in text and ".version" in text, text


def test_python_dbus(env):
    """python-dbus, which introspects before it calls, opens a file"""
    program = os.path.join(os.path.dirname(HERE), "rig", "python_dbus_client.py")
    child = guest_program(env, sys.executable, "-B", program, "Python opens")
    env.dialog().pick(env.host_file("snake", b"read by python"))
    assert output(child) == "read by python\n"
