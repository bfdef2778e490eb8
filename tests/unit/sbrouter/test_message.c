/* SPDX-License-Identifier: MIT */
#include "sbrouter/message.h"

#include "sbrouter/dbus_name.h"
#include "tests/test.h"
#include "tests/unit/sbrouter/wire.h"

/* Parses w in a block of exactly its size; *m points into it until the next call. */
static int parse(const struct wire *w, struct message *m) {
        static uint8_t *copy;

        free(copy);
        copy = malloc(w->n + !w->n);
        memcpy(copy, w->b, w->n);
        return message_parse(copy, w->n, m);
}

static void call_fields(struct wire *w) {
        wire_text(w, MESSAGE_FIELD_PATH, "o", "/org/freedesktop/DBus");
        wire_text(w, MESSAGE_FIELD_INTERFACE, "s", "org.freedesktop.DBus");
        wire_text(w, MESSAGE_FIELD_MEMBER, "s", "GetNameOwner");
        wire_text(w, MESSAGE_FIELD_DESTINATION, "s", "org.freedesktop.DBus");
}

static void call(struct wire *w, bool big) {
        static const char body_l[] = "\3\0\0\0a.b", body_b[] = "\0\0\0\3a.b";

        wire_begin(w, big, MESSAGE_CALL, MESSAGE_NO_AUTO_START);
        call_fields(w);
        wire_text(w, MESSAGE_FIELD_SIGNATURE, "g", "s");
        wire_end(w, big ? body_b : body_l, sizeof(body_l));
}

static void check_string(struct message_string s, const char *text) {
        if (!text) {
                CHECK(!s.s && s.n == 0);
                return;
        }
        CHECK_EQ_STR(s.s, text);
        CHECK_EQ_INT(s.n, strlen(text));
}

static void test_call(void) {
        for (unsigned big = 0; big < 2; big++) {
                struct body_args args;
                struct message m;
                struct wire w;

                call(&w, big);
                CHECK_EQ_INT(parse(&w, &m), 0);
                CHECK_EQ_INT(m.type, MESSAGE_CALL);
                CHECK_EQ_INT(m.flags, MESSAGE_NO_AUTO_START);
                CHECK_EQ_INT(m.serial, 77);
                CHECK_EQ_INT(m.reply_serial, 0);
                CHECK_EQ_INT(m.n_fds, 0);
                CHECK_EQ_INT(m.frame.n, w.n);
                CHECK_EQ_INT(m.frame.n_body, 8);
                CHECK_EQ_INT(m.frame.big_endian, big);
                CHECK(m.body == m.data + m.frame.n_header);
                check_string(m.path, "/org/freedesktop/DBus");
                check_string(m.interface, "org.freedesktop.DBus");
                check_string(m.member, "GetNameOwner");
                check_string(m.destination, "org.freedesktop.DBus");
                check_string(m.signature, "s");
                check_string(m.error_name, NULL);
                check_string(m.sender, NULL);
                CHECK(!m.has_unknown && message_wants_reply(&m) && !message_is_reply(&m));
                CHECK_EQ_INT(message_check_body(&m), 0);
                message_args(&m, &args);
                CHECK_EQ_STR(body_args_get(&args, 0)->s, "a.b");
        }
}

static void test_reply_and_signal(void) {
        struct message m;
        struct wire w;

        wire_begin(&w, true, MESSAGE_RETURN, MESSAGE_NO_REPLY_EXPECTED | 0xf0);
        wire_u(&w, MESSAGE_FIELD_REPLY_SERIAL, 0xfffffffe);
        wire_end(&w, "", 0);
        CHECK_EQ_INT(parse(&w, &m), 0);
        CHECK_EQ_INT(m.reply_serial, 0xfffffffe);
        CHECK_EQ_INT(m.flags, MESSAGE_NO_REPLY_EXPECTED);
        check_string(m.signature, "");
        CHECK(message_is_reply(&m) && !message_wants_reply(&m));
        CHECK_EQ_INT(message_check_body(&m), 0);

        wire_begin(&w, false, MESSAGE_ERROR, 1);
        wire_u(&w, MESSAGE_FIELD_REPLY_SERIAL, 5);
        wire_text(&w, MESSAGE_FIELD_ERROR_NAME, "s", "a.b.Failed");
        wire_text(&w, MESSAGE_FIELD_SENDER, "s", "org.freedesktop.DBus");
        wire_end(&w, "", 0);
        CHECK_EQ_INT(parse(&w, &m), 0);
        check_string(m.error_name, "a.b.Failed");
        check_string(m.sender, "org.freedesktop.DBus");
        CHECK(message_is_reply(&m));
}

