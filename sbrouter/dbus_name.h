/* SPDX-License-Identifier: MIT */
/*
 * Is this text a valid name, path, signature?  PURE.
 *
 * D-Bus specification, "Valid Names", "Valid Object Paths", "Valid Signatures".
 * Every function takes bytes and their number: no NUL is needed, and a NUL among
 * them is an invalid character like any other.  The verdicts are libdbus's (a
 * fuzzer compares them), except that signatures nest as sd-bus counts, which is
 * stricter: what is valid here makes no libdbus, GDBus or sd-bus peer drop its
 * connection.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DBUS_NAME_MAX        255u /* bytes: interface, member, error and bus names */
#define DBUS_SIGNATURE_MAX   255u
#define DBUS_SIGNATURE_DEPTH 32u /* of arrays; and of structs and dict entries together */

/* ":1.42".  As in libdbus the part after the colon may be empty: no such name ever exists. */
bool dbus_name_is_unique(const char *s, size_t n);
/* "org.example.Foo": two elements or more, none starting with a digit. */
bool dbus_name_is_well_known(const char *s, size_t n);
/* One or the other: what may stand in DESTINATION and SENDER. */
bool dbus_name_is_bus(const char *s, size_t n);
/* A bus name, or the first elements of a well-known one: the value of arg0namespace. */
bool dbus_name_is_namespace(const char *s, size_t n);
bool dbus_name_is_interface(const char *s, size_t n);
/* Same grammar as interfaces. */
bool dbus_name_is_error(const char *s, size_t n);
bool dbus_name_is_member(const char *s, size_t n);
bool dbus_name_is_path(const char *s, size_t n);
/* The bytes from..to of a text of n: it is a path if all pieces of it are valid. */
bool dbus_name_is_path_piece(const char *s, size_t n, size_t from, size_t to);

/* Zero or more complete types. */
bool dbus_signature_is_valid(const char *s, size_t n);
/* Exactly one complete type: the signature of a variant. */
bool dbus_signature_is_single(const char *s, size_t n);

/* UTF-8 (Unicode 3.9, table 3-7) without NUL. */
bool dbus_utf8_is_valid(const char *s, size_t n);
/*
 * Of a text of more than n >= 4 bytes: how many, n or a little less, are the first piece that is
 * valid by itself, if the text is.  More than 0.
 */
size_t dbus_utf8_cut(const char *s, size_t n);
