/* SPDX-License-Identifier: MIT */
/*
 * Match rules: text in, canonical rule out.  PURE.
 *
 * D-Bus specification, "Match Rules".  The text is never kept or passed on: two
 * rules are the same when their canonical forms are, however they were written.
 * A rule is one allocation, sized to what it holds (about 40 bytes and its texts).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "sbrouter/message.h"

/* Keys with one text value. */
enum match_key {
        MATCH_SENDER,
        MATCH_INTERFACE,
        MATCH_MEMBER,
        MATCH_PATH,
        MATCH_PATH_NAMESPACE,
        MATCH_DESTINATION,
        MATCH_N_KEYS
};

enum match_arg_kind {
        MATCH_ARG_STRING,    /* argN: equal; strings only */
        MATCH_ARG_PATH,      /* argNpath: equal, or one ends in '/' and starts the other */
        MATCH_ARG_NAMESPACE, /* arg0namespace: equal, or followed by '.' */
};

enum {
        MATCH_RULE_E_LENGTH = 1, /* over LIMIT_MATCH_RULE_BYTES: LimitsExceeded */
        /* All others: MatchRuleInvalid. */
        MATCH_RULE_E_FORM,      /* no '=', or a quote that does not end */
        MATCH_RULE_E_KEY,       /* unknown key */
        MATCH_RULE_E_DUPLICATE, /* a key twice, an argument twice, path with path_namespace */
        MATCH_RULE_E_VALUE,     /* not a valid value for its key */
        MATCH_RULE_N_E
};

/* A text in the same allocation: at bytes from the rule's start, NUL-terminated. */
struct match_text {
        uint16_t at; /* 0: absent */
        uint16_t n;
};

struct match_arg {
        uint8_t index; /* 0..63 */
        uint8_t kind;  /* enum match_arg_kind */
        struct match_text value;
};

struct match_rule {
        uint16_t n;   /* bytes of this allocation */
        uint8_t type; /* MESSAGE_x, or 0: any */
        uint8_t n_args;
        bool eavesdrop; /* told apart from rules without it; no effect otherwise */
        struct match_text key[MATCH_N_KEYS];
        struct match_arg args[]; /* ascending by index, one per index */
};

/*
 * Parses text[0..n), a valid D-Bus string.  *ret is the caller's, to match_rule_free().
 * 0, -ENOMEM, or MATCH_RULE_E_*.
 */
int match_rule_parse(const char *text, size_t n, struct match_rule **ret);
struct match_rule *match_rule_free(struct match_rule *r);
DEFINE_CLEANUP(struct match_rule *, match_rule_free);

/* For an error reply: says nothing of the text itself. */
const char *match_rule_strerror(int e);

/* NULL when the rule does not have the key. */
static inline const char *match_rule_get(const struct match_rule *r, enum match_key k) {
        return r->key[k].at ? (const char *)r + r->key[k].at : NULL;
}

static inline const char *match_rule_arg(const struct match_rule *r, unsigned i) {
        return (const char *)r + r->args[i].value.at;
}

/* As how many rules it counts where there is a limit: to compare it takes as long. */
unsigned match_rule_weight(const struct match_rule *r);

bool match_rule_equal(const struct match_rule *a, const struct match_rule *b);

/*
 * Whether m fits every key of r but sender and destination: only the router knows
 * who owns a name, so those two are the caller's to check.  args are m's.
 */
bool match_rule_fits(const struct match_rule *r, const struct message *m, struct body_args *args);

/* The canonical text, NUL-terminated and cut to size; returns the length it would have uncut. */
size_t match_rule_format(const struct match_rule *r, char *buf, size_t size);
