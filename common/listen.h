/* SPDX-License-Identifier: MIT */
/*
 * Listening and connecting stream sockets from a struct address.
 */
#pragma once

#include "common/address.h"

/*
 * A listening, CLOEXEC, non-blocking socket, or a negative errno.
 *
 * unix: the directory must exist, be ours and be closed to others (mode & 077 == 0)
 * unless shared_dir; else -EPERM.  The socket is mode 0600.  A socket file that is
 * there is removed only after connect() said ECONNREFUSED; a live one gives
 * -EADDRINUSE, anything else at that path -EEXIST.
 * vsock: binds VMADDR_CID_ANY; -EADDRINUSE when another VM's instance has the port,
 * -EAFNOSUPPORT without AF_VSOCK.
 * Every failure is logged here, with the way out.
 */
int listen_address(const struct address *a, int backlog, int shared_dir);

/*
 * Starts a CLOEXEC, non-blocking connect; the descriptor, or a negative errno.
 * EINPROGRESS is not an error: wait for writability and read SO_ERROR.
 */
int connect_address(const struct address *a);
