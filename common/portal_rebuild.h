/* SPDX-License-Identifier: MIT */
/*
 * Rebuilds the body of a portal message from its row of the portal table.
 *
 * Nothing is copied as it came: an a{sv} is written anew with the keys, the types
 * and the bounds the row knows, each key once, everything else left out.  Both
 * sbportal (guest to gate, gate to guest) and the gate (gate to host, host to gate)
 * do this, so neither trusts the other's work.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "common/portal_table.h"

enum {
        PORTAL_REBUILD_E_TYPE = 1, /* signature, or an option's type, is not the row's */
        PORTAL_REBUILD_E_VALUE,    /* a value is outside its bounds, or the body is not valid */
};

struct portal_rebuild {
        const struct portal_method *method;
        /*
         * Asked for each string with a role that means different things in different
         * worlds: PORTAL_TITLE, PORTAL_PARENT_WINDOW, PORTAL_HANDLE_TOKEN,
         * PORTAL_GUEST_PATH, and each item of PORTAL_URIS.  value is what came (a TITLE
         * already fit to be displayed).  Sets *ret_new to a new string, or leaves it NULL: the
         * option or item is left out then, a positional argument becomes "".  0, a negative
         * errno, or PORTAL_REBUILD_E_VALUE.
         */
        int (*translate)(void *userdata, const struct portal_value *v, const char *value,
                         char **ret_new);
        void *userdata;
        const char *handle_token; /* added to the options when set (borrowed) */
        const char *culprit;      /* out: the argument or key an error is about, or NULL */
        bool directory;           /* out: the value of the PORTAL_DIRECTORY option, if there is one */
        size_t budget; /* internal: bytes that may still be written, of LIMIT_GATE_BYTES */
        unsigned steps; /* internal: values that may still be stepped over */
};

/* The arguments of a call: all of in's body is read, all of out's is written. */
int portal_rebuild_args(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out);

/* The values a plain call returns, likewise; an a{sv} among them holds the row's results. */
int portal_rebuild_out(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out);

/* The a{sv} of a Response, in being just before it, from the row's results. */
int portal_rebuild_results(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out);
