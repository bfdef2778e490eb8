/* SPDX-License-Identifier: MIT */
/*
 * One pass over the header fields.  Known fields are recognised by four bytes (code
 * and signature), because each has one type; only unknown ones need the general
 * walk over a variant.  All offsets count from the message's first byte and stay
 * below LIMIT_HEADER_BYTES, so 32 bits hold every sum of two of them.
 */
#include "sbrouter/message.h"

#include <assert.h>
#include <string.h>

#include "sbrouter/dbus_name.h"

/* A field's value stands inside the array, its struct and its variant. */
#define FIELD_DEPTH    2u
#define PRESENT(field) (1u << (field))

/* One row per field: its type and, for texts, where it goes and what makes it valid. */
static const struct field {
        char type;
        uint16_t text; /* offset of a struct message_string in struct message */
        bool (*is_valid)(const char *s, size_t n);
} fields[MESSAGE_N_FIELDS] = {
#define TEXT(member) (uint16_t) offsetof(struct message, member)
        [MESSAGE_FIELD_PATH] = {'o', TEXT(path), dbus_name_is_path},
        [MESSAGE_FIELD_INTERFACE] = {'s', TEXT(interface), dbus_name_is_interface},
        [MESSAGE_FIELD_MEMBER] = {'s', TEXT(member), dbus_name_is_member},
        [MESSAGE_FIELD_ERROR_NAME] = {'s', TEXT(error_name), dbus_name_is_error},
        [MESSAGE_FIELD_REPLY_SERIAL] = {'u', 0, NULL},
        [MESSAGE_FIELD_DESTINATION] = {'s', TEXT(destination), dbus_name_is_bus},
        [MESSAGE_FIELD_SENDER] = {'s', TEXT(sender), dbus_name_is_bus},
        [MESSAGE_FIELD_SIGNATURE] = {'g', TEXT(signature), dbus_signature_is_valid},
        [MESSAGE_FIELD_UNIX_FDS] = {'u', 0, NULL},
#undef TEXT
};

static const uint16_t required[] = {
        [MESSAGE_CALL] = PRESENT(MESSAGE_FIELD_PATH) | PRESENT(MESSAGE_FIELD_MEMBER),
        [MESSAGE_RETURN] = PRESENT(MESSAGE_FIELD_REPLY_SERIAL),
        [MESSAGE_ERROR] = PRESENT(MESSAGE_FIELD_ERROR_NAME) | PRESENT(MESSAGE_FIELD_REPLY_SERIAL),
        [MESSAGE_SIGNAL] = PRESENT(MESSAGE_FIELD_PATH) | PRESENT(MESSAGE_FIELD_INTERFACE) |
                           PRESENT(MESSAGE_FIELD_MEMBER),
};

static uint32_t align8(uint32_t n) {
        return (n + 7) & ~7u;
}

int message_frame(const void *data, size_t n, struct message_frame *ret) {
        const uint8_t *b = data;
        struct message_frame f;

        if (n < MESSAGE_FIXED)
                return MESSAGE_E_MORE;
        if (b[0] != 'l' && b[0] != 'B')
                return MESSAGE_E_ENDIAN;
        if (b[1] == 0)
                return MESSAGE_E_TYPE;
        if (b[3] != 1)
                return MESSAGE_E_VERSION;
        f.big_endian = b[0] == 'B';
        f.n_body = wire_u32(b + 4, f.big_endian);
        f.n_fields = wire_u32(b + 12, f.big_endian);
        if (wire_u32(b + 8, f.big_endian) == 0)
                return MESSAGE_E_SERIAL;
        /* Each limit is tested before the sum that it keeps from overflowing. */
        if (f.n_fields > LIMIT_HEADER_BYTES - MESSAGE_FIXED)
                return MESSAGE_E_HEADER_SIZE;
        f.n_header = MESSAGE_FIXED + align8(f.n_fields);
        if (f.n_body > LIMIT_MESSAGE_BYTES - MESSAGE_STAMP_ROOM - f.n_header)
                return MESSAGE_E_SIZE;
        f.n = f.n_header + f.n_body;
        *ret = f;
        return 0;
}

static bool is_zero(const uint8_t *p, const uint8_t *end) {
        while (p < end && *p == 0)
                p++;
        return p == end;
}

