# SPDX-License-Identifier: MIT
"""What a test function of tests/vm gets: env.

  env.desktop(release)     a Desktop, booted on first use, which lives to the end of the file;
                           release: a Debian, this machine's own if none is said
  env.vm(desktop, name, …) a VM on it, likewise; what follows is for the VM's constructor
  env.l1(desktop, name, …) a VM that is a host itself: both packages, no instance serves it
  env.chooser, env.dialog  as in environment.py, of the desktop that was asked for last
  env.note(text)           a line that the runner prints under the test
  env.tmp, env.build, env.source, env.closing(x)   as in environment.py

What runs is kept after a test that failed, too: a boot is dear.  A VM whose QEMU has ended is
started again when a test asks for it.  A desktop or a VM that did not come up is not tried again:
the tests that ask for it fail at once, for that reason.
"""

import os

from . import linux
from .container import own_mounts
from .desktop import Desktop, Packages
from .environment import Env
from .images import Images, machine_release
from .vm import VM, Layers


class VmEnv(Env):
    def __init__(self, build, source, root):
        super().__init__(build, source, root)
        own_mounts()
        # What is written lies in memory: quick, and it goes with this process, whatever ends it.
        self.root = self.directory()
        linux.mount("none", self.root, "tmpfs", linux.MS_NOSUID, "mode=755")
        self.images = Images(build)
        self.packages = Packages(build)
        self.layers = Layers(os.path.join(self.root, "layers"), self.images, self.packages, source)
        self.desktops = {}
        self.vms = {}
        self.lost = {}  # desktops that did not come up: why
        self.last = None
        self.told = {}  # how much of each log there was when the test began

    def desktop(self, release=None):
        release = release or machine_release()
        assert release not in self.lost, \
            f"the desktop {release} did not come up before: {self.lost[release]}"
        if release not in self.desktops:
            try:
                self.desktops[release] = Desktop(
                    self.images, release, os.path.join(self.directory(), release),
                    packages=self.packages, source=self.source, layers=self.layers.directory)
            except Exception as e:
                self.lost[release] = str(e) or type(e).__name__
                raise
        self.last = self.desktops[release]
        return self.last

    def vm(self, desktop, name, **arguments):
        return self._vm(desktop, name, layers=self.layers.guest(), **arguments)

    def l1(self, desktop, name, **arguments):
        return self._vm(desktop, name, layers=self.layers.host(), sidebus=False, **arguments)

    def _vm(self, desktop, name, ready=True, **arguments):
        key = (desktop.release, name)
        if key not in self.vms:
            self.vms[key] = VM(desktop, name, **arguments)
        if not self.vms[key].running():
            self.vms[key].start(ready)
        return self.vms[key]

    @property
    def boots(self):
        return sum(vm.boots for vm in self.vms.values())

    @property
    def chooser(self):
        return self.last.chooser

    def dialog(self):
        return self.chooser.next_dialog()

    # --- one test -----------------------------------------------------------------------------

    def _logged(self):
        return []

    def _texts(self):
        for release, desktop in self.desktops.items():
            yield f"sidebus@ on {release}", desktop.journal("-u", "sidebus@*")
        for (release, name), vm in self.vms.items():
            yield f"the console of {name} on {release}", vm.console()
            if vm.qemu:
                yield f"QEMU of {name} on {release}", vm.qemu.log()

    def begin(self):
        super().begin()
        self.told = {name: len(text) for name, text in self._texts()}

    def new_log(self):
        return {name: text[self.told.get(name, 0):] for name, text in self._texts()}

    def _settle(self):
        return [f"{desktop.release}: the chooser ended" for desktop in self.desktops.values()
                if not desktop.settle()]

    def drop(self):
        """Nothing: see above."""

    def stop(self):
        try:
            for vm in self.vms.values():
                vm.stop()
        finally:
            for desktop in self.desktops.values():
                desktop.stop()
