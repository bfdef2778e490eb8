/* SPDX-License-Identifier: MIT */
#include "sbrouter/on_ipc.h"

#include <errno.h>
#include <sys/epoll.h>

#include "common/log.h"
#include "sbrouter/driver.h"
#include "sbrouter/listener.h"
#include "sbrouter/router.h"

static int on_config(void *self, struct ipc_msg *m) {
        const struct ipc_router_config *config = ipc_body(m, ROUTER_CONFIG);
        struct ipc_ready ready = {.abi = IPC_ABI};
        struct router *r = self;

        if (config->abi != IPC_ABI) {
                log_error("sbsupervisor speaks ipc version %u, this program %u: install both from "
                          "one build", config->abi, IPC_ABI);
                return IPC_E_VIOLATION;
        }
        if (r->bus != ROUTER_UNCONFIGURED ||
            (config->bus != IPC_BUS_VM && config->bus != IPC_BUS_PRIVATE))
                return IPC_E_VIOLATION;
        router_configure(r, config->bus, config->machine_id);
        return ipc_send_ROUTER_READY(&r->ipc, &ready, NULL, 0, NULL, 0);
}

static int on_listen(void *self, struct ipc_msg *m) {
        const struct ipc_router_listen *listen = ipc_body(m, ROUTER_LISTEN);
        struct router *r = self;
        int v;

        if (r->bus == ROUTER_UNCONFIGURED || (listen->flags & ~(uint32_t)IPC_LISTEN_ALL) ||
            ((listen->flags & IPC_LISTEN_CID) != 0) != (listen->cid != 0))
                return IPC_E_VIOLATION;
        v = listener_new(r, ipc_take_fd(m, 0), listen->flags, listen->cid);
        return v == -EINVAL ? IPC_E_VIOLATION : v;
}

/* A socketpair's end is a client like any other, known by who holds the other end. */
static int on_peer(void *self, struct ipc_msg *m) {
        const struct ipc_router_peer *peer = ipc_body(m, ROUTER_PEER);
        struct router *r = self;
        struct connection *c;
        int v;

        if ((r->bus != ROUTER_VM || peer->kind != IPC_PEER_PORTAL) &&
            (r->bus != ROUTER_PRIVATE || peer->kind != IPC_PEER_SUPERVISOR))
                return IPC_E_VIOLATION;
        if (peer->zero != 0)
                return IPC_E_VIOLATION;
        v = connection_new(r, ipc_take_fd(m, 0), &c);
        if (v < 0)
                return v;
        c->can_fds = true;
        c->portal = peer->kind == IPC_PEER_PORTAL;
        if (r->bus == ROUTER_PRIVATE)
                c->credentials = (struct credentials){.has_uid = true, .uid = r->own_uid};
        sasl_init(&c->sasl, SASL_ALLOW_FDS);
        return 0;
}

static int on_pid(void *self, struct ipc_msg *m) {
        const struct ipc_router_pid *pid = ipc_body(m, ROUTER_PID);
        struct router *r = self;

        if (r->bus != ROUTER_PRIVATE || pid->zero != 0)
                return IPC_E_VIOLATION;
        r->peer_pid = pid->pid;
        return r->peer_pid != 0 ? driver_resume(r) : 0;
}

static const struct ipc_handler handlers[] = {
        {IPC_ROUTER_CONFIG, on_config},
        {IPC_ROUTER_LISTEN, on_listen},
        {IPC_ROUTER_PEER, on_peer},
        {IPC_ROUTER_PID, on_pid},
        {0},
};

static int on_ready(struct loop_source *s, _unused_ uint32_t events) {
        struct router *r = LIST_OWNER(s, struct router, ipc_source);
        int v = ipc_drain(&r->ipc, handlers, r);

        if (v == IPC_E_GONE) { /* how the supervisor says stop */
                r->loop.stop = true;
                return 0;
        }
        if (v > 0) {
                log_error("sbsupervisor broke the ipc protocol (%d): exiting", v);
                return -EPROTO;
        }
        return v;
}

int on_ipc_start(struct router *r, int take_fd) {
        int v = ipc_check_table(handlers, ELEMENTSOF(handlers), IPC_ROUTER);

        r->ipc = (struct ipc_chan){.fd = take_fd, .self = IPC_ROUTER, .peer = IPC_SUPERVISOR};
        if (v < 0)
                return v;
        r->ipc_source = (struct loop_source){.fd = take_fd, .fn = on_ready};
        return loop_add(&r->loop, &r->ipc_source, EPOLLIN);
}