/* A header takes its time: a field of 8 bytes that is not known a whole walk. */
static void test_header_steps(void) {
        struct message m;
        struct wire w;

        for (unsigned n = 0; n < 100; n += 99) {
                wire_begin(&w, false, MESSAGE_RETURN, 0);
                wire_u(&w, MESSAGE_FIELD_REPLY_SERIAL, 1);
                for (unsigned i = 0; i < n; i++) {
                        wire_field(&w, 100, "y");
                        w.b[w.n++] = 1;
                }
                wire_end(&w, "", 0);
                CHECK_EQ_INT(parse(&w, &m), 0);
                CHECK_EQ_INT(message_header_steps(&m), n ? w.n : w.n / 8);
        }
}

/* --- the first 16 bytes ----------------------------------------------------------------------- */

struct frame_row {
        uint8_t endian, type, version;
        uint32_t n_body, serial, n_fields;
        int e;
};

static void test_frame(void) {
        static const struct frame_row rows[] = {
                {'l', 1, 1, 0, 1, 0, 0},
                {'B', 1, 1, 0, 1, 0, 0},
                {'L', 1, 1, 0, 1, 0, MESSAGE_E_ENDIAN},
                {'b', 1, 1, 0, 1, 0, MESSAGE_E_ENDIAN},
                {0, 1, 1, 0, 1, 0, MESSAGE_E_ENDIAN},
                {'l', 0, 1, 0, 1, 0, MESSAGE_E_TYPE},
                {'l', 5, 1, 0, 1, 0, 0},
                {'l', 255, 1, 0, 1, 0, 0},
                {'l', 1, 0, 0, 1, 0, MESSAGE_E_VERSION},
                {'l', 1, 2, 0, 1, 0, MESSAGE_E_VERSION},
                {'l', 1, 1, 0, 0, 0, MESSAGE_E_SERIAL},
                {'l', 1, 1, 0, 0xffffffff, 0, 0},
                {'l', 1, 1, 0, 1, LIMIT_HEADER_BYTES - 16, 0},
                {'l', 1, 1, 0, 1, LIMIT_HEADER_BYTES - 15, MESSAGE_E_HEADER_SIZE},
                {'l', 1, 1, 0, 1, 0x7fffffff, MESSAGE_E_HEADER_SIZE},
                {'l', 1, 1, 0, 1, 0xfffffff9, MESSAGE_E_HEADER_SIZE},
                {'B', 1, 1, 0, 1, 0xffffffff, MESSAGE_E_HEADER_SIZE},
                {'l', 1, 1, LIMIT_MESSAGE_BYTES - MESSAGE_STAMP_ROOM - 16, 1, 0, 0},
                {'l', 1, 1, LIMIT_MESSAGE_BYTES - MESSAGE_STAMP_ROOM - 15, 1, 0, MESSAGE_E_SIZE},
                {'l', 1, 1, LIMIT_MESSAGE_BYTES - MESSAGE_STAMP_ROOM - 16, 1, 1, MESSAGE_E_SIZE},
                {'l', 1, 1, 0x7fffffff, 1, 0, MESSAGE_E_SIZE},
                {'B', 1, 1, 0xffffffff, 1, 0, MESSAGE_E_SIZE},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const struct frame_row *r = &rows[i];
                struct wire w = {.big = r->endian == 'B'};
                struct message_frame f;

                wire_bytes(&w, (uint8_t[4]){r->endian, r->type, 0, r->version}, 4);
                wire_number(&w, r->n_body);
                wire_number(&w, r->serial);
                wire_number(&w, r->n_fields);
                CHECK_EQ_INT(message_frame(w.b, 16, &f), r->e);
                for (size_t n = 0; n < 16; n++)
                        CHECK_EQ_INT(message_frame(w.b, n, &f), MESSAGE_E_MORE);
                if (r->e != 0)
                        continue;
                CHECK_EQ_INT(message_frame(w.b, 16, &f), 0);
                CHECK_EQ_INT(f.n_header, (16 + r->n_fields + 7) / 8 * 8);
                CHECK_EQ_INT(f.n, f.n_header + r->n_body);
        }
}

