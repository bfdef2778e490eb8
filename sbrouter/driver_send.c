/* SPDX-License-Identifier: MIT */
#include "sbrouter/driver_send.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sbrouter/dbus_name.h"
#include "sbrouter/driver_write.h"
#include "sbrouter/route.h"
#include "sbrouter/router.h"

/* What the driver says to one client, those who watch may see. */
static int show(struct router *r, const void *data, size_t n) {
        struct message m;
        int v;

        if (list_empty(&r->watchers))
                return 0;
        v = message_parse(data, n, &m);
        assert(v == 0);
        return route_to_watchers(r, NULL, &m, NULL, NULL);
}

static uint32_t next_serial(uint32_t *serial) {
        if (++*serial == 0)
                *serial = 1;
        return *serial;
}

/* One whole message. */
static int send_bytes(struct router *r, struct connection *c, const void *data, size_t n) {
        struct packet p = {.header = data, .n_header = n};
        int v = connection_send(c, &p);

        if (v == CONNECTION_E_FULL)
                connection_breach(c, "it does not read what the bus tells it");
        return show(r, data, n);
}

int driver_send_words(struct router *r, struct connection *c, struct driver_words *words) {
        uint8_t small[DRIVER_WRITE_SIGNAL] _uninitialized_, *out = small;
        _cleanup_free_ uint8_t *large = NULL;
        size_t size;

        if (c->dead)
                return 0;
        words->serial = next_serial(&c->serial);
        words->sender = DRIVER_NAME;
        words->destination = c->n_name > 0 ? c->name : NULL;
        size = driver_write_max(words);
        if (size > sizeof(small)) {
                out = large = malloc(size);
                if (!large)
                        return -ENOMEM;
        }
        return send_bytes(r, c, out, driver_write(words, out, size));
}

int driver_error(struct router *r, struct connection *c, uint32_t serial, const char *error,
                 const char *text) {
        /* Guests' words are in this, and their libdbus drops a bus that sends what is not UTF-8. */
        const char *said = dbus_utf8_is_valid(text, strlen(text)) ? text : error;
        struct driver_words w = {
                .type = MESSAGE_ERROR,
                .reply_serial = serial,
                .error = error,
                .signature = "s",
                .texts = &said,
                .n = 1,
        };

        return driver_send_words(r, c, &w);
}

static int send_name_signal(struct router *r, struct connection *c, const char *member,
                            const char *name) {
        struct driver_words w = {
                .type = MESSAGE_SIGNAL,
                .member = member,
                .signature = "s",
                .texts = &name,
                .n = 1,
        };

        return driver_send_words(r, c, &w);
}

int driver_name_lost(struct router *r, struct connection *c, const char *name) {
        return send_name_signal(r, c, "NameLost", name);
}

int driver_name_acquired(struct router *r, struct connection *c, const char *name) {
        return send_name_signal(r, c, "NameAcquired", name);
}

/* A signal of the driver's takes the way of all signals: parsed, stamped, matched. */
static int broadcast(struct router *r, struct driver_words *words) {
        uint8_t out[DRIVER_WRITE_SIGNAL] _uninitialized_;
        struct message m;
        int v;

        words->type = MESSAGE_SIGNAL;
        words->serial = next_serial(&r->serial);
        v = message_parse(out, driver_write(words, out, sizeof(out)), &m);
        assert(v == 0);
        v = route_to_watchers(r, NULL, &m, NULL, NULL);
        return v < 0 ? v : route_broadcast(r, NULL, &m, NULL, NULL);
}

int driver_name_owner_changed(struct router *r, const char *name, const struct connection *before,
                              const struct connection *after) {
        const char *const texts[] = {name, before ? before->name : "", after ? after->name : ""};
        struct driver_words w = {
                .member = "NameOwnerChanged",
                .signature = "sss",
                .texts = texts,
                .n = ELEMENTSOF(texts),
        };

        return broadcast(r, &w);
}

int driver_activatable_changed(struct router *r) {
        struct driver_words w = {.member = "ActivatableServicesChanged", .signature = ""};

        return broadcast(r, &w);
}
