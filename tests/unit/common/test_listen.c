/* SPDX-License-Identifier: MIT */
#include "common/listen.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/test.h"

static char last_line[2048];

static void keep_line(int priority, const char *line) {
        (void)priority;
        (void)snprintf(last_line, sizeof(last_line), "%s", line);
}

/* A fresh directory of mode 0700; a->path is "s" in it. */
static void scratch(struct address *a) {
        char dir[] = "/tmp/sidebus-listen-XXXXXX";

        CHECK(mkdtemp(dir));
        memset(a, 0, sizeof(*a));
        a->kind = ADDRESS_UNIX;
        (void)snprintf(a->path, sizeof(a->path), "%s/s", dir);
        log_set_sink(keep_line);
        last_line[0] = '\0';
}

static char *directory_of(const struct address *a, char buf[sizeof(a->path)]) {
        memcpy(buf, a->path, sizeof(a->path));
        *strrchr(buf, '/') = '\0';
        return buf;
}

static void scratch_done(const struct address *a) {
        char dir[sizeof(a->path)];

        (void)unlink(a->path);
        CHECK_EQ_INT(rmdir(directory_of(a, dir)), 0);
        log_set_sink(NULL);
}

static void test_fresh(void) {
        struct address a;
        struct stat st;
        int fd, c, s;

        scratch(&a);
        fd = listen_address(&a, 4, 0);
        CHECK(fd >= 0);
        CHECK(stat(a.path, &st) == 0 && S_ISSOCK(st.st_mode));
        CHECK_EQ_INT(st.st_mode & 07777, 0600);
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
        c = connect_address(&a);
        CHECK(c >= 0);
        CHECK(fcntl(c, F_GETFD) & FD_CLOEXEC);
        CHECK(fcntl(c, F_GETFL) & O_NONBLOCK);
        s = accept(fd, NULL, NULL);
        CHECK(s >= 0);
        fd_close(s);
        fd_close(c);
        fd_close(fd);
        scratch_done(&a);
}

static void test_stale_and_live(void) {
        struct address a;
        int fd;

        scratch(&a);
        fd = listen_address(&a, 4, 0);
        CHECK(fd >= 0);
        CHECK_EQ_INT(listen_address(&a, 4, 0), -EADDRINUSE);
        CHECK(strstr(last_line, "is in use by another program"));
        fd_close(fd); /* the file stays: stale now */
        CHECK_EQ_INT(connect_address(&a), -ECONNREFUSED);
        fd = listen_address(&a, 4, 0);
        CHECK(fd >= 0);
        fd_close(fd);
        scratch_done(&a);
}

/* A listener whose queue is full does not answer connect() either, and is alive. */
static void test_live_but_busy(void) {
        int fd, c[4];
        struct address a;

        scratch(&a);
        fd = listen_address(&a, 0, 0);
        CHECK(fd >= 0);
        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                c[i] = connect_address(&a);
        CHECK_EQ_INT(c[3], -EAGAIN);
        CHECK_EQ_INT(listen_address(&a, 4, 0), -EADDRINUSE);
        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                fd_close(c[i]);
        fd_close(fd);
        scratch_done(&a);
}

static void test_not_a_socket(void) {
        struct address a;
        char text[8] = {0};
        int fd;

        scratch(&a);
        fd = open(a.path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        CHECK_EQ_INT(write(fd, "keep", 4), 4);
        CHECK_EQ_INT(listen_address(&a, 4, 0), -EEXIST);
        CHECK(strstr(last_line, "not a socket"));
        CHECK_EQ_INT(pread(fd, text, 4, 0), 4);
        CHECK_EQ_STR(text, "keep");
        fd_close(fd);
        CHECK_EQ_INT(access(a.path, F_OK), 0);
        CHECK_EQ_INT(unlink(a.path), 0);
        CHECK_EQ_INT(symlink("/dev/null", a.path), 0); /* dangling or not: never followed */
        CHECK_EQ_INT(listen_address(&a, 4, 0), -EEXIST);
        scratch_done(&a);
}

static void test_directory(void) {
        char dir[sizeof(((struct address *)0)->path)];
        struct address a, missing = {.kind = ADDRESS_UNIX, .path = "/tmp/sidebus-none/s"};
        int fd;

        scratch(&a);
        CHECK_EQ_INT(chmod(directory_of(&a, dir), 0755), 0);
        CHECK_EQ_INT(listen_address(&a, 4, 0), -EPERM);
        CHECK(strstr(last_line, "0755"));
        fd = listen_address(&a, 4, 1);
        CHECK(fd >= 0);
        fd_close(fd);
        CHECK_EQ_INT(listen_address(&missing, 4, 1), -ENOENT);
        CHECK(strstr(last_line, "/tmp/sidebus-none"));
        scratch_done(&a);
}

static void test_other_owner(void) {
        char dir[sizeof(((struct address *)0)->path)];
        struct address a;

        if (geteuid() != 0)
                return; /* only root can give a directory away */
        scratch(&a);
        CHECK_EQ_INT(chown(directory_of(&a, dir), 65534, 65534), 0);
        CHECK_EQ_INT(listen_address(&a, 4, 0), -EPERM);
        CHECK(strstr(last_line, "uid 65534"));
        scratch_done(&a);
}

/* Where the kernel has vsock at all, a port can be taken once. */
static void test_vsock(void) {
        /* a port of this run's own: several may run at once */
        struct address a = {.kind = ADDRESS_VSOCK, .cid = UINT32_MAX};
        char port[16];
        int fd;

        a.port = 100000 + (uint32_t)getpid();
        (void)snprintf(port, sizeof(port), "%u", a.port);
        log_set_sink(keep_line);
        fd = listen_address(&a, 4, 0);
        if (fd == -EAFNOSUPPORT) {
                CHECK(strstr(last_line, "no vsock"));
        } else {
                CHECK(fd >= 0);
                CHECK_EQ_INT(listen_address(&a, 4, 0), -EADDRINUSE);
                CHECK(strstr(last_line, port));
                fd_close(fd);
        }
        log_set_sink(NULL);
}

TEST_MAIN({"fresh socket", test_fresh}, {"stale removed, live kept", test_stale_and_live},
          {"live with a full queue", test_live_but_busy}, {"not a socket", test_not_a_socket},
          {"directory", test_directory}, {"directory of another user", test_other_owner},
          {"vsock port", test_vsock})
