/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/procs.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/sandbox_layer.h"
#include "sbsupervisor/child_exit.h"
#include "sbsupervisor/launch.h"
#include "sbsupervisor/on_ipc.h"
#include "sbsupervisor/sandbox_profile.h"
#include "sbsupervisor/supervisor.h"

#define RESTART_USEC     200000u   /* a VMM that reboots its guest reconnects after about a second */
#define RESTART_MAX_USEC 30000000u /* for one that cannot live: a person who mends it need not wait long */
#define SHORT_LIFE_USEC  1000000u  /* less: it failed; else it served somebody */
#define KILLED_MS        5000 /* the kernel needs no time for it, but where it waits itself */
#define SHORT_SERVICES   8u        /* VMMs in a row that may leave so soon; then it has none */

/* What we killed it for was the line about it. */
static bool is_reported(const struct proc *p, const siginfo_t *si) {
        return p->breached && si->si_code == CLD_KILLED && si->si_status == SIGKILL;
}

/* The one line about it; then: what follows of it, or "". */
static void report_exit(const struct proc_row *row, const siginfo_t *si, const char *then) {
        if (si->si_code == CLD_EXITED)
                log_line(row->on_death == PROC_DEATH_STOP ? LOG_ERR : LOG_INFO,
                         "%s ended with status %d%s", row->name, si->si_status, then);
        else if (si->si_status == SIGSYS)
                log_error("%s was killed: it made a system call that its sandbox forbids%s", row->name,
                          then);
        else
                log_error("%s was killed by signal %d (%s)%s", row->name, si->si_status,
                          strsignal(si->si_status), then);
}

/*
 * How long to wait now: twice as long after each failure in a row.  A VMM that left is none; but
 * who ends with 0 again and again, at once, had no VMM.
 */
static uint64_t next_delay(struct proc *p, const siginfo_t *si) {
        bool served = si->si_code == CLD_EXITED && si->si_status == 0;

        if (clock_usec() - p->started_usec >= SHORT_LIFE_USEC)
                p->restart_usec = p->short_services = 0;
        else if (served)
                served = p->short_services++ < SHORT_SERVICES;
        if (served || p->restart_usec == 0)
                p->restart_usec = RESTART_USEC;
        else
                p->restart_usec *= 2;
        if (p->restart_usec > RESTART_MAX_USEC)
                p->restart_usec = RESTART_MAX_USEC;
        return p->restart_usec;
}

static int on_restart(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        struct proc *p = userdata;

        p->restart = sd_event_source_disable_unref(p->restart);
        if (proc_start(p->supervisor, p->id) < 0)
                supervisor_fail(p->supervisor);
        return 0;
}

static int on_exit_of(sd_event_source *source _unused_, const siginfo_t *si, void *userdata) {
        struct proc *p = userdata;
        const struct proc_row *row = &proc_rows[p->id];
        struct supervisor *s = p->supervisor;
        char then[64] = "";
        uint64_t delay = 0;

        if (row->on_death == PROC_DEATH_RESTART) {
                delay = next_delay(p, si);
                (void)snprintf(then, sizeof(then), "; it is started again in %u.%u s",
                               (unsigned)(delay / 1000000), (unsigned)(delay % 1000000 / 100000));
        }
        if (!is_reported(p, si))
                report_exit(row, si, then);
        proc_forget(p);
        if (row->on_death == PROC_DEATH_STOP) {
                supervisor_fail(s);
                return 0;
        }
        /* Its socket is ours and open all the time: between two lives it holds up nobody's start. */
        p->ready = row->ready == PROC_READY_EXEC;
        if (sd_event_add_time_relative(s->event, &p->restart, CLOCK_MONOTONIC, delay, 0, on_restart,
                                       p) < 0)
                supervisor_fail(s);
        return 0;
}

static void send_signal(const struct proc *p, int sig) {
        (void)syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0);
}

void proc_breach(struct proc *p, const char *why, bool said) {
        if (why)
                log_line(said ? LOG_ERR : LOG_DEBUG, "%s: %s", proc_rows[p->id].name, why);
        p->breached = said;
        p->ipc_source = sd_event_source_disable_unref(p->ipc_source);
        send_signal(p, SIGKILL);
}

static int on_channel(sd_event_source *source _unused_, int fd _unused_, uint32_t events _unused_,
                      void *userdata) {
        struct proc *p = userdata;
        int r = ipc_drain(&p->chan, on_ipc_handlers, p);

        if (r == IPC_E_GONE)
                proc_breach(p, "it hung up", false);
        else if (r > 0)
                proc_breach(p, "it broke the ipc protocol", true);
        else if (r < 0)
                supervisor_fail(p->supervisor);
        return 0;
}

static int watch(struct supervisor *s, struct proc *p) {
        int r = child_exit_watch(s->event, p->pidfd, on_exit_of, p, &p->exit_source);

        if (r == 0 && p->chan.fd >= 0)
                r = sd_event_add_io(s->event, &p->ipc_source, p->chan.fd, EPOLLIN, on_channel, p);
        /* The last words on the channel are read before the death is noticed. */
        if (r >= 0 && p->ipc_source)
                r = sd_event_source_set_priority(p->ipc_source, SD_EVENT_PRIORITY_IMPORTANT);
        return r < 0 ? r : 0;
}

