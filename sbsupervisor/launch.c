/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/launch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/escape.h"
#include "common/log.h"
#include "common/sandbox_layer.h"
#include "sbsupervisor/supervisor.h"

char *launch_path(const struct proc_row *row) {
        const char *override = row->path_env ? getenv(row->path_env) : NULL;
        const char *libexec = getenv("SIDEBUS_LIBEXECDIR");
        char *path;

        if (override)
                return strdup(override);
        if (row->program[0] == '/')
                return strdup(row->program);
        return asprintf(&path, "%s/%s", libexec ?: SIDEBUS_LIBEXECDIR, row->program) < 0 ? NULL : path;
}

void launch_arg(struct launch *l, const char *arg) {
        assert(l->n_argv < LAUNCH_MAX_STRINGS - 1);
        l->argv[l->n_argv++] = arg;
}

/* A formatted string that lives as long as the launch; NULL when memory is out. */
_printf_(2, 3) static const char *own(struct launch *l, const char *fmt, ...) {
        char *s = NULL;
        va_list ap;

        assert(l->n_owned < LAUNCH_MAX_STRINGS);
        va_start(ap, fmt);
        if (vasprintf(&s, fmt, ap) < 0)
                s = NULL;
        va_end(ap);
        if (s)
                l->owned[l->n_owned++] = s;
        return s;
}

static int env(struct launch *l, const char *assignment) {
        if (!assignment)
                return -ENOMEM;
        assert(l->n_envp < LAUNCH_MAX_STRINGS - 1);
        l->envp[l->n_envp++] = assignment;
        return 0;
}

/* Hands a variable of ours on, if it is set. */
static int env_pass(struct launch *l, const char *name) {
        const char *value = getenv(name);

        return value ? env(l, own(l, "%s=%s", name, value)) : 0;
}

/* A path as a D-Bus address holds it (specification, "Server Addresses"): '~' is escaped, too. */
static const char *own_address(struct launch *l, const char *path) {
        _cleanup_free_ char *escaped = uri_escape_path(path);
        _cleanup_free_ char *address = escaped ? malloc(3 * strlen(escaped) + 1) : NULL;
        char *end = address;

        if (!address)
                return NULL;
        for (const char *c = escaped; *c; c++)
                end = *c == '~' ? stpcpy(end, "%7e") : stpncpy(end, c, 1);
        *end = '\0';
        return own(l, "DBUS_SESSION_BUS_ADDRESS=unix:path=%s", address);
}

/* The portal daemons live in a small world: the private bus, their own directories, no desktop. */
static int daemon_environment(struct supervisor *s, struct launch *l) {
        static const char *const pass[] = {"PATH", "HOME", "LANG"};
        int r = env(l, own(l, "XDG_RUNTIME_DIR=%s", s->instance.documents_dir));
        const char *bus = own(l, "%s/bus", s->instance.private_dir);

        if (r == 0)
                r = env(l, own(l, "XDG_DATA_HOME=%s", s->config.state_dir));
        if (r == 0)
                r = bus ? env(l, own_address(l, bus)) : -ENOMEM;
        if (r == 0)
                r = env(l, "GIO_USE_VFS=local");
        if (r == 0)
                r = env(l, "GSETTINGS_BACKEND=memory");
        for (size_t i = 0; i < ELEMENTSOF(pass) && r == 0; i++)
                r = env_pass(l, pass[i]);
        return r;
}

