/* SPDX-License-Identifier: MIT */
/* Messages from the supervisor. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/log.h"
#include "sbportal/guest_path.h"
#include "sbportal/translator.h"

static int on_config(void *self, struct ipc_msg *m) {
        const struct ipc_portal_config *c = ipc_body(m, PORTAL_CONFIG);
        struct translator *t = self;

        if (t->configured || c->abi != IPC_ABI || (c->flags & ~(uint32_t)IPC_PORTAL_ALL) ||
            memchr(m->tail, 0, m->n_tail))
                return IPC_E_VIOLATION;
        t->documents = strndup((const char *)m->tail, m->n_tail);
        if (!t->documents)
                return -ENOMEM;
        if (!guest_path_dir_is_valid(t->documents))
                return IPC_E_VIOLATION;
        for (size_t i = 0; i < sizeof(c->machine_id); i++)
                (void)snprintf(t->machine_id + 2 * i, 3, "%02x", c->machine_id[i]);
        t->pass_windows = c->flags & IPC_PORTAL_PASS_WINDOWS;
        t->vm_fd = ipc_take_fd(m, 0);
        t->gate_fd = ipc_take_fd(m, 1);
        t->configured = true;
        return 0;
}

static const struct ipc_handler handlers[] = {
        {IPC_PORTAL_CONFIG, on_config},
        {IPC_NONE, NULL},
};

/* Handles what is there: 0, IPC_E_GONE (only logged at debug), or what went wrong, logged. */
static int drain(struct translator *t) {
        int r = ipc_drain(&t->ipc, handlers, t);

        if (r == IPC_E_GONE)
                log_debug("the supervisor closed the channel");
        else if (r < 0)
                log_error_errno(r, "cannot read the supervisor's channel");
        else if (r > 0)
                log_error("the supervisor broke the ipc protocol");
        return r;
}

int on_ipc_wait_config(struct translator *t) {
        int r;

        r = ipc_check_table(handlers, ELEMENTSOF(handlers), IPC_PORTAL);
        if (r < 0)
                return log_error_errno(r, "the ipc handlers do not match the table");
        while (!t->configured) {
                struct pollfd p = {.fd = t->ipc.fd, .events = POLLIN};

                if (poll(&p, 1, -1) < 0 && errno != EINTR)
                        return log_error_errno(errno, "cannot wait for the configuration");
                r = drain(t);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int on_io(_unused_ sd_event_source *s, _unused_ int fd, _unused_ uint32_t events,
                 void *userdata) {
        struct translator *t = userdata;
        int r = drain(t);

        if (r != 0) /* a closed channel is how the supervisor stops us */
                (void)sd_event_exit(t->event, r == IPC_E_GONE ? EXIT_SUCCESS : EXIT_FAILURE);
        return 0;
}

int on_ipc_attach(struct translator *t) {
        int r = sd_event_add_io(t->event, &t->ipc_source, t->ipc.fd, POLLIN, on_io, t);

        if (r >= 0)
                r = sd_event_source_set_priority(t->ipc_source, SD_EVENT_PRIORITY_IMPORTANT);
        return r < 0 ? r : 0;
}
