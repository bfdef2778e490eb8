/* SPDX-License-Identifier: MIT */
/*
 * Each part of a program's own profile for itself.  With all others waived a layer still refuses
 * something, which works when it is waived, too; and each limit can be reached.
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/sandbox_landlock.h"
#include "tests/confined.h"

/* --- layers -------------------------------------------------------------------------------------- */

/* 0, or the errno.  outside: a process that is not shut in. */
typedef int (*alone_fn)(pid_t outside);

static inline int alone_open_file(pid_t outside _unused_) {
        return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static inline int alone_make_directory(pid_t outside) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/tmp/sidebus-alone-%d", (int)outside);
        return mkdir(path, 0700) < 0 || rmdir(path) < 0 ? errno : 0;
}

static inline int alone_signal(pid_t outside) {
        return kill(outside, 0) < 0 ? errno : 0;
}

static inline int alone_read_memory(pid_t outside) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)outside);
        return open(path, O_RDWR | O_CLOEXEC) < 0 ? errno : 0;
}

static inline socklen_t alone_abstract(pid_t outside, struct sockaddr_un *ret) {
        *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                           (size_t)snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1,
                                            "sidebus-alone-%d", (int)outside));
}

static inline int alone_connect(pid_t outside) {
        struct sockaddr_un sa;
        socklen_t n = alone_abstract(outside, &sa);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fd < 0 || connect(fd, (struct sockaddr *)&sa, n) < 0 ? errno : 0;
}

static inline int alone_execute_written(pid_t outside _unused_) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return page == MAP_FAILED || mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 ? errno : 0;
}

/* Calls of which each program's filter refuses one; without a filter they fail otherwise. */
static inline int alone_call(pid_t outside _unused_) {
        return (syscall(SYS_keyctl, 0xffff) < 0 && errno == EPERM) ||
                               (listen(-1, 1) < 0 && errno == EPERM)
                       ? EPERM
                       : 0;
}

#define ALONE_KILLED 255 /* in place of an errno */

static const struct alone_row {
        const char *what;
        alone_fn attempt;
        unsigned layer; /* which refuses it by itself; 0: none of those that can be waived */
        int error;
        enum sandbox_landlock least; /* of the profile's, from this on it does not */
        int abi;                     /* the version of Landlock that is the first to */
        bool sanitizer;              /* such a build has an exception for it */
} alone_rows[] = {
        {"a file", alone_open_file, .layer = SANDBOX_NAMESPACES, .error = ENOENT, .sanitizer = true},
        {"a signal", alone_signal, .layer = SANDBOX_NAMESPACES, .error = ESRCH},
        {"an abstract socket", alone_connect, .layer = SANDBOX_NAMESPACES, .error = ECONNREFUSED},
        {"a directory", alone_make_directory, .layer = SANDBOX_LANDLOCK, .error = EACCES,
         .least = SANDBOX_LANDLOCK_OUTSIDE},
        {"an abstract socket", alone_connect, .layer = SANDBOX_LANDLOCK, .error = EPERM,
         .least = SANDBOX_LANDLOCK_SIGNALS, .abi = 6},
        {"a signal", alone_signal, .layer = SANDBOX_LANDLOCK, .error = EPERM, .abi = 6},
        {"another's memory", alone_read_memory, .layer = SANDBOX_LANDLOCK, .error = EACCES, .abi = 6},
        {"a call", alone_call, .layer = SANDBOX_SECCOMP, .error = ALONE_KILLED},
        {"memory that becomes code", alone_execute_written, .error = EACCES},
};

struct alone_run {
        const struct alone_row *row;
        pid_t outside;
        const struct sandbox_profile *imposed; /* NULL: the program enters its profile itself */
        unsigned waived;
};

static inline int alone_try(const struct sandbox_profile *p, unsigned waived, const void *arg) {
        const struct alone_run *run = arg;

        if ((run->imposed ? sandbox_impose(run->imposed, run->waived) : sandbox_lock(p, waived)) < 0)
                return CONFINED_BROKEN;
        return run->row->attempt(run->outside);
}

/* How an attempt ends where only this layer is not waived. */
static inline int alone_result(const struct sandbox_profile *p, bool imposed,
                               const struct alone_row *row, unsigned layer) {
        static const struct sandbox_profile bare = {.name = "test", .dumpable = true};
        const struct alone_run run = {row, getpid(), imposed ? p : NULL, SANDBOX_ALL & ~layer};
        int status = confined_run(imposed ? &bare : p, run.waived, alone_try, &run);

        return confined_is_killed(status) ? ALONE_KILLED : WEXITSTATUS(status);
}

static inline bool alone_applies(const struct sandbox_profile *p, const struct alone_row *row) {
        if (row->layer == 0)
                return prctl(66 /* PR_GET_MDWE */, 0, 0, 0, 0) >= 0; /* since 6.3 */
        return p->layers & row->layer && sandbox_landlock_abi() >= row->abi &&
               !(row->layer == SANDBOX_LANDLOCK && row->least && p->landlock >= row->least) &&
               !(row->sanitizer && CONFINED_SANITIZED);
}

