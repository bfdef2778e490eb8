/* SPDX-License-Identifier: MIT */
/*
 * sbsupervisor: one VM's portals on the host.
 *
 * Does: starts and watches the other processes, holds the only connection to the person's
 * session bus, opens the files the person picks, and hands them to the VM's own document
 * portal.
 *
 * Trusts: the person (configuration, command line), the host's portal by its unique name on
 * the session bus, the document portal it started.  Believes nothing its own sbrouter and
 * sbportal say beyond what the tables allow: they read what the guest sends.
 *
 * Must never: parse a byte that comes straight from a guest; open a path that no dialog
 * returned; let anything pass to the session bus that is not in the portal table; leave a
 * process, mount or socket behind.
 */
#include <assert.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/options.h"
#include "sbsupervisor/journal.h"
#include "sbsupervisor/on_ipc.h"
#include "sbsupervisor/sandbox_profile.h"
#include "sbsupervisor/supervisor.h"

/* The two routers and sbportal answer to the same table of ours. */
static void check_tables(void) {
        assert(ipc_check_table(on_ipc_handlers, on_ipc_n_handlers, IPC_SUPERVISOR) == 0);
}

static int run(struct supervisor *s) {
        int r = sandbox_start(&supervisor_profile);

        if (r == 0)
                r = sandbox_lock(&supervisor_profile);
        if (r == 0 && s->config.cleanup)
                return instance_cleanup(&s->config);
        return r < 0 ? r : supervisor_run(s);
}

int main(int argc, char **argv) {
        struct supervisor s = {0};
        int r;

        log_init("sbsupervisor");
        check_tables();
        r = config_load(&s.config, argc, argv);
        if (r == OPTIONS_E_DONE || r == OPTIONS_E_USAGE) {
                config_done(&s.config);
                return r == OPTIONS_E_DONE ? EXIT_SUCCESS : EXIT_USAGE;
        }
        if (r == 0) {
                journal_init(s.config.vm);
                r = run(&s);
        }
        log_set_sink(NULL); /* the VM's name goes next */
        config_done(&s.config);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
