/* SPDX-License-Identifier: MIT */
#include "common/portal_dict.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/portal_copy.h"
#include "common/portal_role.h"

_Static_assert(PORTAL_MAX_OPTIONS < 64 && PORTAL_MAX_RESULTS < 64 && PORTAL_MAX_MEMBERS < 64,
               "bits of seen");

/* Enters the variant of v's type, or says that it is of another. */
static int enter_variant(sd_bus_message *in, const struct portal_value *v) {
        const char *contents;
        char type;
        int r = wire_got(sd_bus_message_peek_type(in, &type, &contents));

        if (r != 0)
                return r;
        if (type != 'v' || strcmp(contents, v->type) != 0)
                return PORTAL_REBUILD_E_TYPE;
        return wire_got(sd_bus_message_enter_container(in, 'v', v->type));
}

/* The value of a known key. */
static int rebuild_key(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                       sd_bus_message *out) {
        struct wire_place p = {.out = out, .key = v->name};
        bool is_variant = strcmp(v->type, "v") == 0;
        int r = 0;

        if (!is_variant)
                r = enter_variant(in, v);
        if (r == 0)
                r = portal_role_rebuild(rb, v, in, &p);
        if (r == 0 && !is_variant)
                r = wire_stepped(sd_bus_message_exit_container(in));
        if (r > 0)
                return portal_role_fail(rb, v, r);
        return r != 0 ? r : wire_place_close(&p);
}

static bool is_known(const struct portal_rebuild *rb, const struct portal_value *v) {
        return v && v->role != PORTAL_NEVER &&
               (v->since == 0 || rb->version == 0 || v->since <= rb->version);
}

/* One key of the dictionary, in being inside the entry.  The first of equal keys counts. */
static int rebuild_entry(struct portal_rebuild *rb, const struct portal_value *rows, uint64_t *seen,
                         sd_bus_message *in, sd_bus_message *out) {
        const struct portal_value *v;
        const char *key;
        uint64_t bit;
        int r = wire_got(sd_bus_message_read_basic(in, 's', &key));

        if (r != 0)
                return r;
        v = portal_find_value(rows, key);
        bit = v ? UINT64_C(1) << (v - rows) : 0;
        if (!is_known(rb, v) || (*seen & bit))
                return wire_skip(rb, in);
        *seen |= bit;
        return rebuild_key(rb, v, in, out);
}

static int rebuild_entries(struct portal_rebuild *rb, const struct portal_value *rows,
                           uint64_t *seen, sd_bus_message *in, sd_bus_message *out) {
        unsigned keys = 0;
        int r;

        while ((r = sd_bus_message_enter_container(in, 'e', "sv")) > 0) {
                if (++keys > LIMIT_OPTION_KEYS)
                        return PORTAL_REBUILD_E_VALUE;
                r = rebuild_entry(rb, rows, seen, in, out);
                if (r == 0)
                        r = wire_stepped(sd_bus_message_exit_container(in));
                if (r != 0)
                        return r;
        }
        return r < 0 ? wire_blame(r) : 0;
}

/* --- keys that are written though nobody sent them -------------------------------------------- */

static int add_string(struct portal_rebuild *rb, const struct portal_value *v, const char *s,
                      struct wire_place *p) {
        int r = s ? wire_place_open(p, v->type) : 0;

        return r != 0 || !s ? r : wire_append_string(rb, p->out, v->type, s);
}

static int add_true(const struct portal_value *v, struct wire_place *p) {
        int r = wire_place_open(p, v->type);

        return r != 0 ? r : wire_done(sd_bus_message_append_basic(p->out, 'b', &(int){true}));
}

static int add_missing(struct portal_rebuild *rb, const struct portal_value *v, bool seen,
                       sd_bus_message *out) {
        struct wire_place p = {.out = out, .key = v->name};
        int r = 0;

        if (v->role == PORTAL_HANDLE_TOKEN) /* what came was consumed */
                r = add_string(rb, v, rb->handle_token, &p);
        else if (v->role == PORTAL_SESSION_TOKEN)
                r = add_string(rb, v, rb->session_token, &p);
        else if (v->role == PORTAL_ALWAYS_TRUE && !seen)
                r = add_true(v, &p);
        else if (v->role == PORTAL_TITLE && !seen) /* whom it is from is said in it */
                r = portal_role_translate(rb, v, "", &p);
        return r != 0 ? r : wire_place_close(&p);
}

