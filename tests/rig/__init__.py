# SPDX-License-Identifier: MIT
"""The parts the integration tests and the demo are made of.

person       who stands for the person at the desk: this user, or one made for the run
linux        the few system calls Python's library lacks
processes    starting programs, and leaving none behind
foreign      packages of another Debian release, unpacked
virtiofsd    where a Rust virtiofsd comes from
session      a host session: message bus, xdg-desktop-portal, a scripted backend
backend      that backend (a program of its own)
sidebus      sbsupervisor and sbagent under test
guest        a stock D-Bus client behind sbagent
program      programs of the guest, as a test runs them
screen       a screen for a guest's programs
talking      what those of them say to a test (libportal_client, glib_client, gtk_client, qt_client)
portal_table the portal table, and whether a message on the host is one of its rows
hostile      values that a row is not for
world        a VM whose guest may use every portal, and its desktop
wire         raw bytes behind sbagent
environment  what a test function gets as its argument

And the VM tests, as root:

images       the systems they run on, built once
container    systemd as PID 1 in a container
desktop      a person's machine with our package, in such a container
guest_agent  the sockets by which a test holds a QEMU and its guest
vm           a virtual machine that the person there runs
vm_environment  what a test function of tests/vm gets
"""
