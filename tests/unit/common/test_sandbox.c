/* SPDX-License-Identifier: MIT */
/* Each layer for itself: with the others waived, what does it still hold? */
#include "common/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <stddef.h>
#include <sys/un.h>

#include "common/sandbox_landlock.h"
#include "tests/confined.h"

static const struct sandbox_rlimit rlimits[] = {
        {RLIMIT_CORE, 0},  {RLIMIT_NPROC, 0},      {RLIMIT_NOFILE, 16},
        {RLIMIT_FSIZE, 0}, {RLIMIT_AS, 268435456},
};
static const struct sandbox_syscall syscalls[] = {
        {.nr = SYS_exit_group}, {.nr = SYS_write}, {.nr = SYS_getppid}};
static const struct sandbox_profile profile = {
        .name = "test",
        .layers = SANDBOX_ALL,
        .rlimits = rlimits,
        .n_rlimits = ELEMENTSOF(rlimits),
        .syscalls = syscalls,
        .n_syscalls = ELEMENTSOF(syscalls),
};

/* What is outside, as the parent has made it. */
struct outside {
        pid_t pid;
        struct sockaddr_un path, abstract;
        socklen_t n_path, n_abstract;
        struct sockaddr_in tcp;
        int fds[3];
        int file;
        char elsewhere[32]; /* a file in another directory */
};

/* 0, or the errno. */
static int error_of(long r) {
        return r < 0 ? errno : 0;
}

static int connect_to(int family, const void *sa, socklen_t n) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        if (fd < 0)
                return errno;
        r = connect(fd, sa, n) < 0 ? errno : 0;
        (void)close(fd);
        return r;
}

#define NO_OTHER (-1)

/* In a child: says which errno it was, if it is not one of two. */
static int expect(const char *what, int error, int expected, int other) {
        if (error == expected || error == other)
                return 0;
        printf("# %s: %s, not %s\n", what, error ? strerrorname_np(error) : "done",
               strerrorname_np(expected));
        (void)fflush(stdout);
        return 1;
}

static int in_namespaces(const struct sandbox_profile *p, unsigned waived, const void *arg) {
        const struct outside *o = arg;
        int failed = 0;

        if (sandbox_lock(p, waived) < 0)
                return CONFINED_BROKEN;
#ifndef SANITIZED
        failed |= expect("a file", error_of(open("/etc/passwd", O_RDONLY)), ENOENT, NO_OTHER);
        failed |= expect("what was the root", error_of(open("/..", O_PATH | O_DIRECTORY)), 0, 0);
        failed |= expect("/proc", error_of(open("/../proc/self", O_PATH)), ENOENT, NO_OTHER);
        failed |= expect("a new directory", error_of(mkdirat(AT_FDCWD, "/x", 0700)), EROFS, EACCES);
        failed |= expect("a bus by its path", connect_to(AF_UNIX, &o->path, o->n_path), ENOENT,
                         ENOENT);
#endif
        failed |= expect("a bus by its abstract name",
                         connect_to(AF_UNIX, &o->abstract, o->n_abstract), ECONNREFUSED, NO_OTHER);
        failed |= expect("a local port", connect_to(AF_INET, &o->tcp, sizeof(o->tcp)), ENETUNREACH,
                         NO_OTHER);
        failed |= expect("a signal to outside", error_of(kill(o->pid, 0)), ESRCH, NO_OTHER);
        failed |= expect("the parent's number", getppid(), 0, 0);
        failed |= expect("the host's name", error_of(sethostname("x", 1)), EPERM, NO_OTHER);
        failed |=
                expect("a mount", error_of(mount("none", "/", "tmpfs", 0, NULL)), EPERM, NO_OTHER);
        return failed;
}

static int under_landlock(const struct sandbox_profile *p, unsigned waived, const void *arg) {
        const struct outside *o = arg;
        int abi = sandbox_landlock_abi(), failed = 0;

        if (sandbox_lock(p, waived) < 0)
                return CONFINED_BROKEN;
#ifndef SANITIZED
        failed |= expect("a file", error_of(open("/etc/passwd", O_RDONLY)), EACCES, NO_OTHER);
        failed |= expect("a directory", error_of(open("/", O_RDONLY | O_DIRECTORY)), EACCES,
                         NO_OTHER);
#endif
        failed |= expect("a new file", error_of(open("/tmp/x", O_WRONLY | O_CREAT, 0600)), EACCES,
                         NO_OTHER);
        failed |= expect("a new directory", error_of(mkdirat(AT_FDCWD, "/tmp/x", 0700)), EACCES,
                         NO_OTHER);
        failed |= expect("a program", error_of(execl("/bin/true", "true", NULL)), EACCES, NO_OTHER);
        if (abi >= 4)
                failed |= expect("a local port", connect_to(AF_INET, &o->tcp, sizeof(o->tcp)),
                                 EACCES, NO_OTHER);
        if (abi >= 6) {
                failed |= expect("a bus by its abstract name",
                                 connect_to(AF_UNIX, &o->abstract, o->n_abstract), EPERM, NO_OTHER);
                failed |= expect("a signal to outside", error_of(kill(o->pid, 0)), EPERM, NO_OTHER);
        }
        return failed;
}