int launch_environment(struct supervisor *s, const struct proc_row *row, struct launch *l) {
        /* The last three are for sanitizer builds and for tests of them. */
        static const char *const pass[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
        int r;

        if (row->role == IPC_SUPERVISOR && row->bus_name)
                return daemon_environment(s, l);
        if (row->role == IPC_SUPERVISOR) { /* it talks to a VMM, and to nobody here */
                r = env_pass(l, "PATH");
                return r == 0 ? env_pass(l, "LANG") : r;
        }
        r = env(l, "SIDEBUS_LOG_PREFIX=1");
        if (r == 0 && log_level() >= LOG_DEBUG)
                r = env(l, "SIDEBUS_LOG_LEVEL=debug");
        for (size_t i = 0; i < ELEMENTSOF(pass) && r == 0; i++)
                r = env_pass(l, pass[i]);
        return r;
}

void launch_done(struct launch *l) {
        for (unsigned i = 0; i < l->n_owned; i++)
                free(l->owned[i]);
        for (unsigned i = 0; i < l->n_fds; i++)
                (void)fd_close(l->fds[i]);
        *l = (struct launch){0};
}

/* --- our own programs ------------------------------------------------------------------------------- */

/* To leave the file system, and to lower the bounding set; then they drop these, too. */
#define OWN_CAPABILITIES (PRIVOP_CAPABILITY(CAP_SYS_ADMIN) | PRIVOP_CAPABILITY(CAP_SETPCAP))

static int prepare_own(struct supervisor *s, struct launch *l) {
        launch_arg(l, "--ipc-fd");
        launch_arg(l, "3");
        if (!(s->config.waived & SANDBOX_NAMESPACES))
                launch_arg(l, "--in-namespaces");
        for (unsigned layer = 1; layer < SANDBOX_ALL; layer <<= 1)
                if (s->config.waived & layer) {
                        const char *arg = own(l, "--waive=%s", sandbox_layer_name(layer));

                        if (!arg)
                                return -ENOMEM;
                        launch_arg(l, arg);
                }
        return 0;
}

static int configure_router(struct supervisor *s, enum proc_id id, uint32_t bus) {
        struct ipc_router_config c = {.abi = IPC_ABI, .bus = bus};

        memcpy(c.machine_id, s->instance.state.machine_id, sizeof(c.machine_id));
        return ipc_send_ROUTER_CONFIG(&s->procs[id].chan, &c, NULL, 0, NULL, 0);
}

/* Gives a router one end of a new socketpair as a peer's connection; the other end is *ret. */
static int connect_peer(struct supervisor *s, enum proc_id id, uint32_t kind, int *ret) {
        struct ipc_router_peer body = {.kind = kind};
        _cleanup_close_ int ours = -1, theirs = -1;
        int p[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) < 0)
                return -errno;
        ours = p[0];
        theirs = p[1];
        r = ipc_send_ROUTER_PEER(&s->procs[id].chan, &body, NULL, 0, &theirs, 1);
        if (r != 0)
                return r < 0 ? r : -EPIPE;
        *ret = TAKE_FD(ours);
        return 0;
}

static int set_ready(struct supervisor *s, enum proc_id id) {
        s->procs[id].ready = true;
        return supervisor_advance(s);
}

static int on_name_owned(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        const char *sender = sd_bus_message_get_sender(m), *name, *before, *after;
        struct supervisor *s = userdata;
        int r = sd_bus_message_read(m, "sss", &name, &before, &after);

        if (r < 0 || !sender || strcmp(sender, "org.freedesktop.DBus") != 0 || !*after)
                return 0;
        for (enum proc_id id = 0; id < PROC_N; id++) {
                const struct proc_row *row = &proc_rows[id];

                if (row->ready == PROC_READY_NAME && s->procs[id].pid > 0 &&
                    strcmp(row->bus_name, name) == 0)
                        return row->named ? row->named(s) : set_ready(s, id);
        }
        return 0;
}

/* Only now can no name be missed: the daemons may come. */
static int on_listening(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct supervisor *s = userdata;

        if (sd_bus_message_get_error(m)) {
                log_error("the private bus does not let us listen");
                supervisor_fail(s);
                return 0;
        }
        return set_ready(s, PROC_PRIVATE_ROUTER);
}

