# SPDX-License-Identifier: MIT
"""What the person allows a VM: the configuration, questions on the host, remembered answers.

The host has the real xdg-desktop-portal; the test is the desktop behind it, which shows the
notifications and presses their buttons.
"""

import os
import re

from gi.repository import Gio

from rig import boundaries
from rig.guest import (FILE_CHOOSER, PATH, PROPERTIES, GLib, GuestClient, Request, error_name,
                       pump)
from rig.processes import wait_for
from rig.world import DOCUMENTS_NAME, DOCUMENTS_PATH, World, eventually

V = GLib.Variant
PORTAL = "org.freedesktop.portal."
NETWORK = PORTAL + "NetworkMonitor"
SHORTCUTS = PORTAL + "GlobalShortcuts"
NOT_ALLOWED = "org.freedesktop.portal.Error.NotAllowed"
ADDED = "Notification.AddNotification"
REMOVED = "Notification.RemoveNotification"


class Chain:
    """An instance of the test's own, a guest program before it, and the desktop behind it."""

    def __init__(self, env, config="", session=None, **arguments):
        self.env = env
        self.session = session or env.session
        self.desktop = self.session.chooser
        self.sidebus = env.closing(env.own_sidebus(
            self.session, config="[VM]\nLabel=Web VM\n[Portals]\n" + config, **arguments))
        self.agent = env.own_agent(self.sidebus)
        self.client = self.new_client()

    def new_client(self):
        return self.env.closing(GuestClient(self.agent.address))

    def question(self):
        """The notification that is shown next."""
        return self.desktop.next_call(ADDED, pump=pump)

    def press(self, question, action):
        self.desktop.signal("Notification", "ActionInvoked", "sssav", question.app_id,
                            question.arguments["id"], action, [])

    def answer(self, action):
        """Presses a button of the question that is shown next; which was taken back then."""
        question = self.question()
        self.press(question, action)
        self.removed(question)
        return question

    def removed(self, question):
        removed = self.desktop.next_call(REMOVED, pump=pump)
        assert removed.arguments["id"] == question.arguments["id"]

    def quiet(self):
        """The host was asked nothing: a call made now is the first that it hears of."""
        request = self.client.request("GetUserInformation", "", interface=PORTAL + "Account")
        dialog = self.desktop.next_dialog(pump=pump)
        assert dialog.name == "Account.GetUserInformation", dialog.name
        request.close()
        self.desktop.wait_closed(dialog)
        assert not [call for call in self.desktop.new_calls if call.name == ADDED]

    def passes(self, request, member="OpenFile"):
        """The host opens the dialog of a request; the answer comes back."""
        dialog = self.desktop.next_dialog(pump=pump)
        assert dialog.name == "FileChooser." + member, dialog.name
        dialog.pick(self.env.host_file("picked", b"picked"))
        with open(request.path_of_one(), "rb") as f:
            assert f.read() == b"picked"

    def connected(self):
        return self.client.call(PATH, NETWORK, "GetAvailable")[0]

    def kept(self):
        with open(self.sidebus.file("state", "policy"), encoding="utf-8") as f:
            return f.read()


def fails(call, *arguments):
    try:
        call(*arguments)
    except GLib.Error as e:
        return error_name(e)
    raise AssertionError("no error")


# --- deny -----------------------------------------------------------------------------------------

def test_denied(env):
    """deny: a request ends with Response 2, a call with NotAllowed; the host hears of neither"""
    chain = Chain(env, "FileChooser=deny\nFileChooser.SaveFile=allow\nNetworkMonitor=deny\n")
    assert chain.client.open_file().wait() == (2, {})
    assert fails(chain.connected) == NOT_ALLOWED
    chain.quiet()
    chain.passes(chain.client.save_file(), "SaveFile")


