/* SPDX-License-Identifier: MIT */
/*
 * From the bytes of a credential to the text of a drop-in for a unit.  PURE.
 *
 * A credential comes from the hypervisor, and what is written here systemd reads as root.  So
 * nothing is escaped: what needs no escaping is let through, all else is refused.
 */
#pragma once

#include <stddef.h>

#define DROPIN_MAX_BYTES 512 /* both kinds have two or three lines of at most 50 bytes */

enum {
        DROPIN_E_LENGTH = 1, /* empty, or too long */
        DROPIN_E_CHARACTER,  /* one that such a value does not have */
        DROPIN_E_NUMBER,     /* no user or group has this number */
};

/* A virtio-fs tag: What= of the mount.  One newline at the end is none. */
int dropin_tag(const char *bytes, size_t n, char ret[DROPIN_MAX_BYTES]);

/* The socket stays root's. */
#define DROPIN_ROOTS "[Socket]\nExecStartPost=\n"

/* UID[:GID]: the socket's owner, who need not exist: numbers go to chown(1). */
int dropin_user(const char *bytes, size_t n, char ret[DROPIN_MAX_BYTES]);
