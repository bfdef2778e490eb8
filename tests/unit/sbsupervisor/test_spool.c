/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/spool.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/test.h"

static void test_names(void) {
        static const struct {
                const char *path, *expected;
        } rows[] = {
                {"/tmp/a file.pdf", "a file.pdf"},
                {"/memfd:letter (deleted)", "letter"},
                {"/memfd: (deleted)", "file"},
                {"/memfd:../x (deleted)", "x"},
                {"/tmp/memfd:x (deleted)", "memfd:x"},
                {"/tmp/old (deleted)", "old"},
                {"/tmp/a (deleted) b", "a (deleted) b"},
                {"/tmp/a (deleted) (deleted)", "a"},
                {" (deleted)", "file"},
                {"/memfd:\n/.. (deleted) (deleted)", "_."},
                {"/tmp/.bashrc", "_bashrc"},
                {"/tmp/..", "_."},
                {"/tmp/", "file"},
                {"", "file"},
                {"/x/a\xe2\x80\xae\nb", "a b"},
                {"/x/\xff\xfe", "file"},
        };
        char longest[2 * NAME_MAX];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *name = spool_name(rows[i].path);

                CHECK_EQ_STR(name, rows[i].expected);
        }
        memset(longest, 'x', sizeof(longest));
        longest[sizeof(longest) - 1] = '\0';
        {
                _cleanup_free_ char *name = spool_name(longest);

                CHECK_EQ_INT(strlen(name), NAME_MAX);
        }
}

struct place {
        char dir[64], inside[80];
        struct spool spool;
};

static void place_init(struct place *p) {
        (void)strcpy(p->dir, "/tmp/sb-spool-XXXXXX");
        CHECK(mkdtemp(p->dir) != NULL);
        (void)snprintf(p->inside, sizeof(p->inside), "%s/spool", p->dir);
        CHECK_EQ_INT(spool_init(&p->spool, p->dir), 0);
}

static void place_done(struct place *p) {
        spool_done(&p->spool);
        CHECK(access(p->inside, F_OK) < 0);
        CHECK_EQ_INT(rmdir(p->dir), 0);
}

static int content(const char *text) {
        int fd = memfd_create("letter.txt", MFD_CLOEXEC);

        CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        return fd;
}

static void test_copy(void) {
        struct place p;
        struct spool_file *f = NULL;
        _cleanup_close_ int fd = content("text"), copy = -1;
        char buf[16] = "";
        struct stat st;

        place_init(&p);
        CHECK_EQ_INT(spool_copy(&p.spool, fd, &f, &copy), 0);
        CHECK_EQ_STR(f->name, "letter.txt");
        CHECK_EQ_INT(read(copy, buf, sizeof(buf)), 4);
        CHECK_EQ_STR(buf, "text");
        CHECK(fstat(copy, &st) == 0 && (st.st_mode & 07777) == 0400);
        CHECK_EQ_INT(p.spool.bytes, 4);
        spool_release(&p.spool, f, false);
        CHECK_EQ_INT(p.spool.bytes, 0);
        place_done(&p);
}

