#!/bin/bash
# SPDX-License-Identifier: MIT
# write_on.sh FILE: writes numbered lines to it, one by one, for ever.
n=0
while :; do
        printf '%08d\n' $n
        n=$((n + 1))
done >"$1"