static void test_not_complete(void) {
        struct message m;
        struct wire w;

        call(&w, false);
        size_t n = w.n;
        for (w.n = 0; w.n < n - 8; w.n++)
                CHECK_EQ_INT(parse(&w, &m), MESSAGE_E_MORE);
        for (; w.n <= n; w.n++) /* the header is there, the body need not be */
                CHECK_EQ_INT(parse(&w, &m), 0);
}

/* --- field by field -----------------------------------------------------------------------------
 */

/* A signal with the fields it needs but the one without, and then one more of any kind. */
static int parse_with(unsigned without, uint8_t code, const char *type, const char *text) {
        struct message m;
        struct wire w;

        wire_begin(&w, false, MESSAGE_SIGNAL, 0);
        if (without != MESSAGE_FIELD_PATH)
                wire_text(&w, MESSAGE_FIELD_PATH, "o", "/a");
        if (without != MESSAGE_FIELD_INTERFACE)
                wire_text(&w, MESSAGE_FIELD_INTERFACE, "s", "a.b");
        if (without != MESSAGE_FIELD_MEMBER)
                wire_text(&w, MESSAGE_FIELD_MEMBER, "s", "M");
        if (type && type[0] == 'u')
                wire_u(&w, code, (uint32_t)atoi(text));
        else if (type)
                wire_text(&w, code, type, text);
        wire_end(&w, "", 0);
        return parse(&w, &m);
}

