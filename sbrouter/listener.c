/* SPDX-License-Identifier: MIT */
#include "sbrouter/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/limits.h"
#include "common/log.h"
#include "sbrouter/admission.h"
#include "sbrouter/router.h"

/* A flood of connects must not keep the turn from those that are connected. */
#define ACCEPTS_PER_TURN 16
#define LACK_PAUSE_MS 1000

enum {
        ACCEPT_E_NONE = 1, /* nobody waits, or we cannot take them now */
};

static int on_ready(struct loop_source *s, uint32_t events);

int listener_new(struct router *r, int take_fd, uint32_t flags, uint32_t cid) {
        _cleanup_close_ int fd = take_fd;
        struct listener *l;
        int v = fcntl(fd, F_GETFL);

        if (v < 0 || !(v & O_NONBLOCK))
                return -EINVAL;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->source = (struct loop_source){.fd = TAKE_FD(fd), .fn = on_ready};
        l->router = r;
        l->flags = flags;
        l->cid = cid;
        l->n_accepts = 1;
        list_append(&r->listeners, &l->link);
        v = loop_add(&r->loop, &l->source, EPOLLIN);
        if (v < 0)
                listener_free(l);
        return v;
}

struct listener *listener_free(struct listener *l) {
        int fd = l->source.fd;

        list_remove(&l->link);
        loop_remove(&l->router->loop, &l->source);
        (void)fd_close(fd);
        free(l);
        return NULL;
}

/* Whoever is refused may come again at once, for ever: a line a minute tells of all. */
static void complain(struct listener *l, int e, const struct sockaddr_vm *vm) {
        char whose[48] = "", more[48] = "";

        l->n_refused++;
        if (l->router->loop.now < l->quiet_until)
                return;
        if (e == ADMISSION_E_CID)
                (void)snprintf(whose, sizeof(whose), " (%u), but from %u", l->cid, vm->svm_cid);
        if (l->n_refused > 1)
                (void)snprintf(more, sizeof(more), "; since the last line: %u", l->n_refused);
        log_warning("connection refused: %s%s%s", admission_strerror(e), whose, more);
        l->quiet_until = l->router->loop.now + LIMIT_REFUSED_SECONDS * 1000;
        l->n_refused = 0;
}

static bool may_connect(struct listener *l, int fd, const struct sockaddr_vm *vm,
                        struct credentials *ret_cred) {
        int e;

        *ret_cred = (struct credentials){0};
        if ((l->flags & IPC_LISTEN_OWNER) && credentials_of_socket(fd, ret_cred) < 0)
                *ret_cred = (struct credentials){0};
        e = admission_check(l->flags, l->cid, l->router->own_uid, vm, ret_cred);
        if (e != 0)
                complain(l, e, vm);
        return e == 0;
}

static bool is_crowded(const struct listener *l) {
        return l->n_half_open >= LIMIT_HALF_OPEN;
}

/* The oldest of those that are half way, which goes for one that comes. */
static struct connection *oldest_half_open(struct listener *l) {
        LIST_FOREACH(link, &l->router->half_open) {
                struct connection *c = LIST_OWNER(link, struct connection, half_open);

                if (c->listener == l && !c->dead)
                        return c;
        }
        return NULL;
}

static int pause_accepting(struct listener *l, uint64_t until) {
        int v;

        l->accept_at = until;
        v = loop_change(&l->router->loop, &l->source, 0);
        return v < 0 ? v : ACCEPT_E_NONE;
}

int listener_resume(struct listener *l) {
        if (l->accept_at == 0)
                return 0;
        if (l->accept_at > l->router->loop.now && (!l->crowded || is_crowded(l)))
                return 0;
        l->accept_at = 0;
        l->crowded = false;
        return loop_change(&l->router->loop, &l->source, EPOLLIN);
}

/* Out of descriptors, or of memory: the one that waits would wake us without end. */
static int pause_for_lack(struct listener *l, int error) {
        if (router_may_log(l->router))
                (void)log_warning_errno(error, "no new connections for a second");
        return pause_accepting(l, l->router->loop.now + LACK_PAUSE_MS);
}

/*
 * *ret has to go for one that comes, or (NULL) nobody.  It has had the time that whoever means it
 * needs to authenticate: if not, those that come wait.  0, ACCEPT_E_NONE or a negative errno.
 */
static int find_room(struct listener *l, struct connection **ret) {
        uint64_t until;

        *ret = is_crowded(l) ? oldest_half_open(l) : NULL;
        if (!*ret)
                return 0;
        until = (*ret)->deadline - LIMIT_AUTH_SECONDS * 1000 + LIMIT_HALF_OPEN_MS;
        if (until <= l->router->loop.now)
                return 0;
        l->crowded = true;
        return pause_accepting(l, until);
}

static void set_up(struct listener *l, struct connection *c, const struct credentials *cred) {
        struct router *r = l->router;
        bool guest = l->flags & IPC_LISTEN_GUEST;

        c->listener = l;
        r->n_accepted++;
        l->n_half_open++;
        c->deadline = r->loop.now + LIMIT_AUTH_SECONDS * 1000;
        list_append(&r->half_open, &c->half_open);
        c->stage = guest ? CONNECTION_GREETING : CONNECTION_SASL;
        c->can_fds = l->flags & IPC_LISTEN_FDS;
        c->may_debug = l->flags & IPC_LISTEN_DEBUG;
        sasl_init(&c->sasl, (c->can_fds ? SASL_ALLOW_FDS : 0) | (guest ? SASL_ALLOW_ANONYMOUS : 0));
        if (r->bus == ROUTER_STANDALONE)
                c->credentials = *cred;
        if (r->bus == ROUTER_PRIVATE)
                c->credentials = (struct credentials){.has_uid = true, .uid = r->own_uid};
}

static int accept_one(struct listener *l) {
        struct router *r = l->router;
        struct sockaddr_vm vm = {0};
        socklen_t n = sizeof(vm);
        struct credentials cred;
        struct connection *c, *oldest;
        int fd, v = find_room(l, &oldest);

        if (v != 0)
                return v;
        fd = accept4(l->source.fd, (struct sockaddr *)&vm, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE))
                return pause_for_lack(l, -errno);
        if (fd < 0) /* EAGAIN, or a client that went away again */
                return ACCEPT_E_NONE;
        if (!may_connect(l, fd, &vm, &cred)) {
                (void)fd_close(fd);
                return 0;
        }
        if (oldest)
                connection_breach(oldest, "it did not authenticate, and too many others came");
        v = connection_new(r, fd, &c);
        if (v < 0) /* it is the newcomer's end, and nobody else's */
                return pause_for_lack(l, v);
        set_up(l, c, &cred);
        c->vsock = vm.svm_family == AF_VSOCK;
        if (c->vsock)
                liveness_expect(r);
        return connection_read(c); /* most have sent everything up to Hello by now */
}

/*
 * Mostly one waits, and to learn that no other does costs a call: more are taken at once
 * only when they keep coming.
 */
static int on_ready(struct loop_source *s, _unused_ uint32_t events) {
        struct listener *l = LIST_OWNER(s, struct listener, source);
        uint64_t turn = l->router->loop.turn;
        int v = 0;

        if (l->ready_turn + 1 != turn)
                l->n_accepts = 1;
        else if (l->n_accepts < ACCEPTS_PER_TURN)
                l->n_accepts *= 2;
        l->ready_turn = turn;
        for (unsigned i = 0; i < l->n_accepts && v == 0; i++)
                v = accept_one(l);
        return v < 0 ? v : 0;
}
