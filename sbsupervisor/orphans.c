/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/orphans.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>

#include "common/log.h"

#define STEP_MS 5

bool orphans_exist(void) {
        siginfo_t si;

        return waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0;
}

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
