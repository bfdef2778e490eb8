/* SPDX-License-Identifier: MIT */
#include "sbrouter/standalone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>

#include "common/address.h"
#include "common/escape.h"
#include "common/limits.h"
#include "common/listen.h"
#include "common/log.h"
#include "sbrouter/listener.h"
#include "sbrouter/router.h"

/* 32 hexadecimal digits.  A machine without one gets a random one for this run. */
static int read_machine_id(uint8_t ret[16]) {
        _cleanup_close_ int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC | O_NOCTTY);
        char text[33] = {0};
        unsigned i = 0;

        if (fd >= 0 && read(fd, text, 32) == 32)
                for (; i < 16; i++)
                        if (sscanf(text + (size_t)2 * i, "%2hhx", &ret[i]) != 1)
                                break;
        if (i == 16)
                return 0;
        return getrandom(ret, 16, 0) == 16 ? 0 : -errno;
}

static int listen_at(struct router *r, const char *text) {
        struct address a;
        int fd, v = address_parse(text, &a);

        if (v != 0) {
                log_error("--listen %s: %s", ESCAPED(text), address_strerror(v));
                return -EINVAL;
        }
        if (a.kind != ADDRESS_UNIX) { /* nothing else says whose its clients are */
                log_error("--listen %s: a bus of its own needs a unix: address", ESCAPED(text));
                return -EINVAL;
        }
        fd = listen_address(&a, LIMIT_LISTEN_BACKLOG, true);
        if (fd < 0)
                return fd;
        return listener_new(r, fd, IPC_LISTEN_OWNER | IPC_LISTEN_FDS | IPC_LISTEN_DEBUG, 0);
}

int standalone_start(struct router *r, const char *const *addresses, unsigned n,
                     const struct router_limits *limits) {
        uint8_t machine_id[16];
        int v = read_machine_id(machine_id);

        if (v < 0)
                return log_error_errno(v, "no machine id, and no randomness for one");
        router_configure(r, ROUTER_STANDALONE, machine_id);
        if (limits->connections > 0)
                r->limits.connections = limits->connections;
        if (limits->queue_bytes > 0)
                r->limits.queue_bytes = limits->queue_bytes;
        for (unsigned i = 0; i < n; i++) {
                v = listen_at(r, addresses[i]);
                if (v < 0)
                        return v;
        }
        return 0;
}
