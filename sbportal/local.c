/* SPDX-License-Identifier: MIT */
#include "sbportal/local.h"

#include <assert.h>
#include <string.h>

#include "sbportal/reply.h"
#include "sbportal/request.h"

#define P(name) "org.freedesktop.portal." name

/* --- methods ---------------------------------------------------------------------------------- */

static int accept(struct call *c) {
        return reply_empty(&c->t->vm, c->message);
}

static int reply_int(struct call *c, int32_t value) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_return(c->message, &m);

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 'i', &value);
        return r < 0 ? r : bus_source_send(&c->t->vm, m);
}

static int mount_point(struct call *c) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_return(c->message, &m);

        if (r >= 0) /* with its NUL, as the documents portal has it */
                r = sd_bus_message_append_array(m, 'y', c->t->documents,
                                                strlen(c->t->documents) + 1);
        return r < 0 ? r : bus_source_send(&c->t->vm, m);
}

/* A guest's programs run as long as the guest does; what it starts by itself is its own affair. */
static int background_results(sd_bus_message *response) {
        return sd_bus_message_append(response, "a{sv}", 2, "background", "b", 1, "autostart", "b",
                                     0);
}

static int background(struct call *c) {
        return request_answer_locally(c, background_results);
}

/* The priorities of the host's threads are not a guest's, whose own RealtimeKit has its own. */
static int no_realtime(struct call *c) {
        return reply_error(&c->t->vm, c->message, PORTAL_E_NOT_ALLOWED,
                           "Threads of a VM have no priority on its host: ask RealtimeKit in the "
                           "guest");
}

/* The numbers are GameMode's. */
static int game_inactive(struct call *c) {
        return reply_int(c, 0);
}

static int game_rejected(struct call *c) {
        return reply_int(c, -1);
}

static const struct local_method {
        const char *interface, *member;
        int (*fn)(struct call *c);
} methods[] = {
        {P("Documents"), "GetMountPoint", mount_point},
        {P("Background"), "RequestBackground", background},
        {P("Background"), "SetStatus", accept},
        {P("Realtime"), "MakeThreadRealtimeWithPID", no_realtime},
        {P("Realtime"), "MakeThreadHighPriorityWithPID", no_realtime},
        {P("GameMode"), "QueryStatus", game_inactive},
        {P("GameMode"), "RegisterGame", game_rejected},
        {P("GameMode"), "UnregisterGame", game_rejected},
        {P("GameMode"), "QueryStatusByPid", game_inactive},
        {P("GameMode"), "RegisterGameByPid", game_rejected},
        {P("GameMode"), "UnregisterGameByPid", game_rejected},
        {P("GameMode"), "QueryStatusByPIDFd", game_inactive},
        {P("GameMode"), "RegisterGameByPIDFd", game_rejected},
        {P("GameMode"), "UnregisterGameByPIDFd", game_rejected},
        /* To the host all programs of the VM are one application. */
        {"org.freedesktop.host.portal.Registry", "Register", accept},
};

static const struct local_method *find_method(const struct portal_method *m) {
        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (strcmp(methods[i].member, m->member) == 0 &&
                    strcmp(methods[i].interface, m->interface) == 0)
                        return &methods[i];
        return NULL;
}

bool local_has_method(const struct portal_method *m) {
        return find_method(m) != NULL;
}

int local_answer(struct call *take_c) {
        _cleanup_(call_freep) struct call *c = take_c;
        const struct local_method *m = find_method(c->method);

        assert(m); /* tests/unit/sbportal/test_local.c */

        return m->fn(c);
}

/* --- properties ------------------------------------------------------------------------------- */

/* What is not "version": nothing that a VM has, all of them zero. */
static const struct local_property {
        const char *interface, *name;
} zeros[] = {
        {P("Realtime"), "MaxRealtimePriority"},
        {P("Realtime"), "MinNiceLevel"},
        {P("Realtime"), "RTTimeUSecMax"},
        {P("GameMode"), "Active"},
};

static bool is_zero(const struct portal_property *p) {
        for (size_t i = 0; i < ELEMENTSOF(zeros); i++)
                if (strcmp(zeros[i].name, p->name) == 0 &&
                    strcmp(zeros[i].interface, p->interface) == 0)
                        return true;
        return false;
}

bool local_has_property(const struct portal_property *p) {
        return is_zero(p) || strcmp(p->name, "version") == 0;
}

int local_property(const struct portal_property *p, sd_bus_message *out) {
        int64_t zero = 0; /* of every basic type, all bits of it */
        int r;

        assert(local_has_property(p));

        r = sd_bus_message_open_container(out, 'v', p->type);
        if (r >= 0 && is_zero(p))
                r = sd_bus_message_append_basic(out, p->type[0], &zero);
        else if (r >= 0)
                r = sd_bus_message_append_basic(out, 'u',
                                                &portal_find_interface(p->interface)->version);
        if (r >= 0)
                r = sd_bus_message_close_container(out);
        return r < 0 ? r : 0;
}