static int started_private_router(struct supervisor *s) {
        struct ipc_router_listen listen = {.flags = IPC_LISTEN_OWNER | IPC_LISTEN_FDS};
        struct ipc_chan *chan = &s->procs[PROC_PRIVATE_ROUTER].chan;
        int fd, r = configure_router(s, PROC_PRIVATE_ROUTER, IPC_BUS_PRIVATE);

        if (r == 0)
                r = ipc_send_ROUTER_LISTEN(chan, &listen, NULL, 0, &s->private_listener, 1);
        if (r == 0)
                r = connect_peer(s, PROC_PRIVATE_ROUTER, IPC_PEER_SUPERVISOR, &fd);
        if (r != 0)
                return r < 0 ? r : -EPIPE;
        s->private_listener = fd_close(s->private_listener);
        r = documents_open(&s->documents, s->event, fd, &s->config, s->view.namespaces.root,
                           s->instance.state.app_id);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(s->documents.bus, NULL, "org.freedesktop.DBus",
                                      "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                      "NameOwnerChanged", on_name_owned, on_listening, s);
        return r < 0 ? r : 0;
}

static int started_vm_router(struct supervisor *s) {
        int r = configure_router(s, PROC_VM_ROUTER, IPC_BUS_VM);

        if (r == 0)
                r = connect_peer(s, PROC_VM_ROUTER, IPC_PEER_PORTAL, &s->portal_bus_fd);
        return r > 0 ? -EPIPE : r;
}

static void on_gate_breach(void *userdata, bool said) {
        struct supervisor *s = userdata;

        proc_breach(&s->procs[PROC_PORTAL], NULL, said);
}

static int started_portal(struct supervisor *s) {
        struct ipc_portal_config body = {
                .abi = IPC_ABI,
                .flags = s->config.pass_windows ? IPC_PORTAL_PASS_WINDOWS : 0,
        };
        const char *documents = s->config.guest_documents;
        _cleanup_close_ int ours = -1, theirs = -1;
        int p[2], fds[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) < 0)
                return -errno;
        ours = p[0];
        theirs = p[1];
        memcpy(body.machine_id, s->instance.state.machine_id, sizeof(body.machine_id));
        fds[0] = s->portal_bus_fd;
        fds[1] = theirs;
        r = ipc_send_PORTAL_CONFIG(&s->procs[PROC_PORTAL].chan, &body, documents, strlen(documents), fds,
                                   2);
        if (r != 0)
                return r < 0 ? r : -EPIPE;
        s->portal_bus_fd = fd_close(s->portal_bus_fd);
        s->gate.on_breach = on_gate_breach;
        s->gate.userdata = s;
        return gate_open(&s->gate, s->event, TAKE_FD(ours),
                         &(struct gate_world){
                                 .host = &s->host,
                                 .documents = &s->documents,
                                 .config = &s->config,
                                 .policy = &s->config.policy,
                                 .asks = &s->asks,
                         });
}

/* --- the document portal's daemons and virtiofsd ----------------------------------------------------- */

static int prepare_daemon(struct supervisor *s _unused_, struct launch *l _unused_) {
        return 0;
}

static int started_document_portal(struct supervisor *s) {
        struct ipc_router_pid body = {.pid = (uint32_t)s->procs[PROC_DOCUMENT_PORTAL].pid};
        int r = ipc_send_ROUTER_PID(&s->procs[PROC_PRIVATE_ROUTER].chan, &body, NULL, 0, NULL, 0);

        return r > 0 ? -EPIPE : r;
}

static int on_mount_point(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct supervisor *s = userdata;

        if (e) {
                log_error("xdg-document-portal cannot mount the documents: %s",
                          ESCAPED(e->message ?: e->name));
                supervisor_fail(s);
                return 0;
        }
        return set_ready(s, PROC_DOCUMENT_PORTAL);
}

/* It owns its name before it has mounted; this call is answered when it has. */
static int named_document_portal(struct supervisor *s) {
        free(s->documents.share);
        if (asprintf(&s->documents.share, "/proc/%d/root%s", s->procs[PROC_DOCUMENT_PORTAL].pid,
                     s->instance.share_dir) < 0) {
                s->documents.share = NULL;
                return -ENOMEM;
        }
        return documents_mount_point(&s->documents, on_mount_point, s);
}

/*
 * The guest's user sees the documents as its own, whatever the person's uid; what any guest user
 * makes is the person's.  virtiofsd sees the person's uid as it is: its own sandbox maps only that.
 */
static int translate_ids(struct supervisor *s, struct launch *l) {
        const char *const args[] = {
                own(l, "--translate-uid=squash-guest:0:%u:4294967295", geteuid()),
                own(l, "--translate-gid=squash-guest:0:%u:4294967295", getegid()),
                own(l, "--translate-uid=squash-host:0:%u:4294967295", s->config.guest_uid),
                own(l, "--translate-gid=squash-host:0:%u:4294967295", s->config.guest_gid),
        };

        for (size_t i = 0; i < ELEMENTSOF(args); i++) {
                if (!args[i])
                        return -ENOMEM;
                launch_arg(l, args[i]);
        }
        return 0;
}

