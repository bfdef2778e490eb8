# SPDX-License-Identifier: MIT
"""What each kind of thing comes to: denied, asked about, cancelled, closed, left, lost.

A table of kinds and endings, on each of the host's portals; what is not in it has a reason.
"""

import signal

from rig.guest import GLib, error_name, pump
from rig.processes import scale, wait_for
from rig.world import ALLOW, PORTAL, SESSION, V, World, eventually

NOT_ALLOWED = PORTAL + "Error.NotAllowed"

KINDS = ("call", "request", "lasting", "session", "signal")
ENDINGS = ("deny", "ask", "cancel", "close", "client leaves", "portal restarts")

# What cannot be, and why.
NOTHING = {
    ("call", "cancel"): "nothing is shown that could be cancelled",
    ("call", "close"): "it has no handle",
    ("lasting", "cancel"): "nothing is shown that could be cancelled",
    ("signal", "cancel"): "nobody waits for one",
}

# (kind, ending): (function, configuration, whether it needs a host session of its own)
SHOWN = {}


def shows(ending, *kinds, config=ALLOW, own=False):
    def add(function):
        for kind in kinds:
            assert (kind, ending) not in SHOWN and (kind, ending) not in NOTHING
            SHOWN[kind, ending] = (function, config, own)
        return function
    return add


def run(env, kind):
    """All endings of this kind, on each portal."""
    done = set()
    for ending in ENDINGS:
        if (kind, ending) in NOTHING:
            continue
        function, config, own = SHOWN[kind, ending]
        for session in env.sessions:
            if own:
                session = env.own_session(libexec=session.libexec)
            function(World(env, session, config))
        done.add(ending)
    env.note(", ".join(ending for ending in ENDINGS if ending in done))


# --- one of each ---------------------------------------------------------------------------------

class Pending:
    """A call whose answer is not waited for: .result, or .error's name."""

    def __init__(self, w, name, client=None):
        self.result = self.error = None
        interface, _, member = name.rpartition(".")
        (client or w.client).bus.call(
            PORTAL + "Desktop", "/org/freedesktop/portal/desktop", PORTAL + interface, member, None,
            None, 0, int(20000 * scale()), None, self._done)

    def _done(self, bus, answer):
        try:
            self.result = bus.call_finish(answer).unpack()
        except GLib.Error as e:
            self.error = error_name(e) or e.message

    def wait(self):
        wait_for("the answer", lambda: pump() or self.result or self.error)
        return self.error or self.result


def under_way(w, client=None):
    """One that the host's portal has, and does not answer: it is stopped."""
    monitor = w.env.closing(w.session.monitor())
    call(w)  # the gate knows the interface's version from here on
    w.session.portal.signal(signal.SIGSTOP)
    pending = Pending(w, "NetworkMonitor.GetMetered", client)
    monitor.calls(PORTAL + "NetworkMonitor", "GetMetered")
    return pending


def call(w):
    return w.call("NetworkMonitor.GetAvailable")


def request(w, client=None):
    return w.request("Account.GetUserInformation", "(sa{sv})", "", {}, client=client)


def request_dialog(w):
    return w.dialog("Account.GetUserInformation")


def lasting(w, client=None):
    return w.request("Inhibit.Inhibit", "(sua{sv})", "", 1, {}, client=client)


def in_force(w, client=None):
    """(the request, what it is on the host)"""
    asked = lasting(w, client)
    started = w.called("Inhibit.Inhibit")
    assert asked.wait() == (0, {})
    return asked, started


def session(w):
    """(the guest's handle, the request) of one that is about to be."""
    w.count += 1
    return w.make_session("Inhibit.CreateMonitor", "(sa{sv})", "", {})


def made_session(w):
    """(the guest's handle, the backend's)"""
    handle, asked = session(w)
    dialog = w.dialog("Inhibit.CreateMonitor")
    dialog.answer(0)
    assert asked.wait() == (0, {"session_handle": handle}), asked.responses
    return handle, dialog.arguments["session"]


def no_session(w, handle):
    error = w.refused("Inhibit.QueryEndResponse", "(o)", handle)
    assert error == "org.freedesktop.DBus.Error.AccessDenied", error


def change_state(w, host):
    w.backend.signal("Inhibit", "StateChanged", "oa{sv}", host, {"session-state": ("u", 2)})


def change_setting(w, value):
    w.backend.signal("Settings", "SettingChanged", "ssv", "org.freedesktop.appearance",
                     "color-scheme", ("u", value))


def hear_states(w, client=None):
    return w.listen(PORTAL + "Inhibit", "StateChanged", client=client)


def hear_settings(w, client=None):
    return w.listen(PORTAL + "Settings", "SettingChanged", client=client)