static void test_fields(void) {
        static const struct {
                uint8_t code;
                const char *type, *text;
                int e;
        } rows[] = {
                {MESSAGE_FIELD_PATH, "o", "/", 0},
                {MESSAGE_FIELD_PATH, "o", "", MESSAGE_E_NAME},
                {MESSAGE_FIELD_PATH, "o", "/a/", MESSAGE_E_NAME},
                {MESSAGE_FIELD_PATH, "s", "/", MESSAGE_E_FIELD},
                {MESSAGE_FIELD_PATH, "o", "/org/freedesktop/DBus/Local", MESSAGE_E_LOCAL},
                {MESSAGE_FIELD_PATH, "o", "/org/freedesktop/DBus/Local2", 0},
                {MESSAGE_FIELD_INTERFACE, "s", "a", MESSAGE_E_NAME},
                {MESSAGE_FIELD_INTERFACE, "o", "/", MESSAGE_E_FIELD},
                {MESSAGE_FIELD_INTERFACE, "s", "org.freedesktop.DBus.Local", MESSAGE_E_LOCAL},
                {MESSAGE_FIELD_MEMBER, "s", "a.b", MESSAGE_E_NAME},
                {MESSAGE_FIELD_MEMBER, "g", "a", MESSAGE_E_FIELD},
                {MESSAGE_FIELD_ERROR_NAME, "s", "a.b", 0},
                {MESSAGE_FIELD_ERROR_NAME, "s", "a-b.c", MESSAGE_E_NAME},
                {MESSAGE_FIELD_REPLY_SERIAL, "u", "1", 0},
                {MESSAGE_FIELD_REPLY_SERIAL, "u", "0", MESSAGE_E_SERIAL},
                {MESSAGE_FIELD_REPLY_SERIAL, "s", "1", MESSAGE_E_FIELD},
                {MESSAGE_FIELD_DESTINATION, "s", ":1.1", 0},
                {MESSAGE_FIELD_DESTINATION, "s", "a b", MESSAGE_E_NAME},
                {MESSAGE_FIELD_SENDER, "s", "org.freedesktop.DBus", 0},
                {MESSAGE_FIELD_SENDER, "s", "1", MESSAGE_E_NAME},
                {MESSAGE_FIELD_SIGNATURE, "g", "a{sv}", 0},
                {MESSAGE_FIELD_SIGNATURE, "g", "a", MESSAGE_E_NAME},
                {MESSAGE_FIELD_SIGNATURE, "s", "y", MESSAGE_E_FIELD},
                {MESSAGE_FIELD_UNIX_FDS, "u", "0", 0},
                {MESSAGE_FIELD_UNIX_FDS, "u", "16", 0},
                {MESSAGE_FIELD_UNIX_FDS, "u", "17", MESSAGE_E_FDS},
                {MESSAGE_FIELD_UNIX_FDS, "u", "-1", MESSAGE_E_FDS},
                {MESSAGE_FIELD_UNIX_FDS, "s", "1", MESSAGE_E_FIELD},
                {0, "u", "1", MESSAGE_E_FIELD},
                {10, "o", "/a", 0},
                {10, "s", "anything", 0},
                {11, "s", "\xff", MESSAGE_E_FORM}, /* unknown, yet its value must be one */
                {255, "u", "1", 0},
                {255, "()", "", MESSAGE_E_FORM},
                {255, "ss", "", MESSAGE_E_FORM},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int e = parse_with(rows[i].code, rows[i].code, rows[i].type, rows[i].text);

                if (e != rows[i].e)
                        printf("# field %u \"%s\"\n", rows[i].code, rows[i].text);
                CHECK_EQ_INT(e, rows[i].e);
        }
}

static void test_duplicates(void) {
        CHECK_EQ_INT(parse_with(0, MESSAGE_FIELD_PATH, "o", "/a"), MESSAGE_E_DUPLICATE);
        CHECK_EQ_INT(parse_with(0, MESSAGE_FIELD_INTERFACE, "s", "a.b"), MESSAGE_E_DUPLICATE);
        CHECK_EQ_INT(parse_with(0, MESSAGE_FIELD_MEMBER, "s", "M"), MESSAGE_E_DUPLICATE);
        for (uint8_t code = MESSAGE_FIELD_ERROR_NAME; code < MESSAGE_N_FIELDS; code++) {
                struct message m;
                struct wire w;

                wire_begin(&w, false, 9, 0);
                for (unsigned i = 0; i < 2; i++)
                        if (code == MESSAGE_FIELD_REPLY_SERIAL || code == MESSAGE_FIELD_UNIX_FDS)
                                wire_u(&w, code, 1);
                        else if (code == MESSAGE_FIELD_SIGNATURE)
                                wire_text(&w, code, "g", "y");
                        else
                                wire_text(&w, code, "s", "a.b");
                wire_end(&w, "", 0);
                CHECK_EQ_INT(parse(&w, &m), MESSAGE_E_DUPLICATE);
        }
}

