/* SPDX-License-Identifier: MIT */
#include "common/portal_rebuild.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/limits.h"

/*
 * An error of a read.  sd-bus has many words for a body that is not valid (EBADMSG, ENXIO,
 * EBUSY for an array whose length is wrong…); only a lack of memory is not the body's fault.
 */
static int blame(int r) {
        return r == -ENOMEM ? r : PORTAL_REBUILD_E_VALUE;
}

/* A read of sd-bus: 0 is "nothing there", which the row did not allow. */
static int got(int r) {
        return r < 0 ? blame(r) : r == 0 ? PORTAL_REBUILD_E_VALUE : 0;
}

/* A write of sd-bus, or a step of its reader that cannot be empty: positive is success, too. */
static int done(int r) {
        return r < 0 ? r : 0;
}

static int stepped(int r) {
        return r < 0 ? blame(r) : 0;
}

static int fail(struct portal_rebuild *rb, const struct portal_value *v, int e) {
        if (!rb->culprit)
                rb->culprit = v->name;
        return e;
}

/* Takes n bytes off what may still be written. */
static int spend(struct portal_rebuild *rb, size_t n) {
        if (n > rb->budget)
                return PORTAL_REBUILD_E_VALUE;
        rb->budget -= n;
        return 0;
}

struct bytes {
        size_t n;
        char data[LIMIT_STRING_BYTES];
};

/* --- copying by type -------------------------------------------------------------------------- */

static int copy_string(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                       char type, enum portal_role role) {
        _cleanup_free_ char *text = NULL;
        const char *s;
        int r;

        r = got(sd_bus_message_read_basic(in, type, &s));
        if (r != 0)
                return r;
        if (strlen(s) > LIMIT_STRING_BYTES)
                return PORTAL_REBUILD_E_VALUE;
        if (type == 's' && role == PORTAL_TEXT) {
                text = escape_display(s, LIMIT_TEXT_BYTES);
                if (!text)
                        return -ENOMEM;
                s = text;
        }
        r = spend(rb, strlen(s) + sizeof(uint32_t));
        return r != 0 ? r : done(sd_bus_message_append_basic(out, type, s));
}

static int copy_fixed(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                      char type) {
        union {
                uint64_t u64;
                double d;
                int i;
        } value = {0};
        int r = got(sd_bus_message_read_basic(in, type, &value));

        if (r == 0)
                r = spend(rb, sizeof(value));
        return r != 0 ? r : done(sd_bus_message_append_basic(out, type, &value));
}

/* The bytes of an ay one by one: what is left when read_array() will not do. */
static int read_single_bytes(sd_bus_message *in, size_t max, struct bytes *ret) {
        int r = got(sd_bus_message_enter_container(in, 'a', "y"));

        if (r != 0)
                return r;
        for (ret->n = 0;; ret->n++) {
                uint8_t byte;

                r = sd_bus_message_read_basic(in, 'y', &byte);
                if (r <= 0)
                        return r < 0 ? blame(r) : stepped(sd_bus_message_exit_container(in));
                if (ret->n == max)
                        return PORTAL_REBUILD_E_VALUE;
                ret->data[ret->n] = (char)byte;
        }
}

/* Reads an ay of at most max bytes. */
static int read_bytes(sd_bus_message *in, size_t max, struct bytes *ret) {
        const void *p;
        size_t n;
        int r = sd_bus_message_read_array(in, 'y', &p, &n);

        assert(max <= sizeof(ret->data));
        if (r == -EOPNOTSUPP) /* the message is of the other byte order, as it may be */
                return read_single_bytes(in, max, ret);
        r = got(r);
        if (r != 0)
                return r;
        if (n > max)
                return PORTAL_REBUILD_E_VALUE;
        memcpy(ret->data, p, n);
        ret->n = n;
        return 0;
}