def test_default(env):
    """Default=deny with exceptions; without it what would be given unasked is denied"""
    chain = Chain(env, "Default=deny\nAccount=allow\nFileChooser.OpenFile=allow\n")
    assert fails(chain.connected) == NOT_ALLOWED
    assert chain.client.save_file().wait() == (2, {})
    chain.passes(chain.client.open_file())
    location = PORTAL + "Location"
    options = V("(a{sv})", ({"session_handle_token": V("s", "a")},))
    other = Chain(env, vm="other")
    for client in (chain.client, other.client):
        assert fails(client.call, PATH, location, "CreateSession", options) == NOT_ALLOWED
    assert other.connected() in (True, False)
    assert other.client.request("Screenshot", "", interface=PORTAL + "Screenshot").wait() == (2, {})


def test_documents(env):
    """Documents=, which the gate answers itself: denied, asked about, Default= and all"""
    documents = PORTAL + "Documents"

    def lookup(chain, path=b"/run/sidebus/doc/x/y\0"):
        return chain.client.call(DOCUMENTS_PATH, documents, "Lookup", V("(ay)", (path,)),
                                 destination=documents)

    for config in ("Documents=deny\n", "Default=deny\nFileChooser=allow\n",
                   "Documents.Lookup=deny\n"):
        assert fails(lookup, Chain(env, config)) == NOT_ALLOWED, config
    assert lookup(Chain(env, "Default=deny\nDocuments=allow\n")) == ("",)
    chain, found = Chain(env, "Documents.Info=ask\n"), []
    assert lookup(chain) == ("",)  # another method of it
    chain.client.bus.call(documents, DOCUMENTS_PATH, documents, "Info", V("(s)", ("abc",)), None,
                          0, -1, None, lambda *answer: found.append(answer))
    chain.answer("deny")
    wait_for("the denial", lambda: pump() or found)
    assert fails(*(lambda bus, result: (bus.call_finish, result))(*found[0])) == NOT_ALLOWED


# --- ask ------------------------------------------------------------------------------------------

def test_allowed_once(env):
    """ask: a notification names the VM and the portal; "Allow once" lets this request pass"""
    chain = Chain(env, "FileChooser=ask\n")
    request = chain.client.open_file()
    question = chain.question()
    options = question.options
    assert options["title"] == "Web VM (virtual machine)"
    assert options["body"] == ("A program in the virtual machine wants to let you choose files to "
                               "open or to save.")
    assert options["priority"] == "high"
    buttons = options["buttons"]
    assert [b["label"] for b in buttons] == ["Allow once", "Always allow", "Deny"]
    assert "/" not in question.arguments["id"]  # the VM's own notifications have one
    assert not chain.desktop.opened()
    chain.press(question, buttons[0]["action"])
    chain.removed(question)
    chain.passes(request)
    # It was for once.
    request = chain.client.open_file()
    again = chain.question()
    assert again.arguments["id"] != question.arguments["id"]
    chain.press(question, "once")  # the one that is over
    chain.press(again, "deny")
    assert request.wait() == (2, {})
    assert not os.path.exists(chain.sidebus.file("state", "policy"))


def test_refused(env):
    """a press on "Deny", or on none of the buttons: Response 2, of a call NotAllowed"""
    chain = Chain(env, "FileChooser=ask\nNetworkMonitor=ask\n")
    for action in ("deny", "default", ""):
        request = chain.client.open_file()
        chain.answer(action)
        assert request.wait() == (2, {}), action
    errors = []
    chain.client.bus.call(PORTAL + "Desktop", PATH, NETWORK, "GetAvailable", None, None, 0, 20000,
                          None, lambda bus, result: errors.append(fails(bus.call_finish, result)))
    chain.answer("deny")
    wait_for("the answer", lambda: pump() or errors)
    assert errors == [NOT_ALLOWED]
    chain.quiet()


def test_always(env):
    """"Always allow" is kept in the state directory, and counts only where the answer is ask"""
    chain = Chain(env, "FileChooser=ask\n")
    request = chain.client.open_file()
    chain.answer("always")
    chain.passes(request)
    assert chain.kept() == "FileChooser=allow\n"
    assert os.stat(chain.sidebus.file("state", "policy")).st_mode & 0o777 == 0o600
    chain.passes(chain.client.open_file())  # no question
    place = ["--state-dir", chain.sidebus.file("state")]
    chain.agent.stop()
    chain.sidebus.stop()
    env.to_close = [part for part in env.to_close if part not in (chain.agent, chain.sidebus)]

    again = Chain(env, "FileChooser=ask\nNetworkMonitor=ask\n", arguments=place)
    again.passes(again.client.open_file())
    again.agent.stop()
    again.sidebus.stop()
    env.to_close = [part for part in env.to_close if part not in (again.agent, again.sidebus)]

    denied = Chain(env, "FileChooser=deny\n", arguments=place)
    assert denied.client.open_file().wait() == (2, {})