/* The number of a 'u' field, at offset at; *ret_end is behind it. */
static int take_number(struct message *m, enum message_field code, uint32_t at, uint32_t end,
                       uint32_t *ret_end) {
        uint32_t v;

        if (end - at < 4)
                return MESSAGE_E_FORM;
        v = wire_u32(m->data + at, m->frame.big_endian);
        *ret_end = at + 4;
        if (code == MESSAGE_FIELD_UNIX_FDS) {
                m->n_fds = v;
                return v > LIMIT_MESSAGE_FDS ? MESSAGE_E_FDS : 0;
        }
        m->reply_serial = v;
        return v == 0 ? MESSAGE_E_SERIAL : 0;
}

/* The text of an 's', 'o' or 'g' field, at offset at; *ret_end is behind its NUL. */
static int take_text(struct message *m, const struct field *f, uint32_t at, uint32_t end,
                     uint32_t *ret_end) {
        uint32_t n, n_length = f->type == 'g' ? 1 : 4;
        struct message_string text;

        if (end - at < n_length)
                return MESSAGE_E_FORM;
        n = f->type == 'g' ? m->data[at] : wire_u32(m->data + at, m->frame.big_endian);
        at += n_length;
        if (end - at <= n || m->data[at + n] != 0)
                return MESSAGE_E_FORM;
        text = (struct message_string){(const char *)m->data + at, n};
        if (!f->is_valid(text.s, n))
                return MESSAGE_E_NAME;
        memcpy((uint8_t *)m + f->text, &text, sizeof(text));
        *ret_end = at + n + 1;
        return 0;
}

/* A field we do not know is valid if its value is; it is never passed on. */
static int take_unknown(struct message *m, uint32_t at, uint32_t end, uint32_t *ret_end) {
        size_t behind;

        if (body_validate_variant(m->data, end, at + 1, m->frame.big_endian, FIELD_DEPTH,
                                  &behind) != 0)
                return MESSAGE_E_FORM;
        m->has_unknown = true;
        *ret_end = (uint32_t)behind;
        return 0;
}

/* The field whose struct starts at offset at, a multiple of 8. */
static int take_field(struct message *m, uint32_t at, uint32_t end, uint32_t *ret_end) {
        const uint8_t *b = m->data + at;
        const struct field *f;
        int r;

        if (b[0] == 0)
                return MESSAGE_E_FIELD;
        if (b[0] >= MESSAGE_N_FIELDS)
                return take_unknown(m, at, end, ret_end);
        if (end - at < 4)
                return MESSAGE_E_FORM;
        f = &fields[b[0]];
        if (b[1] != 1 || b[2] != f->type || b[3] != 0)
                return MESSAGE_E_FIELD;
        if (m->present & PRESENT(b[0]))
                return MESSAGE_E_DUPLICATE;
        r = f->type == 'u' ? take_number(m, b[0], at + 4, end, ret_end)
                           : take_text(m, f, at + 4, end, ret_end);
        if (r != 0)
                return r;
        m->present |= (uint16_t)PRESENT(b[0]);
        m->field[b[0]].at = at;
        m->field[b[0]].n = *ret_end - at;
        return 0;
}

static int take_fields(struct message *m) {
        uint32_t at = MESSAGE_FIXED, end = MESSAGE_FIXED + m->frame.n_fields;
        int r;

        while (at < end) {
                uint32_t start = align8(at);

                if (start >= end)
                        return MESSAGE_E_FORM;
                if (!is_zero(m->data + at, m->data + start))
                        return MESSAGE_E_PADDING;
                r = take_field(m, start, end, &at);
                if (r != 0)
                        return r;
        }
        return is_zero(m->data + at, m->data + m->frame.n_header) ? 0 : MESSAGE_E_PADDING;
}

static bool is_text(const struct message_string *s, const char *text) {
        return s->n == strlen(text) && memcmp(s->s, text, s->n) == 0;
}

/* What the fields must be together.  The Local names are for a library's own use only. */
static int check_fields(const struct message *m) {
        if (m->type < sizeof(required) / sizeof(required[0]) &&
            (m->present & required[m->type]) != required[m->type])
                return MESSAGE_E_MISSING;
        if (is_text(&m->path, "/org/freedesktop/DBus/Local") ||
            is_text(&m->interface, "org.freedesktop.DBus.Local"))
                return MESSAGE_E_LOCAL;
        if (m->signature.n == 0 && m->frame.n_body > 0)
                return MESSAGE_E_SIGNATURE;
        return 0;
}

/* Clears what the fields may leave unset; field[] is valid only where present says so. */
static void message_init(struct message *m, const uint8_t *data) {
        static const struct message_string none;

        m->data = data;
        m->body = data + m->frame.n_header;
        m->type = data[1];
        m->flags = data[2] & MESSAGE_FLAGS;
        m->serial = wire_u32(data + 8, m->frame.big_endian);
        m->reply_serial = m->n_fds = 0;
        m->path = m->interface = m->member = m->error_name = none;
        m->destination = m->sender = none;
        m->signature = (struct message_string){"", 0};
        m->has_unknown = false;
        m->present = 0;
}

