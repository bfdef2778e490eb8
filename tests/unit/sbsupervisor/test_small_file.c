/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/small_file.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/test.h"

static char dir[] = "/tmp/sidebus-test-XXXXXX";

static const char *at(const char *name) {
        static char path[256];

        (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
        return path;
}

static void check_file(const char *expected, size_t max) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;

        CHECK_EQ_INT(small_file_read(at("f"), max, &text, &n), 0);
        CHECK_EQ_STR(text, expected);
        CHECK_EQ_INT(n, strlen(expected));
}

static unsigned count_entries(void) {
        unsigned n = 0;
        DIR *d = opendir(dir);

        while (d && readdir(d))
                n++;
        closedir(d);
        return n - 2;
}

static void test_replaced(void) {
        struct stat st;

        CHECK(mkdtemp(dir) != NULL);
        CHECK_EQ_INT(small_file_replace(at("f"), "first", 5, 0644), 0);
        CHECK(stat(at("f"), &st) == 0 && (st.st_mode & 07777) == 0644);
        CHECK_EQ_INT(small_file_replace(at("f"), "second one", 10, 0600), 0);
        CHECK(stat(at("f"), &st) == 0 && (st.st_mode & 07777) == 0600);
        check_file("second one", 10);
        CHECK_EQ_INT(count_entries(), 1);
}

static void test_not_read(void) {
        char *text = NULL;
        size_t n;

        CHECK_EQ_INT(small_file_read(at("f"), 9, &text, &n), -EFBIG);
        CHECK_EQ_INT(small_file_read(at("none"), 9, &text, &n), -ENOENT);
        CHECK_EQ_INT(small_file_read(dir, 1 << 20, &text, &n), -EFBIG);
        CHECK(mkfifo(at("pipe"), 0600) == 0); /* nobody is waited for */
        CHECK_EQ_INT(small_file_read(at("pipe"), 9, &text, &n), -EFBIG);
        CHECK(unlink(at("pipe")) == 0 && text == NULL);
}

/* A full disk, played by RLIMIT_FSIZE: the old file stays, and nothing beside it. */
static void test_disk_full(void) {
        struct rlimit before, limit;

        CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
        limit = before;
        limit.rlim_cur = 4;
        CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        CHECK(small_file_replace(at("f"), "longer", 6, 0600) < 0);
        CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
        check_file("second one", 10);
        CHECK_EQ_INT(count_entries(), 1);
        CHECK(unlink(at("f")) == 0 && rmdir(dir) == 0);
        CHECK_EQ_INT(small_file_replace(at("f"), "x", 1, 0600), -ENOENT);
}

TEST_MAIN({"a file is replaced as a whole", test_replaced},
          {"what is no small file is not read", test_not_read},
          {"a full disk leaves the file as it was", test_disk_full})
