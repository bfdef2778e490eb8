# SPDX-License-Identifier: MIT
"""What a test function gets: env.

  env.build      the directory with the programs
  env.source     the source tree
  env.tmp        an empty directory of this test's own (a short path: sockets fit)
  env.session    a host session, shared by the tests of a file
  env.sessions   that one, and one with a newer portal where this release's is older
  env.sidebus    a VM's instance on that session, shared by the tests of a file
  env.agent      sbagent before it, shared by the tests of a file
  env.client()   a guest program behind env.agent, closed after the test
  env.closing(x) x, stopped or closed after the test
  env.virtiofsd  a Rust virtiofsd; a test that asks fails where there is none
  env.note(text) a line that the runner prints under the test, for figures
  env.hostile(boundary, n)  n inputs were tried that an honest peer would not send (boundaries.py)
  env.newer_portal  the directory of an xdg-desktop-portal since 1.19.4, likewise
  env.newer_buses  that of a dbus-daemon 1.16 and a dbus-broker 37, likewise; "": this machine's own

The shared parts are started by the first test that asks for them.  A test in which one of them
ended has failed, whatever else it saw, and the next test gets new ones.
"""

import os
import re
import shutil

from . import boundaries, newer_buses, newer_portal, virtiofsd
from .processes import descendants
from .guest import GuestClient, pump
from .session import LIBEXEC, HostSession
from .sidebus import Agent, Notifying, Sidebus


# What a sanitizer or a failed assertion says in a program's log.
FATAL = re.compile(r"ERROR: \w+Sanitizer|runtime error:|Assertion .* failed|forbids")