def test_remembered_file(env):
    """A bad line of the file is named and ignored; "deny" is never; a method is not its portal"""
    first = Chain(env)  # a state directory is sbsupervisor's own
    state = first.sidebus.file("state")
    first.agent.stop()
    first.sidebus.stop()
    env.to_close = [part for part in env.to_close if part not in (first.agent, first.sidebus)]
    with open(os.path.join(state, "policy"), "w", encoding="utf-8") as f:
        f.write("# of mine\nFileChooser=yes\nScreenshot.PickColor=allow\nNetworkMonitor=deny\n")
    chain = Chain(env, "FileChooser=ask\nNetworkMonitor=ask\nScreenshot.Screenshot=ask\n",
                  arguments=["--state-dir", state])
    assert re.search(re.escape(state) + "/policy:2: .*ignored", chain.sidebus.log())
    assert fails(chain.connected) == NOT_ALLOWED
    request = chain.client.request("PickColor", "", interface=PORTAL + "Screenshot")
    dialog = chain.desktop.next_dialog(pump=pump)  # without a question
    assert dialog.name == "Screenshot.PickColor"
    request.close()
    shot = chain.client.request("Screenshot", "", interface=PORTAL + "Screenshot")
    chain.answer("deny")
    assert shot.wait() == (2, {})
    request = chain.client.open_file()
    chain.answer("always")
    chain.passes(request)
    with open(os.path.join(state, "policy"), encoding="utf-8") as f:
        assert f.read() == ("# of mine\nFileChooser=yes\nScreenshot.PickColor=allow\n"
                            "NetworkMonitor=deny\nFileChooser=allow\n")


def test_one_question(env):
    """Calls that come while a question is shown wait; "once" is for one of them; each portal has its own"""
    chain = Chain(env, "FileChooser=ask\nNetworkMonitor=ask\n")
    first = chain.client.open_file()
    question = chain.question()
    second = chain.new_client().save_file()
    third = chain.client.open_file()
    third.close()
    available = []
    chain.client.bus.call(PORTAL + "Desktop", PATH, NETWORK, "GetAvailable", None, None, 0, 20000,
                          None, lambda bus, result: available.append(bus.call_finish(result)))
    network = chain.question()
    assert "network" in network.options["body"]
    chain.press(network, "once")
    wait_for("the answer", lambda: pump() or available)
    chain.removed(network)
    for member, request in (("OpenFile", first), ("SaveFile", second)):
        chain.press(question, "once")
        chain.removed(question)
        question = chain.question() if request is first else None  # about the next for itself
        dialog = chain.desktop.next_dialog(pump=pump)
        assert dialog.member == member
        dialog.answer(1)
        assert request.wait()[0] == 1, member
    assert third.silent(0)
    assert not [call for call in chain.desktop.new_calls if call.name == ADDED]


def test_call_does_not_wait_longer_than_its_caller(env):
    """A question about a plain call is denied before GDBus gives the call up, which is after 25 s"""
    chain = Chain(env, "NetworkMonitor=ask\n")
    ends = []

    def on_end(bus, result):
        try:
            ends.append(bus.call_finish(result))
        except GLib.Error as e:
            ends.append(error_name(e))

    as_default = -1
    chain.client.bus.call(PORTAL + "Desktop", PATH, NETWORK, "GetAvailable", None, None, 0,
                          as_default, None, on_end)
    question = chain.question()
    wait_for("the call's end", lambda: pump() or ends, 60)
    assert ends == [NOT_ALLOWED], ends
    chain.removed(question)
    chain.sidebus.wait_log("denied, for there was no answer in time")


