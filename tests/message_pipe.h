/* SPDX-License-Identifier: MIT */
/*
 * Bytes in, sd-bus message out, as it would arrive from a stream: a connection whose
 * other end is a raw socket, so that any body, of either byte order, can be sent.
 */
#pragma once

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "common/cleanup.h"

#define MESSAGE_PIPE_MAX 131072u /* what one body may have: it must fit the socket's buffer */

struct message_pipe {
        sd_bus *bus;
        int raw;
};

static inline void message_pipe_done(struct message_pipe *p) {
        sd_bus_close(p->bus);
        p->bus = sd_bus_unref(p->bus);
        p->raw = fd_close(p->raw);
}

/* Plays the server of the SASL handshake, without looking at what the client says. */
static inline void message_pipe_init(struct message_pipe *p) {
        static const char ok[] = "OK 0123456789abcdef0123456789abcdef\r\n";
        int fds[2], size = 4 * MESSAGE_PIPE_MAX, r;

        r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
        assert(r == 0);
        p->raw = fds[1];
        (void)setsockopt(p->raw, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        r = sd_bus_new(&p->bus);
        assert(r >= 0);
        assert(sd_bus_set_fd(p->bus, fds[0], fds[0]) >= 0 && sd_bus_set_anonymous(p->bus, 1) >= 0 &&
               sd_bus_negotiate_fds(p->bus, 0) >= 0 && sd_bus_start(p->bus) >= 0);
        assert(write(p->raw, ok, sizeof(ok) - 1) == sizeof(ok) - 1);
        while (sd_bus_is_ready(p->bus) == 0)
                assert(sd_bus_process(p->bus, NULL) >= 0);
}

static inline void message_pipe_u32(uint8_t *at, uint32_t value, char endian) {
        for (unsigned i = 0; i < 4; i++)
                at[endian == 'l' ? i : 3 - i] = (uint8_t)(value >> 8 * i);
}

/*
 * A signal with the signature and the body, endian 'l' or 'B'.  The header is always
 * valid; NULL when sd-bus does not take the message.
 */
static inline sd_bus_message *message_pipe_pass(struct message_pipe *p, char endian,
                                                const char *signature, const void *body, size_t n) {
        static const uint8_t path[] = {1, 1, 'o', 0, 0, 0, 0, 0, '/', 'x', 0, 0, 0, 0, 0, 0},
                             interface[] = {2, 1, 's', 0, 0, 0, 0, 0, 'a', '.', 'b', 0, 0, 0, 0, 0},
                             member[] = {3, 1, 's', 0, 0, 0, 0, 0, 'c', 0, 0, 0, 0, 0, 0, 0};
        uint8_t head[16 + 48 + 4 + 257] = {(uint8_t)endian, 4, 1, 1};
        size_t k = strlen(signature), fields = 48 + 4 + 1 + k + 1;
        struct iovec iov[2] = {{head, (16 + fields + 7) & ~(size_t)7}, {(void *)body, n}};
        sd_bus_message *m = NULL;

        assert(k <= 200 && n <= MESSAGE_PIPE_MAX);
        message_pipe_u32(head + 4, (uint32_t)n, endian);
        message_pipe_u32(head + 8, 1, endian);
        message_pipe_u32(head + 12, (uint32_t)fields, endian);
        memcpy(head + 16, path, 16);
        memcpy(head + 32, interface, 16);
        memcpy(head + 48, member, 16);
        message_pipe_u32(head + 16 + 4, 2, endian);
        message_pipe_u32(head + 32 + 4, 3, endian);
        message_pipe_u32(head + 48 + 4, 1, endian);
        memcpy(head + 64, (const uint8_t[]){8, 1, 'g', 0}, 4);
        head[68] = (uint8_t)k;
        memcpy(head + 69, signature, k + 1);
        assert(writev(p->raw, iov, 2) == (ssize_t)(iov[0].iov_len + n));
        for (int r = 1; r > 0 && !m;)
                r = sd_bus_process(p->bus, &m);
        return m;
}
