/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/orphans.h"

#include <signal.h>
#include <sys/wait.h>

#include "common/limits.h"
#include "sbsupervisor/supervisor.h"
#include "tests/test.h"

#define IDLE_USEC 200000u /* far more than lies between two looks */

static struct supervisor s;

static void begin(void) {
        sigset_t blocked;

        sigemptyset(&blocked);
        sigaddset(&blocked, SIGCHLD);
        CHECK(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
        s = (struct supervisor){0};
        CHECK(sd_event_new(&s.event) >= 0);
        CHECK_EQ_INT(orphans_watch(&s), 0);
}

/* Until the loop has nothing left to do. */
static void settle(void) {
        while (sd_event_run(s.event, IDLE_USEC) > 0)
                ;
}

/* A child that has ended. */
static pid_t zombie(void) {
        siginfo_t si;
        pid_t pid = fork();

        if (pid == 0)
                _exit(EXIT_SUCCESS);
        CHECK(pid > 0 && waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) == 0);
        return pid;
}

static bool is_reaped(pid_t pid) {
        siginfo_t si;

        return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0;
}

static void test_many(void) {
        begin();
        for (unsigned i = 0; i < 2 * LIMIT_ORPHANS_TURN + 1; i++)
                (void)zombie();
        settle();
        CHECK(!orphans_exist());
        s.event = sd_event_unref(s.event);
}

/* What another waits for stays, and those behind it until then. */
static void check_awaited(pid_t *whose) {
        pid_t first, behind;

        begin();
        first = *whose = zombie();
        behind = zombie();
        settle();
        CHECK(!is_reaped(first) && !is_reaped(behind));
        *whose = 0;
        CHECK(waitpid(first, NULL, 0) == first);
        (void)zombie(); /* as the end of first would have, it makes itself heard */
        settle();
        CHECK(is_reaped(behind) && !orphans_exist());
        s.event = sd_event_unref(s.event);
}

static void test_awaited(void) {
        for (size_t i = 0; i < PROC_N; i++)
                check_awaited(&s.procs[i].pid);
        check_awaited(&s.host.identity.connector.pid);
}

TEST_MAIN({"more than are reaped at once", test_many},
          {"a child that another waits for", test_awaited})
