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
        PORTAL_REBUILD_E_NO_FD,    /* a descriptor, where none can pass */
};

struct portal_rebuild {
        const struct portal_method *method;
        /*
         * Asked for each string with a role that means different things in different
         * worlds: PORTAL_TITLE, PORTAL_PARENT_WINDOW, PORTAL_HANDLE_TOKEN,
         * PORTAL_SESSION_TOKEN, PORTAL_SESSION, PORTAL_GUEST_PATH, PORTAL_OPEN_URI,
         * PORTAL_OPEN_SCHEME, PORTAL_NOTIFICATION_ID, PORTAL_NAMESPACE, and each item of
         * PORTAL_URIS, PORTAL_PATHS, PORTAL_NAMESPACES, PORTAL_PROXIES and each key of
         * PORTAL_SETTINGS.  value is what came (a TITLE already fit to be displayed; "" also for
         * a TITLE option that is not there).  Sets *ret_new to a new string, or leaves it NULL:
         * the option or item is left out then, a positional argument becomes "" (of type o: it
         * is PORTAL_REBUILD_E_VALUE).  0, a negative errno, or PORTAL_REBUILD_E_VALUE.
         */
        int (*translate)(void *userdata, const struct portal_value *v, const char *value,
                         char **ret_new);
        void *userdata;
        /*
         * Asked for each descriptor (PORTAL_FD_BYTES, PORTAL_FD_FILE, PORTAL_FD_DOCUMENT; of a
         * PORTAL_ICON or PORTAL_SOUND: whoever copies the bytes checks them).  fd stays in's.
         * Sets *ret_fd to a new one, rb's from then on, or leaves it -1: an item or option is
         * left out, an argument is PORTAL_REBUILD_E_VALUE.  0, a negative errno, or
         * PORTAL_REBUILD_E_*.  NULL: every descriptor is E_NO_FD.
         */
        int (*translate_fd)(void *userdata, const struct portal_value *v, int fd, int *ret_fd);
        const char *handle_token;  /* added to the options when set (borrowed) */
        const char *session_token; /* likewise, where the row has a PORTAL_SESSION_TOKEN */
        uint32_t version;    /* the other side's: keys newer than it are left out; 0: none is */
        const char *culprit; /* out: the argument or key an error is about, or NULL */
        bool directory;      /* out: the value of the PORTAL_DIRECTORY option, if there is one */
        const struct portal_value *rows; /* internal: the keys of PORTAL_OPTIONS */
        size_t budget; /* internal: bytes that may still be written, of LIMIT_GATE_BYTES */
        unsigned steps; /* internal: values that may still be stepped over */
};

/* The arguments of a call: all of in's body is read, all of out's is written. */
int portal_rebuild_args(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out);

/* The values a plain call returns, likewise; an a{sv} among them holds the row's results. */
int portal_rebuild_out(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out);

/* The a{sv} of a Response, in being just before it, from the row's results. */
int portal_rebuild_results(struct portal_rebuild *rb, sd_bus_message *in, sd_bus_message *out);

/* The arguments of a signal, from values; the a{sv} among them from options. */
int portal_rebuild_values(struct portal_rebuild *rb, const struct portal_value *values,
                          const struct portal_value *options, sd_bus_message *in,
                          sd_bus_message *out);

/* The value of a property, in being at its variant. */
int portal_rebuild_property(struct portal_rebuild *rb, const struct portal_property *p,
                            sd_bus_message *in, sd_bus_message *out);

/* A translation that changes nothing: a copy of s.  0 or -ENOMEM. */
int portal_rebuild_copy(const char *s, char **ret);
