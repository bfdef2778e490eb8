/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/proxy_uri.h"

#include "common/cleanup.h"
#include "tests/test.h"

static void test_login(void) {
        static const struct {
                const char *uri, *expected;
        } rows[] = {
                {"direct://", "direct://"},
                {"http://proxy:3128", "http://proxy:3128"},
                {"http://user:secret@proxy:3128", "http://proxy:3128"},
                {"http://user@proxy", "http://proxy"},
                {"socks5://u:p@ss@proxy:1", "socks5://proxy:1"},
                {"http://u:p/a?s#s@proxy:1/", "http://proxy:1/"},
                {"http://@", "http://"},
                {"no uri", "no uri"},
                {"", ""},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *s = proxy_uri_without_login(rows[i].uri);

                CHECK_EQ_STR(s, rows[i].expected);
        }
}

TEST_MAIN({"no user name and no password is left, whatever is in it", test_login})
