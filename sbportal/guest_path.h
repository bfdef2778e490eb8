/* SPDX-License-Identifier: MIT */
/*
 * Documents as the guest names them and as the gate names them.  PURE.
 *
 *   guest                                   gate
 *   /run/sidebus/doc/4f3a/My file.txt       4f3a/My file.txt          (arguments)
 *   file:///run/sidebus/doc/4f3a/My%20file.txt   doc:4f3a/My%20file.txt    (results)
 *
 * dir is the documents directory in the guest: absolute, from our configuration.
 */
#pragma once

#include <stdbool.h>

enum {
        /* Not below dir, no document id where one must be, a ".." anywhere. */
        GUEST_PATH_E_FOREIGN = 1,
        /* Not exactly of the gate's form: the gate is at fault. */
        GUEST_PATH_E_FORM,
};

/* dir itself: absolute, without "." and ".." components, at most LIMIT_STRING_BYTES. */
bool guest_path_dir_is_valid(const char *dir);

/*
 * path: raw bytes.  Empty and "." components are ignored, as the kernel does; ".." is
 * never resolved (what it means is for the guest's file system to say), so such a path
 * is foreign.  *ret: "<id>/<rest>"; rest is empty for the document's own directory.
 * 0, GUEST_PATH_E_FOREIGN or -ENOMEM.
 */
int guest_path_to_gate(const char *dir, const char *path, char **ret);

/*
 * item: "doc:<id>/<rest>", id 1 to 16 of [0-9a-f], rest not empty, of unreserved
 * characters, '/' and "%XX" (RFC 3986), no empty, "." or ".." component, no escaped NUL or
 * '/'.  *ret: a file URI below dir.  0, GUEST_PATH_E_FORM or -ENOMEM.
 */
int guest_path_uri(const char *dir, const char *item, char **ret);

/* The same item as a path: /dir/<id>/<rest>, unescaped. */
int guest_path_of_item(const char *dir, const char *item, char **ret);

/* "<id>/<rest>", raw bytes, as the guest's path; rest may be empty.  Likewise. */
int guest_path_from_gate(const char *dir, const char *path, char **ret);
