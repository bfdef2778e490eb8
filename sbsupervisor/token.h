/* SPDX-License-Identifier: MIT */
/*
 * The tokens by which the host's portal and sbportal know a request or a session: ours, never
 * issued twice, and not to be guessed by anybody on either bus.
 */
#pragma once

#include <systemd/sd-bus.h>

#define TOKEN_SIZE 35 /* "sb", 128 bits in hex, NUL */

int token_make(char token[TOKEN_SIZE]);

/*
 * The handle below prefix that the host's portal will give our token: so a signal on it is known
 * however early.  A new string.
 */
int token_predict(sd_bus *bus, const char *prefix, const char *token, char **ret);
