/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/privops.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/test.h"

/* A tree: plain/ (the person's) and guests/ (a VM may write there). */
static char top[] = "/tmp/sidebus-privops-XXXXXX";
static struct privop_root root;
static struct privop_roots roots = {&root, 1};

static const char *at(const char *name) {
        static char path[4][512];
        static unsigned k;

        k = (k + 1) % 4;
        (void)snprintf(path[k], sizeof(path[k]), "%s/%s", top, name);
        return path[k];
}

static void make_file(const char *name) {
        int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        CHECK(fd >= 0);
        (void)close(fd);
}

static void make_tree(void) {
        struct stat st;

        CHECK(mkdtemp(top) != NULL);
        CHECK(mkdir(at("plain"), 0700) == 0 && mkdir(at("guests"), 0700) == 0 &&
              mkdir(at("guests/sub"), 0700) == 0 && mkdir(at("secret"), 0700) == 0);
        make_file("plain/file");
        make_file("guests/file");
        make_file("guests/sub/file");
        make_file("secret/key");
        CHECK(symlink("file", at("plain/link")) == 0);
        CHECK(symlink("../guests", at("plain/to-guests")) == 0);
        CHECK(symlink("loop", at("plain/loop")) == 0);
        CHECK(symlink("nowhere", at("plain/dangling")) == 0);
        CHECK(symlink("../secret/key", at("guests/planted")) == 0);
        CHECK(symlink("../secret", at("guests/planted-dir")) == 0);
        CHECK(symlink("/", at("guests/sub/slash")) == 0);
        CHECK(symlink("sub/file", at("guests/inside")) == 0);
        CHECK(mkfifo(at("plain/fifo"), 0600) == 0);
        CHECK(stat(at("guests"), &st) == 0);
        root = (struct privop_root){st.st_dev, st.st_ino};
}

static int open_picked(const char *name, char *ret_path, bool *ret_inside) {
        struct privop_file f;
        int r = privop_open_picked(at(name), &roots, &f);

        if (r == 0 && ret_path)
                (void)strcpy(ret_path, f.path + strlen(top) + 1);
        *ret_inside = f.inside;
        privop_file_done(&f);
        return r;
}

static void test_picked(void) {
        static const struct {
                const char *name, *real; /* NULL: refused with error */
                int error;
        } rows[] = {
                {"plain/file", "plain/file", 0},
                {"plain/./file", "plain/file", 0},
                {"plain/../plain//file", "plain/file", 0},
                {"plain/link", "plain/file", 0},
                {"plain", "plain", 0},
                {"guests/file", "guests/file", 0},
                {"guests/sub/file", "guests/sub/file", 0},
                {"plain/to-guests/file", "guests/file", 0},
                {"guests", "guests", 0},
                {"plain/loop", NULL, PRIVOP_E_GONE},
                {"plain/dangling", NULL, PRIVOP_E_GONE},
                {"plain/missing", NULL, PRIVOP_E_GONE},
                {"plain/file/x", NULL, PRIVOP_E_GONE},
                {"plain/fifo", NULL, PRIVOP_E_KIND},
                /* below what a VM may write, nothing that leads elsewhere */
                {"guests/planted", NULL, PRIVOP_E_SYMLINK},
                {"guests/planted-dir/key", NULL, PRIVOP_E_SYMLINK},
                {"guests/inside", NULL, PRIVOP_E_SYMLINK},
                {"guests/sub/slash", NULL, PRIVOP_E_SYMLINK},
                {"guests/sub/slash/etc/passwd", NULL, PRIVOP_E_SYMLINK},
                {"guests/../secret/key", NULL, PRIVOP_E_SYMLINK},
                {"plain/to-guests/planted", NULL, PRIVOP_E_SYMLINK},
                {"plain/to-guests/planted-dir/key", NULL, PRIVOP_E_SYMLINK},
        };
        char real[512];
        bool inside;

        make_tree();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int r = open_picked(rows[i].name, real, &inside);

                if (r != rows[i].error)
                        printf("# %s\n", rows[i].name);
                CHECK_EQ_INT(r, rows[i].error);
                if (r == 0) {
                        CHECK_EQ_STR(real, rows[i].real);
                        CHECK(inside == (strncmp(real, "guests/", 7) == 0));
                }
        }
}

static void test_rights(void) {
        struct privop_file f;

        CHECK_EQ_INT(privop_open_picked(at("plain/file"), &roots, &f), 0);
        CHECK(f.writable && !f.foreign && !f.is_directory);
        /* The document portal takes no descriptor with O_NOFOLLOW. */
        CHECK_EQ_INT(fcntl(f.fd, F_GETFL) & O_NOFOLLOW, 0);
        CHECK_EQ_INT(fcntl(f.fd, F_GETFL) & O_PATH, O_PATH);
        privop_file_done(&f);
        CHECK_EQ_INT(privop_open_picked(at("guests"), &roots, &f), 0);
        CHECK(f.is_directory);
        privop_file_done(&f);
        if (geteuid() == 0) /* a file of another group can be made by root alone */
                CHECK(chown(at("plain/file"), 0, 12345) == 0);
        CHECK_EQ_INT(privop_open_picked(at("plain/file"), &roots, &f), 0);
        CHECK_EQ_INT(f.writable, geteuid() != 0);
        CHECK_EQ_INT(f.foreign, geteuid() == 0);
        privop_file_done(&f);
}

