/* SPDX-License-Identifier: MIT */
#include "sbrouter/liveness.h"

#include <errno.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/limits.h"
#include "common/log.h"
#include "sbrouter/router.h"

/*
 * Each time one byte more: it is said only when it is another size, and a smaller one would
 * break the promise on which bytes are on their way.  The most it can be is the listener's to
 * say (common/listen.c): whoever takes this process over cannot make a guest's bytes fill the host.
 */
static int say_buffer_size(struct connection *c) {
        uint64_t size = LIMIT_VSOCK_BUFFER + ++c->n_probes;

        return setsockopt(c->source.fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, sizeof(size)) < 0
                       ? -errno
                       : 0;
}

void liveness_expect(struct router *r) {
        uint64_t soonest = r->liveness.last + LIMIT_PROBE_SECONDS * 1000;

        if (r->liveness.due == 0)
                r->liveness.due = soonest > r->loop.now ? soonest : r->loop.now;
}

void liveness_work(struct router *r) {
        if (r->liveness.due == 0 || r->liveness.due > r->loop.now)
                return;
        r->liveness = (struct liveness){.last = r->loop.now};
        LIST_FOREACH(link, &r->connections) {
                struct connection *c = LIST_OWNER(link, struct connection, link);
                int v = c->vsock && !c->dead ? say_buffer_size(c) : 0;

                if (v < 0 && router_may_log(r))
                        (void)log_warning_errno(v, "cannot ask whether connection %s is there",
                                                c->id ? c->name : "(new)");
        }
}
