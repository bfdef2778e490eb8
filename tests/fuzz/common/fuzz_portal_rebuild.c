/* SPDX-License-Identifier: MIT */
/* Any body: what is written is of the table, within its limits, and rebuilds to itself. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/limits.h"
#include "common/portal_rebuild.h"
#include "tests/message_pipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int keep(_unused_ void *u, const struct portal_value *v, const char *value, char **ret) {
        if (v->role == PORTAL_HANDLE_TOKEN)
                return 0;
        return (*ret = strdup(value)) ? 0 : -ENOMEM;
}

static int rebuild(const struct portal_method *method, bool results, sd_bus_message *in, char **ret,
                   sd_bus_message **ret_out) {
        struct portal_rebuild rb = {.method = method, .translate = keep};
        size_t size;
        FILE *f;
        int r = sd_bus_message_new_signal(sd_bus_message_get_bus(in), ret_out, "/x", "a.b", "c");

        assert(r >= 0);
        r = results ? portal_rebuild_results(&rb, in, *ret_out)
                    : portal_rebuild_args(&rb, in, *ret_out);
        assert(r >= 0); /* no body is an error of ours */
        if (r > 0)
                return r;
        assert(sd_bus_message_seal(*ret_out, 1, 0) >= 0 && (f = open_memstream(ret, &size)));
        assert(sd_bus_message_dump(*ret_out, f, SD_BUS_MESSAGE_DUMP_SUBTREE_ONLY) >= 0);
        return fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *in = NULL, *once = NULL, *twice = NULL;
        _cleanup_free_ char *first = NULL, *second = NULL;
        static struct message_pipe pipe = {.raw = -1};
        const struct portal_method *method;
        bool results;

        if (n < 1 || n > MESSAGE_PIPE_MAX)
                return 0;
        if (!pipe.bus)
                message_pipe_init(&pipe);
        method = &portal_methods[(data[0] >> 2) % portal_n_methods];
        results = data[0] & 2;
        in = message_pipe_pass(&pipe, data[0] & 1 ? 'B' : 'l', results ? "a{sv}" : "ssa{sv}",
                               data + 1, n - 1);
        if (!in || rebuild(method, results, in, &first, &once) != 0)
                return 0;
        assert(sd_bus_message_rewind(once, true) >= 0);
        assert(rebuild(method, results, once, &second, &twice) == 0 && strcmp(first, second) == 0);
        return 0;
}
