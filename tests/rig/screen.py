# SPDX-License-Identifier: MIT
"""Screens that nobody sees, for a guest's programs that want one."""

import os

from .processes import Process, listens, wait_for

SWAY = {"WLR_BACKENDS": "headless", "WLR_RENDERER": "pixman", "WLR_LIBINPUT_NO_DEVICES": "1"}


class X11Screen:
    """An X server; .environment is what a program has to know."""

    def __init__(self, directory):
        reader, writer = os.pipe()
        with open(reader, "rb") as number:
            self.process = Process(["Xvfb", "-displayfd", str(writer), "-nolisten", "tcp",
                                    "-screen", "0", "640x480x24"], pass_fds=[writer],
                                   log=os.path.join(directory, "screen.log"))
            os.close(writer)
            # A line when it can be used, and none when it ended.
            display = number.readline().decode().strip()
        assert display, self.process.log()
        self.environment = {"DISPLAY": ":" + display, "GDK_BACKEND": "x11"}

    def stop(self):
        return self.process.stop()


class WaylandScreen:
    """A Wayland compositor, likewise."""

    def __init__(self, directory):
        config = os.path.join(directory, "sway")
        with open(config, "w", encoding="utf-8") as f:
            f.write("xwayland disable\n")
        self.process = Process(["sway", "--config", config], env={
            **SWAY, "PATH": os.environ["PATH"], "HOME": directory, "XDG_RUNTIME_DIR": directory},
                               log=os.path.join(directory, "screen.log"))
        socket = os.path.join(directory, "wayland-1")
        wait_for("the compositor", lambda: listens(socket) or self._ended())
        self.environment = {"WAYLAND_DISPLAY": socket, "GDK_BACKEND": "wayland"}

    def _ended(self):
        assert self.process.running(), self.process.log()

    def stop(self):
        return self.process.stop()