def still_works(w):
    """The instance has nothing left over, and serves whoever comes."""
    client = w.new_client()
    available, = client.call("/org/freedesktop/portal/desktop", PORTAL + "NetworkMonitor",
                             "GetAvailable")
    assert available in (True, False) and w.sidebus.process.running()


# --- deny ----------------------------------------------------------------------------------------

DENY = "[Portals]\nDefault=deny\n"


@shows("deny", "call", config=DENY)
def call_denied(w):
    assert w.refused("NetworkMonitor.GetAvailable") == NOT_ALLOWED


@shows("deny", "request", config=DENY)
def request_denied(w):
    assert request(w).wait() == (2, {}) and not w.backend.opened()


@shows("deny", "lasting", config=DENY)
def lasting_denied(w):
    assert lasting(w).wait() == (2, {}) and not w.backend.new_calls


@shows("deny", "session", config=DENY)
def session_denied(w):
    handle, asked = session(w)
    assert asked.wait() == (2, {}) and not w.backend.opened()
    no_session(w, handle)
    # One that is the call's own answer.
    assert w.refused("Location.CreateSession", "(a{sv})",
                     {"session_handle_token": V("s", "here")}) == NOT_ALLOWED


@shows("deny", "signal", config=ALLOW + "Settings=deny\n")
def signal_denied(w):
    got = hear_settings(w)
    states = hear_states(w)
    _, host = made_session(w)
    change_setting(w, 2)
    change_state(w, host)  # comes behind it
    eventually("the other signal", lambda: states)
    assert not got


# --- ask -----------------------------------------------------------------------------------------

def answers(w, which):
    """The person presses that button of the question."""
    question = w.backend.next_call("Notification.AddNotification", pump=pump)
    once, _always, deny = question.options["buttons"]
    button = {"once": once, "deny": deny}[which]
    w.backend.signal("Notification", "ActionInvoked", "sssav", question.app_id,
                     question.arguments["id"], button["action"],
                     [("s", button["target"])] if "target" in button else [])
    w.backend.next_call("Notification.RemoveNotification", pump=pump)


@shows("ask", "call", config=ALLOW + "NetworkMonitor=ask\n")
def call_asked(w):
    for answer, expected in (("once", ((True,), (False,))), ("deny", (NOT_ALLOWED,))):
        pending = Pending(w, "NetworkMonitor.GetAvailable")
        answers(w, answer)
        assert pending.wait() in expected, (answer, pending.wait())


@shows("ask", "request", config=ALLOW + "Account=ask\n")
def request_asked(w):
    asked = request(w)
    answers(w, "once")
    request_dialog(w).answer(0, id=("s", "person"), name=("s", "A Person"))
    assert asked.wait() == (0, {"id": "person", "name": "A Person"})
    asked = request(w)
    answers(w, "deny")
    assert asked.wait() == (2, {}) and not w.backend.opened()


@shows("ask", "lasting", config=ALLOW + "Inhibit=ask\n")
def lasting_asked(w):
    asked = lasting(w)
    answers(w, "once")
    started = w.called("Inhibit.Inhibit")
    assert asked.wait() == (0, {}) and not started.closed
    asked = lasting(w)
    answers(w, "deny")
    assert asked.wait() == (2, {})
    assert not [c for c in w.backend.new_calls if c.name == "Inhibit.Inhibit"]


@shows("ask", "session", config=ALLOW + "Inhibit=ask\n")
def session_asked(w):
    handle, asked = session(w)
    answers(w, "once")
    w.dialog("Inhibit.CreateMonitor").answer(0)
    assert asked.wait() == (0, {"session_handle": handle})
    w.call("Inhibit.QueryEndResponse", "(o)", handle)  # without a question
    handle, asked = session(w)
    answers(w, "deny")
    assert asked.wait() == (2, {}) and not w.backend.opened()
    no_session(w, handle)


@shows("ask", "signal", config=ALLOW + "Settings=ask\n")
def signal_asked(w):
    # Nobody can be asked about a signal: it is not for this VM.
    signal_denied(w)
    assert not [c for c in w.backend.new_calls if c.name == "Notification.AddNotification"]


# --- cancel --------------------------------------------------------------------------------------

@shows("cancel", "request")
def request_cancelled(w):
    asked = request(w)
    request_dialog(w).answer(1)
    assert asked.wait() == (1, {})


@shows("cancel", "session")
def session_cancelled(w):
    handle, asked = session(w)
    w.dialog("Inhibit.CreateMonitor").answer(1)
    assert asked.wait() == (1, {})
    no_session(w, handle)


# --- Close ---------------------------------------------------------------------------------------

@shows("close", "request")
def request_closed(w):
    asked = request(w)
    dialog = request_dialog(w)
    asked.close()
    w.backend.wait_closed(dialog)
    assert asked.silent(0.1)


