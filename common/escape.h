/* SPDX-License-Identifier: MIT */
/*
 * Text from outside, made harmless for the place where it goes.  PURE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * For a log line: printable ASCII stays, '\\' doubles, everything else becomes
 * \xHH, so no byte of a guest can start a line, move a cursor or pose as a
 * priority prefix.  Output is cut to size and then ends in "...".  Returns buf,
 * always terminated.  size must be at least 4.
 */
char *escape_log(char *buf, size_t size, const void *text, size_t n);

/* ESCAPED(s): a NUL-terminated guest string, as an argument of a log call. */
#define ESCAPED(s) escape_log((char[160]){0}, 160, (s), strlen(s))

/*
 * For a person to read in a dialog: the UTF-8 string in, without control
 * characters, line separators and bidirectional controls (which let a text pose
 * as another), cut to at most max bytes at a character's boundary.  Tab and
 * newline become a space.  Returns a new string, or NULL when memory is out.
 * Invalid UTF-8 is dropped byte by byte.
 */
char *escape_display(const char *in, size_t max);

/* The same for text of several lines: newlines stay. */
char *escape_lines(const char *in, size_t max);

/* Of a file's name, which is any bytes: as escape_display(), but what is no UTF-8 stays. */
char *escape_name(const char *in, size_t max);

/*
 * The path of a file URI (RFC 8089): "file:///p", "file://localhost/p",
 * "file:/p", percent-decoded.  No query, no fragment, no NUL, absolute; as in GLib
 * an encoded '/' is refused, it would be another path than it looks.  Returns a new
 * string (raw bytes, not always UTF-8), or NULL for anything else.
 */
char *uri_to_path(const char *uri);

/*
 * Percent-encodes what is not unreserved or '/' (RFC 3986), as GLib does; so the
 * result is always ASCII.  Returns a new string or NULL when memory is out.
 */
char *uri_escape_path(const char *path);

/* The reverse; NULL on a bad escape, on %00, or when memory is out. */
char *uri_unescape(const char *s, size_t n);

/*
 * Of an IRI the URI (RFC 3987, section 3.1): percent-encodes what is not ASCII, so that nothing in
 * it is invisible, or looks like something else.  A new string or NULL when memory is out.
 */
char *uri_to_ascii(const char *uri);
