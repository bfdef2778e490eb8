/* SPDX-License-Identifier: MIT */
#include "sbportal/translator.h"

#include <string.h>

#include "common/log.h"
#include "sbportal/call.h"
#include "sbportal/request.h"
#include "sbportal/session.h"

int translator_init(struct translator *t, int take_ipc_fd) {
        int r;

        *t = (struct translator){
                .ipc = {take_ipc_fd, IPC_PORTAL, IPC_SUPERVISOR},
                .vm_fd = -1,
                .gate_fd = -1,
        };
        r = availability_init(&t->availability);
        return r < 0 ? r : sd_event_new(&t->event);
}

void translator_done(struct translator *t) {
        for (size_t i = 0; i < ELEMENTSOF(t->calls); i++)
                call_free(t->calls[i]);
        for (size_t i = 0; i < ELEMENTSOF(t->sessions); i++)
                session_free(t->sessions[i]);
        availability_done(&t->availability);
        flood_done(&t->flood);
        notifications_done(&t->notifications);
        bus_source_done(&t->vm);
        bus_source_done(&t->gate);
        t->ipc_source = sd_event_source_unref(t->ipc_source);
        t->event = sd_event_unref(t->event);
        t->ipc.fd = fd_close(t->ipc.fd);
        t->vm_fd = fd_close(t->vm_fd);
        t->gate_fd = fd_close(t->gate_fd);
        free(TAKE_PTR(t->documents));
}

static void announce_when_ready(struct translator *t) {
        struct ipc_ready body = {.abi = IPC_ABI};
        int r;

        if (t->ready || !t->names_settled || sd_bus_is_ready(t->gate.bus) <= 0)
                return;
        t->ready = true;
        r = ipc_send_PORTAL_READY(&t->ipc, &body, NULL, 0, NULL, 0);
        if (r < 0)
                (void)translator_fail(t, r, "cannot tell the supervisor that we are ready");
        /* A full or closed channel is seen where it is read. */
}

static void after(void *userdata, struct bus_source *s, int error) {
        struct translator *t = userdata;

        if (error == 0) {
                announce_when_ready(t);
                return;
        }
        log_warning_errno(error, "the connection to %s is gone", s->name);
        if (s == &t->gate) {
                request_end_all(t);
                session_end_all(t);
        }
        (void)sd_event_exit(t->event, EXIT_FAILURE);
}

int translator_connect(struct translator *t) {
        static const struct bus_source_options
                gate = {.name = "the gate", .fds = true, .priority = SD_EVENT_PRIORITY_NORMAL},
                /* Whatever a guest does, the supervisor and the gate are served first. */
                vm = {.name = "the VM's bus",
                      .bus_client = true,
                      .fds = true,
                      .priority = SD_EVENT_PRIORITY_IDLE};
        int r;

        t->gate.after = t->vm.after = after;
        t->gate.userdata = t->vm.userdata = t;
        r = bus_source_init(&t->gate, t->event, &gate, TAKE_FD(t->gate_fd));
        if (r == 0)
                r = bus_source_init(&t->vm, t->event, &vm, TAKE_FD(t->vm_fd));
        if (r == 0)
                r = on_gate_attach(t);
        if (r == 0)
                r = on_vm_attach(t);
        if (r == 0)
                r = on_ipc_attach(t);
        return r < 0 ? log_error_errno(r, "cannot start the connections") : 0;
}

int translator_run(struct translator *t) {
        return sd_event_loop(t->event);
}

int translator_fail(struct translator *t, int r, const char *what) {
        log_error_errno(r, "%s", what);
        (void)sd_event_exit(t->event, EXIT_FAILURE);
        return 1;
}