static int report_spawn(const struct proc_row *row, const char *path, int r) {
        if (r == PRIVOP_E_USERNS)
                return sandbox_layer_refuse(row->name, SANDBOX_NAMESPACES, errno);
        if (r != PRIVOP_E_PROGRAM)
                return log_error_errno(r, "cannot start %s", path);
        if (row->package)
                log_error("cannot start %s (%s): install the package %s", path, strerror(errno),
                          row->package);
        else
                log_error("cannot start %s (%s): is sidebus installed completely?", path,
                          strerror(errno));
        return -ENOENT;
}

static int spawn(struct supervisor *s, struct proc *p, const struct proc_row *row,
                 const struct launch *l, const char *path) {
        _cleanup_close_ int log_fd = -1;
        struct privop_spawn spawn_args = {
                .path = path,
                .argv = l->argv,
                .envp = l->envp,
                .fds = l->fds,
                .n_fds = l->n_fds,
                .apart = row->role != IPC_SUPERVISOR && !(s->config.waived & SANDBOX_NAMESPACES),
                .join = row->in_documents_ns ? &s->view.namespaces : NULL,
                .capabilities = row->capabilities,
                .profile = row->in_documents_ns ? &daemon_profile : NULL,
                .waived = s->config.waived,
                .files = &s->files,
        };
        int r = child_log_open(&p->log, s->event, row->name, &log_fd);

        if (r < 0)
                return log_error_errno(r, "cannot start %s", path);
        spawn_args.log_fd = log_fd;
        r = privop_spawn(&spawn_args, &p->pid, &p->pidfd);
        return r != 0 ? report_spawn(row, path, r) : 0;
}

/* A program of ours gets its end of a fresh channel as descriptor 3. */
static int make_channel(struct proc *p, const struct proc_row *row, struct launch *l) {
        struct ipc_chan child;
        int r;

        if (row->role == IPC_SUPERVISOR)
                return 0;
        r = ipc_pair(IPC_SUPERVISOR, row->role, &p->chan, &child);
        if (r == 0)
                l->fds[l->n_fds++] = child.fd;
        return r;
}

int proc_start(struct supervisor *s, enum proc_id id) {
        _cleanup_(launch_done) struct launch l = {0};
        const struct proc_row *row = &proc_rows[id];
        struct proc *p = &s->procs[id];
        _cleanup_free_ char *path = NULL;
        int r;

        assert(p->pid == 0);
        path = launch_path(row);
        if (!path)
                return -ENOMEM;
        r = make_channel(p, row, &l);
        if (r == 0)
                r = launch_environment(s, row, &l);
        if (r == 0) {
                launch_arg(&l, path);
                r = row->prepare(s, &l);
        }
        if (r < 0)
                return log_error_errno(r, "cannot prepare %s", row->name);
        r = spawn(s, p, row, &l, path);
        if (r == 0) {
                r = watch(s, p);
                if (r == 0 && row->started)
                        r = row->started(s);
                if (r < 0)
                        (void)log_error_errno(r, "cannot start %s", row->name);
        }
        if (r < 0)
                return r;
        p->started_usec = clock_usec();
        log_debug("%s runs, pid %d", row->name, p->pid);
        if (row->ready == PROC_READY_EXEC)
                p->ready = true;
        return 0;
}

void proc_forget(struct proc *p) {
        p->exit_source = sd_event_source_disable_unref(p->exit_source);
        p->ipc_source = sd_event_source_disable_unref(p->ipc_source);
        p->restart = sd_event_source_disable_unref(p->restart);
        if (p->pid > 0)
                (void)waitpid(p->pid, NULL, WNOHANG);
        child_log_close(&p->log);
        p->chan.fd = fd_close(p->chan.fd);
        p->pidfd = fd_close(p->pidfd);
        p->pid = 0;
        p->ready = p->said_ready = p->breached = false;
}

/* True once the process has ended, within ms. */
static bool wait_exit(const struct proc *p, int ms) {
        struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};

        return poll(&pfd, 1, ms) == 1;
}

/* One that crashed may be why the others ended, and theirs may be known first. */
static void report_crash(const struct proc *p, bool by_itself) {
        siginfo_t si = {0};

        if (waitid(P_PIDFD, (id_t)p->pidfd, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0 ||
            si.si_code == CLD_EXITED || si.si_status == SIGTERM || si.si_status == SIGINT)
                return;
        if (is_reported(p, &si))
                return;
        if (by_itself || si.si_status != SIGKILL)
                report_exit(&proc_rows[p->id], &si, "");
}

void proc_stop(struct proc *p, int grace_ms) {
        if (p->pid > 0) {
                bool by_itself = wait_exit(p, 0);

                /* Nothing it does from here on is news. */
                p->exit_source = sd_event_source_disable_unref(p->exit_source);
                p->ipc_source = sd_event_source_disable_unref(p->ipc_source);
                if (p->chan.fd >= 0)
                        p->chan.fd = fd_close(p->chan.fd);
                else
                        send_signal(p, SIGTERM);
                if (!wait_exit(p, grace_ms)) {
                        log_warning("%s does not stop: killed", proc_rows[p->id].name);
                        send_signal(p, SIGKILL);
                        if (!wait_exit(p, KILLED_MS))
                                log_error("%s, pid %d, cannot be killed: it waits for a file system "
                                          "that does not answer", proc_rows[p->id].name, p->pid);
                }
                report_crash(p, by_itself);
        }
        proc_forget(p);
}
