/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/documents_view.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/sandbox_layer.h"

void documents_view_init(struct documents_view *v) {
        *v = (struct documents_view){.namespaces = {{-1, -1, -1, -1}}};
}

/*
 * Where gvfs mounts what a person picks from, perhaps later than now: so it has to be there.  And
 * to stay: another VM's daemons may see that very directory.
 */
static int make_gvfs_dir(const char *runtime_dir, char **ret) {
        if (asprintf(ret, "%s/gvfs", runtime_dir) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        (void)mkdir(*ret, 0700); /* else it has none, and needs none */
        return 0;
}

/* The session bus may lie anywhere.  One without a path ends at the network namespace. */
static bool bus_path(sd_bus *session, struct sockaddr_un *ret) {
        int fd = sd_bus_get_fd(session);
        socklen_t n = sizeof(*ret) - 1;

        *ret = (struct sockaddr_un){0};
        return fd >= 0 && getpeername(fd, (struct sockaddr *)ret, &n) == 0 &&
               ret->sun_family == AF_UNIX && ret->sun_path[0] == '/';
}

static int make(struct documents_view *v, const struct privop_view *view) {
        int r = privop_new_documents_namespace(view, &v->namespaces);

        if (r == PRIVOP_E_SOCKETS) {
                v->is_partial = true;
                log_warning(
                        "/run or /tmp holds so many files that not all were looked at: the VM's "
                        "portal daemons may see sockets there, until you remove some and start "
                        "the instance anew");
                return 0;
        }
        if (r == PRIVOP_E_USERNS)
                return log_error_errno(errno,
                                       "the kernel does not let you make a user namespace with "
                                       "a mount, network and ipc namespace: "
                                       SANDBOX_NAMESPACES_REMEDY);
        if (r == -ETIMEDOUT)
                return log_error_errno(r, "a file system that is mounted below /run, /tmp, your home or "
                                          "your runtime directory does not answer: unmount it "
                                          "(findmnt lists them, fusermount3 -uz PATH lets go of one)");
        return r < 0 ? log_error_errno(r, "cannot make the documents namespace") : 0;
}

/* The same directory by one name, so that what lies below another is seen to.  New. */
static char *real_path(const char *path) {
        char *real = realpath(path, NULL);

        return real || errno == ENOMEM ? real : strdup(path);
}

/* Whether it is the runtime directory, or holds something that has to stay. */
static bool is_in_view(const struct privop_view *v, const char *dir) {
        size_t n = strlen(dir);

        if (v->runtime_dir && strcmp(v->runtime_dir, dir) == 0)
                return true;
        for (unsigned i = 0; i < v->n_keep; i++)
                if (v->keep[i] && strncmp(v->keep[i], dir, n) == 0 && v->keep[i][n] == '/')
                        return true;
        return false;
}

int documents_view_open(struct documents_view *v, const struct config *c, sd_bus *session) {
        const char *given = getenv("XDG_RUNTIME_DIR"), *agent = getenv("SSH_AUTH_SOCK");
        _cleanup_free_ char *run = real_path(c->runtime_dir), *state = real_path(c->state_dir);
        _cleanup_free_ char *runtime_dir = given && given[0] == '/' ? real_path(given) : NULL;
        struct privop_view view = {
                .runtime_dir = runtime_dir, .home = getenv("HOME"), .keep = {run, state}, .n_keep = 2};
        _cleanup_free_ char *gvfs = NULL;
        struct sockaddr_un bus;
        char usual[32];
        int r = run && state ? 0 : -ENOMEM;

        if (r == 0 && runtime_dir) {
                r = make_gvfs_dir(runtime_dir, &gvfs);
                view.keep[view.n_keep++] = gvfs;
        }
        if (r < 0)
                return log_error_errno(r, "cannot make the documents namespace");
        if (bus_path(session, &bus))
                view.hide[view.n_hide++] = bus.sun_path;
        if (agent && agent[0] == '/')
                view.hide[view.n_hide++] = agent;
        /* Where a login's own sockets are, whatever directory this process was given. */
        (void)snprintf(usual, sizeof(usual), "/run/user/%u", geteuid());
        if (!is_in_view(&view, usual))
                view.hide[view.n_hide++] = usual;
        return make(v, &view);
}

void documents_view_close(struct documents_view *v) {
        privop_namespaces_close(&v->namespaces);
}
