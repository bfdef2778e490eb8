/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a value whose meaning differs between the guest and the gate: the
 * functions portal_rebuild asks.
 */
#pragma once

#include "common/portal_rebuild.h"
#include "sbportal/translator.h"

/* userdata of both. */
struct translation {
        struct translator *t;
        char *token; /* out, to be freed: the guest's handle_token, valid; NULL when it gave none */
};

int translate_to_gate(void *userdata, const struct portal_value *v, const char *value,
                      char **ret_new);
int translate_to_guest(void *userdata, const struct portal_value *v, const char *value,
                       char **ret_new);
