/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/test.h"

static char top[] = "/tmp/sidebus-roots-XXXXXX";

static const char *at(const char *name) {
        static char path[4][512];
        static unsigned k;

        k = (k + 1) % 4;
        (void)snprintf(path[k], sizeof(path[k]), "%s/%s", top, name);
        return path[k];
}

static void open_roots(struct roots *r) {
        if (!strstr(top, "XXXXXX"))
                CHECK_EQ_INT(unlink(r->file), 0);
        else
                CHECK(mkdtemp(top) != NULL && setenv("XDG_STATE_HOME", top, 1) == 0);
        roots_done(r);
        CHECK_EQ_INT(roots_open(r, "org.example.vm"), 0);
}

static int add(struct roots *r, const char *path) {
        int fd = open(path, O_PATH | O_CLOEXEC), e = roots_add(r, path, fd);

        (void)close(fd);
        return e;
}

/* How often the directory that path is now is among what is loaded; or the error. */
static int loaded(const struct roots *r, const char *path) {
        struct privop_roots roots;
        struct stat st;
        int e = roots_load(r, &roots), n = 0;

        CHECK(stat(path, &st) == 0);
        for (size_t i = 0; i < roots.n; i++)
                n += roots.v[i].dev == st.st_dev && roots.v[i].ino == st.st_ino;
        free(roots.v);
        return e < 0 ? e : n;
}

static off_t length(const struct roots *r) {
        struct stat st;

        return stat(r->file, &st) < 0 ? -1 : st.st_size;
}

static void append(const struct roots *r, const char *text) {
        FILE *f = fopen(r->file, "a");

        CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static struct roots roots;

static void test_renamed(void) {
        off_t once;

        open_roots(&roots);
        CHECK(mkdir(at("a"), 0700) == 0 && mkdir(at("a/shared\n %"), 0700) == 0);
        CHECK_EQ_INT(add(&roots, at("a/shared\n %")), 0);
        once = length(&roots);
        CHECK_EQ_INT(add(&roots, at("a/shared\n %")), 0);
        CHECK_EQ_INT(length(&roots), once);
        CHECK_EQ_INT(loaded(&roots, at("a/shared\n %")), 1);
        CHECK(rename(at("a/shared\n %"), at("a/renamed")) == 0);
        CHECK_EQ_INT(loaded(&roots, at("a/renamed")), 1);
        CHECK(rename(at("a"), at("b")) == 0);
        CHECK_EQ_INT(loaded(&roots, at("b/renamed")), 1);
        CHECK_EQ_INT(loaded(&roots, top), 0);
}

/* Device numbers are others after a reboot: then the path tells. */
static void test_other_device(void) {
        char line[600];

        open_roots(&roots);
        (void)snprintf(line, sizeof(line), "1:1 %s/b\n", top);
        append(&roots, line);
        CHECK_EQ_INT(loaded(&roots, at("b")), 1);
}

static void test_not_understood(void) {
        static const char *const lines[] = {"/tmp\n", "1:2\n", "1:2 relative\n", "1: /tmp\n", "\n",
                                            "1:2 /tmp/%zz\n", "-1:2 /tmp\n", "1:2 /tmp/%00\n"};

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                open_roots(&roots);
                CHECK_EQ_INT(add(&roots, at("b")), 0);
                append(&roots, lines[i]);
                CHECK_EQ_INT(loaded(&roots, at("b")), -EBADMSG);
                CHECK_EQ_INT(add(&roots, top), -EBADMSG);
        }
        open_roots(&roots);
        CHECK_EQ_INT(add(&roots, at("b")), 0);
        if (geteuid() != 0) { /* root reads everything */
                CHECK(chmod(roots.file, 0) == 0);
                CHECK_EQ_INT(loaded(&roots, at("b")), -EACCES);
        }
}

/* The line that was cut was not followed by a grant; the next is a line of its own. */
static void test_cut(void) {
        static const char *const ends[] = {"1", "1:2 ", "1:2 /tmp/%4", "1:2 /tmp"};

        for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
                open_roots(&roots);
                CHECK_EQ_INT(add(&roots, at("b")), 0);
                append(&roots, ends[i]);
                CHECK_EQ_INT(loaded(&roots, at("b")), 1);
                CHECK_EQ_INT(add(&roots, top), 0);
                CHECK_EQ_INT(loaded(&roots, at("b")), 1);
                CHECK_EQ_INT(loaded(&roots, top), 1);
        }
}

/* A full disk, played by RLIMIT_FSIZE: ten bytes of the line still go in. */
static void test_disk_full(void) {
        struct rlimit before, limit;
        off_t n;

        open_roots(&roots);
        CHECK_EQ_INT(add(&roots, at("b")), 0);
        n = length(&roots);
        CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
        limit = before;
        limit.rlim_cur = (rlim_t)n + 10;
        CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        CHECK(add(&roots, at("b/renamed")) < 0);
        CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
        CHECK_EQ_INT(length(&roots), n);
        CHECK_EQ_INT(loaded(&roots, at("b")), 1);
}

static void test_removed(void) {
        CHECK(unlink(roots.file) == 0 && rmdir(roots.dir) == 0);
        CHECK(rmdir(at("b/renamed")) == 0 && rmdir(at("b")) == 0 && rmdir(at("sidebus")) == 0 &&
              rmdir(top) == 0);
        roots_done(&roots);
}

TEST_MAIN({"a directory that is renamed, or whose parent is", test_renamed},
          {"a listed path on another device number", test_other_device},
          {"a line or a file that is not understood stops all", test_not_understood},
          {"a line that was cut off", test_cut}, {"a full disk leaves the list as it was", test_disk_full},
          {"the tree is removed", test_removed})
