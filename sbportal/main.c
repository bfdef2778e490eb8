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
#include <malloc.h>
#include <stdlib.h>

#include "common/child_options.h"
#include "common/log.h"
#include "sbportal/sandbox_profile.h"
#include "sbportal/translator.h"

static const struct option_row options[] = {
        CHILD_OPTION_ROWS,
        {0},
};

/* After the lock there is only what the profile allows, and only then is a byte of a bus read. */
static int run(struct translator *t, const struct child_options *o) {
        int r;

        r = on_ipc_wait_config(t);
        if (r == 0)
                r = translator_connect(t);
        if (r == 0)
                r = sandbox_lock(&sbportal_profile, o->waived);
        if (r == 0)
                r = translator_run(t);
        else if (r == IPC_E_GONE) /* stopped before it began */
                return EXIT_SUCCESS;
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
        struct child_options given = {.ipc_fd = -1};
        struct translator t;
        int r;

        log_init("sbportal");
        r = options_parse(options, "sbportal", "The portals of one VM; started by sbsupervisor.",
                          argc, argv, &given);
        if (r == OPTIONS_E_DONE)
                return EXIT_SUCCESS;
        if (r != 0)
                return EXIT_USAGE;
        if (given.ipc_fd < 0) {
                log_error("--ipc-fd is missing: sbportal is started by sbsupervisor");
                return EXIT_USAGE;
        }
        if (sandbox_start(&sbportal_profile) < 0 ||
            sandbox_enclose(&sbportal_profile, given.waived, given.place) < 0)
                return EXIT_FAILURE;
        /* A guest's large message goes back to the kernel when it is done with; glibc would learn
         * to keep it. */
        (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
        r = translator_init(&t, given.ipc_fd);
        r = r < 0 ? log_error_errno(r, "cannot start the event loop") : run(&t, &given);
        translator_done(&t);
        return r < 0 ? EXIT_FAILURE : r;
}