static int copy_bytes(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out) {
        struct bytes b;
        int r = read_bytes(in, sizeof(b.data), &b);

        if (r == 0)
                r = spend(rb, b.n);
        return r != 0 ? r : done(sd_bus_message_append_array(out, 'y', b.data, b.n));
}

static int copy_value(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                      enum portal_role role);

/* An array or a struct whose complete type the caller has already compared with the row's. */
static int copy_container(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                          char type, const char *contents, enum portal_role role) {
        unsigned items = 0;
        int r;

        r = done(sd_bus_message_open_container(out, type, contents));
        if (r == 0)
                r = got(sd_bus_message_enter_container(in, type, contents));
        if (r != 0)
                return r;
        while ((r = sd_bus_message_at_end(in, false)) == 0) {
                if (++items > LIMIT_ARRAY_ITEMS)
                        return PORTAL_REBUILD_E_VALUE;
                r = copy_value(rb, in, out, role);
                if (r != 0)
                        return r;
        }
        if (r < 0)
                return blame(r);
        r = stepped(sd_bus_message_exit_container(in));
        return r != 0 ? r : done(sd_bus_message_close_container(out));
}

/*
 * One complete value.  Recursion is as deep as the type in the table, which the
 * caller compared: no row holds a variant, so a guest cannot deepen it.
 */
static int copy_value(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out,
                      enum portal_role role) {
        const char *contents;
        char type;
        int r = got(sd_bus_message_peek_type(in, &type, &contents));

        if (r != 0)
                return r;
        if (type == 'a' && strcmp(contents, "y") == 0)
                return copy_bytes(rb, in, out);
        if (type == 'a' || type == 'r')
                return copy_container(rb, in, out, type, contents, role);
        if (strchr("sog", type))
                return copy_string(rb, in, out, type, role);
        if (strchr("ybnqiuxtd", type))
                return copy_fixed(rb, in, out, type);
        return PORTAL_REBUILD_E_TYPE; /* variants, dictionaries, descriptors: by role only */
}

/* --- values with a role of their own ---------------------------------------------------------- */

#define BASENAME_BYTES 255 /* NAME_MAX, without the NUL */

static bool is_basename(const char *s) {
        return *s && strlen(s) <= BASENAME_BYTES && !strchr(s, '/') && strcmp(s, ".") != 0 &&
               strcmp(s, "..") != 0;
}

/* Reads an ay that is a C string: the terminating NUL is part of the array (portal convention). */
static int read_bytestring(sd_bus_message *in, size_t max, struct bytes *ret) {
        int r = read_bytes(in, max, ret);

        if (r != 0)
                return r;
        return ret->n > 0 && memchr(ret->data, 0, ret->n) == ret->data + ret->n - 1
                       ? 0
                       : PORTAL_REBUILD_E_VALUE;
}

static int append_bytestring(sd_bus_message *out, const char *s) {
        return done(sd_bus_message_append_array(out, 'y', s, strlen(s) + 1));
}

/* Reads the string of v whatever its type and has it translated; *ret is NULL to leave it out. */
static int translate_value(struct portal_rebuild *rb, const struct portal_value *v,
                           sd_bus_message *in, char **ret) {
        _cleanup_free_ char *text = NULL;
        struct bytes bytes;
        const char *s = bytes.data;
        int r;

        if (strcmp(v->type, "ay") == 0)
                r = read_bytestring(in, sizeof(bytes.data), &bytes);
        else
                r = got(sd_bus_message_read_basic(in, 's', &s));
        if (r != 0)
                return r;
        if (strlen(s) > LIMIT_STRING_BYTES)
                return PORTAL_REBUILD_E_VALUE;
        if (v->role == PORTAL_TITLE) {
                text = escape_display(s, LIMIT_TEXT_BYTES);
                if (!text)
                        return -ENOMEM;
                s = text;
        }
        r = rb->translate(rb->userdata, v, s, ret);
        return r == 0 && *ret ? spend(rb, strlen(*ret)) : r;
}

