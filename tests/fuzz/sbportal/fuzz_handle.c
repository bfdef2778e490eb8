/* SPDX-License-Identifier: MIT */
/* A notification's id on the gate: what is accepted is written again as it was. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "sbportal/handle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *s = strndup((const char *)data, n), *sender = NULL, *again = NULL;
        const char *id;

        assert(s);
        (void)handle_is_gate(s);
        (void)handle_is_gate_session(s);
        if (handle_notification_parse(s, &sender, &id) != 0)
                return 0;
        assert(!sender || handle_sender_is_valid(sender));
        again = handle_notification(sender, id);
        assert(again && strcmp(again, s) == 0);
        return 0;
}