static void test_required(void) {
        static const struct {
                uint8_t type, needs[4];
        } rows[] = {
                {MESSAGE_CALL, {MESSAGE_FIELD_PATH, MESSAGE_FIELD_MEMBER}},
                {MESSAGE_RETURN, {MESSAGE_FIELD_REPLY_SERIAL}},
                {MESSAGE_ERROR, {MESSAGE_FIELD_ERROR_NAME, MESSAGE_FIELD_REPLY_SERIAL}},
                {MESSAGE_SIGNAL,
                 {MESSAGE_FIELD_PATH, MESSAGE_FIELD_INTERFACE, MESSAGE_FIELD_MEMBER}},
                {5, {0}},
                {200, {0}},
        };
        static const char *const texts[] = {[MESSAGE_FIELD_PATH] = "/a",
                                            [MESSAGE_FIELD_INTERFACE] = "a.b",
                                            [MESSAGE_FIELD_MEMBER] = "M",
                                            [MESSAGE_FIELD_ERROR_NAME] = "a.b"};

        /* Each type with all it needs, and with each of these left out. */
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (unsigned without = 0; without == 0 || rows[i].needs[without - 1]; without++) {
                        struct message m;
                        struct wire w;

                        wire_begin(&w, false, rows[i].type, 0);
                        for (unsigned k = 0; rows[i].needs[k]; k++)
                                if (k + 1 == without)
                                        continue;
                                else if (rows[i].needs[k] == MESSAGE_FIELD_REPLY_SERIAL)
                                        wire_u(&w, MESSAGE_FIELD_REPLY_SERIAL, 3);
                                else
                                        wire_text(&w, rows[i].needs[k],
                                                  rows[i].needs[k] == MESSAGE_FIELD_PATH ? "o"
                                                                                         : "s",
                                                  texts[rows[i].needs[k]]);
                        wire_end(&w, "", 0);
                        CHECK_EQ_INT(parse(&w, &m), without ? MESSAGE_E_MISSING : 0);
                }
}

/* --- lengths and padding --------------------------------------------------------------------- */

static void test_form(void) {
        struct message m;
        struct wire w;

        /* A struct of which only 1 to 7 bytes are in the array. */
        for (uint32_t n = 1; n < 8; n++) {
                wire_begin(&w, false, 9, 0);
                wire_u(&w, MESSAGE_FIELD_UNIX_FDS, 0);
                wire_end(&w, "", 0);
                wire_set(&w, 12, n);
                CHECK_EQ_INT(parse(&w, &m), MESSAGE_E_FORM);
        }
        /* A string of which not even the length is there, or nothing else. */
        for (uint32_t n = 1; n <= 8; n++) {
                wire_begin(&w, false, 9, 0);
                wire_text(&w, MESSAGE_FIELD_MEMBER, "s", "");
                wire_end(&w, "", 0);
                wire_set(&w, 12, n);
                CHECK_EQ_INT(parse(&w, &m), MESSAGE_E_FORM);
        }
        /* A string longer than the array, by one and by much. */
        static const uint32_t lengths[] = {3, 4, 0x7fffffff, 0xfffffff0, 0xffffffff};
        for (size_t i = 0; i < ELEMENTSOF(lengths); i++) {
                wire_begin(&w, false, 9, 0);
                wire_text(&w, MESSAGE_FIELD_MEMBER, "s", "ab");
                wire_end(&w, "", 0);
                wire_set(&w, 20, lengths[i]);
                CHECK_EQ_INT(parse(&w, &m), MESSAGE_E_FORM);
        }
        /* Padding counted into the array: it announces another field. */
        wire_begin(&w, false, 9, 0);
        wire_text(&w, MESSAGE_FIELD_MEMBER, "s", "ab");
        wire_end(&w, "", 0);
        wire_set(&w, 12, (uint32_t)w.n - 16);
        CHECK_EQ_INT(parse(&w, &m), MESSAGE_E_FORM);
        /* A string without its NUL, a string with one inside. */
        wire_begin(&w, false, 9, 0);
        wire_text(&w, MESSAGE_FIELD_MEMBER, "s", "abc");
        wire_end(&w, "", 0);
        w.b[27] = 'd';
        CHECK_EQ_INT(parse(&w, &m), MESSAGE_E_FORM);
        w.b[27] = 0;
        w.b[25] = 0;
        CHECK_EQ_INT(parse(&w, &m), MESSAGE_E_NAME);
}

