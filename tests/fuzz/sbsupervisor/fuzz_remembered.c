/* SPDX-License-Identifier: MIT */
/*
 * Whatever the file of answers holds: only "allow" and "deny" come of it, only for lines that say
 * so, and another line never takes a denial back.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "sbsupervisor/remembered.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct faults {
        unsigned last, n;
};

static void on_fault(void *userdata, const struct remembered_fault *f) {
        struct faults *faults = userdata;

        assert(f->line > faults->last);
        assert(f->reason == REMEMBERED_E_SYNTAX || f->reason == REMEMBERED_E_NAME);
        faults->last = f->line;
        faults->n++;
}

static unsigned count(const uint8_t *rules, size_t n, uint8_t rule) {
        unsigned found = 0;

        for (size_t i = 0; i < n; i++) {
                assert(rules[i] == 0 || rules[i] == PORTAL_ALLOW || rules[i] == PORTAL_DENY);
                found += rules[i] == rule;
        }
        return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        struct policy_rules once = {0}, all;
        struct faults faults = {0};
        unsigned lines = n > 0;

        for (size_t i = 0; i + 1 < n; i++)
                lines += data[i] == '\n';
        remembered_parse((const char *)data, n, &once, on_fault, &faults);
        assert(faults.last <= lines);
        assert(count((uint8_t *)&once, sizeof(once), PORTAL_ALLOW) +
               count((uint8_t *)&once, sizeof(once), PORTAL_DENY) + faults.n <= lines);

        memset(&all, PORTAL_DENY, sizeof(all));
        faults = (struct faults){0};
        remembered_parse((const char *)data, n, &all, on_fault, &faults);
        assert(count((uint8_t *)&all, sizeof(all), PORTAL_DENY) == sizeof(all));
        return 0;
}
