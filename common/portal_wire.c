/* SPDX-License-Identifier: MIT */
#include "common/portal_wire.h"

#include <string.h>

#include "common/limits.h"

int wire_spend(struct portal_rebuild *rb, size_t n) {
        if (n > rb->budget)
                return PORTAL_REBUILD_E_VALUE;
        rb->budget -= n;
        return 0;
}

int wire_step(struct portal_rebuild *rb) {
        if (rb->steps == 0)
                return PORTAL_REBUILD_E_VALUE;
        rb->steps--;
        return 0;
}

/* --- bytes and strings ------------------------------------------------------------------------ */

/* The bytes of an ay one by one: what is left when read_array() will not do. */
static int read_single_bytes(sd_bus_message *in, size_t max, struct wire_bytes *ret) {
        uint8_t byte;
        int r = wire_got(sd_bus_message_enter_container(in, 'a', "y"));

        if (r != 0)
                return r;
        ret->data = ret->owned = malloc(max + 1);
        if (!ret->owned)
                return -ENOMEM;
        while ((r = sd_bus_message_read_basic(in, 'y', &byte)) > 0) {
                if (ret->n == max)
                        return PORTAL_REBUILD_E_VALUE;
                ret->owned[ret->n++] = (char)byte;
        }
        return r < 0 ? wire_blame(r) : wire_stepped(sd_bus_message_exit_container(in));
}

int wire_read_bytes(sd_bus_message *in, size_t max, struct wire_bytes *ret) {
        const void *p;
        size_t n;
        int r = sd_bus_message_read_array(in, 'y', &p, &n);

        *ret = (struct wire_bytes){0};
        if (r == -EOPNOTSUPP) /* the message is of the other byte order, as it may be */
                return read_single_bytes(in, max, ret);
        r = wire_got(r);
        if (r != 0)
                return r;
        if (n > max)
                return PORTAL_REBUILD_E_VALUE;
        *ret = (struct wire_bytes){.data = n > 0 ? p : "", .n = n};
        return 0;
}

/* In an ay that is a C string the terminating NUL is part of the array (portal convention). */
static bool is_terminated(const struct wire_bytes *b) {
        return b->n > 0 && memchr(b->data, 0, b->n) == b->data + b->n - 1;
}

int wire_read_string(sd_bus_message *in, const char *type, size_t max, struct wire_bytes *ret) {
        const char *s;
        int r;

        if (strcmp(type, "ay") == 0) {
                r = wire_read_bytes(in, max, ret);
                return r == 0 && !is_terminated(ret) ? PORTAL_REBUILD_E_VALUE : r;
        }
        *ret = (struct wire_bytes){0};
        r = wire_got(sd_bus_message_read_basic(in, *type, &s));
        if (r != 0)
                return r;
        *ret = (struct wire_bytes){.data = s, .n = strlen(s)};
        return ret->n > max ? PORTAL_REBUILD_E_VALUE : 0;
}

int wire_append_string(struct portal_rebuild *rb, sd_bus_message *out, const char *type,
                       const char *s) {
        size_t n = strlen(s);
        int r = wire_spend(rb, n + sizeof(uint32_t));

        if (r != 0)
                return r;
        if (strcmp(type, "ay") == 0)
                return wire_done(sd_bus_message_append_array(out, 'y', s, n + 1));
        return wire_done(sd_bus_message_append_basic(out, *type, s));
}

/* --- stepping over ---------------------------------------------------------------------------- */

static int skip_contents(struct portal_rebuild *rb, sd_bus_message *in, char type,
                         const char *contents) {
        int r = wire_got(sd_bus_message_enter_container(in, type, contents));

        if (r != 0)
                return r;
        while ((r = sd_bus_message_at_end(in, false)) == 0) {
                r = wire_skip(rb, in);
                if (r != 0)
                        return r;
        }
        return r < 0 ? wire_blame(r) : wire_stepped(sd_bus_message_exit_container(in));
}

/*
 * sd_bus_message_skip() would look at each of the hundred million bytes that a message may
 * hold, for minutes; this gives up early.  Recursion ends where sd-bus lets no container be
 * entered any more, at 128.
 */
int wire_skip(struct portal_rebuild *rb, sd_bus_message *in) {
        const char *contents;
        const void *p;
        size_t n;
        char type;
        int r = wire_got(sd_bus_message_peek_type(in, &type, &contents));

        if (r == 0)
                r = wire_step(rb);
        if (r != 0)
                return r;
        if (type == 'a' && strlen(contents) == 1 && strchr("ynqiuxtd", *contents)) {
                r = sd_bus_message_read_array(in, *contents, &p, &n);
                if (r != -EOPNOTSUPP)
                        return wire_got(r);
        }
        if (strchr("arev", type))
                return skip_contents(rb, in, type, contents);
        return wire_got(sd_bus_message_read_basic(in, type, NULL));
}

/* --- containers and places -------------------------------------------------------------------- */

/* The reader goes first: it is the one that says whether a variant's type is a type. */
int wire_enter(sd_bus_message *in, sd_bus_message *out, char type, const char *contents) {
        int r = wire_got(sd_bus_message_enter_container(in, type, contents));

        return r != 0 ? r : wire_done(sd_bus_message_open_container(out, type, contents));
}

int wire_leave(sd_bus_message *in, sd_bus_message *out) {
        int r = wire_stepped(sd_bus_message_exit_container(in));

        return r != 0 ? r : wire_done(sd_bus_message_close_container(out));
}

static int open_level(struct wire_place *p, char type, const char *contents) {
        int r = wire_done(sd_bus_message_open_container(p->out, type, contents));

        p->levels += r == 0;
        return r;
}

int wire_place_open(struct wire_place *p, const char *type) {
        int r;

        p->opened = true;
        if (!p->key)
                return 0;
        r = open_level(p, 'e', "sv");
        if (r == 0)
                r = wire_done(sd_bus_message_append_basic(p->out, 's', p->key));
        return r != 0 ? r : open_level(p, 'v', type);
}

int wire_place_open_variant(struct wire_place *p, const char *type) {
        p->opened = true;
        return p->key ? wire_place_open(p, type) : open_level(p, 'v', type);
}

int wire_place_close(struct wire_place *p) {
        int r = 0;

        for (; p->levels > 0 && r == 0; p->levels--)
                r = wire_done(sd_bus_message_close_container(p->out));
        return r;
}
