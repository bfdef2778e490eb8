/* SPDX-License-Identifier: MIT */
#include "sbportal/session.h"

#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "common/log.h"
#include "common/portal_table.h"
#include "sbportal/handle.h"
#include "sbportal/reply.h"

/* --- the table -------------------------------------------------------------------------------- */

static bool is_taken(struct translator *t, const char *handle) {
        for (size_t i = 0; i < ELEMENTSOF(t->sessions); i++)
                if (t->sessions[i] && strcmp(t->sessions[i]->handle, handle) == 0)
                        return true;
        return false;
}

/* A free place for a session of client, within the limits; NULL when there is none. */
static struct session **find_place(struct translator *t, const char *client) {
        struct session **place = NULL;
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTSOF(t->sessions); i++) {
                if (!t->sessions[i])
                        place = &t->sessions[i];
                else if (strcmp(t->sessions[i]->client, client) == 0)
                        n++;
        }
        return n < LIMIT_SESSIONS_CLIENT ? place : NULL;
}

int session_new(struct translator *t, const char *client, const char *interface, const char *token,
                struct session **ret) {
        _cleanup_free_ char *handle = handle_session_path(client, token);
        struct session **place = find_place(t, client);
        struct session *s;

        if (!handle)
                return -ENOMEM;
        if (is_taken(t, handle))
                return SESSION_E_TAKEN;
        if (!place) {
                guest_log_warning(&t->log, "%s has too many sessions open: refused one",
                                  ESCAPED(client));
                return SESSION_E_LIMIT;
        }
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *place = s;
        s->t = t;
        s->interface = interface;
        s->handle = TAKE_PTR(handle);
        s->client = strdup(client);
        if (!s->client) {
                session_free(s);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

struct session *session_free(struct session *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(s->t->sessions); i++)
                if (s->t->sessions[i] == s)
                        s->t->sessions[i] = NULL;
        free(s->client);
        free(s->handle);
        free(s->gate_handle);
        free(s);
        return NULL;
}

struct session *session_by_handle(struct translator *t, const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(t->sessions); i++) {
                struct session *s = t->sessions[i];

                if (s && s->gate_handle && strcmp(s->handle, path) == 0)
                        return s;
        }
        return NULL;
}

struct session *session_by_gate_handle(struct translator *t, const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(t->sessions); i++) {
                struct session *s = t->sessions[i];

                if (s && s->gate_handle && strcmp(s->gate_handle, path) == 0)
                        return s;
        }
        return NULL;
}

/* --- the end of one --------------------------------------------------------------------------- */

static int close_on_gate(struct translator *t, const char *gate_handle) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(t->gate.bus, &m, NULL, gate_handle, PORTAL_SESSION_IFACE,
                                           "Close");
        return r < 0 ? r : bus_source_send(&t->gate, m);
}

int session_settle(struct session *take_s, bool keep) {
        _cleanup_(session_freep) struct session *s = take_s;

        if (!s || !s->gate_handle)
                return 0;
        if (keep) {
                (void)TAKE_PTR(s); /* the table has it */
                return 0;
        }
        return close_on_gate(s->t, s->gate_handle);
}

int session_close(struct session *s, sd_bus_message *m) {
        struct translator *t = s->t;
        int r = session_settle(s, false);

        return r < 0 ? r : reply_empty(&t->vm, m);
}

/* A string in the variant that in stands at, or NULL; in is behind the variant then. */
static const char *read_variant_string(sd_bus_message *in) {
        const char *contents, *s = NULL;
        char type;

        if (sd_bus_message_peek_type(in, &type, &contents) <= 0 || type != 'v' ||
            (strcmp(contents, "s") != 0 && strcmp(contents, "o") != 0)) {
                (void)sd_bus_message_skip(in, "v");
                return NULL;
        }
        return sd_bus_message_read(in, "v", contents, &s) > 0 ? s : NULL;
}

int session_close_unknown(struct translator *t, sd_bus_message *response) {
        const char *key;
        int r = 0;

        if (!sd_bus_message_has_signature(response, "ua{sv}") ||
            sd_bus_message_skip(response, "u") < 0 ||
            sd_bus_message_enter_container(response, 'a', "{sv}") < 0)
                return 0;
        while (r == 0 && sd_bus_message_enter_container(response, 'e', "sv") > 0 &&
               sd_bus_message_read_basic(response, 's', &key) > 0) {
                const char *path = read_variant_string(response);

                if (path && handle_is_gate_session(path) && !session_by_gate_handle(t, path))
                        r = close_on_gate(t, path);
                if (sd_bus_message_exit_container(response) < 0)
                        break;
        }
        return r;
}

static int send_closed(struct session *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_signal(s->t->vm.bus, &m, s->handle, PORTAL_SESSION_IFACE, "Closed");
        if (r >= 0)
                r = sd_bus_message_set_destination(m, s->client);
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        return r < 0 ? r : bus_source_send(&s->t->vm, m);
}

int session_closed(struct translator *t, sd_bus_message *signal) {
        _cleanup_(session_freep) struct session *s = NULL;

        s = session_by_gate_handle(t, sd_bus_message_get_path(signal));
        if (!s) { /* closed by the guest while this was under way */
                log_debug("a Closed for no open session: dropped");
                return 0;
        }
        return send_closed(s);
}

int session_client_gone(struct translator *t, const char *client) {
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(t->sessions) && r == 0; i++) {
                struct session *s = t->sessions[i];

                if (s && s->gate_handle && strcmp(s->client, client) == 0)
                        r = session_settle(s, false);
        }
        return r;
}

void session_end_all(struct translator *t) {
        for (size_t i = 0; i < ELEMENTSOF(t->sessions); i++)
                if (t->sessions[i] && t->sessions[i]->gate_handle &&
                    send_closed(t->sessions[i]) < 0)
                        return; /* we are about to exit anyway */
}
