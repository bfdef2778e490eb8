/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/frame.h"

#include <string.h>

#include "common/cleanup.h"
#include "tests/test.h"

/* --- the handshake --------------------------------------------------------------------------- */

static void check_handshake(const char *last, const char *text, size_t n_expected) {
        size_t n = strlen(text);

        /* In one piece, and in every two. */
        for (size_t k = 0; k <= n; k++) {
                struct handshake h = {.last = last};
                size_t taken = handshake_take(&h, text, k);

                if (!handshake_is_over(&h)) {
                        CHECK_EQ_INT(taken, k);
                        taken += handshake_take(&h, text + k, n - k);
                }
                CHECK_EQ_INT(taken, n_expected);
                CHECK_EQ_INT(handshake_is_over(&h), n_expected < n);
        }
}

static void test_handshake(void) {
        check_handshake("\r\nBEGIN\r\n", "AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\nl", 28);
        check_handshake("\r\nBEGIN\r\n", "AUTH BEGIN\r\nBEGINS\r\n BEGIN\r\nl", 29);
        check_handshake("\r\nBEGIN\r\n", "A\r\r\n\r\nBEGIN\r\r\nBEGIN\r\nBEGIN\r\n", 21);
        check_handshake("\r\nAGREE_UNIX_FD\r\n", "DATA\r\nOK 0\r\nAGREE_UNIX_FD\r\nl", 27);
        check_handshake("\r\nAGREE_UNIX_FD\r\n", "DATA\r\nOK 0\r\nERROR\r\nlAGREE", 25);
}

/* --- messages -------------------------------------------------------------------------------- */

static int size_of(const char *fixed, uint64_t max, uint64_t *ret) {
        *ret = 0;
        return frame_size((const uint8_t *)fixed, max, ret);
}

static void test_size(void) {
        uint64_t n;

        CHECK_EQ_INT(size_of("l\1\0\1\0\0\0\0\1\0\0\0\0\0\0\0", 16, &n), 0);
        CHECK_EQ_INT(n, 16);
        CHECK_EQ_INT(size_of("l\1\0\1\3\0\0\0\1\0\0\0\1\0\0\0", 27, &n), 0);
        CHECK_EQ_INT(n, 27);
        CHECK_EQ_INT(size_of("B\1\0\1\0\0\0\3\0\0\0\1\0\0\0\1", 27, &n), 0);
        CHECK_EQ_INT(n, 27);
        CHECK_EQ_INT(size_of("l\1\0\1\3\0\0\0\1\0\0\0\1\0\0\0", 26, &n), FRAME_E_SIZE);
        CHECK_EQ_INT(n, 27);
        /* No sum wraps around. */
        CHECK_EQ_INT(size_of("l\1\0\1\xff\xff\xff\xff\1\0\0\0\xff\xff\xff\xff", 1 << 21, &n),
                     FRAME_E_SIZE);
        CHECK_EQ_INT(n, 16 + (UINT64_C(1) << 32) + 0xffffffff);
}

static void test_form(void) {
        uint64_t n;

        for (unsigned c = 0; c < 256; c++) {
                char fixed[] = "l\1\0\1\0\0\0\0\0\0\0\1\0\0\0\0";

                fixed[0] = (char)c;
                CHECK_EQ_INT(size_of(fixed, 100, &n), c == 'l' || c == 'B' ? 0 : FRAME_E_FORM);
                fixed[0] = 'l';
                fixed[3] = (char)c;
                CHECK_EQ_INT(size_of(fixed, 100, &n), c == 1 ? 0 : FRAME_E_FORM);
        }
}

TEST_MAIN({"where a handshake ends", test_handshake}, {"how long a message is", test_size},
          {"what is no message", test_form})