int portal_dict(struct portal_rebuild *rb, const struct portal_value *rows, sd_bus_message *in,
                sd_bus_message *out) {
        uint64_t seen = 0;
        int r = wire_enter(in, out, 'a', "{sv}");

        if (r == 0)
                r = rebuild_entries(rb, rows, &seen, in, out);
        for (const struct portal_value *v = rows; v->name && r == 0; v++)
                if (is_known(rb, v))
                        r = add_missing(rb, v, seen >> (v - rows) & 1, out);
        return r != 0 ? r : wire_leave(in, out);
}

/* --- dictionaries in a value ------------------------------------------------------------------ */

/* An item: a{sv}, or (sa{sv}), of which the first is copied. */
static int rebuild_item(struct portal_rebuild *rb, const struct portal_value *v, const char *type,
                        sd_bus_message *in, sd_bus_message *out) {
        int r;

        if (strcmp(type, "a{sv}") == 0)
                return portal_dict(rb, v->members, in, out);
        r = wire_enter(in, out, 'r', "sa{sv}");
        if (r == 0)
                r = portal_copy(rb, in, out, PORTAL_PLAIN);
        if (r == 0)
                r = portal_dict(rb, v->members, in, out);
        return r != 0 ? r : wire_leave(in, out);
}

int portal_dict_rebuild(struct portal_rebuild *rb, const struct portal_value *v,
                        sd_bus_message *in, struct wire_place *p) {
        unsigned items = 0;
        int r = wire_place_open(p, v->type);

        if (r != 0 || strcmp(v->type, "a{sv}") == 0)
                return r != 0 ? r : portal_dict(rb, v->members, in, p->out);
        r = wire_enter(in, p->out, 'a', v->type + 1);
        if (r != 0)
                return r;
        while ((r = sd_bus_message_at_end(in, false)) == 0) {
                if (++items > LIMIT_ARRAY_ITEMS)
                        return PORTAL_REBUILD_E_VALUE;
                r = rebuild_item(rb, v, v->type + 1, in, p->out);
                if (r != 0)
                        return r;
        }
        if (r > 0 && items == 0 && v->role == PORTAL_SOME_DICTS)
                return PORTAL_REBUILD_E_VALUE;
        return r < 0 ? wire_blame(r) : wire_leave(in, p->out);
}

/* --- settings --------------------------------------------------------------------------------- */

/* A name and its settings, in being inside the entry. */
static int rebuild_namespace(struct portal_rebuild *rb, const struct portal_value *v,
                             sd_bus_message *in, sd_bus_message *out) {
        _cleanup_free_ char *name = NULL;
        const char *s;
        int r = wire_got(sd_bus_message_read_basic(in, 's', &s));

        if (r == 0)
                r = rb->translate(rb->userdata, v, s, &name);
        if (r != 0 || !name)
                return r != 0 ? r : wire_skip(rb, in);
        r = wire_done(sd_bus_message_open_container(out, 'e', "sa{sv}"));
        if (r == 0)
                r = wire_append_string(rb, out, "s", name);
        if (r == 0)
                r = portal_copy(rb, in, out, PORTAL_ANY);
        return r != 0 ? r : wire_done(sd_bus_message_close_container(out));
}

int portal_dict_settings(struct portal_rebuild *rb, const struct portal_value *v,
                         sd_bus_message *in, struct wire_place *p) {
        int r = wire_place_open(p, v->type);

        if (r == 0)
                r = wire_enter(in, p->out, 'a', "{sa{sv}}");
        if (r != 0)
                return r;
        while ((r = sd_bus_message_enter_container(in, 'e', "sa{sv}")) > 0) {
                r = wire_step(rb);
                if (r == 0)
                        r = rebuild_namespace(rb, v, in, p->out);
                if (r == 0)
                        r = wire_stepped(sd_bus_message_exit_container(in));
                if (r != 0)
                        return r;
        }
        return r < 0 ? wire_blame(r) : wire_leave(in, p->out);
}
