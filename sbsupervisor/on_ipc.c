/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/on_ipc.h"

#include "common/log.h"
#include "sbsupervisor/supervisor.h"

static int on_ready(struct proc *p, const struct ipc_ready *body) {
        if (body->abi != IPC_ABI || body->zero != 0 || p->said_ready)
                return IPC_E_VIOLATION;
        p->said_ready = true;
        if (proc_rows[p->id].ready != PROC_READY_IPC)
                return 0;
        p->ready = true;
        return supervisor_advance(p->supervisor);
}

static int on_router_ready(void *self, struct ipc_msg *m) {
        return on_ready(self, ipc_body(m, ROUTER_READY));
}

static int on_portal_ready(void *self, struct ipc_msg *m) {
        return on_ready(self, ipc_body(m, PORTAL_READY));
}

const struct ipc_handler on_ipc_handlers[] = {
        {IPC_ROUTER_READY, on_router_ready},
        {IPC_PORTAL_READY, on_portal_ready},
        {0, NULL},
};
const size_t on_ipc_n_handlers = ELEMENTSOF(on_ipc_handlers);
