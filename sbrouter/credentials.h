/* SPDX-License-Identifier: MIT */
/*
 * Who a connection is, as the bus's driver reports it.
 *
 * VM bus: what sbagent read in the guest and wrote into the CLIENT line; numbers of
 * the guest, shown to the guest.  Private bus: our own uid and the one pid that the
 * supervisor names.  Standalone: SO_PEERCRED.  A number of the host is never known
 * on the VM bus, so it cannot be reported by mistake.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct credentials {
        bool has_uid, has_pid;
        uint32_t uid, pid;
};

/* SO_PEERCRED.  0 or a negative errno. */
int credentials_of_socket(int fd, struct credentials *ret);