static void test_refused(void) {
        _cleanup_close_ int directory = open("/", O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int device = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int path = open("/etc/passwd", O_PATH | O_CLOEXEC);
        _cleanup_close_ int large = content(""), copy = -1;
        const int fds[] = {directory, device, path};
        struct spool_file *f = NULL;
        struct place p;

        place_init(&p);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                CHECK_EQ_INT(spool_copy(&p.spool, fds[i], &f, &copy), SPOOL_E_KIND);
        CHECK_EQ_INT(ftruncate(large, (off_t)LIMIT_SPOOL_BYTES + 1), 0);
        CHECK_EQ_INT(spool_copy(&p.spool, large, &f, &copy), SPOOL_E_FULL);
        CHECK(f == NULL && copy < 0);
        place_done(&p);
}

/* What is in use stays, whatever comes; of what is kept, the oldest go. */
static void test_room(void) {
        struct place p;
        struct spool_file *first = NULL, *f = NULL;
        _cleanup_close_ int fd = content("x");

        place_init(&p);
        for (unsigned i = 0; i < LIMIT_SPOOL_FILES; i++) {
                _cleanup_close_ int copy = -1;

                CHECK_EQ_INT(spool_copy(&p.spool, fd, &f, &copy), 0);
                first = first ?: f;
        }
        {
                _cleanup_close_ int copy = -1;
                struct spool_file *more = NULL;

                CHECK_EQ_INT(spool_copy(&p.spool, fd, &more, &copy), SPOOL_E_FULL);
                spool_release(&p.spool, f, true);
                CHECK_EQ_INT(spool_copy(&p.spool, fd, &more, &copy), 0);
                CHECK(more == f && first->in_use);
        }
        CHECK_EQ_INT(p.spool.bytes, LIMIT_SPOOL_FILES);
        place_done(&p);
}

static void put(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* A file system of 1 MiB, in namespaces of our own. */
static void mount_small(const char *dir) {
        char uid[64], gid[64];

        (void)snprintf(uid, sizeof(uid), "%u %u 1", getuid(), getuid());
        (void)snprintf(gid, sizeof(gid), "%u %u 1", getgid(), getgid());
        CHECK_EQ_INT(unshare(CLONE_NEWUSER | CLONE_NEWNS), 0);
        put("/proc/self/setgroups", "deny");
        put("/proc/self/uid_map", uid);
        put("/proc/self/gid_map", gid);
        CHECK_EQ_INT(mount("tmpfs", dir, "tmpfs", 0, "size=1m"), 0);
}

static void in_small_room(void) {
        struct place p;
        struct spool_file *f = NULL, *more = NULL;
        _cleanup_close_ int fd = content(""), copy = -1, second = -1, third = -1;

        place_init(&p);
        mount_small(p.dir);
        CHECK_EQ_INT(ftruncate(fd, 520 << 10), 0);
        CHECK_EQ_INT(spool_copy(&p.spool, fd, &f, &copy), SPOOL_E_FULL);
        CHECK_EQ_INT(ftruncate(fd, 400 << 10), 0);
        CHECK_EQ_INT(spool_copy(&p.spool, fd, &f, &copy), 0);
        CHECK_EQ_INT(spool_copy(&p.spool, fd, &more, &second), SPOOL_E_FULL);
        CHECK(!more);
        copy = fd_close(copy);
        spool_release(&p.spool, f, true); /* the oldest goes */
        CHECK_EQ_INT(spool_copy(&p.spool, fd, &more, &third), 0);
        spool_done(&p.spool);
        third = fd_close(third);
        CHECK_EQ_INT(umount(p.dir), 0);
        CHECK_EQ_INT(rmdir(p.dir), 0);
}

/* Half of what is free in the runtime directory stays free. */
static void test_free_space(void) {
        int status = 0;
        pid_t pid;

        (void)fflush(stdout);
        pid = fork();
        if (pid == 0) {
                in_small_room();
                (void)fflush(stdout);
                _exit(test_failures > 0);
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void test_sweep(void) {
        struct place p;
        struct spool_file *f = NULL;
        _cleanup_close_ int fd = content("x"), copy = -1;

        place_init(&p);
        CHECK_EQ_INT(spool_copy(&p.spool, fd, &f, &copy), 0);
        CHECK_EQ_INT(access(p.inside, F_OK), 0);
        spool_sweep(p.dir);
        CHECK(access(p.inside, F_OK) < 0);
        spool_sweep(p.dir);
        place_done(&p);
}

TEST_MAIN({"a file's name is fit for a directory of ours, and to be shown", test_names},
          {"a copy is whole, read only, and goes", test_copy},
          {"no directory, no device, nothing too large", test_refused},
          {"what is in use stays, the oldest of the rest go for a newcomer", test_room},
          {"half of the runtime directory stays free", test_free_space},
          {"what a killed instance left is removed", test_sweep})
