/* SPDX-License-Identifier: MIT */
/*
 * Calls that wait for their answer: (caller, serial, callee), each used once.
 *
 * This is the only way by which a METHOD_RETURN or ERROR reaches anybody, so
 * nobody can answer a call that was made to somebody else, or answer it twice.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sbrouter/list.h"
#include "sbrouter/table.h"

struct connection;
struct router;

enum {
        REPLY_E_LIMIT = 1, /* LIMIT_PENDING_REPLIES of the caller */
        REPLY_E_SERIAL,    /* the caller already waits for an answer to that serial */
};

/* 0, REPLY_E_* or -ENOMEM. */
int reply_expect(struct router *r, struct connection *caller, uint32_t serial,
                 struct connection *callee);
/* Whether callee owes caller an answer to serial; if so it does not any more. */
bool reply_take(struct router *r, struct connection *caller, uint32_t serial,
                struct connection *callee);
/* Tells caller that nobody will answer it any more.  0 or a negative errno. */
int reply_fail(struct router *r, struct connection *caller, uint32_t serial);
/* The same to one of those that wait for callee, which is leaving. */
int reply_fail_next(struct router *r, struct connection *callee);
/* c leaves: whoever waits for it gets NoReply.  0 or a negative errno. */
int reply_remove_all(struct router *r, struct connection *c);