static void test_padding(void) {
        struct message m;
        struct wire w;

        wire_begin(&w, false, 9, 0);
        wire_text(&w, MESSAGE_FIELD_MEMBER, "s", "ab");  /* ends at 27 */
        wire_text(&w, MESSAGE_FIELD_SIGNATURE, "g", ""); /* 32 to 38, then two bytes */
        wire_end(&w, "", 0);
        CHECK_EQ_INT(parse(&w, &m), 0);
        for (size_t i = 27; i < 40; i++) {
                if (i >= 32 && i < 38)
                        continue;
                w.b[i] = 1;
                CHECK_EQ_INT(parse(&w, &m), MESSAGE_E_PADDING);
                w.b[i] = 0;
        }
        wire_begin(&w, false, 9, 0);
        wire_end(&w, "\1\0\0\0", 4);
        CHECK_EQ_INT(parse(&w, &m), MESSAGE_E_SIGNATURE);
}

/* Every byte of a good header with every value: a verdict, and never a look outside. */
static void test_every_byte(void) {
        uint32_t verdicts = 0;
        struct message m;
        struct wire w;

        wire_begin(&w, false, MESSAGE_ERROR, 0);
        wire_u(&w, MESSAGE_FIELD_UNIX_FDS, 1);
        call_fields(&w);
        wire_text(&w, MESSAGE_FIELD_ERROR_NAME, "s", "a.b.C");
        wire_u(&w, MESSAGE_FIELD_REPLY_SERIAL, 9);
        wire_text(&w, MESSAGE_FIELD_SIGNATURE, "g", "u");
        wire_end(&w, "\1\0\0\0", 4);
        for (size_t i = 0; i < w.n - 4; i++) {
                uint8_t was = w.b[i];

                for (unsigned v = 0; v < 256; v++) {
                        int e;

                        w.b[i] = (uint8_t)v;
                        e = parse(&w, &m);
                        CHECK(e >= 0 && e < MESSAGE_N_E);
                        CHECK(v != was || e == 0);
                        verdicts |= 1u << e;
                        if (e == 0 && m.frame.n <= w.n)
                                (void)message_check_body(&m);
                }
                w.b[i] = was;
        }
        for (int e = 0; e < MESSAGE_N_E; e++)
                if (e != MESSAGE_E_LOCAL) /* takes more than one byte */
                        CHECK(verdicts & 1u << e);
}

/* --- the stamped header ---------------------------------------------------------------------- */

static size_t stamp(const struct message *m, const char *sender, struct wire *out) {
        size_t n_sender = strlen(sender), max = message_stamp_max(m, n_sender);
        _cleanup_free_ uint8_t *b = malloc(max);
        size_t n = message_stamp(m, sender, n_sender, b);

        CHECK(n <= max && n % 8 == 0);
        out->n = 0;
        wire_bytes(out, b, n);
        wire_bytes(out, m->body, m->frame.n_body);
        return n;
}

/* What a stamped message must be: as m was, from sender, and nothing else. */
static void check_stamped(const struct message *m, const char *sender) {
        struct message again;
        struct wire out;
        size_t n = stamp(m, sender, &out);
        unsigned keep = m->present & ~(1u << MESSAGE_FIELD_SENDER);

        CHECK_EQ_INT(message_parse(out.b, out.n, &again), 0);
        CHECK_EQ_INT(again.frame.n_header, n);
        CHECK_EQ_INT(again.frame.n, out.n);
        CHECK_EQ_INT(again.frame.big_endian, m->frame.big_endian);
        CHECK_EQ_INT(again.type, m->type);
        CHECK_EQ_INT(out.b[2], m->flags);
        CHECK_EQ_INT(again.serial, m->serial);
        CHECK(!again.has_unknown);
        CHECK_EQ_INT(again.present, keep | 1u << MESSAGE_FIELD_SENDER);
        check_string(again.sender, sender);
        for (unsigned f = 1; f < MESSAGE_N_FIELDS; f++)
                if (keep & (1u << f))
                        CHECK(again.field[f].n == m->field[f].n &&
                              memcmp(again.data + again.field[f].at, m->data + m->field[f].at,
                                     m->field[f].n) == 0);
        CHECK(memcmp(again.body, m->body, m->frame.n_body) == 0);
        /* Stamping what is stamped changes at most the order of the fields. */
        struct wire twice;
        CHECK_EQ_INT(stamp(&again, sender, &twice), n);
}

