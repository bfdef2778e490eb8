/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/orphans.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/limits.h"
#include "common/log.h"
#include "sbsupervisor/supervisor.h"

DEFINE_CLEANUP(FILE *, fclose);

#define STEP_MS   2
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

/* One that is awaited hides those behind it, until its own source has reaped it. */
static int on_child_ended(sd_event_source *source _unused_,
                          const struct signalfd_siginfo *info _unused_, void *userdata) {
        const struct supervisor *s = userdata;

        for (unsigned i = 0; i < LIMIT_ORPHANS_TURN; i++) {
                siginfo_t si = {0};

                if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
                        return 0;
                if (is_awaited(s, si.si_pid))
                        break;
                (void)waitpid(si.si_pid, NULL, WNOHANG);
        }
        (void)raise(SIGCHLD); /* who is left sends no other */
        return 0;
}

int orphans_watch(struct supervisor *s) {
        _cleanup_(sd_event_source_unrefp) sd_event_source *source = NULL;
        int r = sd_event_add_signal(s->event, &source, SIGCHLD, on_child_ended, s);

        /* By turns with all else: nobody can keep us from it, and a daemon that forks delays nobody. */
        if (r >= 0)
                r = sd_event_source_set_ratelimit(source, REAP_USEC, 1);
        if (r >= 0)
                r = sd_event_source_set_floating(source, true);
        return r < 0 ? r : 0;
}

/* --- at its end ----------------------------------------------------------------------------------- */

#define NAMES 8

/* Who was killed: what they call themselves, each once. */
struct killed {
        bool begun;
        unsigned n, n_names;
        char names[NAMES][16]; /* the kernel's TASK_COMM_LEN */
};

static void note(struct killed *k, pid_t pid) {
        char path[64], *name = k->names[k->n_names];
        _cleanup_(fclosep) FILE *f = NULL;

        k->n++;
        (void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        if (k->n_names == NAMES || !(f = fopen(path, "re")) || !fgets(name, sizeof(*k->names), f))
                return;
        name[strcspn(name, "\n")] = '\0';
        for (unsigned i = 0; i < k->n_names; i++)
                if (strcmp(k->names[i], name) == 0)
                        return;
        k->n_names++;
}

static void tell(const struct killed *k, bool all) {
        char names[LIMIT_LOG_LINE_BYTES / 2] = "";
        size_t n = 0;

        for (unsigned i = 0; i < k->n_names; i++)
                n += (size_t)snprintf(names + n, sizeof(names) - n, "%s'%s'", i > 0 ? ", " : ": ",
                                      ESCAPED(k->names[i]));
        log_warning("%u processes that ours had left behind were killed%s%s%s", k->n, names,
                    k->n_names == NAMES ? ", and maybe others" : "",
                    all ? "" : "; some are still there, which fork faster than that or hang");
}

/* Reaps what has ended, for a turn; false when there is nobody left. */
static bool reap(struct killed *k) {
        for (unsigned i = 0; i < LIMIT_ORPHANS_TURN; i++) {
                siginfo_t si = {0};

                if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0)
                        return false;
                if (si.si_pid == 0)
                        return true;
                if (k->begun && si.si_code == CLD_KILLED && si.si_status == SIGKILL)
                        note(k, si.si_pid);
                (void)waitpid(si.si_pid, NULL, WNOHANG);
        }
        return true;
}

/* Nobody else waits for them, so each pid is still whose it was.  Of many, the list takes seconds. */
static void kill_children(uint64_t end) {
        _cleanup_(fclosep) FILE *f = fopen("/proc/thread-self/children", "re");
        int pid;

        while (f && clock_usec() < end && fscanf(f, "%d", &pid) == 1)
                (void)kill(pid, SIGKILL);
}

/* What those leave behind in turn becomes ours when they die. */
void orphans_end(unsigned grace_ms, unsigned kill_ms) {
        const struct timespec pause = {.tv_nsec = STEP_MS * 1000000};
        uint64_t start = clock_usec(), killing = start + grace_ms * UINT64_C(1000),
                 end = killing + kill_ms * UINT64_C(1000);
        struct killed k = {0};
        bool left;

        while ((left = reap(&k)) && clock_usec() < end) {
                k.begun = clock_usec() >= killing;
                if (k.begun)
                        kill_children(end);
                (void)nanosleep(&pause, NULL);
        }
        if (left || k.n > 0)
                tell(&k, !left);
}
