/* SPDX-License-Identifier: MIT */
/* Every row that is to be answered here has an answer, and no row of another kind has. */
#include "sbportal/local.h"

#include <string.h>

#include "tests/test.h"

static void test_methods(void) {
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];

                CHECK_EQ_INT(local_has_method(m), m->kind == PORTAL_LOCAL);
        }
}

static void test_properties(void) {
        for (size_t i = 0; i < portal_n_properties; i++) {
                const struct portal_property *p = &portal_properties[i];

                if (portal_find_interface(p->interface)->local) {
                        CHECK(local_has_property(p));
                        CHECK_EQ_INT(strlen(p->type), 1); /* of a basic type */
                }
        }
}

TEST_MAIN({"methods", test_methods}, {"properties", test_properties})