int message_parse(const void *data, size_t n, struct message *ret) {
        int r;

        r = message_frame(data, n, &ret->frame);
        if (r != 0)
                return r;
        if (n < ret->frame.n_header)
                return MESSAGE_E_MORE;
        message_init(ret, data);
        r = take_fields(ret);
        return r != 0 ? r : check_fields(ret);
}

int message_check_body(const struct message *m) {
        return body_validate(m->signature.s, m->signature.n, m->body, m->frame.n_body,
                             m->frame.big_endian, m->n_fds);
}

int message_check_body_counted(const struct message *m, size_t *ret_steps) {
        return body_validate_counted(m->signature.s, m->signature.n, m->body, m->frame.n_body,
                                     m->frame.big_endian, m->n_fds, ret_steps);
}

struct body_check *message_check_new(const struct message *m) {
        return body_check_new(m->signature.s, m->signature.n, m->body, m->frame.n_body,
                              m->frame.big_endian, m->n_fds);
}

const char *message_strerror(int e) {
        static const char *const texts[MESSAGE_N_E] = {
                [MESSAGE_E_MORE] = "not complete",
                [MESSAGE_E_ENDIAN] = "no such byte order",
                [MESSAGE_E_TYPE] = "type 0",
                [MESSAGE_E_VERSION] = "not protocol version 1",
                [MESSAGE_E_SERIAL] = "serial or reply serial 0",
                [MESSAGE_E_HEADER_SIZE] = "header over the limit",
                [MESSAGE_E_SIZE] = "message over the limit",
                [MESSAGE_E_FORM] = "header fields are not marshalled correctly",
                [MESSAGE_E_PADDING] = "header padding is not zero",
                [MESSAGE_E_FIELD] = "header field of a wrong type",
                [MESSAGE_E_DUPLICATE] = "header field given twice",
                [MESSAGE_E_NAME] = "invalid path, name or signature in the header",
                [MESSAGE_E_LOCAL] = "uses the reserved name Local",
                [MESSAGE_E_MISSING] = "a required header field is missing",
                [MESSAGE_E_FDS] = "more descriptors than the limit",
                [MESSAGE_E_SIGNATURE] = "body without a signature",
        };

        return e > 0 && e < MESSAGE_N_E ? texts[e] : "unknown fault";
}

/* --- the stamped header -------------------------------------------------------------------- */

static uint32_t put_padding(uint8_t *out, uint32_t at) {
        while (at % 8 != 0)
                out[at++] = 0;
        return at;
}

/* The fields in keep, each from its aligned start, in the order of their codes. */
static uint32_t put_fields(const struct message *m, unsigned keep, uint8_t *out) {
        uint32_t at = MESSAGE_FIXED;

        for (unsigned i = 1; i < MESSAGE_N_FIELDS; i++) {
                if (!(keep & PRESENT(i)))
                        continue;
                at = put_padding(out, at);
                memcpy(out + at, m->data + m->field[i].at, m->field[i].n);
                at += m->field[i].n;
        }
        return at;
}

static uint32_t put_sender(const struct message *m, const char *sender, size_t n, uint8_t *out,
                           uint32_t at) {
        static const uint8_t code_and_type[4] = {MESSAGE_FIELD_SENDER, 1, 's', 0};

        at = put_padding(out, at);
        memcpy(out + at, code_and_type, 4);
        wire_put_u32(out + at + 4, (uint32_t)n, m->frame.big_endian);
        memcpy(out + at + 8, sender, n);
        out[at + 8 + n] = 0;
        return at + 9 + (uint32_t)n;
}

size_t message_stamp(const struct message *m, const char *sender, size_t n_sender, uint8_t *out) {
        unsigned keep = m->present & ~PRESENT(MESSAGE_FIELD_SENDER);
        uint32_t at;

        assert(n_sender <= DBUS_NAME_MAX);
        if (keep == m->present && !m->has_unknown) { /* what honest clients send */
                memcpy(out, m->data, m->frame.n_header);
                at = MESSAGE_FIXED + m->frame.n_fields;
        } else {
                memcpy(out, m->data, MESSAGE_FIXED);
                at = put_fields(m, keep, out);
        }
        at = put_sender(m, sender, n_sender, out, at);
        out[2] = m->flags;
        wire_put_u32(out + 12, at - MESSAGE_FIXED, m->frame.big_endian);
        return put_padding(out, at);
}
