/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/virtiofsd.h"

#include "tests/test.h"

static void test_virtiofsd_version(void) {
        CHECK(virtiofsd_version_is_good("virtiofsd 1.13.2"));
        CHECK(virtiofsd_version_is_good("virtiofsd 1.13.0"));
        CHECK(virtiofsd_version_is_good("virtiofsd 2.0"));
        CHECK(!virtiofsd_version_is_good("virtiofsd 1.12.9"));
        CHECK(!virtiofsd_version_is_good("virtiofsd version 7.2.22 (Debian 1:7.2)"));
        CHECK(!virtiofsd_version_is_good("using FUSE kernel interface version 7.36"));
        CHECK(!virtiofsd_version_is_good("virtiofsd -1.13"));
        CHECK(!virtiofsd_version_is_good("virtiofsd 1.-1"));
        CHECK(!virtiofsd_version_is_good("virtiofsd 99999999999999999999.1"));
        CHECK(!virtiofsd_version_is_good(""));
}

TEST_MAIN({"which virtiofsd will do", test_virtiofsd_version})