@shows("close", "lasting")
def lasting_closed(w):
    asked, started = in_force(w)
    asked.close()
    w.backend.wait_closed(started)


@shows("close", "session", "signal")
def session_closed(w):
    handle, host = made_session(w)
    other, other_host = made_session(w)
    states = hear_states(w)
    w.client.call(handle, SESSION, "Close")
    w.backend.wait_session_closed(host)
    no_session(w, handle)
    # Its signals end with it; others' go on.
    change_state(w, host)
    change_state(w, other_host)
    assert eventually("the other's state", lambda: states) == [(other, {"session-state": 2})]


# --- the client leaves ---------------------------------------------------------------------------

@shows("client leaves", "call")
def call_left(w):
    client = w.new_client()
    try:
        under_way(w, client)
        client.close()
    finally:
        w.session.portal.signal(signal.SIGCONT)
    still_works(w)


@shows("client leaves", "request")
def request_left(w):
    client = w.new_client()
    request(w, client)
    dialog = request_dialog(w)
    client.close()
    w.backend.wait_closed(dialog)
    still_works(w)


@shows("client leaves", "lasting")
def lasting_left(w):
    client = w.new_client()
    _, started = in_force(w, client)
    _, stays = in_force(w)
    client.close()
    w.backend.wait_closed(started)
    assert not stays.closed


@shows("client leaves", "session", "signal")
def session_left(w):
    leaves, stays_here = w.client, w.new_client()
    _, host = made_session(w)
    w.client = stays_here
    handle, stays = made_session(w)
    states, settings = hear_states(w), hear_settings(w)
    hear_settings(w, leaves)
    leaves.close()
    w.backend.wait_session_closed(host)
    change_state(w, host)
    change_state(w, stays)
    change_setting(w, 2)
    assert eventually("the other's state", lambda: states) == [(handle, {"session-state": 2})]
    assert eventually("a signal to all", lambda: settings)[0][2] == 2
    assert len(states) == 1


# --- the host's portal is gone, and comes back ---------------------------------------------------

def restart(w):
    w.session.start_portal()
    wait_for("the portal to be used again", lambda: w.client.get(PORTAL + "Inhibit", "version"))


@shows("portal restarts", "call", own=True)
def call_lost(w):
    pending = under_way(w)
    w.session.portal.kill()
    assert str(pending.wait()).startswith("org.freedesktop."), pending.wait()
    restart(w)
    assert call(w)[0] in (True, False)


@shows("portal restarts", "request", own=True)
def request_lost(w):
    asked = request(w)
    request_dialog(w)
    w.session.portal.kill()
    assert asked.wait() == (2, {})
    restart(w)
    asked = request(w)
    request_dialog(w).answer(1)
    assert asked.wait() == (1, {})


@shows("portal restarts", "lasting", own=True)
def lasting_lost(w):
    asked, _ = in_force(w)
    w.session.portal.kill()
    restart(w)
    try:
        asked.close()
        raise AssertionError("what was in force is closed")
    except GLib.Error as e:
        assert error_name(e).startswith("org.freedesktop."), e
    assert len(asked.responses) == 1
    asked, started = in_force(w)
    asked.close()
    w.backend.wait_closed(started)


@shows("portal restarts", "session", "signal", own=True)
def session_lost(w):
    handle, host = made_session(w)
    closed = w.listen(SESSION, "Closed", path=None)
    states, settings = hear_states(w), hear_settings(w)
    w.session.portal.kill()
    assert eventually("Closed", lambda: closed) == [({},)]
    no_session(w, handle)
    restart(w)
    no_session(w, handle)
    # Signals of the new one are heard; what is of the old one's session is nobody's.
    again, new_host = made_session(w)
    change_state(w, host)
    change_state(w, new_host)
    change_setting(w, 2)
    assert eventually("the state", lambda: states) == [(again, {"session-state": 2})]
    assert eventually("a signal to all", lambda: settings)[0][2] == 2
    assert len(states) == 1 and len(closed) == 1


# --- the tests -----------------------------------------------------------------------------------

def test_call(env):
    """plain calls"""
    run(env, "call")


def test_request(env):
    """requests"""
    run(env, "request")


def test_lasting(env):
    """requests that are in force until they are closed"""
    run(env, "lasting")


def test_session(env):
    """sessions"""
    run(env, "session")


def test_signal(env):
    """signals"""
    run(env, "signal")


def test_complete(_env):
    """every kind has every ending, or a reason why not"""
    for kind in KINDS:
        for ending in ENDINGS:
            assert ((kind, ending) in SHOWN) != ((kind, ending) in NOTHING), (kind, ending)
