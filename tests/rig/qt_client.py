#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""qt_client.py ACTION [ARGUMENT…]: a guest program that uses Qt 5's own portal code."""

import sys

from PyQt5.QtCore import QSocketNotifier, QUrl
from PyQt5.QtGui import QDesktopServices
from PyQt5.QtWidgets import QApplication, QSystemTrayIcon

import talking
from talking import main, say

application = QApplication(sys.argv[:1])


def told():
    kept = []

    def watch(fd, function):
        kept.append(QSocketNotifier(fd, QSocketNotifier.Read))
        kept[0].activated.connect(lambda *_: function())
    talking.told(application.exec_, application.quit, watch)
    kept[0].setEnabled(False)


def open_uri(uri):
    say(QDesktopServices.openUrl(QUrl(uri)))
    told()


def tray():
    icon = QSystemTrayIcon(application.style().standardIcon(application.style().SP_ComputerIcon))
    icon.messageClicked.connect(lambda: say("clicked"))
    say([QSystemTrayIcon.isSystemTrayAvailable(), QSystemTrayIcon.supportsMessages()])
    icon.show()
    icon.showMessage("News", "two\nlines")
    told()


if __name__ == "__main__":
    main({"open_uri": open_uri, "tray": tray})
