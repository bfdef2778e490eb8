#!/bin/sh
# SPDX-License-Identifier: MIT
# leave.sh: asks for a file and leaves once the portal has answered the call, dialog open.
exec gdbus call --session --dest org.freedesktop.portal.Desktop \
        --object-path /org/freedesktop/portal/desktop \
        --method org.freedesktop.portal.FileChooser.OpenFile '' 'gdbus: leaves' '{}'
