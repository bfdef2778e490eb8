/* SPDX-License-Identifier: MIT */
/*
 * sbagent: the guest's side.  Programs of the guest connect to its unix socket and
 * find the sidebus instance on the host behind it.
 *
 * It trusts nobody: programs of several users come to it, and it tells the host only
 * what the kernel says about them (SO_PEERCRED); the host's bytes it passes on
 * unread.  It must never be able to open a file, start a program, or let one client
 * see another's bytes.  The host does not rely on it at all: to the host, everything
 * that comes out of the VM is the guest.
 */
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/options.h"
#include "common/sandbox_landlock.h"
#include "sbagent/agent.h"
#include "sbagent/config.h"
#include "sbagent/listener.h"
#include "sbagent/sandbox_profile.h"

/* Beside EXIT_FAILURE and EXIT_USAGE; sbagent(8) lists them. */
enum {
        EXIT_CONFIG = 3,
        EXIT_LISTEN = 4,
};

static int on_warm_up(sd_event_source *s, uint64_t usec, void *userdata) {
        (void)s;
        (void)usec;
        (void)userdata;
        return 0;
}

/*
 * The first timer that may be late by some time (not one for time 0) makes sd-event
 * read the boot id, a file: so one runs before the filter is there.
 */
static int warm_up(sd_event *event) {
        sd_event_source *s = NULL;
        int r = sd_event_add_time(event, &s, CLOCK_MONOTONIC, 1, 0, on_warm_up, NULL);

        if (r >= 0)
                r = sd_event_run(event, 0);
        sd_event_source_disable_unref(s);
        return r;
}

/* SIGTERM and SIGINT end the loop with 0: sd-event's own handler does that. */
static int add_signals(sd_event *event) {
        static const int signals[] = {SIGTERM, SIGINT};
        sigset_t set;
        int r = 0;

        sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                sigaddset(&set, signals[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(signals) && r >= 0; i++)
                r = sd_event_add_signal(event, NULL, signals[i], NULL, NULL);
        return r;
}

static int new_event(sd_event **ret) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        int r = sd_event_new(&event);

        if (r >= 0)
                r = add_signals(event);
        if (r >= 0)
                r = warm_up(event);
        if (r >= 0)
                r = sd_event_set_watchdog(event, true);
        if (r < 0)
                return log_error_errno(r, "cannot set up the event loop");
        *ret = TAKE_PTR(event);
        return 0;
}

/*
 * Of all files it may remove its own socket.  Not every guest's kernel has this, and the host does
 * not rely on it: nothing of a guest has to be waived by a person of the host.
 */
static int leave_files(const struct listeners *listeners) {
        _cleanup_close_ int dir = -1;
        int r;

        if (sandbox_landlock_abi() < 0) {
                log_info("this kernel has no Landlock: the other layers of the sandbox hold");
                return 0;
        }
        if (listeners->own_path) {
                _cleanup_free_ char *path = strdup(listeners->own_path);

                dir = path ? open(dirname(path), O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
                if (dir < 0)
                        return log_error_errno(errno, "cannot open the directory of %s",
                                               ESCAPED(listeners->own_path));
        }
        r = sandbox_landlock_deny_but(dir);
        return r < 0 ? log_error_errno(r, "Landlock") : 0;
}

static int serve(sd_event *event, const struct config *config, const struct listeners *listeners) {
        _cleanup_(agent_freep) struct agent *agent = NULL;
        int r = agent_new(&agent, event, config, listeners);

        if (r < 0)
                return log_error_errno(r, "cannot start");
        r = leave_files(listeners);
        if (r == 0)
                r = sandbox_enclose(&sbagent_profile, 0, SANDBOX_OUTSIDE);
        if (r == 0)
                r = sandbox_lock(&sbagent_profile, 0);
        if (r < 0)
                return r;
        log_info("ready; the host is at %s", config->host);
        (void)sd_notifyf(0, "READY=1\nSTATUS=Ready; the host is at %s.", config->host);
        r = sd_event_loop(event);
        (void)sd_notify(0, "STOPPING=1\nSTATUS=Stopping.");
        return r < 0 ? log_error_errno(r, "the event loop ended") : 0;
}

static int run(const struct config *config, bool explicit_listen) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(listeners_done) struct listeners listeners = {0};

        if (new_event(&event) < 0)
                return EXIT_FAILURE;
        if (listeners_open(&listeners, config, explicit_listen) < 0)
                return EXIT_LISTEN;
        return serve(event, config, &listeners) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        static const int exits[] = {
                [0] = EXIT_SUCCESS,
                [CONFIG_E_USAGE] = EXIT_USAGE,
                [CONFIG_E_VALUE] = EXIT_CONFIG,
                [CONFIG_E_DONE] = EXIT_SUCCESS,
        };
        struct config_values values = {0};
        struct config config;
        int r;

        log_init("sbagent");
        if (sandbox_start(&sbagent_profile) < 0)
                return EXIT_FAILURE;
        r = config_gather(&values, argc, argv);
        if (r == 0)
                r = config_resolve(&values, &config);
        if (r != 0)
                return r < 0 ? EXIT_FAILURE : exits[r];
        return run(&config, values.given[SETTING_LISTEN][CONFIG_OPTION] != NULL);
}
