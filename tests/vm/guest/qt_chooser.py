#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""qt_chooser.py open|open-many|save|directory...: an ordinary Qt 5 program.

It asks by QFileDialog, which its platform theme turns into the portal's dialog, reads what was
picked and saves it again as Qt's editors do (QSaveFile: a temporary file that is renamed over).
What it got it prints, a JSON line for each dialog.
"""

import json
import sys

from PyQt5.QtCore import QDir, QFile, QFileInfo, QIODevice, QSaveFile
from PyQt5.QtWidgets import QApplication, QFileDialog

MODES = {"open": QFileDialog.ExistingFile, "open-many": QFileDialog.ExistingFiles,
         "save": QFileDialog.AnyFile, "directory": QFileDialog.Directory}


def ask(action):
    """The paths the person picked, or None."""
    dialog = QFileDialog(None, f"Qt: {action}")
    dialog.setFileMode(MODES[action])
    dialog.setLabelText(QFileDialog.Accept, "&Take")
    if action == "save":
        dialog.setAcceptMode(QFileDialog.AcceptSave)
        dialog.selectFile("proposed.txt")
    elif action == "directory":
        dialog.setOption(QFileDialog.ShowDirsOnly)
    else:
        dialog.setNameFilters(["Texts (*.txt *.text)", "All (*)"])
    return dialog.selectedFiles() if dialog.exec_() == QFileDialog.Accepted else None


def save(path, data):
    file = QSaveFile(path)
    if not file.open(QIODevice.WriteOnly) or file.write(data) != len(data) or not file.commit():
        raise OSError(f"{path}: {file.errorString()}")


def fact(path):
    """What a program shows and reads of a file."""
    file = QFile(path)
    if not file.open(QIODevice.ReadOnly):
        raise OSError(f"{path}: {file.errorString()}")
    return {"path": path, "shown": QFileInfo(path).fileName(),
            "text": bytes(file.readAll()).decode()}


def use(action, paths):
    if action == "directory":
        names = QDir(paths[0]).entryList(QDir.AllEntries | QDir.NoDotAndDotDot, QDir.Name)
        save(paths[0] + "/from qt.txt", b"new by qt")
        return [{"path": paths[0], "names": names}]
    if action == "save":
        save(paths[0], b"saved by qt")
    facts = [fact(path) for path in paths]
    if action == "open":
        save(paths[0], b"edited by qt")
    return facts


def main():
    application = QApplication(sys.argv[:1])
    for action in sys.argv[1:]:
        paths = ask(action)
        print(json.dumps(None if paths is None else use(action, paths)), flush=True)
    del application


if __name__ == "__main__":
    main()
