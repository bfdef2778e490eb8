/* SPDX-License-Identifier: MIT */
/*
 * Who may come in through a listener at all, decided before a byte is read.  PURE.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "sbrouter/credentials.h"

enum {
        ADMISSION_E_CID = 1, /* IPC_LISTEN_CID: not from that CID, or not by vsock */
        ADMISSION_E_OWNER,   /* IPC_LISTEN_OWNER: neither the bus's own user nor root */
};

/*
 * flags and cid are the listener's (ipc_msg.h), peer is what accept4() wrote into a
 * zeroed structure, cred is the peer's SO_PEERCRED, empty if it has none.
 * 0 or ADMISSION_E_*.
 */
int admission_check(uint32_t flags, uint32_t cid, uint32_t own_uid, const struct sockaddr_vm *peer,
                    const struct credentials *cred);
const char *admission_strerror(int e);