static void test_parent(void) {
        static const struct {
                const char *name, *dir, *base;
                int error, exists;
        } rows[] = {
                {"plain/new", "plain", "new", 0, 0},
                {"plain/file", "plain", "file", 0, 1},
                {"plain/link", "plain", "file", 0, 1}, /* saved through the person's own link */
                {"plain/to-guests/new", "guests", "new", 0, 0},
                {"guests/file", "guests", "file", 0, 1},
                {"plain/dangling", NULL, NULL, PRIVOP_E_GONE, 0},
                {"plain/fifo", NULL, NULL, PRIVOP_E_KIND, 0},
                {"plain/file/new", NULL, NULL, PRIVOP_E_KIND, 0},
                {"missing/new", NULL, NULL, PRIVOP_E_GONE, 0},
                {"plain/..", NULL, NULL, PRIVOP_E_KIND, 0},
                {"plain/", NULL, NULL, PRIVOP_E_KIND, 0},
                {"guests", NULL, NULL, PRIVOP_E_KIND, 0},
                {"guests/planted", NULL, NULL, PRIVOP_E_SYMLINK, 0},
                {"guests/planted-dir/new", NULL, NULL, PRIVOP_E_SYMLINK, 0},
                {"plain/to-guests/planted", NULL, NULL, PRIVOP_E_SYMLINK, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct privop_file f;
                int r = privop_open_parent(at(rows[i].name), &roots, &f);

                if (r != rows[i].error)
                        printf("# %s\n", rows[i].name);
                CHECK_EQ_INT(r, rows[i].error);
                if (r == 0) {
                        CHECK_EQ_STR(f.path + strlen(top) + 1, rows[i].dir);
                        CHECK_EQ_STR(f.name, rows[i].base);
                        CHECK_EQ_INT(f.exists, rows[i].exists);
                }
                privop_file_done(&f);
        }
}

static void test_beneath(void) {
        CHECK_EQ_INT(privop_check_beneath(at("guests"), "file"), 0);
        CHECK_EQ_INT(privop_check_beneath(at("guests"), "sub/file"), 0);
        CHECK_EQ_INT(privop_check_beneath(at("guests"), "missing"), PRIVOP_E_GONE);
        CHECK_EQ_INT(privop_check_beneath(at("guests"), "planted"), PRIVOP_E_SYMLINK);
        CHECK_EQ_INT(privop_check_beneath(at("guests"), "planted-dir/key"), PRIVOP_E_SYMLINK);
        CHECK_EQ_INT(privop_check_beneath(at("guests"), "../secret/key"), PRIVOP_E_SYMLINK);
        CHECK_EQ_INT(privop_check_beneath(at("guests"), "/etc/passwd"), PRIVOP_E_SYMLINK);
        CHECK(privop_check_beneath(at("plain/file"), "x") > 0);
}

/* Runs a shell script as a child with one descriptor; its output. */
static int run(const char *script, int extra, char *out, size_t size) {
        const char *const argv[] = {"/bin/sh", "-c", script, NULL};
        const char *const envp[] = {"MARK=set", NULL};
        struct privop_spawn s = {
                .path = "/bin/sh",
                .argv = argv,
                .envp = envp,
                .fds = &extra,
                .n_fds = extra >= 0,
        };
        int p[2], pidfd = -1, r;
        ssize_t n, at_ = 0;
        pid_t pid;

        CHECK(pipe2(p, O_CLOEXEC) == 0);
        s.log_fd = p[1];
        r = privop_spawn(&s, &pid, &pidfd);
        (void)close(p[1]);
        while (r == 0 && (n = read(p[0], out + at_, size - 1 - (size_t)at_)) > 0)
                at_ += n;
        out[at_] = '\0';
        (void)close(p[0]);
        if (r == 0) {
                CHECK(waitpid(pid, NULL, 0) == pid);
                (void)close(pidfd);
        }
        return r;
}

static void test_spawn(void) {
        int extra = open("/dev/zero", O_RDONLY); /* no CLOEXEC: must not survive by itself */
        int stray = dup2(extra, 57);
        char out[4096];

        CHECK_EQ_INT(run("ls /proc/self/fd; echo $MARK; readlink /proc/self/fd/3", extra, out, sizeof(out)), 0);
        /* ls has one more of its own, of the directory */
        CHECK_EQ_STR(out, "0\n1\n2\n3\n4\nset\n/dev/zero\n");
        (void)close(extra);
        (void)close(stray);
}

static void test_spawn_missing(void) {
        const char *const argv[] = {"/nonexistent/program", NULL};
        struct privop_spawn s = {.path = argv[0], .argv = argv, .envp = argv + 1, .log_fd = 2};
        int pidfd;
        pid_t pid;

        CHECK_EQ_INT(privop_spawn(&s, &pid, &pidfd), PRIVOP_E_PROGRAM);
        CHECK_EQ_INT(errno, ENOENT);
}

static int listen_at(struct sockaddr_un *sa) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
        (void)snprintf(sa->sun_path, sizeof(sa->sun_path), "%s/socket", top);
        (void)unlink(sa->sun_path); /* another test's */
        CHECK(bind(fd, (struct sockaddr *)sa, sizeof(*sa)) == 0 && listen(fd, 1) == 0);
        return fd;
}