def session_request(client, member, kind, *values):
    """A request of GlobalShortcuts whose arguments are not only strings."""
    token = f"s{len(values)}{member}"
    request = Request(client, client.predicted(token))
    options = {"handle_token": V("s", token), "session_handle_token": V("s", "shortcuts")}
    client.call(PATH, SHORTCUTS, member, V(f"({kind}a{{sv}})", (*values, options)))
    return request


def test_session(env):
    """Who was let have a session is not asked again, but where the method has a key of its own"""
    chain = Chain(env, "GlobalShortcuts.BindShortcuts=ask\n")
    request = session_request(chain.client, "CreateSession", "")
    assert "keys" in chain.answer("once").options["body"]
    chain.desktop.next_dialog(pump=pump).answer(0)
    response, results = request.wait()
    assert response == 0
    session = results["session_handle"]
    request = session_request(chain.client, "ListShortcuts", "o", session)
    chain.desktop.next_dialog(pump=pump).answer(1)  # no question
    assert request.wait()[0] == 1
    request = session_request(chain.client, "BindShortcuts", "oa(sa{sv})s", session, [("one", {})],
                              "")
    chain.answer("deny")
    assert request.wait() == (2, {})


def test_taken_back(env):
    """A question is taken back when its request is closed, and when its client leaves"""
    chain = Chain(env, "FileChooser=ask\n")
    request = chain.client.open_file()
    question = chain.question()
    request.close()
    chain.removed(question)
    chain.press(question, "once")
    client = chain.new_client()
    client.open_file()
    question = chain.question()
    client.close()
    chain.removed(question)
    chain.quiet()
    # So it is when the instance ends.
    chain.client.open_file()
    question = chain.question()
    chain.sidebus.process.signal(15)
    chain.removed(question)


def test_forged_press(env):
    """a stranger on the session bus that says a button was pressed is not believed"""
    chain = Chain(env, "FileChooser=ask\n")
    monitor = env.closing(chain.session.monitor())
    request = chain.client.open_file()
    question = chain.question()
    monitor.calls(PORTAL + "Notification", "AddNotification")
    sender = [m for m in monitor.messages() if m.get("member") == "AddNotification"
              and m.get("interface") == PORTAL + "Notification"][-1]["sender"]
    stranger = chain.session.connect()
    for destination in (sender, None):
        stranger.emit_signal(destination, PATH, PORTAL + "Notification", "ActionInvoked",
                             V("(ssav)", (question.arguments["id"], "once", [])))
    stranger.flush_sync(None)
    stranger.close_sync(None)
    assert request.silent(0.5)
    assert not chain.desktop.opened()
    env.hostile(boundaries.HOST_PORTAL, 2)
    # Nor is a guest, whose notification may look like ours.
    chain.client.call(PATH, PORTAL + "Notification", "AddNotification",
                      V("(sa{sv})", (question.arguments["id"], {"title": V("s", "Web VM")})))
    theirs = chain.question()
    assert theirs.arguments["id"] != question.arguments["id"]
    chain.client.call(PATH, PORTAL + "Notification", "RemoveNotification",
                      V("(s)", (question.arguments["id"],)))
    removed = chain.desktop.next_call(REMOVED, pump=pump)
    assert removed.arguments["id"] == theirs.arguments["id"]
    chain.press(theirs, "once")
    chain.press(question, "deny")
    assert request.wait() == (2, {})


def test_portal_lost(env):
    """The host's portal goes while a question is shown: a denial; afterwards it can ask again"""
    session = env.own_session()
    chain = Chain(env, "FileChooser=ask\n", session)
    request = chain.client.open_file()
    question = chain.question()
    session.portal.kill()
    assert request.wait() == (2, {})
    session.start_portal()
    chain.removed(question)  # the desktop still showed it
    chain.press(question, "once")

    def again():
        try:
            return chain.client.open_file()
        except GLib.Error:
            return None

    request = wait_for("the portal to be used again", again)
    chain.answer("once")
    chain.passes(request)


