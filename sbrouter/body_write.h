/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the bus's own, of any type, that grow as they are written.  PURE.
 *
 * D-Bus specification, "Marshaling (Wire Format)", little-endian.  The caller says the
 * signature apart and writes what it says; nothing checks one against the other but tests,
 * which read with libdbus what was written.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: empty.  body_write_done() releases it. */
struct body_writer {
        uint8_t *data;
        size_t n, cap;
        bool failed; /* there was no memory: nothing more is written, and it is of no use */
};

void body_write_done(struct body_writer *w);

void body_write_number(struct body_writer *w, uint32_t v);    /* u, b */
void body_write_string(struct body_writer *w, const char *s); /* s, o: valid UTF-8 */
/* What a variant starts with; its value follows. */
void body_write_signature(struct body_writer *w, const char *signature);
/* The key of a dictionary's next entry, behind what an entry starts with; its value follows. */
void body_write_key(struct body_writer *w, const char *key);
/* An entry of a{sv} whose value is a number. */
void body_write_entry(struct body_writer *w, const char *key, uint32_t v);

struct body_array {
        size_t length, first; /* offsets: of its length, and of its elements */
};

/* The elements follow, and then body_close_array().  alignment: theirs, in bytes. */
struct body_array body_open_array(struct body_writer *w, size_t alignment);
void body_close_array(struct body_writer *w, struct body_array a);

#define BODY_ALIGN_STRING 4u
#define BODY_ALIGN_ENTRY  8u
