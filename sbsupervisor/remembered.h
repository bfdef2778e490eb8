/* SPDX-License-Identifier: MIT */
/*
 * Answers that were given for good: lines of "Portal=allow" or "Portal.Method=deny" in the file
 * "policy" of the state directory, which a person may read, edit and remove.
 *
 * They count only where the configuration, or else the table, says "ask".
 */
#pragma once

#include "sbsupervisor/policy.h"

enum {
        REMEMBERED_E_SYNTAX = 1, /* not Name=allow or Name=deny; or holds a NUL */
        REMEMBERED_E_NAME,       /* no portal or method by that name */
};

struct remembered_fault {
        unsigned line;
        int reason; /* REMEMBERED_E_* */
};

/*
 * Adds what text[0..n) says to rules.  A bad line counts for nothing and is told to on_fault; of
 * two lines for one name a "deny" wins.  So a damaged file never allows more.  PURE.
 */
void remembered_parse(const char *text, size_t n, struct policy_rules *rules,
                      void (*on_fault)(void *userdata, const struct remembered_fault *f),
                      void *userdata);

struct remembered {
        char *file;
        struct policy_rules rules; /* for struct policy's answers */
};

/* Reads what there is.  0 or a negative errno, logged: nothing could be kept there, either. */
int remembered_open(struct remembered *r, const char *state_dir);
/* From now on, and after the next start.  When it cannot be written, logged, only from now on. */
void remembered_allow(struct remembered *r, const struct policy_subject *s);
void remembered_done(struct remembered *r);
