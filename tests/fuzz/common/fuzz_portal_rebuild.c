/* SPDX-License-Identifier: MIT */
/* Any body of any row: what is written is within its limits, and rebuilds to itself. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/limits.h"
#include "common/portal_rebuild.h"
#include "tests/message_pipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum what { ARGS, OUT, RESULTS, SIGNAL };

/* What one input is about: two bytes in front of the body. */
struct subject {
        enum what what;
        const struct portal_method *method;
        const struct portal_signal *signal;
};

static int keep(_unused_ void *u, _unused_ const struct portal_value *v, const char *value,
                char **ret) {
        return (*ret = strdup(value)) ? 0 : -ENOMEM;
}

static int run(struct portal_rebuild *rb, const struct subject *s, sd_bus_message *in,
               sd_bus_message *out) {
        switch (s->what) {
        case ARGS:
                return portal_rebuild_args(rb, in, out);
        case OUT:
                return portal_rebuild_out(rb, in, out);
        case RESULTS:
                return portal_rebuild_results(rb, in, out);
        default:
                return portal_rebuild_values(rb, s->signal->args, s->signal->options, in, out);
        }
}

static int rebuild(const struct subject *s, sd_bus_message *in, char **ret,
                   sd_bus_message **ret_out) {
        struct portal_rebuild rb = {.method = s->method, .translate = keep};
        size_t size;
        FILE *f;
        int r = sd_bus_message_new_signal(sd_bus_message_get_bus(in), ret_out, "/x", "a.b", "c");

        assert(r >= 0);
        r = run(&rb, s, in, *ret_out);
        assert(r >= 0); /* no body is an error of ours */
        if (r > 0)
                return r;
        assert(sd_bus_message_seal(*ret_out, 1, 0) >= 0 && (f = open_memstream(ret, &size)));
        assert(sd_bus_message_dump(*ret_out, f, SD_BUS_MESSAGE_DUMP_SUBTREE_ONLY) >= 0);
        return fclose(f);
}

static const char *subject_of(const uint8_t *data, struct subject *s,
                              char signature[PORTAL_MAX_SIGNATURE]) {
        s->what = (data[0] >> 1) % 4;
        s->method = &portal_methods[data[1] % portal_n_methods];
        s->signal = &portal_signals[data[1] % portal_n_signals];
        if (s->what == RESULTS)
                return "a{sv}";
        return portal_signature(s->what == ARGS  ? s->method->args
                                : s->what == OUT ? s->method->out
                                                 : s->signal->args,
                                signature);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *in = NULL, *once = NULL, *twice = NULL;
        _cleanup_free_ char *first = NULL, *second = NULL;
        static struct message_pipe pipe = {.raw = -1};
        char buf[PORTAL_MAX_SIGNATURE];
        const char *signature;
        struct subject s;

        if (n < 2 || n > MESSAGE_PIPE_MAX)
                return 0;
        if (!pipe.bus)
                message_pipe_init(&pipe);
        signature = subject_of(data, &s, buf);
        in = message_pipe_pass(&pipe, data[0] & 1 ? 'B' : 'l', signature, data + 2, n - 2);
        if (!in || rebuild(&s, in, &first, &once) != 0)
                return 0;
        assert(sd_bus_message_rewind(once, true) >= 0);
        assert(rebuild(&s, once, &second, &twice) == 0 && strcmp(first, second) == 0);
        return 0;
}