def test_newer_portal(env):
    """A portal since 1.19.4 shows the question as the VM's application, and tells of the button"""
    session = env.own_session(libexec=env.newer_portal)
    chain = Chain(env, "FileChooser=ask\n", session, vm="newer")
    request = chain.client.open_file()
    question = chain.answer("once")
    assert question.app_id == "org.sidebus.vm.newer"
    assert question.options["title"] == "Web VM (virtual machine)"
    assert [b["label"] for b in question.options["buttons"]] == ["Allow once", "Always allow",
                                                                 "Deny"]
    chain.passes(request)


def test_nobody_to_ask(env):
    """A desktop without notifications: what would be asked is denied, and the log says why"""
    session = env.own_session(portal=False, activatable=True)
    path = session.file("portals", "sidebustest.portal")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("org.freedesktop.impl.portal.Notification;", ""))
    chain = Chain(env, "FileChooser=ask\n", session)
    assert chain.client.open_file().wait() == (2, {})
    chain.sidebus.wait_log("FileChooser: denied, for nobody could be asked")


def test_too_many(env):
    """A guest that asks and asks is not shown for ever: the rest is denied, and logged"""
    chain = Chain(env, "FileChooser=ask\n")
    for _ in range(16):  # LIMIT_ASKS_BURST
        request = chain.client.open_file()
        chain.answer("deny")
        assert request.wait() == (2, {})
    assert chain.client.open_file().wait() == (2, {})
    chain.sidebus.wait_log("too many")
    chain.quiet()


def test_rights_are_asked_for_last(env):
    """What a VM may do to a document counts when the person has answered, not when it asked"""
    w = World(env, config="[Portals]\nTrash=ask\n")
    guest, host = w.document(name="kept")
    errors = []

    def done(bus, result):
        try:
            bus.call_with_unix_fd_list_finish(result)
        except GLib.Error as e:
            errors.append(error_name(e))

    with open(guest, "r+b") as f:
        fds = Gio.UnixFDList.new()
        fds.append(f.fileno())
        w.client.bus.call_with_unix_fd_list(
            PORTAL + "Desktop", PATH, PORTAL + "Trash", "TrashFile", V("(h)", (0,)), None,
            Gio.DBusCallFlags.NONE, -1, fds, None, done)
        question = w.backend.next_call(ADDED, pump=pump)
        documents = env.closing(GuestClient("unix:path=" + w.sidebus.file("dbg", "private.sock")))
        documents.call(DOCUMENTS_PATH, DOCUMENTS_NAME, "RevokePermissions",
                       V("(ssas)", (os.fsdecode(os.path.basename(os.path.dirname(guest))),
                                    "org.sidebus.vm.demo", ["write"])),
                       destination=DOCUMENTS_NAME)
    w.backend.signal("Notification", "ActionInvoked", "sssav", question.app_id,
                     question.arguments["id"], "once", [])
    assert eventually("the refusal", lambda: errors) == [NOT_ALLOWED]
    assert os.path.exists(host)


# --- what a portal tells without being called ---------------------------------------------------

def test_told_unasked(env):
    """Settings: only the namespaces of the configuration; nothing at all to a VM that is denied"""
    settings = PORTAL + "Settings"
    everything = V("(as)", ([],))
    chain = Chain(env)
    found, = chain.client.call(PATH, settings, "ReadAll", everything)
    assert set(found) == {"org.freedesktop.appearance", "org.gnome.desktop.interface"}
    other = Chain(env, "SettingsNamespaces=org.gnome.desktop.*\nPowerProfileMonitor=deny\n",
                  vm="other")
    found, = other.client.call(PATH, settings, "ReadAll", everything)
    assert set(found) == {"org.gnome.desktop.interface", "org.gnome.desktop.privacy"}
    power = PORTAL + "PowerProfileMonitor"
    names, = other.client.call(PATH, PROPERTIES, "GetAll", V("(s)", (power,)))
    assert "power-saver-enabled" not in names