/* A layer of its own: what sbagent leaves itself. */
static int with_exception(const struct sandbox_profile *p, unsigned waived, const void *arg) {
        const struct outside *o = arg;
        int dir = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC), failed = 0;

        if (dir < 0 || sandbox_landlock_deny_but(dir) < 0 || sandbox_lock(p, waived) < 0)
                return CONFINED_BROKEN;
        failed |= expect("a new file", error_of(open("/tmp/x", O_WRONLY | O_CREAT, 0600)), EACCES,
                         NO_OTHER);
        failed |= expect("a new directory", error_of(mkdirat(AT_FDCWD, "/tmp/x", 0700)), EACCES,
                         NO_OTHER);
        failed |= expect("another directory's file", error_of(unlink(o->elsewhere)), EACCES,
                         NO_OTHER);
        failed |= expect("the bus by its abstract name",
                         connect_to(AF_UNIX, &o->abstract, o->n_abstract), 0, 0);
        failed |= expect("its own file", error_of(unlink(o->path.sun_path)), 0, 0);
        return failed;
}

static int with_limits(const struct sandbox_profile *p, unsigned waived, const void *arg) {
        const struct outside *o = arg;
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int failed = 0;

        (void)signal(SIGXFSZ, SIG_IGN);
        /* Where its log is a file, that one may grow. */
        if (page == MAP_FAILED || dup2(STDIN_FILENO, STDERR_FILENO) < 0 ||
            sandbox_lock(p, waived) < 0)
                return CONFINED_BROKEN;
        failed |= expect("a longer file", write(o->file, "x", 1) < 0 ? errno : 0, EFBIG, NO_OTHER);
        failed |= expect("a descriptor too many", error_of(fcntl(o->file, F_DUPFD, 16)), EINVAL,
                         EMFILE);
#ifndef SANITIZED
        failed |=
                expect("a process", fork() < 0 ? errno : 0, EAGAIN, geteuid() == 0 ? 0 : NO_OTHER);
        failed |= expect("much memory",
                         mmap(NULL, 1u << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                                         MAP_FAILED
                                 ? errno
                                 : 0,
                         ENOMEM, NO_OTHER);
#endif
        if (prctl(66 /* PR_GET_MDWE */, 0, 0, 0, 0) >= 0)
                failed |= expect("memory that becomes code",
                                 mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 ? errno : 0,
                                 EACCES, NO_OTHER);
        failed |= expect("new privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : EPERM,
                         0, 0);
        failed |=
                expect("a dump",
                       prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == CONFINED_SANITIZED ? 0 : EPERM, 0, 0);
        return failed;
}

static int listen_at(int family, const void *sa, socklen_t n) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        CHECK(fd >= 0 && bind(fd, sa, n) == 0 && listen(fd, 1) == 0);
        return fd;
}

static void open_outside(struct outside *o) {
        char name[] = "/tmp/sidebus-outside-XXXXXX";
        socklen_t n = sizeof(o->tcp);

        *o = (struct outside){.pid = getpid(),
                              .path = {.sun_family = AF_UNIX},
                              .abstract = {.sun_family = AF_UNIX},
                              .n_path = sizeof(o->path),
                              .tcp = {.sin_family = AF_INET}};
        (void)strcpy(o->elsewhere, "/var/tmp/sidebus-XXXXXX");
        CHECK(close(mkostemp(o->elsewhere, O_CLOEXEC)) == 0);
        o->file = mkostemp(name, O_CLOEXEC);
        CHECK(o->file >= 0);
        (void)unlink(name);
        (void)snprintf(o->path.sun_path, sizeof(o->path.sun_path), "%s", name);
        (void)snprintf(o->abstract.sun_path + 1, sizeof(o->abstract.sun_path) - 1, "%s", name);
        o->n_abstract = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
        o->tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        o->fds[0] = listen_at(AF_UNIX, &o->path, o->n_path);
        o->fds[1] = listen_at(AF_UNIX, &o->abstract, o->n_abstract);
        o->fds[2] = listen_at(AF_INET, &o->tcp, sizeof(o->tcp));
        CHECK(getsockname(o->fds[2], (struct sockaddr *)&o->tcp, &n) == 0);
}

static void close_outside(struct outside *o) {
        (void)unlink(o->elsewhere);
        (void)unlink(o->path.sun_path);
        for (size_t i = 0; i < ELEMENTSOF(o->fds); i++)
                (void)close(o->fds[i]);
        (void)close(o->file);
}