static unsigned count_fds_of(pid_t pid) {
        char name[64];
        unsigned n = 0;
        DIR *d;

        (void)snprintf(name, sizeof(name), "/proc/%d/fd", pid);
        d = opendir(name);
        CHECK(d != NULL);
        for (struct dirent *e; d && (e = readdir(d));)
                n += e->d_name[0] != '.';
        if (d)
                closedir(d);
        return n;
}

static void test_connect_apart(void) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), pidfd = -1, hold = -1, server, accepted;
        struct sockaddr_un sa;
        struct pollfd pfd;
        struct ucred peer = {0};
        socklen_t n = sizeof(peer);
        pid_t pid = -1;
        char c = 0;

        server = listen_at(&sa);
        CHECK_EQ_INT(privop_connect_apart(fd, (struct sockaddr *)&sa, sizeof(sa), &pid, &pidfd, &hold), 0);
        accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        CHECK(getsockopt(accepted, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0);
        CHECK(peer.pid == pid && pid != getpid());
        CHECK(write(fd, "x", 1) == 1 && read(accepted, &c, 1) == 1 && c == 'x');
        /* It says that it has connected before it has closed everything else. */
        for (unsigned k = 0; k < 1000 && count_fds_of(pid) != 1; k++)
                (void)poll(NULL, 0, 10);
        CHECK_EQ_INT(count_fds_of(pid), 1);
        CHECK(pid > 0 && kill(pid, SIGTERM) == 0); /* -1 would be everybody */
        pfd = (struct pollfd){.fd = pidfd, .events = POLLIN};
        CHECK_EQ_INT(poll(&pfd, 1, 0), 0);
        (void)close(hold);
        CHECK(waitpid(pid, NULL, 0) == pid);
        /* Its end is not that of the connection. */
        CHECK(write(accepted, "y", 1) == 1 && read(fd, &c, 1) == 1 && c == 'y');
        (void)close(pidfd);
        (void)close(accepted);
        (void)close(server);
        (void)close(fd);
}

/* Starts one as the supervisor would, says its pid, and waits to be killed. */
_noreturn_ static void start_peer(const struct sockaddr_un *sa, int tell) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), pidfd, hold;
        pid_t pid = -1;

        if (privop_connect_apart(fd, (const struct sockaddr *)sa, sizeof(*sa), &pid, &pidfd,
                                 &hold) < 0 ||
            write(tell, &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
                _exit(EXIT_FAILURE);
        for (;;)
                (void)pause();
}

/* It is stopped, and does not see that its pipe has ended. */
static void test_connect_dies(void) {
        struct pollfd pfd = {.events = POLLIN};
        pid_t parent, pid = -1;
        struct sockaddr_un sa;
        int server = listen_at(&sa), p[2];

        CHECK(pipe2(p, O_CLOEXEC) == 0);
        parent = fork();
        if (parent == 0)
                start_peer(&sa, p[1]);
        (void)close(p[1]);
        CHECK(read(p[0], &pid, sizeof(pid)) == (ssize_t)sizeof(pid));
        pfd.fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
        CHECK(pfd.fd >= 0 && kill(pid, SIGSTOP) == 0 && poll(&pfd, 1, 0) == 0);
        CHECK(parent > 0 && kill(parent, SIGKILL) == 0 && waitpid(parent, NULL, 0) == parent);
        CHECK_EQ_INT(poll(&pfd, 1, 20000), 1);
        (void)close(pfd.fd);
        (void)close(p[0]);
        (void)close(server);
}

static void test_connect_nowhere(void) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), pidfd = -1, hold = -1;
        struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
        pid_t pid;

        CHECK_EQ_INT(privop_connect_apart(fd, (struct sockaddr *)&sa, sizeof(sa), &pid, &pidfd, &hold),
                     -ENOENT);
        CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
        (void)close(fd);
}

static int remove_tree(void) {
        char command[64];

        (void)snprintf(command, sizeof(command), "rm -rf %s", top);
        return system(command);
}

static void test_end(void) {
        CHECK_EQ_INT(remove_tree(), 0);
}

TEST_MAIN({"a picked file: which links are followed", test_picked},
          {"a picked file: rights, and what the descriptor is", test_rights},
          {"a name to save to", test_parent}, {"a path inside a document", test_beneath},
          {"a child has exactly the descriptors it was given", test_spawn},
          {"a program that is not there", test_spawn_missing},
          {"another process connects in our place", test_connect_apart},
          {"it dies with us", test_connect_dies}, {"it cannot connect", test_connect_nowhere}, {"the tree is removed", test_end})
