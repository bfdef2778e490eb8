/* SPDX-License-Identifier: MIT */
/*
 * Channels between our own processes.
 *
 * A channel is one end of an AF_UNIX SOCK_SEQPACKET pair whose two roles the
 * supervisor fixed when it made the pair; a message is one packet and its
 * descriptors ride on it.  ipc_recv() checks type, direction, length and
 * descriptor count against the table before anybody sees the message, so a
 * handler starts from valid input.
 *
 * Returns: 0 success; negative errno, we are broken; positive IPC_E_*, the peer
 * is at fault or gone, and the caller must act.
 */
#pragma once

#include <stddef.h>

#include "common/cleanup.h"
#include "ipc/ipc_msg.h"

enum {
        IPC_E_EMPTY = 1, /* nothing to receive now */
        IPC_E_FULL,      /* the peer does not drain its end */
        IPC_E_GONE,      /* the peer closed its end */
        IPC_E_VIOLATION, /* the peer broke the protocol: end it */
};

#define IPC_MAX_TAIL 4096 /* more than a path would go in a sealed memfd */
#define IPC_MAX_FDS  4
#define IPC_MAX_BODY 64

struct ipc_chan {
        int fd;
        enum ipc_role self, peer;
};

struct ipc_msg {
        enum ipc_type type;
        size_t n_tail;
        const uint8_t *tail;  /* points into buf */
        int fds[IPC_MAX_FDS]; /* ipc_msg_done() closes what ipc_take_fd() left */
        _Alignas(8) uint8_t buf[8 + IPC_MAX_BODY + IPC_MAX_TAIL];
};

struct ipc_handler {
        enum ipc_type type;
        int (*fn)(void *self, struct ipc_msg *m);
};

/* A CLOEXEC, non-blocking pair: ret_a is role a's end. */
int ipc_pair(enum ipc_role a, enum ipc_role b, struct ipc_chan *ret_a, struct ipc_chan *ret_b);

/* One message.  ret is always fit for ipc_msg_done(), whatever is returned. */
int ipc_recv(struct ipc_chan *c, struct ipc_msg *ret);

/* Receives and handles until the channel is empty; returns 0 then, else what went wrong. */
int ipc_drain(struct ipc_chan *c, const struct ipc_handler *table, void *self);

/* 0 if table handles exactly the messages addressed to self, once each; else -EINVAL. */
int ipc_check_table(const struct ipc_handler *table, size_t n, enum ipc_role self);

/* Descriptor i of m, now the caller's to close. */
int ipc_take_fd(struct ipc_msg *m, unsigned i);
void ipc_msg_done(struct ipc_msg *m);

const char *ipc_type_name(uint32_t type);
const char *ipc_role_name(enum ipc_role role);

/* For the generated functions below: breaking the table ourselves is a bug and asserts. */
int ipc_send_raw(struct ipc_chan *c, enum ipc_type t, const void *body, size_t n_body,
                 const void *tail, size_t n_tail, const int *fds, unsigned n_fds);
const void *ipc_body_raw(const struct ipc_msg *m, enum ipc_type t);

/* ipc_send_ROUTER_PID(chan, &body, tail, n_tail, fds, n_fds): one per message; borrows fds. */
#define X(name, from, to, body_t, max_tail, exact_fds)                                             \
        typedef body_t ipc_body_##name;                                                            \
        static inline int ipc_send_##name(struct ipc_chan *c, const body_t *body,                  \
                                          const void *tail, size_t n_tail, const int *fds,         \
                                          unsigned n_fds) {                                        \
                return ipc_send_raw(c, IPC_##name, body, sizeof(*body), tail, n_tail, fds, n_fds); \
        }
IPC_MESSAGES(X)
#undef X

/* The body of m, typed; asserts that m is a NAME. */
#define ipc_body(m, NAME) ((const ipc_body_##NAME *)ipc_body_raw((m), IPC_##NAME))
