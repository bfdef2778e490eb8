/* SPDX-License-Identifier: MIT */
#include "sbportal/call.h"

#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "sbportal/reply.h"
#include "sbportal/session.h"
#include "sbportal/signal.h"

/* A free place for a call of client, within the limits; NULL when there is none. */
static struct call **find_place(struct translator *t, const char *client) {
        struct call **place = NULL;
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTSOF(t->calls); i++) {
                if (!t->calls[i])
                        place = &t->calls[i];
                else if (strcmp(t->calls[i]->client, client) == 0)
                        n++;
        }
        return n < LIMIT_REQUESTS_CLIENT ? place : NULL;
}

int call_new(struct translator *t, sd_bus_message *message, struct call **ret) {
        const char *client = sd_bus_message_get_sender(message);
        struct call **place = find_place(t, client);
        struct call *c;
        int r;

        if (!place) {
                guest_log_warning(&t->log, "%s has too many requests open: refused one",
                                  ESCAPED(client));
                return CALL_E_LIMIT;
        }
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        *place = c;
        c->t = t;
        c->client = strdup(client);
        r = c->client ? call_stub_new(message, &c->message) : -ENOMEM;
        if (r < 0) {
                call_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

static bool may_last(struct translator *t, const char *client) {
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTSOF(t->calls); i++)
                n += t->calls[i] && t->calls[i]->method &&
                     t->calls[i]->method->kind == PORTAL_LASTS &&
                     strcmp(t->calls[i]->client, client) == 0;
        if (n < LIMIT_LASTING_CLIENT)
                return true;
        guest_log_warning(&t->log, "%s has too many requests in force: refused one",
                          ESCAPED(client));
        return false;
}

int call_begin(struct translator *t, sd_bus_message *message, const struct portal_method *method,
               struct call **ret) {
        bool lasts = method && method->kind == PORTAL_LASTS;
        int r = lasts && !may_last(t, sd_bus_message_get_sender(message))
                        ? CALL_E_LIMIT
                        : call_new(t, message, ret);

        if (r == CALL_E_LIMIT) {
                *ret = NULL;
                return reply_error(&t->vm, message, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                   "Too many portal requests are %s", lasts ? "in force" : "open");
        }
        if (r == 0)
                (*ret)->method = method;
        return r;
}

struct call *call_free(struct call *c) {
        if (!c)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(c->t->calls); i++)
                if (c->t->calls[i] == c)
                        c->t->calls[i] = NULL;
        sd_bus_slot_unref(c->slot);
        sd_bus_message_unref(c->message);
        session_free(c->session);
        free(c->client);
        free(c->introspect);
        free(c->handle);
        free(c->gate_handle);
        free(c);
        return NULL;
}

bool call_is_request(const struct call *c) {
        return c->method &&
               (c->method->kind == PORTAL_IS_REQUEST || c->method->kind == PORTAL_LASTS);
}

static int on_answer(sd_bus_message *answer, void *userdata, _unused_ sd_bus_error *error) {
        struct call *c = userdata;
        struct translator *t = c->t;
        int r;

        c->slot = sd_bus_slot_unref(c->slot); /* sd-bus holds it while we run */
        r = c->answered(c, answer);
        return r < 0 ? translator_fail(t, r, "cannot pass an answer of the gate on") : 1;
}

int call_send(struct call *c, sd_bus_message *m,
              int (*answered)(struct call *c, sd_bus_message *answer)) {
        c->answered = answered;
        return bus_source_call(&c->t->gate, &c->slot, m, on_answer, c);
}

static bool is_portal_error(const char *name) {
        static const char *const prefixes[] = {
                "org.freedesktop.portal.Error.",
                "org.freedesktop.DBus.Error.",
        };

        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
                        return true;
        return false;
}

int call_reply_gate_error(struct call *c, sd_bus_message *answer) {
        const sd_bus_error *e = sd_bus_message_get_error(answer);

        if (c->method && strcmp(e->name, SD_BUS_ERROR_UNKNOWN_INTERFACE) == 0)
                return reply_error(&c->t->vm, c->message, SD_BUS_ERROR_UNKNOWN_METHOD,
                                   "No such interface “%s” on object at path %s",
                                   c->method->interface, portal_path(c->method->interface));
        if (c->method && strcmp(e->name, SD_BUS_ERROR_UNKNOWN_METHOD) == 0)
                return reply_error(&c->t->vm, c->message, SD_BUS_ERROR_UNKNOWN_METHOD,
                                   "No such method “%s”", c->method->member);
        return reply_error(&c->t->vm, c->message,
                           is_portal_error(e->name) ? e->name : PORTAL_E_FAILED, "%s",
                           e->message ?: "The call failed");
}

int call_reply_gate_broken(struct call *c) {
        guest_log_warning(&c->t->log, "the gate's reply to %s is not of the agreed form",
                          sd_bus_message_get_member(c->message));
        return reply_error(&c->t->vm, c->message, PORTAL_E_FAILED,
                           "The portal's answer was not valid");
}

struct call *call_by_handle(struct translator *t, const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(t->calls); i++) {
                struct call *c = t->calls[i];

                if (c && c->handle && !c->abandoned && strcmp(c->handle, path) == 0)
                        return c;
        }
        return NULL;
}

struct call *call_by_gate_handle(struct translator *t, const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(t->calls); i++) {
                struct call *c = t->calls[i];

                if (c && c->gate_handle && strcmp(c->gate_handle, path) == 0)
                        return c;
        }
        return NULL;
}

bool call_handle_is_taken(struct translator *t, const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(t->calls); i++) {
                struct call *c = t->calls[i];

                if (c && c->handle && strcmp(c->handle, path) == 0)
                        return true;
        }
        return false;
}
