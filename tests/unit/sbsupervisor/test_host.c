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

static void serve(struct host *h, int go _unused_) {
        struct host_listener listener = {.on_disconnected = on_disconnected};
        sd_event *event = NULL;

        if (sd_event_new(&event) < 0)
                _exit(EXIT_FAILURE);
        listener.userdata = event;
        if (host_listen(h, event, &listener) < 0 || sd_event_loop(event) != 0)
                _exit(EXIT_FAILURE);
}

static void stop(struct host *h, int go) {
        char c;

        if (read(go, &c, 1) != 1)
                _exit(EXIT_FAILURE);
        host_done(h);
}

/* As the supervisor, whose child is its connector; does what it is to, until that one is forgotten. */
_noreturn_ static void supervise(void (*run)(struct host *h, int go), int tell, int go) {
        struct host h = {.bus = silent_bus(), .identity.connector = {.pidfd = -1, .hold = -1}};
        struct connector *c = &h.identity.connector;

        (void)alarm(HANG_SECONDS);
        c->pid = fork();
        if (c->pid == 0)
                for (;;)
                        (void)pause();
        c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
        if (!h.bus || write(tell, &c->pid, sizeof(c->pid)) != (ssize_t)sizeof(c->pid))
                _exit(EXIT_FAILURE);
        run(&h, go);
        _exit(c->pid == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

struct family {
        pid_t supervisor, connector;
        int go;
};

/* The connector is dead, but a debugger, we, holds it: its parent finds nobody to reap. */
static void begin(struct family *f, void (*run)(struct host *h, int go)) {
        int tell[2], go[2];
        siginfo_t si;
        sigset_t blocked;

        sigemptyset(&blocked);
        sigaddset(&blocked, SIGCHLD); /* sd-event insists */
        CHECK(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
        CHECK(pipe(tell) == 0 && pipe(go) == 0);
        *f = (struct family){.supervisor = fork(), .connector = -1, .go = go[1]};
        if (f->supervisor == 0)
                supervise(run, tell[1], go[0]);
        CHECK(read(tell[0], &f->connector, sizeof(pid_t)) == (ssize_t)sizeof(pid_t));
        CHECK(f->connector > 0 && ptrace(PTRACE_SEIZE, f->connector, NULL, NULL) == 0 &&
              kill(f->connector, SIGKILL) == 0);
        CHECK(waitid(P_PID, (id_t)f->connector, &si, WEXITED | WNOWAIT | __WALL) == 0);
        (void)close(tell[0]);
        (void)close(tell[1]);
        (void)close(go[0]);
}

static void let_go(struct family *f) {
        CHECK(waitpid(f->connector, NULL, __WALL) == f->connector);
        (void)close(f->go);
}

static void check_good_end(const struct family *f) {
        int status = -1;

        CHECK(waitpid(f->supervisor, &status, 0) == f->supervisor);
        CHECK_EQ_INT(status, 0);
}

static void test_dies_traced(void) {
        struct family f;

        begin(&f, serve);
        (void)usleep(200000); /* its parent has looked, and there was nobody to reap */
        CHECK_EQ_INT(waitpid(f.supervisor, NULL, WNOHANG), 0);
        let_go(&f);
        check_good_end(&f);
}

static void test_stop_traced(void) {
        struct family f;

        begin(&f, stop);
        CHECK(write(f.go, "x", 1) == 1);
        check_good_end(&f);
        let_go(&f);
}

TEST_MAIN({"sb-connector dies under a debugger: that is noticed once it is let go", test_dies_traced},
          {"nobody waits for the debugger at the end", test_stop_traced})
