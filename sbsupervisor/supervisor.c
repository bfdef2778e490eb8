/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/supervisor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/listen.h"
#include "common/log.h"
#include "common/sandbox_layer.h"
#include "sbsupervisor/desktop_entry.h"
#include "sbsupervisor/launch.h"
#include "sbsupervisor/orphans.h"
#include "sbsupervisor/file_limit.h"
#include "sbsupervisor/virtiofsd.h"

#define START_USEC    30000000ull /* real starts take under a second; a loaded machine some more */
#define STOP_MS       2000        /* the document portal unmounts within a few milliseconds */
#define DEBUG_SOCKETS 2

/* --- what the machine must have ------------------------------------------------------------------- */

static bool find_in_path(const char *program) {
        const char *path = getenv("PATH");
        _cleanup_free_ char *copy = strdup(path ?: "/usr/bin:/bin");
        char *save = NULL;

        if (!copy)
                return false;
        for (char *dir = strtok_r(copy, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
                _cleanup_free_ char *file = NULL;

                if (asprintf(&file, "%s/%s", dir, program) >= 0 && access(file, X_OK) == 0)
                        return true;
        }
        return false;
}

static int check_machine(void) {
        if (access("/dev/fuse", R_OK | W_OK) < 0)
                return log_error_errno(errno, "the document portal needs /dev/fuse: load the module "
                                              "(modprobe fuse) and install the package fuse3");
        if (!find_in_path("fusermount3")) {
                log_error("the document portal needs fusermount3, which is not in PATH: install the "
                          "package fuse3");
                return -ENOENT;
        }
        return 0;
}

/* --- sockets -------------------------------------------------------------------------------------- */

/* A kernel that is itself a guest's has vsock, too, but no device for VMs. */
static void warn_of_vhost(void) {
        if (access("/dev/vhost-vsock", F_OK) < 0 && errno == ENOENT)
                log_warning("there is no /dev/vhost-vsock, so no VM of this kernel can connect to a vsock "
                            "port: load the module (modprobe vhost_vsock), or use a VMM with a vsock "
                            "of its own and listen on unix:PREFIX_PORT");
}

static int open_listener(struct supervisor *s, const struct address *a, enum proc_id router,
                         uint32_t flags) {
        struct listener *l = &s->listeners[s->n_listeners];
        int r = a->kind == ADDRESS_UNIX ? instance_record(&s->instance, a->path) : 0;

        assert(s->n_listeners < SUPERVISOR_MAX_LISTENERS);
        if (r < 0)
                return r;
        if (a->kind == ADDRESS_VSOCK) {
                flags |= IPC_LISTEN_CID;
                warn_of_vhost();
        }
        l->fd = listen_address(a, LIMIT_LISTEN_BACKLOG, 0);
        if (l->fd < 0)
                return l->fd;
        l->router = router;
        l->body = (struct ipc_router_listen){flags, flags & IPC_LISTEN_CID ? s->config.cid : 0};
        s->n_listeners++;
        return 0;
}

static int unix_address(struct address *a, const char *dir, const char *name) {
        int n;

        a->kind = ADDRESS_UNIX;
        n = snprintf(a->path, sizeof(a->path), "%s/%s", dir, name);
        if (n < 0 || (size_t)n >= sizeof(a->path)) {
                log_error("the socket path %s/%s is longer than 107 bytes: choose a shorter directory",
                          dir, name);
                return -ENAMETOOLONG;
        }
        return 0;
}

static int open_debug_access(struct supervisor *s) {
        static const struct {
                const char *name;
                enum proc_id router;
        } sockets[DEBUG_SOCKETS] = {
                {"vm.sock", PROC_VM_ROUTER},
                {"private.sock", PROC_PRIVATE_ROUTER},
        };
        int r = 0;

        if (!s->config.debug_dir)
                return 0;
        if (mkdir(s->config.debug_dir, 0700) < 0 && errno != EEXIST)
                return log_error_errno(errno, "cannot make %s", s->config.debug_dir);
        for (size_t i = 0; i < DEBUG_SOCKETS && r == 0; i++) {
                struct address a;

                r = unix_address(&a, s->config.debug_dir, sockets[i].name);
                if (r == 0)
                        r = open_listener(s, &a, sockets[i].router,
                                          IPC_LISTEN_OWNER | IPC_LISTEN_FDS | IPC_LISTEN_DEBUG);
        }
        return r;
}

static uint32_t guest_flags(const struct config *c, const struct address *a) {
        bool fds = c->descriptors && a->kind == ADDRESS_UNIX;

        return IPC_LISTEN_GUEST | (fds ? IPC_LISTEN_FDS : 0);
}

static int open_sockets(struct supervisor *s) {
        struct address a;
        int r = unix_address(&a, s->instance.private_dir, "bus");

        if (r == 0) {
                s->private_listener = listen_address(&a, LIMIT_LISTEN_BACKLOG, 0);
                r = s->private_listener < 0 ? s->private_listener : 0;
        }
        for (unsigned i = 0; i < s->config.n_listen && r == 0; i++)
                r = open_listener(s, &s->config.listen[i], PROC_VM_ROUTER,
                                  guest_flags(&s->config, &s->config.listen[i]));
        return r < 0 ? r : open_debug_access(s);
}

/* After the sockets: who takes another's whole configuration hears of the port first. */
static int claim_cid(struct supervisor *s) {
        for (unsigned i = 0; i < s->config.n_listen; i++)
                if (s->config.listen[i].kind == ADDRESS_VSOCK) {
                        int r = cid_claim(&s->cid, s->config.cid, s->config.vm);

                        return r == CID_E_TAKEN ? -EBUSY : r;
                }
        return 0;
}

/* The share's socket is ours, so that the VMM may connect before, between and after virtiofsd's lives. */
static int open_share(struct supervisor *s) {
        _cleanup_free_ char *path = launch_path(&proc_rows[PROC_VIRTIOFSD]);
        struct address a;
        int r;

        if (!path)
                return -ENOMEM;
        if (!virtiofsd_is_usable(path)) {
                s->procs[PROC_VIRTIOFSD].absent = true;
                return 0;
        }
        r = unix_address(&a, s->config.runtime_dir, "virtiofs.sock");
        if (r < 0)
                return r;
        s->virtiofs_listener = listen_address(&a, 1, 0);
        return s->virtiofs_listener < 0 ? s->virtiofs_listener : 0;
}

/* --- serving -------------------------------------------------------------------------------------- */

/* DIR/doc: the documents as the guest sees them, through the document portal's own root. */
static int make_debug_link(struct supervisor *s) {
        _cleanup_free_ char *target = NULL;
        struct stat st;
        int r;

        if (!s->config.debug_dir)
                return 0;
        if (!s->debug_link && asprintf(&s->debug_link, "%s/doc", s->config.debug_dir) < 0)
                return -ENOMEM;
        if (asprintf(&target, "/proc/%d/root%s", s->procs[PROC_DOCUMENT_PORTAL].pid,
                     s->instance.share_dir) < 0)
                return -ENOMEM;
        if (lstat(s->debug_link, &st) == 0 && !instance_is_debug_link(s->debug_link)) {
                log_error("%s is there already and not of sidebus: move it away, or choose another "
                          "--debug-access", s->debug_link);
                return -EEXIST;
        }
        r = instance_record(&s->instance, s->debug_link);
        if (r < 0)
                return r;
        if (unlink(s->debug_link) < 0 && errno != ENOENT)
                return log_error_errno(errno, "cannot replace %s", s->debug_link);
        if (symlink(target, s->debug_link) < 0)
                return log_error_errno(errno, "cannot make %s", s->debug_link);
        return 0;
}

static int give_listeners(struct supervisor *s) {
        for (unsigned i = 0; i < s->n_listeners; i++) {
                struct listener *l = &s->listeners[i];
                int r = ipc_send_ROUTER_LISTEN(&s->procs[l->router].chan, &l->body, NULL, 0, &l->fd, 1);

                if (r != 0)
                        return r < 0 ? r : -EPIPE;
                l->fd = fd_close(l->fd);
        }
        return 0;
}

/* What "systemctl status" shows. */
static void tell_status(const struct supervisor *s) {
        const struct documents *d = &s->documents;
        char granted[128] = "", names[64] = "";

        if (d->n_granted + d->n_foreign > 0)
                (void)snprintf(granted, sizeof(granted), ": %u documents granted, %u of them read only "
                                                         "because of their owner or group",
                               d->n_granted, d->n_foreign);
        (void)sandbox_layer_names(s->config.waived, names, sizeof(names));
        (void)sd_notifyf(false, "STATUS=Serving VM '%s'%s%s%s%s%s", s->config.vm, granted,
                         *names ? " (less protected: without " : "", names, *names ? ")" : "",
                         s->view.is_partial ? " (less protected: sockets of /run or /tmp may be seen)"
                                            : "");
}

static int serve(struct supervisor *s) {
        int r = make_debug_link(s);

        if (r == 0)
                r = give_listeners(s);
        if (r < 0)
                return r;
        s->serving = true;
        s->deadline = sd_event_source_disable_unref(s->deadline);
        log_info("serving VM '%s' as %s", s->config.vm, s->instance.state.app_id);
        (void)sd_notify(false, "READY=1");
        tell_status(s);
        return 0;
}

static bool may_start(const struct supervisor *s, enum proc_id id) {
        const struct proc *p = &s->procs[id];
        enum proc_id after = proc_rows[id].after;

        return p->pid == 0 && !p->absent && !p->restart && (after == PROC_N || s->procs[after].ready);
}

int supervisor_advance(struct supervisor *s) {
        unsigned n_ready = 0;
        int r = 0;

        if (s->serving || s->stopping)
                return 0;
        for (enum proc_id id = 0; id < PROC_N && r == 0; id++) {
                if (may_start(s, id))
                        r = proc_start(s, id);
                n_ready += s->procs[id].ready || s->procs[id].absent;
        }
        if (r == 0 && n_ready == PROC_N)
                r = serve(s);
        if (r < 0)
                supervisor_fail(s);
        return r;
}

void supervisor_fail(struct supervisor *s) {
        if (s->stopping)
                return;
        s->stopping = true;
        (void)sd_event_exit(s->event, -ECHILD);
}

/* --- events --------------------------------------------------------------------------------------- */

static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        struct supervisor *s = userdata;

        for (size_t i = 0; i < PROC_N; i++)
                if (s->procs[i].pid > 0 && !s->procs[i].ready)
                        log_error("%s did not get ready within 30 s: its own lines above may say why",
                                  proc_rows[i].name);
        supervisor_fail(s);
        return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *si _unused_,
                   void *userdata _unused_) {
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

static void on_host_signal(void *userdata, sd_bus_message *m) {
        struct supervisor *s = userdata;

        if (s->gate.bus)
                gate_host_signal(&s->gate, m);
}

static void on_host_broadcast(void *userdata, sd_bus_message *m) {
        struct supervisor *s = userdata;

        if (s->gate.bus)
                gate_host_broadcast(&s->gate, m);
}

static void on_host_lost(void *userdata) {
        struct supervisor *s = userdata;

        if (s->gate.bus)
                gate_portal_lost(&s->gate);
}

static void on_host_found(void *userdata) {
        struct supervisor *s = userdata;

        asks_portal_found(&s->asks);
}

static void on_host_disconnected(void *userdata) {
        supervisor_fail(userdata);
}

static void on_private_bus_breach(void *userdata, bool said) {
        struct supervisor *s = userdata;

        proc_breach(&s->procs[PROC_PRIVATE_ROUTER], NULL, said);
}

/* After each turn of the loop: what "systemctl status" shows follows what was granted. */
static int on_turn(sd_event_source *source _unused_, void *userdata) {
        struct supervisor *s = userdata;

        if (!s->serving || s->told == s->documents.n_granted + s->documents.n_foreign)
                return 0;
        s->told = s->documents.n_granted + s->documents.n_foreign;
        tell_status(s);
        return 0;
}

/* While nothing has been made yet, a signal may end us on the spot. */
static void quit(int sig _unused_) {
        _exit(EXIT_SUCCESS);
}

static const int stop_signals[] = {SIGTERM, SIGINT};

static int allow_quitting(void) {
        for (size_t i = 0; i < ELEMENTSOF(stop_signals); i++)
                if (signal(stop_signals[i], quit) == SIG_ERR)
                        return -errno;
        return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -errno : 0;
}

static int open_events(struct supervisor *s) {
        sigset_t blocked;
        int r;

        sigemptyset(&blocked);
        sigaddset(&blocked, SIGCHLD); /* see sd_event_add_child_pidfd(3), and orphans.c */
        for (size_t i = 0; i < ELEMENTSOF(stop_signals); i++)
                sigaddset(&blocked, stop_signals[i]);
        if (sigprocmask(SIG_BLOCK, &blocked, NULL) < 0)
                return -errno;
        r = sd_event_new(&s->event);
        for (size_t i = 0; i < ELEMENTSOF(stop_signals) && r >= 0; i++)
                r = sd_event_add_signal(s->event, NULL, stop_signals[i], on_stop, s);
        if (r >= 0)
                r = orphans_watch(s);
        if (r >= 0)
                r = sd_event_add_post(s->event, NULL, on_turn, s);
        if (r >= 0)
                r = sd_event_add_time_relative(s->event, &s->deadline, CLOCK_MONOTONIC, START_USEC, 0,
                                               on_deadline, s);
        if (r >= 0)
                r = sd_event_set_watchdog(s->event, true);
        return r < 0 ? log_error_errno(r, "event loop") : 0;
}

/* --- birth and death ------------------------------------------------------------------------------ */

/* Without its .desktop file the host's portal may not know the VM: no reason not to serve it. */
static int become_application(struct supervisor *s) {
        const char *app_id = s->instance.state.app_id;
        int r = desktop_entry_install(app_id, s->config.vm, s->config.label);

        if (r < 0)
                (void)log_warning_errno(r, "cannot write %s.desktop below your data directory", app_id);
        return host_identify(&s->host, app_id);
}

static int start(struct supervisor *s) {
        const struct host_listener listener = {
                .on_signal = on_host_signal,
                .on_broadcast = on_host_broadcast,
                .on_lost = on_host_lost,
                .on_found = on_host_found,
                .on_disconnected = on_host_disconnected,
                .userdata = s,
        };
        int r = allow_quitting();

        s->has_strangers = orphans_exist();
        s->documents.on_breach = on_private_bus_breach;
        s->documents.userdata = s;
        if (r == 0)
                r = check_machine();
        if (r == 0)
                r = host_open(&s->host); /* may wait long for the portal to start */
        if (r == 0)
                r = open_events(s);
        if (r == 0)
                r = instance_open(&s->instance, &s->config);
        if (r > 0)
                return -EBUSY;
        if (r == 0)
                r = remembered_open(&s->remembered, s->config.state_dir);
        if (r == 0)
                r = become_application(s);
        if (r == 0) {
                s->config.policy.answers = &s->remembered.rules;
                asks_init(&s->asks, &s->host, s->config.label, &s->remembered);
                r = host_listen(&s->host, s->event, &listener);
        }
        if (r == 0)
                r = open_sockets(s);
        if (r == 0)
                r = claim_cid(s);
        if (r == 0)
                r = documents_view_open(&s->view, &s->config, s->host.bus);
        if (r == 0)
                r = open_share(s);
        return r < 0 ? r : supervisor_advance(s);
}

/* Who uses something goes before who serves it. */
static void stop(struct supervisor *s) {
        static const enum proc_id order[] = {
                PROC_PORTAL,          PROC_VM_ROUTER,        PROC_VIRTIOFSD,
                PROC_DOCUMENT_PORTAL, PROC_PERMISSION_STORE, PROC_PRIVATE_ROUTER,
        };

        _Static_assert(ELEMENTSOF(order) == PROC_N, "every process is stopped");
        s->stopping = true;
        (void)sd_notify(false, "STOPPING=1");
        /* sbportal first: to it, the end of its channel is an order, that of the gate a fault. */
        for (size_t i = 0; i < ELEMENTSOF(order); i++)
                proc_stop(&s->procs[order[i]], STOP_MS);
        asks_stop(&s->asks);
        if (s->gate.bus)
                gate_done(&s->gate);
        asks_done(&s->asks);
        remembered_done(&s->remembered);
        host_done(&s->host);
        documents_done(&s->documents);
        if (!s->has_strangers) /* whose could not be told from ours */
                orphans_end(STOP_MS, LIMIT_ORPHANS_MS); /* the document portal's fusermount3 ends just after it */
        for (unsigned i = 0; i < s->n_listeners; i++)
                s->listeners[i].fd = fd_close(s->listeners[i].fd);
        s->private_listener = fd_close(s->private_listener);
        s->virtiofs_listener = fd_close(s->virtiofs_listener);
        s->portal_bus_fd = fd_close(s->portal_bus_fd);
        documents_view_close(&s->view);
        cid_release(&s->cid);
        instance_close(&s->instance);
        free(s->debug_link);
        s->deadline = sd_event_source_disable_unref(s->deadline);
        s->event = sd_event_unref(s->event);
}

int supervisor_run(struct supervisor *s) {
        int r;

        s->instance.lock_fd = s->cid.fd = -1;
        s->private_listener = s->virtiofs_listener = s->portal_bus_fd = -1;
        documents_view_init(&s->view);
        for (enum proc_id id = 0; id < PROC_N; id++)
                s->procs[id] = (struct proc){
                        .supervisor = s, .id = id, .pidfd = -1, .chan.fd = -1};
        file_limit_raise(&s->files);
        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return log_error_errno(errno, "cannot become a subreaper");
        r = start(s);
        if (r == 0) {
                r = sd_event_loop(s->event);
                if (r < 0 && r != -ECHILD)
                        (void)log_error_errno(r, "event loop");
                /* Its removal takes the mount point, and so the document portal, with it. */
                if (r < 0 && access(s->config.runtime_dir, F_OK) < 0)
                        log_error("%s was removed: sidebus cannot run without it",
                                  s->config.runtime_dir);
        }
        stop(s);
        return r;
}
