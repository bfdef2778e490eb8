/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/host.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/test.h"

#define HANG_SECONDS 20 /* then it waits for what never comes */

static void on_disconnected(void *userdata) {
        (void)sd_event_exit(userdata, EXIT_SUCCESS);
}

/* A bus that nobody answers on. */
static sd_bus *silent_bus(void) {
        sd_bus *bus = NULL;
        int p[2];

        return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) == 0 &&
                               sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, p[0], p[0]) >= 0 &&
                               sd_bus_start(bus) >= 0
                       ? bus
                       : NULL;
}

/* As the supervisor: a child is its connector, whose pid it tells; its loop ends when that has ended. */
_noreturn_ static void supervise(int tell) {
        struct host h = {.bus = silent_bus(), .identity.connector = {.pidfd = -1, .hold = -1}};
        struct host_listener listener = {.on_disconnected = on_disconnected};
        struct connector *c = &h.identity.connector;
        sd_event *event = NULL;

        (void)alarm(HANG_SECONDS);
        c->pid = fork();
        if (c->pid == 0)
                for (;;)
                        (void)pause();
        c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
        if (!h.bus || sd_event_new(&event) < 0)
                _exit(EXIT_FAILURE);
        listener.userdata = event;
        if (host_listen(&h, event, &listener) < 0 ||
            write(tell, &c->pid, sizeof(c->pid)) != (ssize_t)sizeof(c->pid))
                _exit(EXIT_FAILURE);
        _exit(sd_event_loop(event) == 0 && c->pid == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Its death can be waited for once the debugger, here we, lets it go: not before, and not never. */
static void test_connector_traced(void) {
        int p[2], status = -1;
        pid_t pid, connector = -1;
        siginfo_t si;
        sigset_t blocked;

        sigemptyset(&blocked);
        sigaddset(&blocked, SIGCHLD); /* sd-event insists */
        CHECK(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
        CHECK(pipe(p) == 0);
        pid = fork();
        if (pid == 0)
                supervise(p[1]);
        (void)close(p[1]);
        CHECK(read(p[0], &connector, sizeof(connector)) == (ssize_t)sizeof(connector));
        (void)close(p[0]);
        CHECK(connector > 0 && ptrace(PTRACE_SEIZE, connector, NULL, NULL) == 0);
        CHECK(connector > 0 && kill(connector, SIGKILL) == 0);
        CHECK(waitid(P_PID, (id_t)connector, &si, WEXITED | WNOWAIT | __WALL) == 0);
        (void)usleep(200000); /* its parent has looked, and there was nobody to reap */
        CHECK_EQ_INT(waitpid(pid, &status, WNOHANG), 0);
        CHECK(waitpid(connector, NULL, __WALL) == connector);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ_INT(status, 0);
}

TEST_MAIN({"sb-connector dies under a debugger", test_connector_traced})
