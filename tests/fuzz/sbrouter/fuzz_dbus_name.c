/* SPDX-License-Identifier: MIT */
/* Names, paths, signatures and UTF-8: libdbus is the oracle. */
#include <assert.h>
#include <dbus/dbus.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "sbrouter/dbus_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What libdbus does not count, and the header of dbus_name.h says that we do. */
static bool nests_too_deeply(const char *s) {
        unsigned open = 0, arrays = 0;

        for (; *s; s++) {
                open += *s == '(' || *s == '{';
                arrays += *s == 'a';
        }
        return open > DBUS_SIGNATURE_DEPTH || arrays > DBUS_SIGNATURE_DEPTH;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *s = strndup((const char *)data, n);
        bool valid;

        assert(s);
        /* A NUL inside is never valid, and is not what libdbus can be asked. */
        if (strlen(s) < n) {
                assert(!dbus_utf8_is_valid((const char *)data, n));
                assert(!dbus_signature_is_valid((const char *)data, n));
                assert(!dbus_name_is_path((const char *)data, n));
                return 0;
        }
        assert(dbus_utf8_is_valid(s, n) == dbus_validate_utf8(s, NULL));
        valid = dbus_signature_is_valid(s, n);
        assert(valid == dbus_signature_validate(s, NULL) || (!valid && nests_too_deeply(s)));
        valid = dbus_signature_is_single(s, n);
        assert(valid == dbus_signature_validate_single(s, NULL) || (!valid && nests_too_deeply(s)));
        if (!dbus_utf8_is_valid(s, n))
                return 0; /* libdbus takes text only */
        assert(dbus_name_is_path(s, n) == dbus_validate_path(s, NULL));
        assert(dbus_name_is_interface(s, n) == dbus_validate_interface(s, NULL));
        assert(dbus_name_is_error(s, n) == dbus_validate_error_name(s, NULL));
        assert(dbus_name_is_member(s, n) == dbus_validate_member(s, NULL));
        assert(dbus_name_is_bus(s, n) == dbus_validate_bus_name(s, NULL));
        assert(dbus_name_is_bus(s, n) ==
               (dbus_name_is_unique(s, n) || dbus_name_is_well_known(s, n)));
        assert(!dbus_name_is_bus(s, n) || dbus_name_is_namespace(s, n));
        return 0;
}