def test_schemes(env):
    """OpenURI: http, https and mailto, or what the configuration lists"""
    monitor = env.closing(env.session.monitor())
    chain = Chain(env, "OpenURISchemes=https magnet\n")
    other = Chain(env, vm="other")
    refused = [(chain, "http://example.org/"), (chain, "mailto:a@example.org"),
               (other, "magnet:?xt=1"), (other, "javascript:alert(1)"),
               (other, "file:///etc/passwd"), (other, "https://ex\u200bample.org/"), (other, "mailto:a@b?attach=/etc/passwd")]
    passed = [(chain, "magnet:?xt=1"), (chain, "https://example.org/"),
              (other, "http://example.org/"), (other, "mailto:a@b?subject=S")]
    for sender, uri in refused:
        request = sender.client.request("OpenURI", "", uri, interface=PORTAL + "OpenURI")
        assert request.wait() == (2, {}), uri
    for sender, uri in passed:
        sender.client.request("OpenURI", "", uri, interface=PORTAL + "OpenURI")
    # Nothing that looks like something else.
    chain.client.request("OpenURI", "", "https://ex\u0430mple.org/K\u00e4se",
                         interface=PORTAL + "OpenURI")
    calls = monitor.calls(PORTAL + "OpenURI", "OpenURI", len(passed) + 1)
    assert [call[1] for call in calls] == [uri for _, uri in passed] + [
        "https://ex%D0%B0mple.org/K%C3%A4se"]


# --- the file -------------------------------------------------------------------------------------

def test_bad_keys(env):
    """What [Portals] does not know is an error that names the line and what would be right"""
    faults = {
        "Nothing=allow": r"Nothing=: there is no such portal.*FileChooser, OpenURI, .*Documents",
        "FileChooser.Nothing=deny": "FileChooser.Nothing=: .*OpenFile, SaveFile, SaveFiles",
        "FileChooser=yes": "FileChooser=: write allow, deny or ask",
        "Default=maybe": "Default=.*write allow, deny or ask",
        "RemoteDesktop=allow": "RemoteDesktop=: no VM gets this portal.*PORTALS.refused.md",
        "ScreenCast.Start=ask": "no VM gets this portal",
        "Background=deny": "Background=: .*nothing to deny",
        "PowerProfileMonitor=ask": "PowerProfileMonitor=: .*no call to ask about: write allow or deny",
        "OpenURISchemes=https file": "OpenURISchemes=.*by another way than file:",
        "SettingsNamespaces=a,b": "SettingsNamespaces=.*separated by spaces",
        f"{FILE_CHOOSER}=allow": "there is no such portal",
    }
    with open(os.path.join(env.source, "docs/PORTALS.refused.md"), encoding="utf-8") as f:
        for name in re.findall(r"^## (\w+)$", f.read(), re.MULTILINE):
            faults[name + "=ask"] = name + "=: no VM gets this portal"
    for line, expected in faults.items():
        sidebus = env.own_sidebus(config="[Portals]\nRemoteDesktop=deny\n" + line + "\n",
                                  ready=False)
        assert sidebus.process.wait() != 0, line
        assert re.search(r"sidebus\.conf:3: .*" + expected, sidebus.log()), (line, sidebus.log())
        env.hostile(boundaries.CONFIGURATION)


def test_bad_limits(env):
    """[Limits]: what is no number, or too much, is an error that says how much may be"""
    for line, expected in (("Dialogs=0", "Dialogs= '0': write a number from 1 to 32"),
                           ("Dialogs=33", "from 1 to 32"), ("Dialogs=", "from 1 to 32"),
                           ("DialogsPerMinute=-1", "from 1 to 100000"),
                           ("DialogsPerMinute=1x", "from 1 to 100000"),
                           ("NotificationsPerMinute=61", "from 1 to 60"),
                           ("NotificationsPerMinute=99999999999", "from 1 to 60"),
                           ("Requests=1", "no key 'Requests' in section .Limits.")):
        sidebus = env.own_sidebus(config="[Limits]\n" + line + "\n", ready=False)
        assert sidebus.process.wait() != 0, line
        assert re.search(r"sidebus\.conf:2: .*" + expected, sidebus.log()), (line, sidebus.log())
        env.hostile(boundaries.CONFIGURATION)
