#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""glib_client.py ACTION [ARGUMENT…]: a guest program of GLib, which uses portals by itself."""

from gi.repository import Gio, GLib

import glib_talking
from talking import main, say


def error_of(function, *arguments):
    """The words of the error that it ends with, or its result."""
    try:
        return function(*arguments)
    except GLib.Error as e:
        return {"error": e.message}


def notification():
    application = Gio.Application(application_id="org.example.Mailer")
    for name, kind in (("open", None), ("read", "s")):
        action = Gio.SimpleAction.new(name, kind and GLib.VariantType(kind))
        action.connect("activate", lambda a, parameter: say(
            [a.get_name(), parameter and parameter.unpack()]))
        application.add_action(action)
    application.connect("activate", lambda _application: say("activated"))
    application.register(None)
    news = Gio.Notification.new("News")
    news.set_body("two\nlines")
    news.set_icon(Gio.ThemedIcon.new("mail-unread"))
    news.set_priority(Gio.NotificationPriority.URGENT)
    news.add_button_with_target("Mark as read", "app.read", GLib.Variant("s", "7"))
    application.send_notification("news", news)
    glib_talking.told()
    application.withdraw_notification("news")
    glib_talking.told()


def open_uri(uri):
    say(error_of(Gio.AppInfo.launch_default_for_uri, uri, None))
    # GLib's own request ends with the program; a real one lives on.
    glib_talking.told()


def network():
    monitor = Gio.NetworkMonitor.get_default()
    say(type(monitor).__name__)
    while True:
        glib_talking.told()
        say([monitor.get_network_available(), monitor.get_network_metered(),
             int(monitor.get_connectivity())])


def reach():
    monitor = Gio.NetworkMonitor.get_default()
    say(error_of(monitor.can_reach, Gio.NetworkAddress.new("localhost", 22), None))


def proxy(uri):
    resolver = Gio.ProxyResolver.get_default()
    say([type(resolver).__name__, resolver.is_supported(), resolver.lookup(uri, None)])


def memory():
    say(type(Gio.MemoryMonitor.dup_default()).__name__)


def power():
    monitor = Gio.PowerProfileMonitor.dup_default()
    say([type(monitor).__name__, monitor.get_power_saver_enabled()])
    monitor.connect("notify::power-saver-enabled",
                    lambda *_: say(monitor.get_power_saver_enabled()))
    glib_talking.told()


def trash(path):
    say(error_of(Gio.File.new_for_path(path).trash, None))


if __name__ == "__main__":
    main({"notification": notification, "open_uri": open_uri, "network": network, "reach": reach,
          "proxy": proxy, "memory": memory, "power": power, "trash": trash})
