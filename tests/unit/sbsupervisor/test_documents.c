/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/documents.h"

#include "tests/test.h"

static void test_document_id(void) {
        static const char *const bad[] = {"", "g", "ABC", "12345678901234567", "a/b", "..", "0x1"};

        CHECK(documents_id_is_valid("1", 1) && documents_id_is_valid("423b529", 7) &&
              documents_id_is_valid("1234567890123456", 16));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CHECK(!documents_id_is_valid(bad[i], strlen(bad[i])));
}

static void test_permissions(void) {
        CHECK_EQ_INT(documents_permission("read"), DOCUMENTS_READ);
        CHECK_EQ_INT(documents_permission("write"), DOCUMENTS_WRITE);
        CHECK(documents_permission("grant-permissions") > DOCUMENTS_WRITE);
        CHECK_EQ_INT(documents_permission("Read"), 0);
        CHECK_EQ_INT(documents_permission(""), 0);
}

TEST_MAIN({"document ids", test_document_id}, {"permissions by name", test_permissions})
