/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/vm_name.h"

#include "tests/test.h"

static void test_fault(void) {
        static const char *const good[] = {"a", "demo", "my.vm-2_x", "0", "_",
                                           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
        static const char *const bad[] = {"", ".", "..", "-x", ".hidden", "a/b", "a b", "a\n", "\xc3\xa4",
                                          "a%s", "a@b", "a:b",
                                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                CHECK(!vm_name_fault(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CHECK(vm_name_fault(bad[i]));
}

static void test_app_id(void) {
        static const struct {
                const char *name, *id;
        } rows[] = {
                {"demo", "org.sidebus.vm.demo"},
                {"Demo", "org.sidebus.vm.Demo"},
                {"my.vm-2", "org.sidebus.vm.my_2evm_2d2"},
                {"a_b", "org.sidebus.vm.a_5fb"},
                {"2nd", "org.sidebus.vm._32nd"},
                {"22", "org.sidebus.vm._322"},
                /* what another name's escape looks like is itself escaped */
                {"_2e", "org.sidebus.vm._5f2e"},
        };
        char id[APP_ID_MAX + 1];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                vm_app_id(rows[i].name, id);
                CHECK_EQ_STR(id, rows[i].id);
                CHECK(vm_app_id_is_valid(id));
        }
}

static void test_id_is_valid(void) {
        static const char *const bad[] = {"", "org.sidebus.vm.", "org.sidebus.vm.2x", "org.sidebus.vm.a.b",
                                          "org.sidebus.vm.a-b", "org.other.vm.demo", "org.sidebus.vm.a\n"};
        char longest[300];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CHECK(!vm_app_id_is_valid(bad[i]));
        memset(longest, 'a', sizeof(longest));
        memcpy(longest, "org.sidebus.vm.", 15);
        longest[255] = '\0';
        CHECK(vm_app_id_is_valid(longest));
        longest[255] = 'a';
        longest[256] = '\0';
        CHECK(!vm_app_id_is_valid(longest));
}

TEST_MAIN({"which names may name a VM", test_fault}, {"two names never share an id", test_app_id},
          {"an id read back is checked", test_id_is_valid})
