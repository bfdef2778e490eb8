/* SPDX-License-Identifier: MIT */
/*
 * Unit tests: a table of functions, TAP on stdout.
 *
 *   static void test_foo(void) { CHECK_EQ_INT(foo(1), 2); }
 *   TEST_MAIN({"foo", test_foo})
 *
 * A failed CHECK prints where and what, marks the test failed and goes on.  Open
 * descriptors are counted before and after each test: a leak fails it.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

struct test {
        const char *name;
        void (*fn)(void);
};

static unsigned test_failures;

#define CHECK(x)                                                                                   \
        do {                                                                                       \
                if (!(x)) {                                                                        \
                        printf("# %s:%d: %s\n", __FILE__, __LINE__, #x);                           \
                        test_failures++;                                                           \
                }                                                                                  \
        } while (0)

#define CHECK_EQ_INT(a, b)                                                                         \
        do {                                                                                       \
                long long _a = (long long)(a), _b = (long long)(b);                                \
                if (_a != _b) {                                                                    \
                        printf("# %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #a, _a, _b); \
                        test_failures++;                                                           \
                }                                                                                  \
        } while (0)

#define CHECK_EQ_STR(a, b)                                                                         \
        do {                                                                                       \
                const char *_a = (a), *_b = (b);                                                   \
                if (!_a || !_b || strcmp(_a, _b) != 0) {                                           \
                        printf("# %s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #a,      \
                               _a ? _a : "(null)", _b ? _b : "(null)");                            \
                        test_failures++;                                                           \
                }                                                                                  \
        } while (0)

static inline unsigned test_count_fds(void) {
        unsigned n = 0;
        DIR *d = opendir("/proc/self/fd");

        while (d && readdir(d))
                n++;
        if (d)
                closedir(d);
        return n;
}

static inline int test_run(const struct test *tests, size_t n) {
        unsigned failed = 0;

        printf("1..%zu\n", n);
        for (size_t i = 0; i < n; i++) {
                unsigned fds = test_count_fds();

                test_failures = 0;
                tests[i].fn();
                CHECK_EQ_INT(test_count_fds(), fds);
                printf("%s %zu - %s\n", test_failures ? "not ok" : "ok", i + 1, tests[i].name);
                failed += test_failures > 0;
        }
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define TEST_MAIN(...)                                                                             \
        int main(void) {                                                                           \
                static const struct test tests[] = {__VA_ARGS__};                                  \
                                                                                                   \
                return test_run(tests, ELEMENTSOF(tests));                                         \
        }
