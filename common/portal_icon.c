/* SPDX-License-Identifier: MIT */
#include "common/portal_icon.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/icon_check.h"
#include "common/limits.h"
#include "common/portal_role.h"

#define NAMES      16u  /* of a themed icon: the name and its fallbacks, cut at each '-' */
#define NAME_BYTES 128u /* the longest of the naming specification has 35 */

/* An icon's name, not a file's: the host's loader would open "/etc/motd" or "file:///". */
static bool is_name(const char *s) {
        static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789-_.+";
        size_t n = strspn(s, chars);

        return n > 0 && n <= NAME_BYTES && s[n] == '\0' && s[0] != '.';
}

/* Opens (sv) with that key and a value of that type; close_pair() ends it. */
static int open_pair(struct wire_place *p, const char *key, const char *type) {
        int r = wire_place_open_variant(p, "(sv)");

        if (r == 0)
                r = wire_done(sd_bus_message_open_container(p->out, 'r', "sv"));
        if (r == 0)
                r = wire_done(sd_bus_message_append_basic(p->out, 's', key));
        return r != 0 ? r : wire_done(sd_bus_message_open_container(p->out, 'v', type));
}

static int close_pair(struct wire_place *p) {
        int r = wire_done(sd_bus_message_close_container(p->out));

        return r != 0 ? r : wire_done(sd_bus_message_close_container(p->out));
}

/* --- the values of a pair, in being inside its variant ---------------------------------------- */

static int rebuild_themed(struct portal_rebuild *rb, _unused_ const struct portal_value *v,
                          sd_bus_message *in, struct wire_place *p) {
        const char *names[NAMES], *s;
        unsigned n = 0;
        int r = wire_got(sd_bus_message_enter_container(in, 'a', "s"));

        if (r != 0)
                return r;
        while ((r = sd_bus_message_read_basic(in, 's', &s)) > 0) {
                r = wire_step(rb);
                if (r != 0)
                        return r;
                if (n < NAMES && is_name(s))
                        names[n++] = s;
        }
        r = r < 0 ? wire_blame(r) : wire_stepped(sd_bus_message_exit_container(in));
        if (r != 0 || n == 0)
                return r;
        r = open_pair(p, "themed", "as");
        if (r == 0)
                r = wire_done(sd_bus_message_open_container(p->out, 'a', "s"));
        for (unsigned i = 0; i < n && r == 0; i++)
                r = wire_append_string(rb, p->out, "s", names[i]);
        if (r == 0)
                r = wire_done(sd_bus_message_close_container(p->out));
        return r != 0 ? r : close_pair(p);
}

static int rebuild_bytes(struct portal_rebuild *rb, _unused_ const struct portal_value *v,
                         sd_bus_message *in, struct wire_place *p) {
        _cleanup_(wire_bytes_done) struct wire_bytes b = {0};
        int r = wire_read_bytes(in, LIMIT_ICON_BYTES, &b);

        if (r != 0 || !icon_check(b.data, b.n))
                return r;
        r = wire_spend(rb, b.n);
        if (r == 0)
                r = open_pair(p, "bytes", "ay");
        if (r == 0)
                r = wire_done(sd_bus_message_append_array(p->out, 'y', b.data, b.n));
        return r != 0 ? r : close_pair(p);
}

static int rebuild_fd(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                      struct wire_place *p) {
        _cleanup_close_ int fd = -1;
        int r = portal_role_fd(rb, v, in, &fd);

        if (r != 0 || fd < 0)
                return r;
        r = open_pair(p, "file-descriptor", "h");
        if (r == 0)
                r = portal_role_append_fd(p->out, fd);
        return r != 0 ? r : close_pair(p);
}

/* --- icons and sounds ------------------------------------------------------------------------- */

static const struct form {
        enum portal_role role;
        const char *key, *type;
        uint32_t since;
        int (*fn)(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                  struct wire_place *p);
} forms[] = {
        {PORTAL_ICON, "themed", "as", 1, rebuild_themed},
        {PORTAL_ICON, "bytes", "ay", 1, rebuild_bytes},
        {PORTAL_ICON, "file-descriptor", "h", 2, rebuild_fd},
        {PORTAL_SOUND, "file-descriptor", "h", 2, rebuild_fd},
};

static const struct form *find_form(const struct portal_rebuild *rb, enum portal_role role,
                                    const char *key, const char *type) {
        for (size_t i = 0; i < ELEMENTSOF(forms); i++)
                if (forms[i].role == role && strcmp(forms[i].key, key) == 0 &&
                    strcmp(forms[i].type, type) == 0 &&
                    (rb->version == 0 || forms[i].since <= rb->version))
                        return &forms[i];
        return NULL;
}

/* The two members of (sv); a pair nobody knows is left out. */
static int rebuild_members(struct portal_rebuild *rb, const struct portal_value *v,
                           sd_bus_message *in, struct wire_place *p) {
        const struct form *form;
        const char *key, *type;
        int r = wire_got(sd_bus_message_read_basic(in, 's', &key));

        if (r == 0)
                r = wire_got(sd_bus_message_peek_type(in, NULL, &type));
        if (r != 0)
                return r;
        form = find_form(rb, v->role, key, type);
        if (!form)
                return wire_skip(rb, in);
        r = wire_got(sd_bus_message_enter_container(in, 'v', form->type));
        if (r == 0)
                r = form->fn(rb, v, in, p);
        return r != 0 ? r : wire_stepped(sd_bus_message_exit_container(in));
}

static int rebuild_pair(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                        struct wire_place *p) {
        int r = wire_got(sd_bus_message_enter_container(in, 'r', "sv"));

        if (r == 0)
                r = rebuild_members(rb, v, in, p);
        return r != 0 ? r : wire_stepped(sd_bus_message_exit_container(in));
}

static int rebuild_word(struct portal_rebuild *rb, bool (*is_valid)(const char *),
                        sd_bus_message *in, struct wire_place *p) {
        const char *s;
        int r = wire_got(sd_bus_message_read_basic(in, 's', &s));

        if (r != 0 || !is_valid(s))
                return r;
        r = wire_place_open_variant(p, "s");
        return r != 0 ? r : wire_append_string(rb, p->out, "s", s);
}

/* Enters the variant that holds a word or a pair; anything else is of the wrong type. */
static int rebuild_either(struct portal_rebuild *rb, const struct portal_value *v,
                          bool (*is_valid)(const char *), sd_bus_message *in,
                          struct wire_place *p) {
        const char *type;
        int r = wire_got(sd_bus_message_peek_type(in, NULL, &type));

        if (r != 0)
                return r;
        if (strcmp(type, "s") != 0 && strcmp(type, "(sv)") != 0)
                return PORTAL_REBUILD_E_TYPE;
        r = wire_got(sd_bus_message_enter_container(in, 'v', type));
        if (r == 0)
                r = *type == 's' ? rebuild_word(rb, is_valid, in, p) : rebuild_pair(rb, v, in, p);
        return r != 0 ? r : wire_stepped(sd_bus_message_exit_container(in));
}

int portal_icon(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                struct wire_place *p) {
        return rebuild_either(rb, v, is_name, in, p);
}

static bool is_sound(const char *s) {
        return strcmp(s, "default") == 0 || strcmp(s, "silent") == 0;
}

int portal_icon_sound(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                      struct wire_place *p) {
        return rebuild_either(rb, v, is_sound, in, p);
}
