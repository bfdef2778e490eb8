# SPDX-License-Identifier: MIT
"""What a real client says to a bus, byte by byte."""

import os
import socket
import subprocess
import threading

from .processes import scale


class Relay:
    """A socket in front of a bus, for one client; what the client sends is kept."""

    def __init__(self, directory, bus_path):
        self.path, self.bus_path = os.path.join(directory, "relay"), bus_path
        self.said = b""
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        client, _ = self.listener.accept()
        with client, socket.socket(socket.AF_UNIX) as bus:
            bus.connect(self.bus_path)
            back = threading.Thread(target=self._copy, args=(bus, client, False), daemon=True)
            back.start()
            self._copy(client, bus, True)
            bus.shutdown(socket.SHUT_RDWR)
            back.join()

    def _copy(self, source, to, keep):
        try:
            while data := source.recv(65536):
                if keep:
                    self.said += data
                to.sendall(data)
        except OSError:
            pass

    def close(self):
        self.thread.join(30 * scale())
        self.listener.close()
        os.unlink(self.path)


def recorded(directory, bus_path, argv):
    """The bytes that a command sends to the bus; {address} in its words is where that is."""
    relay = Relay(directory, bus_path)
    try:
        address = "unix:path=" + relay.path
        done = subprocess.run([word.replace("{address}", address) for word in argv],
                              capture_output=True, timeout=60 * scale(), check=False,
                              stdin=subprocess.DEVNULL,
                              env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": address})
        assert done.returncode == 0, (argv, done)
    finally:
        relay.close()
    return relay.said