class Env:
    boots = 0  # of VMs

    def __init__(self, build, source, root):
        self.build = build
        self.source = source
        self.root = root
        self.tmp = None
        self.shared = {}
        self.count = 0
        self.to_close = []
        self.log_start = {}
        self.own = []  # programs that this test started, for their logs
        self.notes = []
        self.tried = {}

    # --- one test ------------------------------------------------------------------------

    def begin(self):
        self.tmp = self.directory()
        self.notes = []
        self.tried = {}
        self.log_start = {name: len(part.log()) for name, part in self._logged()}

    def _logged(self):
        return [(name, self.shared[name]) for name in ("sidebus", "agent") if name in self.shared]

    def new_log(self):
        """{part: what it logged since the test began}."""
        return {name: part.log()[self.log_start.get(name, 0):] for name, part in self._logged()}

    def end(self):
        """Closes what the test opened; says what ended that should run, or ended badly."""
        errors = []
        for thing in reversed(self.to_close):
            try:
                code = (thing.close if hasattr(thing, "close") else thing.stop)()
                if isinstance(thing, Notifying) and code != 0:
                    errors.append(self._bad_end(thing.process))
            except Exception as e:  # the first reason is the test's; this is told beside it
                errors.append(f"{type(thing).__name__}: {e}")
        self.to_close = []
        pump()
        errors += self._settle()
        errors += self._fatal([log for _, log in self.new_log().items()]
                              + [part.log() for part in self.own])
        self.own = []
        shutil.rmtree(self.tmp, ignore_errors=True)
        if errors:
            raise AssertionError("after the test: " + "; ".join(errors))

    @staticmethod
    def _fatal(logs):
        return [log[m.start():][:2000] for log in logs for m in [FATAL.search(log)] if m]

    @staticmethod
    def _bad_end(process):
        return f"{process.name} ended with {process.wait()}:\n{process.log()[-2000:]}"

    def _sessions(self):
        return [self.shared[name] for name in ("session", "newer_session") if name in self.shared]

    def _settle(self):
        """The next test starts with no dialog open.  The shared parts that are not there, told."""
        running = [part.process for _, part in self._logged()]
        for session in self._sessions():
            running += [process for process in (session.daemon, session.portal) if process]
            if session.chooser:
                session.chooser.settle()
        return [self._bad_end(process) for process in running if not process.running()]

    def stop_chain(self):
        for name in ("agent", "sidebus"):
            part = self.shared.pop(name, None)
            if part:
                assert part.stop() == 0, self._bad_end(part.process)

    def drop(self):
        """Ends the shared parts by force: a test failed, and they may be in any state."""
        for part in ("agent", "sidebus"):
            if part in self.shared:
                self.shared.pop(part).process.kill()
        for session in self._sessions():
            session.kill()
        self.shared.clear()

    def stop(self):
        logged = self._logged()
        self.stop_chain()
        for session in self._sessions():
            session.stop()
        self.shared.clear()
        fatal = self._fatal([part.log() for _, part in logged])
        assert not fatal, "\n".join(fatal)

    def directory(self):
        """A new directory with a short path; it goes when the run ends."""
        self.count += 1
        path = os.path.join(self.root, f"{os.getpid()}.{self.count}")
        os.mkdir(path, 0o700)
        return path

    def note(self, text):
        self.notes.append(text)

    def hostile(self, boundary, number=1):
        assert boundary in boundaries.ALL, boundary
        boundaries.add(self.tried, {boundary: number})

    def closing(self, thing):
        self.to_close.append(thing)
        return thing

    # --- the shared parts -----------------------------------------------------------------

    def _part(self, name, make):
        if name not in self.shared:
            self.shared[name] = make()
        return self.shared[name]

    @property
    def session(self):
        return self._part("session", lambda: HostSession(self.directory()))

    @property
    def sessions(self):
        libexec = self.newer_portal
        if libexec == LIBEXEC:
            return [self.session]
        return [self.session, self._part(
            "newer_session", lambda: HostSession(self.directory(), libexec=libexec))]

    @property
    def sidebus(self):
        session = self.session
        return self._part("sidebus", lambda: Sidebus(self.build, self.directory(), session.env))

    @property
    def agent(self):
        sidebus = self.sidebus
        return self._part("agent", lambda: Agent(self.build, self.directory(), sidebus.listen))

    @property
    def chooser(self):
        return self.session.chooser

    @property
    def virtiofsd(self):
        path = virtiofsd.find(self.build)
        assert path, "no Rust virtiofsd here, and none could be fetched (see the first lines)"
        return path

    @property
    def newer_portal(self):
        path = newer_portal.find(self.build)
        assert path, "no xdg-desktop-portal since 1.19.4 (see the first lines)"
        return path

    @property
    def newer_buses(self):
        path = newer_buses.find(self.build)
        assert path is not None, "no dbus-daemon 1.16 and dbus-broker 37 (see the first lines)"
        return path

    def client(self):
        return self.closing(GuestClient(self.agent.address))

    def dialog(self):
        """The next dialog that opens on the host."""
        return self.chooser.next_dialog(pump=pump)

    # --- parts of a test's own --------------------------------------------------------------

    def own_session(self, **arguments):
        return self.closing(HostSession(self.directory(), **arguments))

    def own_sidebus(self, session=None, **arguments):
        """Not stopped after the test: tests of the end of things use it."""
        session = session or self.session
        if session.libexec != LIBEXEC:  # the VM's document portal is of the same release
            arguments["extra_env"] = {
                "SIDEBUS_DOCUMENT_PORTAL": session.libexec + "/xdg-document-portal",
                "SIDEBUS_PERMISSION_STORE": session.libexec + "/xdg-permission-store",
                **arguments.get("extra_env", {})}
        sidebus = Sidebus(self.build, self.directory(), session.env, **arguments)
        self.own.append(sidebus)
        return sidebus

    def own_agent(self, sidebus):
        return self.closing(Agent(self.build, self.directory(), sidebus.listen))

    def host_file(self, name, content=b"", mode=0o644):
        """A file of the person's, in a directory of this test's own; its path."""
        path = os.path.join(os.fsencode(self.tmp), b"files", os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content)
        os.chmod(path, mode)
        return path

    @staticmethod
    def processes():
        return descendants()
