/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/connector.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "sbsupervisor/vm_name.h"
#include "tests/test.h"

/* How xdg-desktop-portal reads the id from a scope's name: 1.16, and later ones. */
static const char *const patterns[] = {
        "^app-[[:alnum:]]+-([^@-]+\\.[^@-]+\\.[^@-]+)-[[:alnum:]]*\\.scope$",
        "^app-[[:alnum:]]+-([^-]+)-[[:alnum:]]*\\.scope$",
};

static void check_pattern(const char *pattern, const char *name, const char *app_id) {
        regmatch_t match[2];
        regex_t re;

        CHECK_EQ_INT(regcomp(&re, pattern, REG_EXTENDED), 0);
        CHECK_EQ_INT(regexec(&re, name, 2, match, 0), 0);
        CHECK_EQ_INT(match[1].rm_eo - match[1].rm_so, strlen(app_id));
        CHECK(strncmp(name + match[1].rm_so, app_id, strlen(app_id)) == 0);
        regfree(&re);
}

static void test_scope(void) {
        static const char *const vms[] = {
                "web", "my.vm-2", "2nd", "_", "0",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        };
        _cleanup_free_ char *plain = connector_scope("org.sidebus.vm.web", 0xab);

        CHECK_EQ_STR(plain, "app-sidebus-org.sidebus.vm.web-000000ab.scope");
        for (size_t i = 0; i < ELEMENTSOF(vms); i++) {
                char app_id[APP_ID_MAX + 1];
                _cleanup_free_ char *name = NULL;

                vm_app_id(vms[i], app_id);
                name = connector_scope(app_id, ~0u);
                CHECK(name && strlen(name) <= 255); /* systemd's limit of a unit's name */
                for (size_t k = 0; k < ELEMENTSOF(patterns); k++)
                        check_pattern(patterns[k], name, app_id);
        }
}

/* Nothing that systemd would escape: what it keeps is in the name as it is. */
static void test_characters(void) {
        char longest[VM_NAME_MAX + 1], app_id[APP_ID_MAX + 1];
        _cleanup_free_ char *name = NULL;

        memset(longest, '-', sizeof(longest));
        longest[0] = '_';
        longest[VM_NAME_MAX] = '\0';
        vm_app_id(longest, app_id);
        name = connector_scope(app_id, 1);
        CHECK(name && strlen(name) <= 255);
        CHECK_EQ_INT(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"),
                     strlen(name));
}

TEST_MAIN({"the scope's name is one that xdg-desktop-portal reads", test_scope},
          {"the scope's name needs no escape", test_characters})
