#!/bin/bash
# SPDX-License-Identifier: MIT
# shell_chooser.sh open|open-many|save|directory...: a shell script that asks for files.
#
# gdbus, busctl and dbus-send leave as soon as they have the method's reply, and a portal closes
# the dialog of a program that has left.  So this speaks D-Bus itself, over one connection that
# systemd-stdio-bridge makes; messages are put together, and taken apart, as hexadecimal text.
# What it got it prints, a JSON line for each dialog.
set -eu
export LC_ALL=C # characters are bytes

portal=org.freedesktop.portal.Desktop
object=/org/freedesktop/portal/desktop
bus_name=org.freedesktop.DBus

die() { echo "$1" >&2; exit 1; }

# --- bytes and hexadecimal text --------------------------------------------------------------

hex() {
        local i n out=
        for ((i = 0; i < ${#1}; i++)); do
                printf -v n %d "'${1:i:1}"
                printf -v n %02x $((n & 255))
                out+=$n
        done
        echo "$out"
}
bytes() {
        local i out=
        for ((i = 0; i < ${#1}; i += 2)); do out+=\\x${1:i:2}; done
        printf %b "$out"
}
plain() { # no shell variable holds a NUL
        local i out=
        for ((i = 0; i < ${#1}; i += 2)); do
                if [ "${1:i:2}" = 00 ]; then out+=' '; else out+=\\x${1:i:2}; fi
        done
        printf %b "$out"
}

# align HEX BYTES, u32 NUMBER, number HEX AT: the one there, little-endian
align() {
        local m=$1
        while [ $((${#m} / 2 % $2)) != 0 ]; do m+=00; done
        echo "$m"
}
u32() { printf '%02x%02x%02x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) 0; }
number() { echo $((16#${1:$2 * 2 + 6:2}${1:$2 * 2 + 4:2}${1:$2 * 2 + 2:2}${1:$2 * 2:2})); }

# value HEX TYPE VALUE: with a value at its end; type is one of b, g, o, s
value() {
        local length=${#3}
        case $2 in
        b) echo "$(align "$1" 4)$(u32 "$3")" ;;
        g) echo "$1$(printf %02x "$length")$(hex "$3")00" ;;
        *) echo "$(align "$1" 4)$(u32 "$length")$(hex "$3")00" ;;
        esac
}
# variant HEX TYPE VALUE
variant() { value "$1""01$(hex "$2")00" "$2" "$3"; }

# --- messages --------------------------------------------------------------------------------

send() { bytes "$1" >&"$to"; }
take() {
        local out
        out=$(od -An -v -tx1 -N "$1" <&"$from")
        echo "${out//[[:space:]]/}"
}

# call DESTINATION PATH INTERFACE MEMBER SIGNATURE BODY: its reply is the next in $body
serial=0
call() {
        local fields='' code
        serial=$((serial + 1))
        # The fields begin at byte 16, so that they are aligned as if by themselves.
        for code in 01o"$2" 06s"$1" 02s"$3" 03s"$4" ${5:+08g"$5"}; do
                fields=$(variant "$(align "$fields" 8)${code:0:2}" "${code:2:1}" "${code:3}")
        done
        send "6c010001$(u32 $((${#6} / 2)))$(u32 $serial)$(u32 $((${#fields} / 2)))$(
                align "$fields" 8)$6"
        until_message 02
}

# until_message TYPE [TEXT]: reads up to a message of that type, with the text in its header
until_message() {
        local head fields length
        while :; do
                head=$(take 16)
                [ ${#head} = 32 ] || die "the bus has left"
                length=$(number "$head" 12)
                fields=$(take $(((length + 7) / 8 * 8)))
                length=$(number "$head" 4)
                body=
                [ "$length" = 0 ] || body=$(take "$length")
                [ "${head:2:2}" != 03 ] || die "an error: $(plain "$fields$body")"
                case ${head:2:2}$(plain "$fields") in "$1"*"${2-}"*) return ;; esac
        done
}

connect() {
        local answer
        coproc bus { exec systemd-stdio-bridge --bus-path="$DBUS_SESSION_BUS_ADDRESS"; }
        # A coprocess's own descriptors are not there in subshells.
        exec {to}>&"${bus[1]}" {from}<&"${bus[0]}"
        printf '\0AUTH EXTERNAL %s\r\n' "$(hex "$(id -u)")" >&"$to"
        IFS= read -r answer <&"$from"
        case $answer in OK*) ;; *) die "not a bus: $answer" ;; esac
        printf 'BEGIN\r\n' >&"$to"
        call $bus_name /org/freedesktop/DBus $bus_name Hello '' ''
}

# --- the file chooser ------------------------------------------------------------------------

# add_option KEY TYPE VALUE
add_option() { options=$(variant "$(value "$(align "$options" 8)" s "$1")" "$2" "$3"); }

# uris: those in the Response's a{sv}, which is $body, one a line
uris() {
        local key at end length
        key=$(hex uris)00"02$(hex as)00"
        [ "$body" != "${body#*"$key"}" ] || return 0
        at=${body%%"$key"*}
        at=$(((${#at} / 2 + ${#key} / 2 + 3) / 4 * 4))
        end=$((at + 4 + $(number "$body" $at)))
        at=$((at + 4))
        while [ $at -lt $end ]; do
                length=$(number "$body" $at)
                plain "${body:(at + 4) * 2:length * 2}"
                echo
                at=$(((at + 4 + length + 1 + 3) / 4 * 4))
        done
}

# ask ACTION: $body is the answer
ask() {
        local member=OpenFile head
        options=
        case $1 in
        open-many) add_option multiple b 1 ;;
        directory) add_option directory b 1 ;;
        save) add_option current_name s proposed.txt; member=SaveFile ;;
        esac
        add_option accept_label s _Take
        head=$(value "$(value '' s '')" s "shell: $1")
        head=$(align "$head" 4)$(u32 $((${#options} / 2)))
        call $portal $object org.freedesktop.portal.FileChooser $member 'ssa{sv}' \
                "$(align "$head" 8)$options"
        until_message 04 org.freedesktop.portal.Request
}

# use ACTION PATH: a JSON object of what is there
use() {
        local name
        case $1 in
        directory)
                name=$(ls "$2" | sed 's/.*/"&"/' | paste -sd,)
                echo "new by shell" >"$2/from shell.txt"
                printf '{"path": "%s", "names": [%s]}' "$2" "$name"
                return ;;
        save) printf 'saved by shell' >"$2" ;;
        esac
        printf '{"path": "%s", "shown": "%s", "text": "%s"}' "$2" "$(basename "$2")" "$(cat "$2")"
        [ "$1" != open ] || printf 'edited by shell' >"$2"
}

# answered ACTION: the line of an answer
answered() {
        local line='' uri path
        case $(number "$body" 0) in
        0) ;;
        1) echo null; return ;;
        *) die "the request ended otherwise" ;;
        esac
        while IFS= read -r uri; do
                path=${uri#file://}
                line+=${line:+, }$(use "$1" "$(printf %b "${path//%/\\x}")")
        done < <(uris)
        echo "[$line]"
}

connect
for action; do
        ask "$action"
        answered "$action"
done
