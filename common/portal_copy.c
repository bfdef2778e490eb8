/* SPDX-License-Identifier: MIT */
#include "common/portal_copy.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/limits.h"
#include "common/portal_wire.h"

static int copy_string(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                       char type, enum portal_role role) {
        _cleanup_(wire_bytes_done) struct wire_bytes s = {0};
        _cleanup_free_ char *text = NULL;
        int r = wire_read_string(in, (char[]){type, '\0'}, LIMIT_STRING_BYTES, &s);

        if (r != 0)
                return r;
        if (type == 's' && role == PORTAL_TEXT) {
                text = escape_display(s.data, LIMIT_TEXT_BYTES);
                if (!text)
                        return -ENOMEM;
        }
        return wire_append_string(rb, out, (char[]){type, '\0'}, text ?: s.data);
}

static int copy_fixed(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                      char type) {
        union {
                uint64_t u64;
                double d;
                int i;
        } value = {0};
        int r = wire_got(sd_bus_message_read_basic(in, type, &value));

        if (r == 0)
                r = wire_spend(rb, sizeof(value));
        return r != 0 ? r : wire_done(sd_bus_message_append_basic(out, type, &value));
}

static int copy_bytes(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out) {
        _cleanup_(wire_bytes_done) struct wire_bytes b = {0};
        int r = wire_read_bytes(in, LIMIT_STRING_BYTES, &b);

        if (r == 0)
                r = wire_spend(rb, b.n);
        return r != 0 ? r : wire_done(sd_bus_message_append_array(out, 'y', b.data, b.n));
}

static int copy_value(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                      enum portal_role role, unsigned depth);

/* An entry of an a{sv}; activation tokens are of the host's compositor: no business of a guest. */
static int copy_entry(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                      enum portal_role role, unsigned depth) {
        const char *key;
        int r = wire_got(sd_bus_message_enter_container(in, 'e', "sv"));

        if (r == 0)
                r = wire_got(sd_bus_message_read_basic(in, 's', &key));
        if (r != 0)
                return r;
        if (role == PORTAL_ANY_LIST && strcmp(key, "activation-token") == 0) {
                r = wire_skip(rb, in);
                return r != 0 ? r : wire_stepped(sd_bus_message_exit_container(in));
        }
        if (strlen(key) > LIMIT_STRING_BYTES)
                return PORTAL_REBUILD_E_VALUE;
        r = wire_done(sd_bus_message_open_container(out, 'e', "sv"));
        if (r == 0)
                r = wire_append_string(rb, out, "s", key);
        if (r == 0)
                r = copy_value(rb, in, out, role, depth);
        return r != 0 ? r : wire_leave(in, out);
}

/* depth: how many containers this one may still hold in each other, itself included. */
static int copy_container(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                          char type, const char *contents, enum portal_role role, unsigned depth) {
        bool is_dict = type == 'a' && strcmp(contents, "{sv}") == 0;
        unsigned items = 0;
        int r;

        if (depth == 0)
                return PORTAL_REBUILD_E_VALUE;
        r = wire_enter(in, out, type, contents);
        if (r != 0)
                return r;
        while ((r = sd_bus_message_at_end(in, false)) == 0) {
                if (++items > LIMIT_ARRAY_ITEMS)
                        return PORTAL_REBUILD_E_VALUE;
                r = is_dict ? copy_entry(rb, in, out, role, depth - 1)
                            : copy_value(rb, in, out, role, depth - 1);
                if (r != 0)
                        return r;
        }
        return r < 0 ? wire_blame(r) : wire_leave(in, out);
}

static int copy_value(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                      enum portal_role role, unsigned depth) {
        bool any = role == PORTAL_ANY || role == PORTAL_ANY_LIST;
        const char *contents;
        char type;
        int r = wire_got(sd_bus_message_peek_type(in, &type, &contents));

        if (r != 0)
                return r;
        if (type == 'a' && strcmp(contents, "y") == 0)
                return copy_bytes(rb, in, out);
        if (strchr("are", type) || (type == 'v' && any))
                return copy_container(rb, in, out, type, contents, role, depth);
        if (strchr("sog", type))
                return copy_string(rb, in, out, type, role);
        if (strchr("ybnqiuxtd", type))
                return copy_fixed(rb, in, out, type);
        return PORTAL_REBUILD_E_TYPE; /* descriptors, and variants where none belong */
}

int portal_copy(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                enum portal_role role) {
        return copy_value(rb, in, out, role, LIMIT_VARIANT_DEPTH);
}