static void check_layer(unsigned layer, confined_fn fn) {
        struct outside o;

        open_outside(&o);
        /* Without a sandbox all of it can be reached. */
        CHECK_EQ_INT(connect_to(AF_UNIX, &o.path, o.n_path), 0);
        CHECK_EQ_INT(connect_to(AF_UNIX, &o.abstract, o.n_abstract), 0);
        CHECK_EQ_INT(connect_to(AF_INET, &o.tcp, sizeof(o.tcp)), 0);
        CHECK_EQ_INT(confined_run(&profile, SANDBOX_ALL & ~layer, fn, &o), 0);
        close_outside(&o);
}

static void test_namespaces(void) {
        check_layer(SANDBOX_NAMESPACES, in_namespaces);
}

static void test_landlock(void) {
        check_layer(SANDBOX_LANDLOCK, under_landlock);
}

static void test_exception(void) {
        struct outside o;

        open_outside(&o);
        CHECK_EQ_INT(confined_run(&profile, SANDBOX_ALL, with_exception, &o), 0);
        CHECK(access(o.path.sun_path, F_OK) < 0);
        close_outside(&o);
}

static void test_limits(void) {
        check_layer(0, with_limits);
}

static int ask_pid(const struct sandbox_profile *p, unsigned waived, const void *arg _unused_) {
        if (sandbox_lock(p, waived) < 0)
                return CONFINED_BROKEN;
        return syscall(SYS_setuid, 0) < 0;
}

static void test_seccomp(void) {
        CHECK(confined_is_killed(
                confined_run(&profile, SANDBOX_ALL & ~(unsigned)SANDBOX_SECCOMP, ask_pid, NULL)));
        /* It was the filter. */
        CHECK(WIFEXITED(confined_run(&profile, SANDBOX_ALL, ask_pid, NULL)));
}

static int alone_by_itself(const struct sandbox_profile *p, unsigned waived, const void *arg) {
        const struct outside *o = arg;

        if (sandbox_start(p) < 0 || sandbox_enclose(p, waived, SANDBOX_OUTSIDE) < 0)
                return CONFINED_BROKEN;
        return expect("a bus by its abstract name",
                      connect_to(AF_UNIX, &o->abstract, o->n_abstract), ECONNREFUSED, EPERM);
}

/* Without a supervisor: it makes the namespaces, but that of processes. */
static void test_outside(void) {
        struct outside o;
        int status;
        pid_t pid;

        open_outside(&o);
        (void)fflush(stdout);
        pid = fork();
        if (pid == 0)
                _exit(alone_by_itself(&profile, 0, &o));
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ_INT(status, 0);
        close_outside(&o);
}

static void test_names(void) {
        static const struct {
                const char *list;
                unsigned layers; /* 0: refused */
        } rows[] = {
                {"namespaces", SANDBOX_NAMESPACES},
                {"landlock", SANDBOX_LANDLOCK},
                {"seccomp", SANDBOX_SECCOMP},
                {" seccomp  landlock ", SANDBOX_SECCOMP | SANDBOX_LANDLOCK},
                {"namespaces landlock seccomp", SANDBOX_ALL},
                {"", 0},
                {" ", 0},
                {"all", 0},
                {"Landlock", 0},
                {"landloc", 0},
                {"landlocks", 0},
                {"landlock,seccomp", 0},
                {"landlock none", 0},
        };
        char names[64];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                unsigned layers = 0;

                CHECK_EQ_INT(sandbox_layer_parse(rows[i].list, &layers),
                             rows[i].layers ? 0 : SANDBOX_LAYER_E_NAME);
                CHECK_EQ_INT(layers, rows[i].layers);
        }
        CHECK_EQ_STR(sandbox_layer_names(SANDBOX_ALL, names, sizeof(names)),
                     "namespaces, landlock, seccomp");
        CHECK_EQ_STR(sandbox_layer_names(0, names, sizeof(names)), "");
        CHECK_EQ_STR(sandbox_layer_name(SANDBOX_LANDLOCK), "landlock");
        for (unsigned bit = 1; bit < SANDBOX_ALL; bit <<= 1)
                CHECK(strstr(SANDBOX_LAYER_CHOICE, sandbox_layer_name(bit)) != NULL);
}

TEST_MAIN({"namespaces alone: no file, no socket, nobody else", test_namespaces},
          {"Landlock alone: no file, no port, no abstract socket, no signal", test_landlock},
          {"Landlock for who removes its own socket", test_exception},
          {"the filter alone", test_seccomp},
          {"no layer: limits, no memory that becomes code, no dump", test_limits},
          {"who is started by no supervisor makes its namespaces", test_outside},
          {"the names of layers", test_names})
