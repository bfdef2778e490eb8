/* SPDX-License-Identifier: MIT */
#include "common/address.h"

#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "tests/test.h"

static void test_unix(void) {
        struct address a;

        CHECK_EQ_INT(address_parse("unix:/run/x y", &a), 0);
        CHECK_EQ_INT(a.kind, ADDRESS_UNIX);
        CHECK_EQ_STR(a.path, "/run/x y");
}

static void test_unix_length(void) {
        char s[128] = "unix:/";
        struct address a;

        memset(s + 6, 'x', 106);
        CHECK_EQ_INT(address_parse(s, &a), 0); /* 107 bytes: the longest */
        CHECK_EQ_INT(strlen(a.path), 107);
        s[112] = 'x';
        CHECK_EQ_INT(address_parse(s, &a), ADDRESS_E_LENGTH);
}

static void test_vsock(void) {
        struct address a;

        CHECK_EQ_INT(address_parse("vsock:1337", &a), 0);
        CHECK_EQ_INT(a.kind, ADDRESS_VSOCK);
        CHECK_EQ_INT(a.cid, VMADDR_CID_ANY);
        CHECK_EQ_INT(a.port, 1337);
        CHECK_EQ_INT(address_parse("vsock:2:4294967294", &a), 0);
        CHECK_EQ_INT(a.cid, 2);
        CHECK_EQ_INT(a.port, 4294967294u);
}

static void test_refused(void) {
        static const struct {
                const char *s;
                int e;
        } rows[] = {
                {"", ADDRESS_E_KIND},
                {"tcp:1", ADDRESS_E_KIND},
                {"UNIX:/x", ADDRESS_E_KIND},
                {"/x", ADDRESS_E_KIND},
                {"unix", ADDRESS_E_KIND},
                {"unix:", ADDRESS_E_LENGTH},
                {"unix:x", ADDRESS_E_RELATIVE},
                {"unix:@x", ADDRESS_E_RELATIVE},
                {"vsock:", ADDRESS_E_NUMBER},
                {"vsock:0", ADDRESS_E_NUMBER},
                {"vsock:-1", ADDRESS_E_NUMBER},
                {"vsock:+1", ADDRESS_E_NUMBER},
                {"vsock: 1", ADDRESS_E_NUMBER},
                {"vsock:1 ", ADDRESS_E_NUMBER},
                {"vsock:0x10", ADDRESS_E_NUMBER},
                {"vsock:4294967295", ADDRESS_E_NUMBER},
                {"vsock:4294967297", ADDRESS_E_NUMBER},
                {"vsock:18446744073709551617", ADDRESS_E_NUMBER},
                {"vsock::1", ADDRESS_E_NUMBER},
                {"vsock:1:", ADDRESS_E_NUMBER},
                {"vsock:4294967295:1", ADDRESS_E_NUMBER},
                {"vsock:1:2:3", ADDRESS_E_NUMBER},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct address a = {.port = 7};

                CHECK_EQ_INT(address_parse(rows[i].s, &a), rows[i].e);
                CHECK_EQ_INT(a.port, 7); /* untouched */
                CHECK(strlen(address_strerror(rows[i].e)) > 20);
        }
        CHECK_EQ_STR(address_strerror(99), "unknown error");
        CHECK_EQ_STR(address_strerror(-1), "unknown error");
}

TEST_MAIN({"unix", test_unix}, {"unix: 107 bytes fit, 108 do not", test_unix_length},
          {"vsock", test_vsock}, {"refused", test_refused})
