/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/orphans.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "common/limits.h"
#include "common/log.h"
#include "sbsupervisor/supervisor.h"
#include "tests/test.h"

#define TURN_USEC 200000u /* far more than lies between two looks */
#define TURNS     20

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

static bool is_reaped(pid_t pid) {
        siginfo_t si;

        return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0;
}

static void wait_reaped(pid_t pid) {
        for (unsigned i = 0; i < TURNS && !is_reaped(pid); i++)
                CHECK(sd_event_run(s.event, TURN_USEC) >= 0);
        CHECK(is_reaped(pid));
}

/* A child that has ended. */
static pid_t zombie(void) {
        siginfo_t si;
        pid_t pid = fork();

        if (pid == 0)
                _exit(EXIT_SUCCESS);
        CHECK_EQ_INT(pid < 0 ? errno : 0, 0);
        CHECK_EQ_INT(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) < 0 ? errno : 0, 0);
        return pid;
}

static void test_many(void) {
        pid_t last = 0;

        begin();
        for (unsigned i = 0; i < 2 * LIMIT_ORPHANS_TURN + 1; i++)
                last = zombie();
        wait_reaped(last);
        CHECK(!orphans_exist());
        s.event = sd_event_unref(s.event);
}

/* What another waits for stays, and those behind it until then; then nothing else need happen. */
static void check_awaited(pid_t *whose) {
        pid_t first, behind;

        begin();
        first = *whose = zombie();
        behind = zombie();
        for (unsigned i = 0; i < 3; i++)
                CHECK(sd_event_run(s.event, TURN_USEC) >= 0);
        CHECK(!is_reaped(first) && !is_reaped(behind));
        *whose = 0;
        CHECK(waitpid(first, NULL, 0) == first);
        wait_reaped(behind);
        s.event = sd_event_unref(s.event);
}

static void test_awaited(void) {
        for (size_t i = 0; i < PROC_N; i++)
                check_awaited(&s.procs[i].pid);
        check_awaited(&s.host.identity.connector.pid);
}

/* --- at the end ------------------------------------------------------------------------------------ */

#define GRACE_MS 100
#define KILL_MS  400

static unsigned n_lines;
static char last_line[LIMIT_LOG_LINE_BYTES];

static void keep_line(int priority, const char *line) {
        CHECK_EQ_INT(priority, LOG_WARNING);
        (void)snprintf(last_line, sizeof(last_line), "%s", line);
        n_lines++;
}

static void end(void) {
        n_lines = 0;
        (void)log_set_sink(keep_line);
        orphans_end(GRACE_MS, KILL_MS);
        (void)log_set_sink(NULL);
}

static pid_t sleeper(const char *name) {
        pid_t pid = fork();

        if (pid == 0) {
                (void)prctl(PR_SET_NAME, name);
                for (;;)
                        (void)pause();
        }
        return pid;
}

/* One that leaves another behind when it is killed. */
static void parent(const char *name, const char *of) {
        int fds[2];

        CHECK(pipe(fds) == 0);
        if (fork() == 0) {
                (void)prctl(PR_SET_NAME, name);
                (void)sleeper(of);
                CHECK(write(fds[1], "", 1) == 1);
                for (;;)
                        (void)pause();
        }
        CHECK(read(fds[0], &(char){0}, 1) == 1);
        (void)close(fds[0]);
        (void)close(fds[1]);
}

static void test_killed(void) {
        CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        for (unsigned i = 0; i < 20; i++)
                (void)sleeper("many");
        parent("one", "\x1b[1mtwo");
        (void)zombie();
        end();
        CHECK(!orphans_exist());
        CHECK_EQ_INT(n_lines, 1);
        CHECK(strstr(last_line, "22 processes that ours had left behind were killed: ") == last_line);
        CHECK(strstr(last_line, "'many'") && !strstr(strstr(last_line, "'many'") + 1, "'many'"));
        CHECK(strstr(last_line, "'one'") && strstr(last_line, "'\\x1b[1mtwo'"));
        CHECK(!strstr(last_line, "still there"));
}

static void test_nobody(void) {
        (void)zombie();
        end();
        CHECK_EQ_INT(n_lines, 0);
}

/* A debugger holds its body, so that its parent waits for ever. */
static void hold(pid_t pid, int go) {
        CHECK(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
        CHECK(write(go, "", 1) == 1);
}

static void test_held(void) {
        int to[2], from[2];
        pid_t child, held = 0;
        int status = 0;

        CHECK(pipe(to) == 0 && pipe(from) == 0);
        child = fork();
        if (child == 0) {
                held = sleeper("held");
                test_failures = 0;
                CHECK(write(from[1], &held, sizeof(held)) == sizeof(held));
                CHECK(read(to[0], &(char){0}, 1) == 1);
                end();
                CHECK_EQ_INT(n_lines, 1);
                CHECK(strstr(last_line, "0 processes") == last_line);
                CHECK(strstr(last_line, "still there") != NULL);
                _exit(test_failures > 0);
        }
        CHECK(read(from[0], &held, sizeof(held)) == sizeof(held));
        hold(held, to[1]);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        CHECK(waitpid(held, NULL, 0) == held);
        for (size_t i = 0; i < 2; i++) {
                (void)close(to[i]);
                (void)close(from[i]);
        }
}

TEST_MAIN({"more than are reaped at once", test_many},
          {"a child that another waits for", test_awaited},
          {"who is left is killed, and said once", test_killed},
          {"who has ended is not said", test_nobody}, {"who cannot be reaped", test_held})