static void check_stamps(const struct wire *w) {
        struct message m;

        CHECK_EQ_INT(parse(w, &m), 0);
        check_stamped(&m, ":1.7");
        check_stamped(&m, ":1.4294967295");
        check_stamped(&m, "org.freedesktop.DBus");
}

static void test_stamp(void) {
        /* A forged sender and unknown fields: at the start, in the middle, at the end. */
        for (unsigned big = 0; big < 2; big++)
                for (unsigned mask = 0; mask < 64; mask++) {
                        struct wire w;

                        wire_begin(&w, big, MESSAGE_CALL, 0xff);
                        if (mask & 1)
                                wire_text(&w, MESSAGE_FIELD_SENDER, "s", "org.freedesktop.DBus");
                        if (mask & 2)
                                wire_text(&w, 77, "s", "odd");
                        wire_text(&w, MESSAGE_FIELD_PATH, "o", "/a/b");
                        if (mask & 4)
                                wire_text(&w, 10, "o", "/container");
                        if (mask & 8)
                                wire_u(&w, MESSAGE_FIELD_UNIX_FDS, 3);
                        wire_text(&w, MESSAGE_FIELD_MEMBER, "s", "Member");
                        wire_text(&w, MESSAGE_FIELD_DESTINATION, "s", ":1.2");
                        if (mask & 16 && !(mask & 1))
                                wire_text(&w, MESSAGE_FIELD_SENDER, "s", ":1.99");
                        wire_text(&w, MESSAGE_FIELD_SIGNATURE, "g", "y");
                        if (mask & 32)
                                wire_u(&w, 200, 1);
                        wire_end(&w, "\5", 1);
                        check_stamps(&w);
                }
}

static void test_stamp_longest(void) {
        char sender[DBUS_NAME_MAX + 1], member[DBUS_NAME_MAX + 1];

        memset(sender, 'x', DBUS_NAME_MAX);
        sender[0] = ':';
        for (unsigned n = 1; n <= DBUS_NAME_MAX; n++) { /* every length of what was last */
                struct message m;
                struct wire w;

                memset(member, 'm', n);
                member[n] = 0;
                sender[DBUS_NAME_MAX] = 0;
                wire_begin(&w, false, MESSAGE_SIGNAL, 0);
                wire_text(&w, MESSAGE_FIELD_PATH, "o", "/");
                wire_text(&w, MESSAGE_FIELD_INTERFACE, "s", "a.b");
                wire_text(&w, MESSAGE_FIELD_MEMBER, "s", member);
                wire_end(&w, "", 0);
                CHECK_EQ_INT(parse(&w, &m), 0);
                check_stamped(&m, sender);
                sender[n < 2 ? 2 : n] = 0;
                check_stamped(&m, sender);
                memset(sender + 1, 'x', DBUS_NAME_MAX - 1);
        }
        CHECK(MESSAGE_STAMP_ROOM >= DBUS_NAME_MAX + 17);
}

static void test_texts(void) {
        for (int e = 1; e < MESSAGE_N_E; e++)
                CHECK(strlen(message_strerror(e)) > 5 &&
                      strcmp(message_strerror(e), "unknown fault"));
        CHECK_EQ_STR(message_strerror(MESSAGE_N_E), "unknown fault");
        CHECK_EQ_STR(message_strerror(-1), "unknown fault");
}

TEST_MAIN({"what a header counts as", test_header_steps}, {"a call, both byte orders", test_call},
          {"replies and flags", test_reply_and_signal}, {"the first 16 bytes", test_frame},
          {"not complete yet", test_not_complete}, {"each field, good and bad", test_fields},
          {"fields given twice", test_duplicates}, {"fields a type requires", test_required},
          {"lengths of fields", test_form}, {"padding", test_padding},
          {"every byte, every value", test_every_byte}, {"stamping drops and keeps", test_stamp},
          {"stamping, every length", test_stamp_longest}, {"every verdict has a text", test_texts})
