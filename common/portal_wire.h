/* SPDX-License-Identifier: MIT */
/*
 * What rebuilding a portal message reads and writes with: sd-bus, its results turned
 * into our three kinds (0, PORTAL_REBUILD_E_*, a negative errno), and within bounds.
 */
#pragma once

#include <errno.h>
#include <stdlib.h>

#include "common/portal_rebuild.h"

/*
 * An error of a read.  sd-bus has many words for a body that is not valid (EBADMSG, ENXIO,
 * EBUSY for an array whose length is wrong…); only a lack of memory is not the body's fault.
 */
static inline int wire_blame(int r) {
        return r == -ENOMEM ? r : PORTAL_REBUILD_E_VALUE;
}

/* A read of sd-bus: 0 is "nothing there", which the row did not allow. */
static inline int wire_got(int r) {
        return r < 0 ? wire_blame(r) : r == 0 ? PORTAL_REBUILD_E_VALUE : 0;
}

/* A write of sd-bus: positive is success, too. */
static inline int wire_done(int r) {
        return r < 0 ? r : 0;
}

/* A step of sd-bus's reader that cannot be empty. */
static inline int wire_stepped(int r) {
        return r < 0 ? wire_blame(r) : 0;
}

/* Takes n bytes off what may still be written. */
int wire_spend(struct portal_rebuild *rb, size_t n);

/* Takes one value off what may still be looked at. */
int wire_step(struct portal_rebuild *rb);

/* The message's own, or a copy when it is of the other byte order. */
struct wire_bytes {
        const char *data;
        size_t n;
        char *owned;
};

static inline void wire_bytes_done(struct wire_bytes *b) {
        free(b->owned);
}

/* Reads an ay of at most max bytes.  *ret is to be released, whatever is returned. */
int wire_read_bytes(sd_bus_message *in, size_t max, struct wire_bytes *ret);

/* Reads a string of at most max bytes; type is "s", "o", or "ay" for one that ends in a NUL. */
int wire_read_string(sd_bus_message *in, const char *type, size_t max, struct wire_bytes *ret);

/* Writes s as that type. */
int wire_append_string(struct portal_rebuild *rb, sd_bus_message *out, const char *type,
                       const char *s);

/* Steps over one value, whatever it is. */
int wire_skip(struct portal_rebuild *rb, sd_bus_message *in);

/* Enters a container whose type the caller knows, and opens its like. */
int wire_enter(sd_bus_message *in, sd_bus_message *out, char type, const char *contents);
int wire_leave(sd_bus_message *in, sd_bus_message *out);

/*
 * Where a value is written: as an argument, or as the value of a key.  A value that is
 * left out never opens its place.
 */
struct wire_place {
        sd_bus_message *out;
        const char *key; /* NULL: an argument, or an item */
        bool opened;
        unsigned levels; /* what wire_place_close() has to close */
};

int wire_place_open(struct wire_place *p, const char *type);
/* The same; what is written is the contents of a variant in both cases. */
int wire_place_open_variant(struct wire_place *p, const char *type);
int wire_place_close(struct wire_place *p);
