/* SPDX-License-Identifier: MIT */
/*
 * sbportal: plays xdg-desktop-portal to the programs of one VM.
 *
 * It is a client of the VM's bus, where it owns org.freedesktop.portal.Desktop, and it
 * asks the gate in sbsupervisor for everything that a portal does.  What it reads on the
 * VM's bus is written by the guest: it trusts nothing there but the sender's name, which
 * sbrouter stamps.  It trusts the gate and the supervisor, and checks the form of what
 * they say.
 *
 * It must never be able to reach anything but its three inherited channels (VM bus, gate,
 * ipc): no file, no socket, no other process, no session bus, no host path.  Whoever takes
 * it over can ask the gate for what the guest could have asked it for anyway.
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>

#include "common/escape.h"
#include "common/log.h"
#include "common/options.h"
#include "sbportal/sandbox_profile.h"
#include "sbportal/translator.h"

struct settings {
        int ipc_fd;
        enum sandbox_place place;
        unsigned waived;
};

static int set_ipc_fd(void *self, const char *value) {
        struct settings *s = self;
        char *end;
        long n;

        errno = 0;
        n = strtol(value, &end, 10);
        if (errno || end == value || *end || n < 3 || n > INT_MAX) {
                log_error("--ipc-fd %s: not a descriptor's number", ESCAPED(value));
                return -EINVAL;
        }
        s->ipc_fd = (int)n;
        return 0;
}

static int set_in_namespaces(void *self, _unused_ const char *value) {
        ((struct settings *)self)->place = SANDBOX_PREPARED;
        return 0;
}

static int set_waive(void *self, const char *value) {
        if (sandbox_layer_parse(value, &((struct settings *)self)->waived) == 0)
                return 0;
        log_error("--waive %s: " SANDBOX_LAYER_CHOICE, ESCAPED(value));
        return -EINVAL;
}

static const struct option_row options[] = {
        {"ipc-fd", "FD", "the supervisor's channel (required)", set_ipc_fd},
        {"in-namespaces", NULL, "the supervisor has made the namespaces to live in", set_in_namespaces},
        {"waive", "LAYERS", "parts of the sandbox to do without, as in sidebus.conf(5)", set_waive},
        {0},
};

/* After the lock there is only what the profile allows, and only then is a byte of a bus read. */
static int run(struct translator *t, const struct settings *s) {
        int r;

        r = on_ipc_wait_config(t);
        if (r == 0)
                r = translator_connect(t);
        if (r == 0)
                r = sandbox_lock(&sbportal_profile, s->waived);
        if (r == 0)
                r = translator_run(t);
        else if (r == IPC_E_GONE) /* stopped before it began */
                return EXIT_SUCCESS;
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
        struct settings settings = {.ipc_fd = -1};
        struct translator t;
        int r;

        log_init("sbportal");
        r = options_parse(options, "sbportal", "The portals of one VM; started by sbsupervisor.",
                          argc, argv, &settings);
        if (r == OPTIONS_E_DONE)
                return EXIT_SUCCESS;
        if (r != 0)
                return EXIT_USAGE;
        if (settings.ipc_fd < 0) {
                log_error("--ipc-fd is missing: sbportal is started by sbsupervisor");
                return EXIT_USAGE;
        }
        if (sandbox_start(&sbportal_profile) < 0 ||
            sandbox_enclose(&sbportal_profile, settings.waived, settings.place) < 0)
                return EXIT_FAILURE;
        /* A guest's large message goes back to the kernel when it is done with; glibc would learn
         * to keep it. */
        (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
        r = translator_init(&t, settings.ipc_fd);
        r = r < 0 ? log_error_errno(r, "cannot start the event loop") : run(&t, &settings);
        translator_done(&t);
        return r < 0 ? EXIT_FAILURE : r;
}
