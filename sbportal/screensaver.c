/* SPDX-License-Identifier: MIT */
/*
 * org.freedesktop.ScreenSaver, which players and browsers use to keep the screen on: on the
 * Inhibit portal.  A cookie is a request in force, of one client, and ends with it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/limits.h"
#include "common/portal_wire.h"
#include "sbportal/method.h"
#include "sbportal/reply.h"
#include "sbportal/request.h"
#include "sbportal/service.h"

#define PORTAL       "org.freedesktop.portal.Inhibit"
#define INHIBIT_IDLE 8u

/* --- Inhibit and UnInhibit -------------------------------------------------------------------- */

static struct call *find_cookie(struct translator *t, const char *client, uint32_t cookie) {
        for (size_t i = 0; i < ELEMENTSOF(t->calls); i++) {
                struct call *c = t->calls[i];

                if (c && call_is_request(c) && !c->handle && !c->abandoned && c->number == cookie &&
                    strcmp(c->client, client) == 0)
                        return c;
        }
        return NULL;
}

static uint32_t next_cookie(struct translator *t) {
        if (++t->last_cookie == 0)
                t->last_cookie = 1;
        return t->last_cookie;
}

/* "window", "flags" and "options" of the portal's Inhibit. */
static int convert(sd_bus_message *m, sd_bus_message *out) {
        _cleanup_free_ char *joined = NULL, *reason = NULL;
        const char *app, *why;
        int r = wire_got(sd_bus_message_read(m, "ss", &app, &why));

        if (r != 0)
                return r;
        if (asprintf(&joined, "%s%s%s", app, *app && *why ? ": " : "", why) < 0)
                return -ENOMEM;
        reason = escape_display(joined, LIMIT_TEXT_BYTES);
        if (!reason)
                return -ENOMEM;
        r = wire_done(
                sd_bus_message_append(out, "sua{sv}", "", INHIBIT_IDLE, 1, "reason", "s", reason));
        return r != 0 ? r : wire_done(sd_bus_message_seal(out, 1, 0));
}

static int on_inhibit(struct translator *t, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *portal_call = NULL;
        _cleanup_(call_freep) struct call *c = NULL;
        int r = call_begin(t, m, portal_find_method(PORTAL, "Inhibit"), &c);

        if (r < 0 || !c)
                return r;
        c->number = next_cookie(t);
        r = service_new_portal_call(t, c->method, &portal_call);
        if (r == 0)
                r = convert(m, portal_call);
        if (r > 0)
                return reply_wrong_type(&t->vm, m, "ss");
        return r < 0 ? r : method_send(TAKE_PTR(c), portal_call, request_answered);
}

static int on_uninhibit(struct translator *t, sd_bus_message *m) {
        struct call *c = NULL;
        uint32_t cookie;
        int r;

        if (sd_bus_message_read_basic(m, 'u', &cookie) <= 0)
                return reply_wrong_type(&t->vm, m, "u");
        c = find_cookie(t, sd_bus_message_get_sender(m), cookie);
        if (!c)
                return reply_error(&t->vm, m, SD_BUS_ERROR_INVALID_ARGS, "Unknown cookie");
        r = request_withdraw(c);
        return r < 0 ? r : reply_empty(&t->vm, m);
}

/* --- what is true of a VM, whose windows a screen saver of the host's is above ---------------- */

static int on_nothing(struct translator *t, sd_bus_message *m) {
        return reply_empty(&t->vm, m);
}

static int on_number(struct translator *t, sd_bus_message *m) {
        return reply_u32(&t->vm, m, 0);
}

static int on_flag(struct translator *t, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        int r = sd_bus_message_new_method_return(m, &out);

        if (r >= 0)
                r = sd_bus_message_append(out, "b", 0);
        return r < 0 ? r : bus_source_send(&t->vm, out);
}

/* The host's screen is the person's to lock. */
static int on_lock(struct translator *t, sd_bus_message *m) {
        return reply_error(&t->vm, m, SD_BUS_ERROR_NOT_SUPPORTED, "A VM cannot lock its host");
}

/* A row says what is not zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static const struct service_method methods[] = {
        {
                "Inhibit",
                {{"application_name", "s"}, {"reason_for_inhibit", "s"}},
                {{"cookie", "u"}},
                on_inhibit,
        },
        {"UnInhibit", {{"cookie", "u"}}, {{0}}, on_uninhibit},
        {"GetActive", {{0}}, {{"active", "b"}}, on_flag},
        {"SetActive", {{"active", "b"}}, {{"changed", "b"}}, on_flag},
        {"GetActiveTime", {{0}}, {{"seconds", "u"}}, on_number},
        {"GetSessionIdleTime", {{0}}, {{"seconds", "u"}}, on_number},
        {"SimulateUserActivity", {{0}}, {{0}}, on_nothing},
        {"Lock", {{0}}, {{0}}, on_lock},
        {0},
};

static const struct service_signal signals[] = {
        {"ActiveChanged", {{"active", "b"}}}, /* declared, and never sent */
        {0},
};

const struct service screensaver_service = {"org.freedesktop.ScreenSaver", methods, signals};
