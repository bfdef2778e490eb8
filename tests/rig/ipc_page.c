/* SPDX-License-Identifier: MIT */
/*
 * Prints docs/PROTOCOL.ipc.md from the message table: "make ipc-page" writes the page, and a
 * test compares it, so that it cannot say what the table does not.
 */
#include <stdio.h>

#include "ipc/ipc.h"

int main(void) {
        puts("# The messages between our own host processes\n\n"
             "Made from `ipc/ipc_msg.h` by `make ipc-page`: change it there.\n\n"
             "A channel is one end of an AF_UNIX SOCK_SEQPACKET pair that the supervisor made; both ends know both\n"
             "roles. A packet is a message: `u32 type, u32 tail length`, the body, the tail; descriptors ride on it.\n"
             "Type, direction, exact size and exact descriptor count are checked before a handler sees it; a breach\n"
             "ends the peer.\n");
        printf("ABI %u.\n\n", IPC_ABI);
        puts("| type | name | from | to | body | bytes | tail up to | descriptors |\n"
             "|---|---|---|---|---|---|---|---|");
#define X(name, from, to, body, tail, fds)                                                         \
        printf("| %d | %s | %s | %s | `%s` | %zu | %d | %d |\n", IPC_##name, #name,                \
               ipc_role_name(IPC_##from), ipc_role_name(IPC_##to), #body, sizeof(body), tail, fds);
        IPC_MESSAGES(X)
#undef X
        return 0;
}
