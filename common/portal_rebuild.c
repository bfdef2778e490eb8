/* SPDX-License-Identifier: MIT */
#include "common/portal_rebuild.h"

#include <errno.h>
#include <string.h>

#include "common/limits.h"
#include "common/portal_copy.h"
#include "common/portal_dict.h"
#include "common/portal_role.h"

static void begin(struct portal_rebuild *rb, const struct portal_value *rows) {
        rb->culprit = NULL;
        rb->directory = false;
        rb->rows = rows;
        rb->budget = LIMIT_GATE_BYTES / 2; /* the rest is for padding, keys and types */
        rb->steps = LIMIT_SKIPPED_VALUES;
}

/* An argument cannot be left out: an empty string stands for it; other types have no such value. */
static int append_nothing(struct portal_rebuild *rb, const struct portal_value *v,
                          sd_bus_message *out) {
        if (strcmp(v->type, "s") != 0 && strcmp(v->type, "ay") != 0)
                return PORTAL_REBUILD_E_VALUE;
        return wire_append_string(rb, out, v->type, "");
}

static int rebuild_argument(struct portal_rebuild *rb, const struct portal_value *v,
                            sd_bus_message *in, sd_bus_message *out) {
        struct wire_place p = {.out = out};
        int r = portal_role_rebuild(rb, v, in, &p);

        if (r == 0)
                r = p.opened ? wire_place_close(&p) : append_nothing(rb, v, out);
        return r > 0 ? portal_role_fail(rb, v, r) : r;
}

int portal_rebuild_values(struct portal_rebuild *rb, const struct portal_value *values,
                          const struct portal_value *options, sd_bus_message *in,
                          sd_bus_message *out) {
        char signature[PORTAL_MAX_SIGNATURE];
        int r = 0;

        begin(rb, options);
        if (!sd_bus_message_has_signature(in, portal_signature(values, signature)))
                return PORTAL_REBUILD_E_TYPE;
        for (const struct portal_value *v = values; v->name && r == 0; v++)
                r = rebuild_argument(rb, v, in, out);
        return r;
}

int portal_rebuild_property(struct portal_rebuild *rb, const struct portal_property *p,
                            sd_bus_message *in, sd_bus_message *out) {
        const char *contents;
        char type;
        int r;

        begin(rb, NULL);
        r = wire_got(sd_bus_message_peek_type(in, &type, &contents));
        if (r != 0)
                return r;
        if (type != 'v' || strcmp(contents, p->type) != 0)
                return PORTAL_REBUILD_E_TYPE;
        return portal_copy(rb, in, out, PORTAL_ANY);
}

int portal_rebuild_args(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out) {
        return portal_rebuild_values(rb, rb->method->args, rb->method->options, in, out);
}

int portal_rebuild_out(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out) {
        return portal_rebuild_values(rb, rb->method->out, rb->method->results, in, out);
}

int portal_rebuild_results(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out) {
        begin(rb, rb->method->results);
        return portal_dict(rb, rb->rows, in, out);
}

int portal_rebuild_copy(const char *s, char **ret) {
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}
