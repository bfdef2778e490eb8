/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/orphans.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/log.h"
#include "sbsupervisor/supervisor.h"

#define STEP_MS   5
#define REAP_USEC 10000u /* between two looks, at least */

bool orphans_exist(void) {
        siginfo_t si;

        return waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* --- while the instance runs ---------------------------------------------------------------------- */

/* Whose end another waits for: procs.c, or host.c. */
static bool is_awaited(const struct supervisor *s, pid_t pid) {
        for (size_t i = 0; i < PROC_N; i++)
                if (s->procs[i].pid == pid)
                        return true;
        return s->host.identity.connector.pid == pid;
}

/* One that is awaited hides those behind it only until its own end, of which we are told, too. */
static int on_child_ended(sd_event_source *source _unused_,
                          const struct signalfd_siginfo *info _unused_, void *userdata) {
        const struct supervisor *s = userdata;

        for (unsigned i = 0; i < LIMIT_ORPHANS_TURN; i++) {
                siginfo_t si = {0};

                if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0 ||
                    is_awaited(s, si.si_pid))
                        return 0;
                (void)waitpid(si.si_pid, NULL, WNOHANG);
        }
        (void)raise(SIGCHLD); /* who is left sends no other */
        return 0;
}

int orphans_watch(struct supervisor *s) {
        _cleanup_(sd_event_source_unrefp) sd_event_source *source = NULL;
        int r = sd_event_add_signal(s->event, &source, SIGCHLD, on_child_ended, s);

        /* After all else: who is awaited is reaped by then, and a daemon that forks delays nobody. */
        if (r >= 0)
                r = sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_source_set_ratelimit(source, REAP_USEC, 1);
        if (r >= 0)
                r = sd_event_source_set_floating(source, true);
        return r < 0 ? r : 0;
}

/* --- at its end ----------------------------------------------------------------------------------- */

/* Reaps what has ended; false when there is nobody left. */
static bool reap(void) {
        pid_t pid;

        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
                ;
        return pid == 0;
}

/* True once there is nobody left, within ms. */
static bool wait_for_end(unsigned ms) {
        const struct timespec pause = {.tv_nsec = STEP_MS * 1000000};

        for (unsigned i = 0; i < ms; i += STEP_MS) {
                if (!reap())
                        return true;
                (void)nanosleep(&pause, NULL);
        }
        return false;
}

/* Nobody else waits for them, so each pid is still whose it was. */
static void kill_children(void) {
        FILE *f = fopen("/proc/thread-self/children", "re");
        int pid;

        if (!f)
                return; /* a kernel without it */
        while (fscanf(f, "%d", &pid) == 1)
                if (kill(pid, SIGKILL) == 0)
                        log_warning("process %d, which one of ours had left behind, is killed",
                                    pid);
        (void)fclose(f);
}

/* What those leave behind in turn becomes ours when they die. */
void orphans_end(unsigned grace_ms) {
        if (wait_for_end(grace_ms))
                return;
        for (unsigned i = 0; i < 100; i++) {
                kill_children();
                if (wait_for_end(10 * STEP_MS))
                        return;
        }
}