static int append_string_as(sd_bus_message *out, const struct portal_value *v, const char *s) {
        return strcmp(v->type, "ay") == 0 ? append_bytestring(out, s)
                                          : done(sd_bus_message_append_basic(out, 's', s));
}

static int rebuild_basename(sd_bus_message *in, sd_bus_message *out) {
        const char *s;
        int r = got(sd_bus_message_read_basic(in, 's', &s));

        if (r != 0)
                return r;
        return is_basename(s) ? done(sd_bus_message_append_basic(out, 's', s))
                              : PORTAL_REBUILD_E_VALUE;
}

static int rebuild_directory(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out) {
        int value;
        int r = got(sd_bus_message_read_basic(in, 'b', &value));

        if (r != 0)
                return r;
        rb->directory = value;
        return done(sd_bus_message_append_basic(out, 'b', &value));
}

static int rebuild_basenames_items(struct portal_rebuild *rb, sd_bus_message *in,
                                   sd_bus_message *out) {
        unsigned items = 0;
        int r;

        while ((r = sd_bus_message_at_end(in, false)) == 0) {
                struct bytes name;

                r = read_bytestring(in, BASENAME_BYTES + 1, &name);
                if (r == 0)
                        r = spend(rb, name.n);
                if (r != 0)
                        return r;
                if (!is_basename(name.data) || ++items > LIMIT_ARRAY_ITEMS)
                        return PORTAL_REBUILD_E_VALUE;
                r = append_bytestring(out, name.data);
                if (r != 0)
                        return r;
        }
        return r < 0 ? blame(r) : 0;
}

static int rebuild_uris_items(struct portal_rebuild *rb, const struct portal_value *v,
                              sd_bus_message *in, sd_bus_message *out) {
        const char *s;
        int r;

        while ((r = sd_bus_message_read_basic(in, 's', &s)) > 0) {
                _cleanup_free_ char *uri = NULL;

                r = rb->translate(rb->userdata, v, s, &uri);
                if (r == 0 && uri)
                        r = spend(rb, strlen(uri));
                if (r != 0)
                        return r;
                r = uri ? done(sd_bus_message_append_basic(out, 's', uri)) : 0;
                if (r != 0)
                        return r;
        }
        return r < 0 ? blame(r) : 0;
}

/* PORTAL_BASENAMES (aay) and PORTAL_URIS (as). */
static int rebuild_list(struct portal_rebuild *rb, const struct portal_value *v,
                        sd_bus_message *in, sd_bus_message *out) {
        const char *contents = v->type + 1;
        int r;

        r = done(sd_bus_message_open_container(out, 'a', contents));
        if (r == 0)
                r = got(sd_bus_message_enter_container(in, 'a', contents));
        if (r == 0)
                r = v->role == PORTAL_URIS ? rebuild_uris_items(rb, v, in, out)
                                           : rebuild_basenames_items(rb, in, out);
        if (r == 0)
                r = stepped(sd_bus_message_exit_container(in));
        return r != 0 ? r : done(sd_bus_message_close_container(out));
}

static bool is_translated(enum portal_role role) {
        return role == PORTAL_TITLE || role == PORTAL_PARENT_WINDOW ||
               role == PORTAL_HANDLE_TOKEN || role == PORTAL_GUEST_PATH;
}

/* --- options ---------------------------------------------------------------------------------- */

