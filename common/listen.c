/* SPDX-License-Identifier: MIT */
#include "common/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <linux/vm_sockets.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/limits.h"
#include "common/log.h"

union socket_address {
        struct sockaddr sa;
        struct sockaddr_un un;
        struct sockaddr_vm vm;
};

static socklen_t to_sockaddr(const struct address *a, uint32_t default_cid,
                             union socket_address *ret) {
        memset(ret, 0, sizeof(*ret));
        if (a->kind == ADDRESS_UNIX) {
                ret->un.sun_family = AF_UNIX;
                memcpy(ret->un.sun_path, a->path, sizeof(a->path));
                return sizeof(ret->un);
        }
        ret->vm.svm_family = AF_VSOCK;
        ret->vm.svm_cid = a->cid == VMADDR_CID_ANY ? default_cid : a->cid;
        ret->vm.svm_port = a->port;
        return sizeof(ret->vm);
}

static int new_socket(const struct address *a) {
        int family = a->kind == ADDRESS_UNIX ? AF_UNIX : AF_VSOCK;
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        return fd < 0 ? -errno : fd;
}

int connect_address(const struct address *a) {
        _cleanup_close_ int fd = new_socket(a);
        union socket_address sa;
        socklen_t n;

        if (fd < 0)
                return fd;
        n = to_sockaddr(a, VMADDR_CID_HOST, &sa);
        if (connect(fd, &sa.sa, n) < 0 && errno != EINPROGRESS)
                return -errno;
        return TAKE_FD(fd);
}

static int check_directory(const struct address *a, int shared_dir) {
        char dir[sizeof(a->path)];
        struct stat st;
        char *slash;

        memcpy(dir, a->path, sizeof(dir));
        slash = strrchr(dir, '/');
        slash[slash == dir ? 1 : 0] = '\0';
        if (stat(dir, &st) < 0)
                return log_error_errno(errno, "cannot listen on %s: directory %s (create it first)",
                                       ESCAPED(a->path), ESCAPED(dir));
        if (!S_ISDIR(st.st_mode))
                return log_error_errno(ENOTDIR, "cannot listen on %s: %s", ESCAPED(a->path),
                                       ESCAPED(dir));
        if (shared_dir || (st.st_uid == geteuid() && (st.st_mode & 077) == 0))
                return 0;
        log_error("cannot listen on %s: directory %s must belong to uid %u with mode 0700, not to "
                  "uid %u with mode %04o: chmod or chown it, or choose another directory",
                  ESCAPED(a->path), ESCAPED(dir), geteuid(), st.st_uid, st.st_mode & 07777u);
        return -EPERM;
}

static int in_use(const char *what) {
        log_error("%s is in use by another program: stop it or choose another --listen", what);
        return -EADDRINUSE;
}

/* Only a refused connection proves that no program listens there any more. */
static int remove_stale(const struct address *a) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        if (lstat(a->path, &st) < 0)
                return errno == ENOENT
                               ? 0
                               : log_error_errno(errno, "cannot listen on %s", ESCAPED(a->path));
        if (!S_ISSOCK(st.st_mode)) {
                log_error("cannot listen on %s: something that is not a socket is there: move it "
                          "away or choose another --listen",
                          ESCAPED(a->path));
                return -EEXIST;
        }
        fd = connect_address(a);
        if (fd >= 0 || fd == -EAGAIN || fd == -EPROTOTYPE) /* live; its queue full; a datagram's */
                return in_use(ESCAPED(a->path));
        if (fd != -ECONNREFUSED)
                return log_error_errno(fd,
                                       "cannot listen on %s: a socket is there which does not "
                                       "answer: remove it or choose another --listen",
                                       ESCAPED(a->path));
        if (unlink(a->path) < 0 && errno != ENOENT)
                return log_error_errno(errno, "cannot remove the stale socket %s",
                                       ESCAPED(a->path));
        return 0;
}

static int bind_unix(int fd, const struct address *a) {
        union socket_address sa;
        socklen_t n = to_sockaddr(a, 0, &sa);

        /* Linux makes the socket file with the mode that the descriptor has at bind(). */
        if (fchmod(fd, 0600) < 0)
                return log_error_errno(errno, "cannot set the mode of a socket");
        if (bind(fd, &sa.sa, n) == 0)
                return 0;
        if (errno == EADDRINUSE) /* another program came between the check and now */
                return in_use(ESCAPED(a->path));
        return log_error_errno(errno, "cannot listen on %s", ESCAPED(a->path));
}

/* Accepted streams inherit it: how much of what a guest sends the kernel keeps for us, at most. */
static int bound_buffers(int fd) {
        uint64_t max = LIMIT_VSOCK_BUFFER_MAX;

        return setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &max, sizeof(max)) < 0
                       ? log_error_errno(errno, "cannot bound a vsock stream's buffer")
                       : 0;
}

static int bind_vsock(int fd, const struct address *a) {
        struct address any = *a;
        union socket_address sa;
        socklen_t n;

        any.cid = VMADDR_CID_ANY;
        n = to_sockaddr(&any, VMADDR_CID_ANY, &sa);
        if (bind(fd, &sa.sa, n) == 0)
                return 0;
        if (errno == EADDRINUSE) {
                log_error("vsock port %u is in use, by another VM's instance or another program (ss "
                          "--vsock -lp names it): stop it, or choose another port with --listen or "
                          "Listen= and tell the guest (sidebus.port)",
                          a->port);
                return -EADDRINUSE;
        }
        if (errno == EACCES)
                return log_error_errno(errno,
                                       "vsock port %u: ports below 1024 are for root, choose "
                                       "another with --listen or Listen= and tell the guest "
                                       "(sidebus.port)",
                                       a->port);
        return log_error_errno(errno, "cannot listen on vsock port %u", a->port);
}

static int log_no_socket(const struct address *a, int e) {
        if (e == -EAFNOSUPPORT && a->kind == ADDRESS_VSOCK)
                return log_error_errno(e, "this kernel has no vsock: load a module (modprobe "
                                          "vhost_vsock for VMs, vsock_loopback for tests), or listen "
                                          "on unix:PATH");
        return log_error_errno(e, "cannot make a socket");
}

int listen_address(const struct address *a, int backlog, int shared_dir) {
        _cleanup_close_ int fd = -1;
        int r = 0;

        if (a->kind == ADDRESS_UNIX) {
                r = check_directory(a, shared_dir);
                if (r == 0)
                        r = remove_stale(a);
        }
        if (r < 0)
                return r;
        fd = new_socket(a);
        if (fd < 0)
                return log_no_socket(a, fd);
        r = a->kind == ADDRESS_UNIX ? bind_unix(fd, a) : bind_vsock(fd, a);
        if (r >= 0 && a->kind == ADDRESS_VSOCK)
                r = bound_buffers(fd);
        if (r < 0)
                return r;
        if (listen(fd, backlog) < 0) {
                r = log_error_errno(errno, "cannot listen");
                if (a->kind == ADDRESS_UNIX)
                        (void)unlink(a->path);
                return r;
        }
        return TAKE_FD(fd);
}
