/* SPDX-License-Identifier: MIT */
#include "common/portal_role.h"

#include <limits.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/limits.h"
#include "common/markup.h"
#include "common/portal_copy.h"
#include "common/portal_dict.h"
#include "common/portal_icon.h"

int portal_role_fail(struct portal_rebuild *rb, const struct portal_value *v, int e) {
        if (!rb->culprit)
                rb->culprit = v->name;
        return e;
}

static int append_placed(struct portal_rebuild *rb, struct wire_place *p, const char *type,
                         const char *s) {
        int r = wire_place_open(p, type);

        return r != 0 ? r : wire_append_string(rb, p->out, type, s);
}

static int copy_by_type(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                        struct wire_place *p) {
        int r = wire_place_open(p, v->type);

        return r != 0 ? r : portal_copy(rb, in, p->out, v->role);
}

/* --- text ------------------------------------------------------------------------------------- */

static int rebuild_lines(struct portal_rebuild *rb, const struct portal_value *v,
                         sd_bus_message *in, struct wire_place *p) {
        _cleanup_(wire_bytes_done) struct wire_bytes s = {0};
        _cleanup_free_ char *text = NULL;
        int r = wire_read_string(in, v->type, LIMIT_LINES_BYTES, &s);

        if (r != 0)
                return r;
        text = v->role == PORTAL_MARKUP ? markup_clean(s.data, LIMIT_LINES_BYTES)
               : v->role == PORTAL_BODY ? markup_none(s.data, LIMIT_LINES_BYTES)
                                        : escape_lines(s.data, LIMIT_LINES_BYTES);
        return text ? append_placed(rb, p, v->type, text) : -ENOMEM;
}

#define BASENAME_BYTES 255 /* NAME_MAX, without the NUL */

/* No path, and nothing that is not what it looks like to who is asked to save it. */
static bool is_basename(const char *s) {
        return *s && strlen(s) <= BASENAME_BYTES && !strchr(s, '/') && strcmp(s, ".") != 0 &&
               strcmp(s, "..") != 0;
}

/* A PORTAL_BASENAME, or an item of PORTAL_BASENAMES: of that type. */
static int rebuild_name(struct portal_rebuild *rb, const char *type, sd_bus_message *in,
                        struct wire_place *p) {
        _cleanup_(wire_bytes_done) struct wire_bytes s = {0};
        _cleanup_free_ char *name = NULL;
        int r = wire_read_string(in, type, LIMIT_STRING_BYTES, &s);

        if (r != 0)
                return r;
        name = escape_name(s.data, BASENAME_BYTES + 1);
        if (!name)
                return -ENOMEM;
        return is_basename(name) ? append_placed(rb, p, type, name) : PORTAL_REBUILD_E_VALUE;
}

static int rebuild_basename(struct portal_rebuild *rb, const struct portal_value *v,
                            sd_bus_message *in, struct wire_place *p) {
        return rebuild_name(rb, v->type, in, p);
}

/* --- what means another thing in another world ------------------------------------------------ */

int portal_role_translate(struct portal_rebuild *rb, const struct portal_value *v, const char *s,
                          struct wire_place *p) {
        bool is_list = v->type[0] == 'a' && strcmp(v->type, "ay") != 0;
        const char *type = is_list ? v->type + 1 : v->type;
        _cleanup_free_ char *new = NULL;
        int r = rb->translate(rb->userdata, v, s, &new);

        return r != 0 || !new ? r : append_placed(rb, p, type, new);
}

/* A URI that a person is to read and a loader is to split has no control characters in it. */
static bool has_controls(const char *s) {
        for (; *s; s++)
                if ((unsigned char)*s < 0x20 || *s == 0x7f)
                        return true;
        return false;
}

static int rebuild_translated(struct portal_rebuild *rb, const struct portal_value *v,
                              sd_bus_message *in, struct wire_place *p) {
        _cleanup_(wire_bytes_done) struct wire_bytes s = {0};
        _cleanup_free_ char *text = NULL;
        int r = wire_read_string(in, v->type, LIMIT_STRING_BYTES, &s);

        if (r != 0)
                return r;
        if (v->role == PORTAL_OPEN_URI && has_controls(s.data))
                return PORTAL_REBUILD_E_VALUE;
        if (v->role == PORTAL_TITLE) {
                text = escape_display(s.data, LIMIT_TEXT_BYTES);
                if (!text)
                        return -ENOMEM;
        }
        return portal_role_translate(rb, v, text ?: s.data, p);
}

