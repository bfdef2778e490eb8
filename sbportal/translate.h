/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a value whose meaning differs between the guest and the gate: the
 * functions portal_rebuild asks.
 */
#pragma once

#include "common/portal_rebuild.h"
#include "sbportal/call.h"
#include "sbportal/translator.h"

/* userdata of all. */
struct translation {
        struct translator *t;
        const char *interface; /* of the row */
        const char *client;    /* to the gate: who calls */
        struct call *call;     /* to the guest: what is answered; NULL: a signal */

        /* out, to be freed; NULL: there was none */
        char *token;           /* the guest's handle_token, valid */
        char *session_token;   /* likewise */
        char *destination;     /* the client that a session or notification in a signal is of */
        bool own_notification; /* it is one that we made ourselves */
};

void translation_done(struct translation *tr);

int translate_to_gate(void *userdata, const struct portal_value *v, const char *value,
                      char **ret_new);
int translate_to_guest(void *userdata, const struct portal_value *v, const char *value,
                       char **ret_new);
/* A descriptor goes to the gate as it is; who makes something of it checks it. */
int translate_fd_to_gate(void *userdata, const struct portal_value *v, int fd, int *ret_fd);
