/* SPDX-License-Identifier: MIT */
/*
 * Message headers: bytes in, struct or verdict out; and the stamped header, which
 * is the received one minus what we do not pass on plus our SENDER.  PURE.
 *
 * D-Bus specification, "Message Format".  Both byte orders are accepted and kept.
 * A struct message owns nothing: its pointers go into the buffer that was parsed
 * and are valid as long as that buffer does not move.
 *
 * The life of a message: message_frame() on its first 16 bytes says how long it
 * will be, or that it must be refused, before anything is allocated for it;
 * message_parse() when all of it is there; message_check_body(); message_stamp()
 * once, into the output, followed by the body's bytes as they are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"
#include "sbrouter/body.h"

#define MESSAGE_FIXED      16u  /* bytes that message_frame() needs */
#define MESSAGE_STAMP_ROOM 272u /* kept free, so that no SENDER lifts a message over the limit */

/* Types above MESSAGE_SIGNAL are valid and to be ignored (specification, "Message Format"). */
enum message_type {
        MESSAGE_CALL = 1,
        MESSAGE_RETURN,
        MESSAGE_ERROR,
        MESSAGE_SIGNAL,
};

enum {
        MESSAGE_NO_REPLY_EXPECTED = 1,
        MESSAGE_NO_AUTO_START = 2,
        MESSAGE_ALLOW_INTERACTIVE_AUTHORIZATION = 4,
        MESSAGE_FLAGS = 7, /* unknown ones are not passed on */
};

enum message_field {
        MESSAGE_FIELD_PATH = 1,
        MESSAGE_FIELD_INTERFACE,
        MESSAGE_FIELD_MEMBER,
        MESSAGE_FIELD_ERROR_NAME,
        MESSAGE_FIELD_REPLY_SERIAL,
        MESSAGE_FIELD_DESTINATION,
        MESSAGE_FIELD_SENDER,
        MESSAGE_FIELD_SIGNATURE,
        MESSAGE_FIELD_UNIX_FDS,
        MESSAGE_N_FIELDS
};

/* Why a message is invalid or refused.  Each of them is the sender's fault: end it. */
enum {
        MESSAGE_E_MORE = 1,    /* no fault: the bytes do not reach far enough yet */
        MESSAGE_E_ENDIAN,      /* neither 'l' nor 'B' */
        MESSAGE_E_TYPE,        /* type 0 */
        MESSAGE_E_VERSION,     /* not protocol version 1 */
        MESSAGE_E_SERIAL,      /* serial or reply serial 0 */
        MESSAGE_E_HEADER_SIZE, /* over LIMIT_HEADER_BYTES */
        MESSAGE_E_SIZE,        /* over LIMIT_MESSAGE_BYTES once it is stamped */
        MESSAGE_E_FORM,        /* the field array is not a valid a(yv) */
        MESSAGE_E_PADDING,     /* padding is not zero */
        MESSAGE_E_FIELD,       /* field code 0, or a known field of another type */
        MESSAGE_E_DUPLICATE,
        MESSAGE_E_NAME,      /* a path, name or signature is not valid */
        MESSAGE_E_LOCAL,     /* uses org.freedesktop.DBus.Local */
        MESSAGE_E_MISSING,   /* a field that its type requires */
        MESSAGE_E_FDS,       /* announces more than LIMIT_MESSAGE_FDS */
        MESSAGE_E_SIGNATURE, /* a body without a signature */
        MESSAGE_N_E
};

/* What the first 16 bytes say. */
struct message_frame {
        bool big_endian;
        uint32_t n_fields; /* bytes of the field array */
        uint32_t n_header; /* 16 + n_fields + padding: where the body starts */
        uint32_t n_body;
        uint32_t n; /* n_header + n_body, at most LIMIT_MESSAGE_BYTES - MESSAGE_STAMP_ROOM */
};

/* s is NULL when the field is absent; else s[n] is NUL and there is none before it. */
struct message_string {
        const char *s;
        uint32_t n;
};

struct message {
        const uint8_t *data; /* the whole message: frame.n bytes */
        const uint8_t *body;
        struct message_frame frame;
        uint8_t type;  /* 1..255: see enum message_type */
        uint8_t flags; /* MESSAGE_FLAGS only */
        uint32_t serial;
        uint32_t reply_serial; /* 0: none */
        uint32_t n_fds;        /* descriptors announced */
        struct message_string path, interface, member, error_name, destination;
        struct message_string sender;    /* as sent, so forged unless we stamped it */
        struct message_string signature; /* never NULL: "" when absent */
        bool has_unknown;                /* fields that message_stamp() leaves out */
        uint16_t present;                /* 1 << MESSAGE_FIELD_x */
        /* Where each present field lies in data: [at, at + n), without padding behind it. */
        struct {
                uint32_t at, n;
        } field[MESSAGE_N_FIELDS];
};

/* The first 16 bytes, from any address.  0, MESSAGE_E_MORE if n < 16, or the reason to refuse. */
int message_frame(const void *data, size_t n, struct message_frame *ret);

/*
 * Parses and validates the header of the message at data.  n may be any number of
 * bytes from there; MESSAGE_E_MORE when the header is not complete.  The body need
 * not be there yet, but nobody may read ret->body before it is.  0 or MESSAGE_E_*;
 * after a verdict *ret means nothing.
 */
int message_parse(const void *data, size_t n, struct message *ret);

/* The whole body against the signature; 0 or BODY_E_*.  Indices of 'h' must be below n_fds. */
int message_check_body(const struct message *m);

/* The same, and how many steps that took. */
int message_check_body_counted(const struct message *m, size_t *ret_steps);
/* What message_parse() took, as such steps: an unknown field takes long, a path an eighth of it. */
static inline size_t message_header_steps(const struct message *m) {
        return m->has_unknown ? m->frame.n_header : m->frame.n_header / 8;
}
/* For the check of the body with pauses.  NULL: out of memory. */
struct body_check *message_check_new(const struct message *m);

/* For a log line: "no such byte order". */
const char *message_strerror(int e);

/* Bytes that message_stamp() may write. */
static inline size_t message_stamp_max(const struct message *m, size_t n_sender) {
        return (size_t)m->frame.n_header + n_sender + 16;
}

/*
 * Writes the header that goes out in m's place: the fields of m without SENDER and
 * without unknown ones, then SENDER=sender (n_sender <= DBUS_NAME_MAX), padded to 8.
 * Returns its length: m's body follows it unchanged.
 */
size_t message_stamp(const struct message *m, const char *sender, size_t n_sender, uint8_t *out);

/* The arguments of m, whose body must have passed message_check_body(). */
static inline void message_args(const struct message *m, struct body_args *ret) {
        body_args_init(ret, m->signature.s, m->signature.n, m->body, m->frame.n_body,
                       m->frame.big_endian);
}

static inline bool message_is_reply(const struct message *m) {
        return m->type == MESSAGE_RETURN || m->type == MESSAGE_ERROR;
}

/* A call whose caller waits for an answer. */
static inline bool message_wants_reply(const struct message *m) {
        return m->type == MESSAGE_CALL && !(m->flags & MESSAGE_NO_REPLY_EXPECTED);
}