/* A token ends where it arrives; portal_dict() adds the next world's. */
static int consume(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                   _unused_ struct wire_place *p) {
        _cleanup_(wire_bytes_done) struct wire_bytes s = {0};
        _cleanup_free_ char *dropped = NULL;
        int r = wire_read_string(in, v->type, LIMIT_STRING_BYTES, &s);

        return r != 0 ? r : rb->translate(rb->userdata, v, s.data, &dropped);
}

/* --- lists ------------------------------------------------------------------------------------ */

/* Of at most max items; what the host lists, nobody counts but wire_step(). */
static int rebuild_list(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                        sd_bus_message *out, unsigned max,
                        int (*item)(struct portal_rebuild *rb, const struct portal_value *v,
                                    sd_bus_message *in, struct wire_place *p)) {
        struct wire_place p = {.out = out};
        int r = wire_enter(in, out, 'a', v->type + 1);

        if (r != 0)
                return r;
        while ((r = sd_bus_message_at_end(in, false)) == 0) {
                r = max-- > 0 ? wire_step(rb) : PORTAL_REBUILD_E_VALUE;
                if (r == 0)
                        r = item(rb, v, in, &p);
                if (r != 0)
                        return r;
        }
        return r < 0 ? wire_blame(r) : wire_leave(in, out);
}

static int name_item(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                     struct wire_place *p) {
        return rebuild_name(rb, v->type + 1, in, p);
}

static int rebuild_basenames(struct portal_rebuild *rb, const struct portal_value *v,
                             sd_bus_message *in, struct wire_place *p) {
        int r = wire_place_open(p, v->type);

        return r != 0 ? r : rebuild_list(rb, v, in, p->out, LIMIT_ARRAY_ITEMS, name_item);
}

static int string_item(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                       struct wire_place *p) {
        const char *s;
        int r = wire_got(sd_bus_message_read_basic(in, 's', &s));

        return r != 0 ? r : portal_role_translate(rb, v, s, p);
}

/* "as", or one "s". */
static int rebuild_strings(struct portal_rebuild *rb, const struct portal_value *v,
                           sd_bus_message *in, struct wire_place *p) {
        unsigned max = v->role == PORTAL_NAMESPACES ? LIMIT_ARRAY_ITEMS : UINT_MAX;
        int r;

        if (v->type[0] != 'a')
                return rebuild_translated(rb, v, in, p);
        r = wire_place_open(p, v->type);
        return r != 0 ? r : rebuild_list(rb, v, in, p->out, max, string_item);
}

/* --- booleans --------------------------------------------------------------------------------- */

static int rebuild_flag(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                        struct wire_place *p) {
        int value;
        int r = wire_got(sd_bus_message_read_basic(in, 'b', &value));

        if (r != 0)
                return r;
        if (v->role == PORTAL_DIRECTORY)
                rb->directory = value;
        else
                value = true; /* PORTAL_ALWAYS_TRUE */
        r = wire_place_open(p, v->type);
        return r != 0 ? r : wire_done(sd_bus_message_append_basic(p->out, 'b', &value));
}

/* --- values of any type ----------------------------------------------------------------------- */

/* What the variant holds, into a variant of our own. */
static int rebuild_any(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                       struct wire_place *p) {
        const char *type;
        int r = wire_got(sd_bus_message_peek_type(in, NULL, &type));

        if (r == 0)
                r = wire_got(sd_bus_message_enter_container(in, 'v', type));
        if (r == 0)
                r = wire_place_open_variant(p, type);
        if (r == 0)
                r = portal_copy(rb, in, p->out, v->role);
        return r != 0 ? r : wire_stepped(sd_bus_message_exit_container(in));
}

static int rebuild_options(struct portal_rebuild *rb, const struct portal_value *v,
                           sd_bus_message *in, struct wire_place *p) {
        int r = wire_place_open(p, v->type);

        return r != 0 ? r : portal_dict(rb, rb->rows, in, p->out);
}

/* --- descriptors ------------------------------------------------------------------------------ */

int portal_role_fd(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                   int *ret_fd) {
        int fd, r;

        if (!rb->translate_fd) /* and so, none came either: it would be an index of nothing */
                return PORTAL_REBUILD_E_NO_FD;
        r = wire_got(sd_bus_message_read_basic(in, 'h', &fd));
        return r != 0 ? r : rb->translate_fd(rb->userdata, v, fd, ret_fd);
}