/* --cache=never: what one side writes the other sees at once.  No --xattr: it would tell host paths. */
static int prepare_virtiofsd(struct supervisor *s, struct launch *l) {
        int fd = fcntl(s->virtiofs_listener, F_DUPFD_CLOEXEC, 3);
        const char *share = own(l, "--shared-dir=%s", s->instance.share_dir);

        if (fd < 0)
                return -errno;
        l->fds[l->n_fds++] = fd;
        /* virtiofsd tries accept() again and again: it must wait in there, or it takes a whole CPU. */
        if (fcntl(fd, F_SETFL, 0) < 0)
                return -errno;
        if (!share)
                return -ENOMEM;
        launch_arg(l, "--fd=3");
        launch_arg(l, share);
        launch_arg(l, "--cache=never");
        launch_arg(l, "--inode-file-handles=never");
        /* Its own defaults, but not left to them: it sees the share and nothing else. */
        launch_arg(l, "--sandbox=namespace");
        launch_arg(l, "--seccomp=kill");
        launch_arg(l, "--log-level=warn");
        if (s->config.advertise_tag)
                launch_arg(l, "--tag=" PRINT_TAG); /* not always: some QEMUs crash of it */
        return translate_ids(s, l);
}

/* In the order they are started. */
const struct proc_row proc_rows[PROC_N] = {
        [PROC_PRIVATE_ROUTER] =
                {
                        .name = "sbrouter-private",
                        .program = "sbrouter",
                        .role = IPC_ROUTER,
                        .after = PROC_N,
                        .ready = PROC_READY_BUS,
                        .capabilities = OWN_CAPABILITIES,
                        .prepare = prepare_own,
                        .started = started_private_router,
                },
        [PROC_PERMISSION_STORE] =
                {
                        .name = "xdg-permission-store",
                        .program = SIDEBUS_PERMISSION_STORE,
                        .path_env = "SIDEBUS_PERMISSION_STORE",
                        .package = "xdg-desktop-portal",
                        .after = PROC_PRIVATE_ROUTER,
                        .ready = PROC_READY_NAME,
                        .bus_name = "org.freedesktop.impl.portal.PermissionStore",
                        .in_documents_ns = true,
                        .prepare = prepare_daemon,
                },
        [PROC_DOCUMENT_PORTAL] =
                {
                        .name = "xdg-document-portal",
                        .program = SIDEBUS_DOCUMENT_PORTAL,
                        .path_env = "SIDEBUS_DOCUMENT_PORTAL",
                        .package = "xdg-desktop-portal",
                        .after = PROC_PERMISSION_STORE,
                        .ready = PROC_READY_NAME,
                        .bus_name = DOCUMENTS_BUS_NAME,
                        .in_documents_ns = true,
                        .capabilities = PRIVOP_CAPABILITY(CAP_SYS_ADMIN), /* its fusermount3 mounts, in its own namespace */
                        .prepare = prepare_daemon,
                        .started = started_document_portal,
                        .named = named_document_portal,
                },
        [PROC_VIRTIOFSD] =
                {
                        .name = "virtiofsd",
                        .program = SIDEBUS_VIRTIOFSD,
                        .path_env = "SIDEBUS_VIRTIOFSD",
                        .package = "virtiofsd",
                        .after = PROC_DOCUMENT_PORTAL,
                        .ready = PROC_READY_EXEC,
                        .on_death = PROC_DEATH_RESTART, /* it ends when the VMM disconnects */
                        .in_documents_ns = true,
                        .optional = true,
                        .prepare = prepare_virtiofsd,
                },
        [PROC_VM_ROUTER] =
                {
                        .name = "sbrouter",
                        .program = "sbrouter",
                        .role = IPC_ROUTER,
                        .after = PROC_N,
                        .ready = PROC_READY_IPC,
                        .capabilities = OWN_CAPABILITIES,
                        .prepare = prepare_own,
                        .started = started_vm_router,
                },
        [PROC_PORTAL] =
                {
                        .name = "sbportal",
                        .program = "sbportal",
                        .role = IPC_PORTAL,
                        .after = PROC_VM_ROUTER,
                        .ready = PROC_READY_IPC,
                        .capabilities = OWN_CAPABILITIES,
                        .prepare = prepare_own,
                        .started = started_portal,
                },
};
