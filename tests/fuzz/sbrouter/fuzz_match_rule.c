/* SPDX-License-Identifier: MIT */
/*
 * Canonical text parses to the same rule and is its own canonical text; what the keys say is
 * valid for libdbus; matching is harmless.
 */
#include <assert.h>
#include <dbus/dbus.h>
#include <stdlib.h>
#include <string.h>

#include "sbrouter/match_rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A signal with arguments "a.b" and "/x/" that satisfies what a rule can ask for by chance. */
static void match(const struct match_rule *r, const struct match_rule *same) {
        static const uint8_t body[] = "\3\0\0\0a.b\0\3\0\0\0/x/";
        struct message m = {
                .type = MESSAGE_SIGNAL,
                .body = body,
                .frame.n_body = sizeof(body),
                .path = {"/a/b", 4},
                .interface = {"a.b", 3},
                .member = {"M", 1},
                .signature = {"so", 2},
        };
        struct body_args args, again;

        message_args(&m, &args);
        message_args(&m, &again);
        assert(match_rule_fits(r, &m, &args) == match_rule_fits(same, &m, &again));
}

/* We take no value that libdbus refuses; that it is UTF-8, the body's check has said before. */
static void check_values(const struct match_rule *r) {
        static dbus_bool_t (*const validate[MATCH_N_KEYS])(const char *, DBusError *) = {
                [MATCH_SENDER] = dbus_validate_bus_name,
                [MATCH_INTERFACE] = dbus_validate_interface,
                [MATCH_MEMBER] = dbus_validate_member,
                [MATCH_PATH] = dbus_validate_path,
                [MATCH_PATH_NAMESPACE] = dbus_validate_path,
                [MATCH_DESTINATION] = dbus_validate_bus_name,
        };

        for (unsigned k = 0; k < MATCH_N_KEYS; k++) {
                const char *value = match_rule_get(r, k);

                assert(!value || validate[k](value, NULL));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(match_rule_freep) struct match_rule *a = NULL, *b = NULL;
        /* Of 1024 bytes, at most all are quotes, each of which takes four. */
        char text[4 * LIMIT_MATCH_RULE_BYTES + 1], again[sizeof(text)];
        int r = match_rule_parse((const char *)data, n, &a);

        assert(r >= 0 && r < MATCH_RULE_N_E && (r == 0) == (a != NULL));
        if (r != 0)
                return 0;
        assert(a->n_args <= BODY_MAX_ARGS && a->type <= MESSAGE_SIGNAL);
        check_values(a);
        n = match_rule_format(a, text, sizeof(text));
        assert(n < sizeof(text) && strlen(text) == n);
        r = match_rule_parse(text, n, &b);
        if (r == MATCH_RULE_E_LENGTH) /* quoting made it longer than a rule may be */
                return 0;
        assert(r == 0 && match_rule_equal(a, b));
        assert(match_rule_format(b, again, sizeof(again)) == n && strcmp(text, again) == 0);
        match(a, b);
        return 0;
}