static inline void alone_check_row(const struct sandbox_profile *p, bool imposed,
                                   const struct alone_row *row) {
        /* A list of what is refused, instead of what is not, kills nobody. */
        int expected = row->error == ALONE_KILLED && p->refused ? EPERM : row->error;
        int with = alone_result(p, imposed, row, row->layer);
        int without = row->layer ? alone_result(p, imposed, row, 0) : 0;

        if (with != expected || without != 0) {
                printf("# %s, by %s alone: %d, not %d; without it: %d\n", row->what,
                       row->layer ? sandbox_layer_name(row->layer) : "what is always there", with,
                       expected, without);
                test_failures++;
        }
}

/* imposed: by sandbox_impose() on a program that knows nothing of it. */
static inline void alone_check_layers(const struct sandbox_profile *p, bool imposed) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un sa;
        socklen_t n = alone_abstract(getpid(), &sa);

        CHECK(bind(fd, (struct sockaddr *)&sa, n) == 0 && listen(fd, 16) == 0);
        (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* where Yama has a say */
        for (size_t i = 0; i < ELEMENTSOF(alone_rows); i++)
                if (alone_applies(p, &alone_rows[i]))
                        alone_check_row(p, imposed, &alone_rows[i]);
        (void)close(fd);
}

/* --- limits -------------------------------------------------------------------------------------- */

/* Each: whether the limit is where it should be. */
typedef bool (*alone_limit_fn)(rlim_t limit);

static inline bool alone_is_limit_of_files(rlim_t limit) {
        int fd, last = -1;

        while ((fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
                last = fd;
        return errno == EMFILE && (rlim_t)last + 1 == limit;
}

static inline bool alone_is_limit_of_memory(rlim_t limit) {
        const size_t step = 1 << 20, most_of_ours = 128 << 20; /* the program and its libraries */
        rlim_t n = 0;

        while (n <= limit &&
               mmap(NULL, step, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
                n += step;
        return errno == ENOMEM && n < limit && n + most_of_ours > limit;
}

static inline bool alone_is_limit_of_processes(rlim_t limit _unused_) {
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        return pid < 0 ? errno == EAGAIN : geteuid() == 0; /* whom it does not bind */
}

static inline bool alone_is_limit_of_length(rlim_t limit) {
        int fd = memfd_create("test", MFD_CLOEXEC);

        (void)signal(SIGXFSZ, SIG_IGN);
        return fd >= 0 && pwrite(fd, "x", 1, (off_t)limit) < 0 && errno == EFBIG;
}

/* Whether there is one, the machine has a say in, too. */
static inline bool alone_is_limit_of_core(rlim_t limit) {
        struct rlimit rl;

        return getrlimit(RLIMIT_CORE, &rl) == 0 && rl.rlim_max == limit;
}

static const struct alone_limit {
        int resource;
        const char *what;
        alone_limit_fn reached;
        bool sanitizer; /* a limit that such a build does not have */
} alone_limits[] = {
        {RLIMIT_NOFILE, "descriptors", alone_is_limit_of_files, false},
        {RLIMIT_AS, "memory", alone_is_limit_of_memory, true},
        {RLIMIT_NPROC, "processes", alone_is_limit_of_processes, true},
        {RLIMIT_FSIZE, "a file's length", alone_is_limit_of_length, false},
        {RLIMIT_CORE, "a core", alone_is_limit_of_core, false},
};

static inline int alone_try_limit(const struct sandbox_profile *p, unsigned waived, const void *arg) {
        const struct sandbox_rlimit *expected = arg;
        struct rlimit before;

        /* Where its log is a file, that one may grow. */
        if (dup2(STDIN_FILENO, STDERR_FILENO) < 0 ||
            getrlimit((__rlimit_resource_t)expected->resource, &before) < 0 ||
            sandbox_lock(p, waived) < 0)
                return CONFINED_BROKEN;
        for (size_t i = 0; i < ELEMENTSOF(alone_limits); i++)
                if (alone_limits[i].resource == expected->resource)
                        return !alone_limits[i].reached(
                                before.rlim_max < expected->value ? before.rlim_max : expected->value);
        return CONFINED_BROKEN;
}

/* It has these limits and no other, and each is reached from inside. */
static inline void alone_check_limits(const struct sandbox_profile *p,
                                      const struct sandbox_rlimit *expected, size_t n) {
        CHECK_EQ_INT(p->n_rlimits, n);
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < ELEMENTSOF(alone_limits); k++) {
                        if (alone_limits[k].resource != expected[i].resource ||
                            (alone_limits[k].sanitizer && CONFINED_SANITIZED))
                                continue;
                        printf("# limit of %s\n", alone_limits[k].what);
                        /* Its filter leaves no call to reach most of them. */
                        CHECK_EQ_INT(confined_run(p, SANDBOX_SECCOMP, alone_try_limit, &expected[i]), 0);
                }
}
