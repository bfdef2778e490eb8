#!/bin/bash
# SPDX-License-Identifier: MIT
# gdbus_chooser.sh open|open-many|save|directory...: asks for files by gdbus.
#
# gdbus leaves as soon as it has the method's reply, and a portal closes the dialog of a program
# that has left.  So gdbus gets a pipe that is full: it cannot print the reply, and stays.  It does
# not show the Response either; what was picked is what is new among the documents.
set -eu

documents=${SIDEBUS_TEST_DOCUMENTS:-/run/sidebus/doc}
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
mkfifo "$work/full"
exec 3<>"$work/full"
head -c 65536 /dev/zero >&3

# call ACTION: in the background, until it is killed
call() {
        local member=OpenFile options=
        case $1 in
        open-many) options="'multiple': <true>, " ;;
        directory) options="'directory': <true>, " ;;
        save) options="'current_name': <'proposed.txt'>, " member=SaveFile ;;
        esac
        gdbus call --session --dest org.freedesktop.portal.Desktop \
                --object-path /org/freedesktop/portal/desktop \
                --method org.freedesktop.portal.FileChooser.$member \
                '' "gdbus: $1" "{$options'accept_label': <'_Take'>}" >&3 &
}

# fact ACTION DOCUMENT: a JSON object of what is there
fact() {
        local name path
        name=$(ls "$2")
        path=$2/${name:-proposed.txt}
        case $1 in
        directory)
                name=$(ls "$path" | sed 's/.*/"&"/' | paste -sd,)
                echo "new by gdbus" >"$path/from gdbus.txt"
                printf '{"path": "%s", "names": [%s]}' "$path" "$name"
                return ;;
        save) printf 'saved by gdbus' >"$path" ;;
        esac
        printf '{"path": "%s", "shown": "%s", "text": "%s"}' "$path" "${path##*/}" "$(cat "$path")"
        [ "$1" != open ] || printf 'edited by gdbus' >"$path"
}

for action; do
        ls "$documents" | sort >"$work/before"
        count=1
        [ "$action" != open-many ] || count=2
        call "$action"
        until ls "$documents" | sort | comm -13 "$work/before" - >"$work/new" &&
                        [ "$(wc -l <"$work/new")" = $count ]; do
                sleep 0.2
        done
        kill $!
        line=
        while read -r name; do
                line+=${line:+, }$(fact "$action" "$documents/$name")
        done <"$work/new"
        echo "[$line]"
done