/* Opens "key: variant(type)" in out; close_entry() ends it. */
static int open_entry(sd_bus_message *out, const char *key, const char *type) {
        int r = sd_bus_message_open_container(out, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(out, 's', key);
        if (r >= 0)
                r = sd_bus_message_open_container(out, 'v', type);
        return done(r);
}

static int close_entry(sd_bus_message *out) {
        int r = sd_bus_message_close_container(out);

        return r < 0 ? r : done(sd_bus_message_close_container(out));
}

static int append_entry(sd_bus_message *out, const struct portal_value *v, const char *s) {
        int r = open_entry(out, v->name, v->type);

        if (r == 0)
                r = append_string_as(out, v, s);
        return r != 0 ? r : close_entry(out);
}

/* The value of a known key, in being inside its variant. */
static int rebuild_option(struct portal_rebuild *rb, const struct portal_value *v,
                          sd_bus_message *in, sd_bus_message *out) {
        int r;

        if (is_translated(v->role)) {
                _cleanup_free_ char *s = NULL;

                r = translate_value(rb, v, in, &s);
                return r != 0 || !s ? r : append_entry(out, v, s);
        }
        r = open_entry(out, v->name, v->type);
        if (r != 0)
                return r;
        if (v->role == PORTAL_BASENAME)
                r = rebuild_basename(in, out);
        else if (v->role == PORTAL_DIRECTORY)
                r = rebuild_directory(rb, in, out);
        else if (v->role == PORTAL_BASENAMES || v->role == PORTAL_URIS)
                r = rebuild_list(rb, v, in, out);
        else
                r = copy_value(rb, in, out, v->role);
        return r != 0 ? r : close_entry(out);
}

/* Enters the variant of v's type, or says that it is of another. */
static int enter_variant(sd_bus_message *in, const struct portal_value *v) {
        const char *contents;
        char type;
        int r = got(sd_bus_message_peek_type(in, &type, &contents));

        if (r != 0)
                return r;
        if (type != 'v' || strcmp(contents, v->type) != 0)
                return PORTAL_REBUILD_E_TYPE;
        return got(sd_bus_message_enter_container(in, 'v', v->type));
}

static int skip_value(struct portal_rebuild *rb, sd_bus_message *in);

static int skip_contents(struct portal_rebuild *rb, sd_bus_message *in, char type,
                         const char *contents) {
        int r = got(sd_bus_message_enter_container(in, type, contents));

        if (r != 0)
                return r;
        while ((r = sd_bus_message_at_end(in, false)) == 0) {
                r = skip_value(rb, in);
                if (r != 0)
                        return r;
        }
        return r < 0 ? blame(r) : stepped(sd_bus_message_exit_container(in));
}

/*
 * Steps over a value that nobody knows.  sd_bus_message_skip() would look at each of the
 * hundred million bytes that a message may hold, for minutes; this gives up early.
 * Recursion ends where sd-bus lets no container be entered any more, at 128.
 */
static int skip_value(struct portal_rebuild *rb, sd_bus_message *in) {
        const char *contents;
        const void *p;
        size_t n;
        char type;
        int r = got(sd_bus_message_peek_type(in, &type, &contents));

        if (r != 0)
                return r;
        if (rb->steps-- == 0)
                return PORTAL_REBUILD_E_VALUE;
        if (type == 'a' && strlen(contents) == 1 && strchr("ynqiuxtd", *contents)) {
                r = sd_bus_message_read_array(in, *contents, &p, &n);
                if (r != -EOPNOTSUPP)
                        return got(r);
        }
        if (strchr("arev", type))
                return skip_contents(rb, in, type, contents);
        return got(sd_bus_message_read_basic(in, type, NULL));
}

/* One key of the dictionary, in being inside the entry.  The first of equal keys counts. */
static int rebuild_entry(struct portal_rebuild *rb, const struct portal_value *rows, uint32_t *seen,
                         sd_bus_message *in, sd_bus_message *out) {
        const struct portal_value *v;
        const char *key;
        uint32_t bit;
        int r;

        r = got(sd_bus_message_read_basic(in, 's', &key));
        if (r != 0)
                return r;
        v = portal_find_value(rows, key);
        bit = v ? 1u << (v - rows) : 0;
        if (!v || (*seen & bit))
                return skip_value(rb, in);
        *seen |= bit;
        r = enter_variant(in, v);
        if (r == 0)
                r = rebuild_option(rb, v, in, out);
        if (r == 0)
                r = stepped(sd_bus_message_exit_container(in));
        return r > 0 ? fail(rb, v, r) : r;
}

static int append_token(const struct portal_rebuild *rb, sd_bus_message *out) {
        static const struct portal_value token = {
                .name = "handle_token", .type = "s", .role = PORTAL_HANDLE_TOKEN};

        return rb->handle_token ? append_entry(out, &token, rb->handle_token) : 0;
}

static int rebuild_dict(struct portal_rebuild *rb, const struct portal_value *rows,
                        sd_bus_message *in, sd_bus_message *out) {
        uint32_t seen = 0;
        unsigned keys = 0;
        int r;

        _Static_assert(PORTAL_MAX_OPTIONS < 32 && PORTAL_MAX_RESULTS < 32, "bits of seen");
        r = done(sd_bus_message_open_container(out, 'a', "{sv}"));
        if (r == 0)
                r = got(sd_bus_message_enter_container(in, 'a', "{sv}"));
        if (r != 0)
                return r;
        while ((r = sd_bus_message_enter_container(in, 'e', "sv")) > 0) {
                if (++keys > LIMIT_OPTION_KEYS)
                        return PORTAL_REBUILD_E_VALUE;
                r = rebuild_entry(rb, rows, &seen, in, out);
                if (r == 0)
                        r = stepped(sd_bus_message_exit_container(in));
                if (r != 0)
                        return r;
        }
        if (r < 0)
                return blame(r);
        r = stepped(sd_bus_message_exit_container(in));
        if (r == 0 && rows == rb->method->options)
                r = append_token(rb, out);
        return r != 0 ? r : done(sd_bus_message_close_container(out));
}

static void begin(struct portal_rebuild *rb) {
        rb->culprit = NULL;
        rb->directory = false;
        rb->budget = LIMIT_GATE_BYTES / 2; /* the rest is for padding, keys and types */
        rb->steps = LIMIT_SKIPPED_VALUES;
}

int portal_rebuild_results(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out) {
        begin(rb);
        return rebuild_dict(rb, rb->method->results, in, out);
}

static int rebuild_value(struct portal_rebuild *rb, const struct portal_value *v,
                         const struct portal_value *rows, sd_bus_message *in,
                         sd_bus_message *out) {
        _cleanup_free_ char *s = NULL;
        int r;

        if (v->role == PORTAL_OPTIONS)
                return rebuild_dict(rb, rows, in, out);
        if (v->role == PORTAL_BASENAME)
                return rebuild_basename(in, out);
        if (v->role == PORTAL_BASENAMES || v->role == PORTAL_URIS)
                return rebuild_list(rb, v, in, out);
        if (!is_translated(v->role))
                return copy_value(rb, in, out, v->role);
        r = translate_value(rb, v, in, &s);
        return r != 0 ? r : append_string_as(out, v, s ?: "");
}

/* A whole body: values, of which a PORTAL_OPTIONS holds what rows knows. */
static int rebuild_body(struct portal_rebuild *rb, const struct portal_value *values,
                        const struct portal_value *rows, sd_bus_message *in, sd_bus_message *out) {
        char signature[PORTAL_MAX_SIGNATURE];
        int r = 0;

        begin(rb);
        if (!sd_bus_message_has_signature(in, portal_signature(values, signature)))
                return PORTAL_REBUILD_E_TYPE;
        for (const struct portal_value *v = values; v->name && r == 0; v++) {
                r = rebuild_value(rb, v, rows, in, out);
                if (r > 0)
                        r = fail(rb, v, r);
        }
        return r;
}

int portal_rebuild_args(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out) {
        return rebuild_body(rb, rb->method->args, rb->method->options, in, out);
}

int portal_rebuild_out(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out) {
        return rebuild_body(rb, rb->method->out, rb->method->results, in, out);
}
