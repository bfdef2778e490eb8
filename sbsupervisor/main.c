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
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "sbsupervisor/journal.h"
#include "sbsupervisor/on_ipc.h"
#include "sbsupervisor/sandbox_profile.h"
#include "sbsupervisor/supervisor.h"

#define EXIT_CONFIG 3 /* as EXIT_USAGE: to try again changes nothing */

/* The two routers and sbportal answer to the same table of ours. */
static void check_tables(void) {
        assert(ipc_check_table(on_ipc_handlers, on_ipc_n_handlers, IPC_SUPERVISOR) == 0);
}

static void warn_of_waived(const struct config *c) {
        char names[64];

        if (c->waived)
                log_warning("VM '%s' is served without %s, as its configuration says: a break-in out of "
                            "sbrouter or sbportal is easier",
                            c->vm, sandbox_layer_names(c->waived, names, sizeof(names)));
}

static int run(struct supervisor *s) {
        /* What was left goes, whatever the kernel. */
        unsigned waived = s->config.waived | (s->config.cleanup ? SANDBOX_LANDLOCK : 0);
        int r = sandbox_start(&supervisor_profile);

        if (!s->config.cleanup)
                warn_of_waived(&s->config);
        if (r == 0 && !s->config.cleanup)
                r = sandbox_layer_check(SANDBOX_ALL & ~waived);
        if (r == 0)
                r = sandbox_enclose(&supervisor_profile, waived, SANDBOX_OUTSIDE);
        if (r == 0)
                r = sandbox_lock(&supervisor_profile, waived);
        if (r == 0 && s->config.cleanup)
                return instance_cleanup(&s->config);
        return r < 0 ? r : supervisor_run(s);
}

/* Makes nothing, and asks nobody: it may be run before, beside and without an instance. */
static int print(const struct config *c) {
        _cleanup_free_ char *share_socket = NULL, *text = NULL;
        struct print_facts facts = {
                .vm = c->vm,
                .cid = c->cid,
                .listen = c->listen,
                .n_listen = c->n_listen,
                .guest_uid = c->guest_uid,
                .guest_gid = c->guest_gid,
                .advertise_tag = c->advertise_tag,
                .uid = geteuid(),
                .config_home = getenv("XDG_CONFIG_HOME"),
                .state_home = getenv("XDG_STATE_HOME"),
        };
        int r;

        if (asprintf(&share_socket, "%s/virtiofs.sock", c->runtime_dir) < 0)
                return log_error_errno(ENOMEM, "cannot print");
        facts.share_socket = share_socket;
        facts.documents = c->guest_documents;
        r = print_text(c->print, &facts, &text);
        if (r > 0)
                log_error("%s", text);
        else if (r < 0)
                (void)log_error_errno(r, "cannot print");
        else if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
                return log_error_errno(errno, "cannot print");
        return r;
}

static int load_status(int r) {
        static const int statuses[] = {
                [OPTIONS_E_DONE] = EXIT_SUCCESS,
                [OPTIONS_E_USAGE] = EXIT_USAGE,
                [CONFIG_E_INVALID] = EXIT_CONFIG,
        };

        return r > 0 && (size_t)r < ELEMENTSOF(statuses) ? statuses[r] : EXIT_FAILURE;
}

int main(int argc, char **argv) {
        struct supervisor s = {0};
        int r;

        log_init("sbsupervisor");
        journal_init(NULL);
        check_tables();
        r = config_load(&s.config, argc, argv);
        if (r != 0) {
                config_done(&s.config);
                return load_status(r);
        }
        if (s.config.print) {
                r = print(&s.config);
        } else {
                journal_init(s.config.vm);
                r = run(&s);
        }
        log_set_sink(NULL); /* the VM's name goes next */
        config_done(&s.config);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