int portal_role_append_fd(sd_bus_message *out, int fd) {
        int r = sd_bus_message_append_basic(out, 'h', &fd);

        return r == -EOPNOTSUPP ? PORTAL_REBUILD_E_NO_FD : wire_done(r);
}

static int rebuild_fd(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                      struct wire_place *p) {
        _cleanup_close_ int fd = -1;
        int r = portal_role_fd(rb, v, in, &fd);

        if (r != 0 || fd < 0)
                return r;
        r = wire_place_open(p, "h");
        return r != 0 ? r : portal_role_append_fd(p->out, fd);
}

/* "h", or "ah" of as many as a message may carry. */
static int rebuild_fds(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                       struct wire_place *p) {
        struct wire_place item = {.out = p->out};
        unsigned items = 0;
        int r;

        if (v->type[0] != 'a')
                return rebuild_fd(rb, v, in, p);
        r = wire_place_open(p, v->type);
        if (r == 0)
                r = wire_enter(in, p->out, 'a', "h");
        if (r != 0)
                return r;
        while ((r = sd_bus_message_at_end(in, false)) == 0) {
                r = ++items > LIMIT_MESSAGE_FDS ? PORTAL_REBUILD_E_VALUE
                                                : rebuild_fd(rb, v, in, &item);
                if (r != 0)
                        return r;
        }
        return r < 0 ? wire_blame(r) : wire_leave(in, p->out);
}

/* --- the table -------------------------------------------------------------------------------- */

int portal_role_rebuild(struct portal_rebuild *rb, const struct portal_value *v,
                        sd_bus_message *in, struct wire_place *p) {
        static int (*const fns[PORTAL_N_ROLES])(
                struct portal_rebuild * rb, const struct portal_value *v, sd_bus_message *in,
                struct wire_place *p) = {
                [PORTAL_PLAIN] = copy_by_type,
                [PORTAL_TEXT] = copy_by_type,
                [PORTAL_TITLE] = rebuild_translated,
                [PORTAL_LINES] = rebuild_lines,
                [PORTAL_BODY] = rebuild_lines,
                [PORTAL_MARKUP] = rebuild_lines,
                [PORTAL_PARENT_WINDOW] = rebuild_translated,
                [PORTAL_HANDLE_TOKEN] = consume,
                [PORTAL_SESSION_TOKEN] = consume,
                [PORTAL_SESSION] = rebuild_translated,
                [PORTAL_OPTIONS] = rebuild_options,
                [PORTAL_DICT] = portal_dict_rebuild,
                [PORTAL_SOME_DICTS] = portal_dict_rebuild,
                [PORTAL_ANY] = rebuild_any,
                [PORTAL_ANY_LIST] = copy_by_type,
                [PORTAL_GUEST_PATH] = rebuild_translated,
                [PORTAL_BASENAME] = rebuild_basename,
                [PORTAL_BASENAMES] = rebuild_basenames,
                [PORTAL_DIRECTORY] = rebuild_flag,
                [PORTAL_URIS] = rebuild_strings,
                [PORTAL_PATHS] = rebuild_strings,
                [PORTAL_OPEN_URI] = rebuild_translated,
                [PORTAL_OPEN_SCHEME] = rebuild_translated,
                [PORTAL_ALWAYS_TRUE] = rebuild_flag,
                [PORTAL_NOTIFICATION_ID] = rebuild_translated,
                [PORTAL_ACTION] = rebuild_translated,
                [PORTAL_ICON] = portal_icon,
                [PORTAL_SOUND] = portal_icon_sound,
                [PORTAL_NAMESPACE] = rebuild_translated,
                [PORTAL_NAMESPACES] = rebuild_strings,
                [PORTAL_SETTINGS] = portal_dict_settings,
                [PORTAL_PROXIES] = rebuild_strings,
                [PORTAL_FD_BYTES] = rebuild_fds,
                [PORTAL_FD_SINK] = rebuild_fds,
                [PORTAL_FD_FILE] = rebuild_fds,
                [PORTAL_FD_DOCUMENT] = rebuild_fds,
                [PORTAL_FD_WRITABLE] = rebuild_fds,
        };

        /* PORTAL_NEVER is stepped over before anybody asks for its type. */
        return fns[v->role] ? fns[v->role](rb, v, in, p) : wire_skip(rb, in);
}
