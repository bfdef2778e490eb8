/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/portal_table.h"
#include "sbsupervisor/gate.h"

struct session *session_free(struct session *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(s->gate->sessions); i++)
                if (s->gate->sessions[i] == s)
                        s->gate->sessions[i] = NULL;
        free(s->gate_path);
        free(s->host_path);
        free(s);
        return NULL;
}

int session_new(struct gate *g, const char *interface, struct session **ret) {
        struct session *s;
        size_t slot = 0;
        int r;

        while (slot < ELEMENTSOF(g->sessions) && g->sessions[slot])
                slot++;
        if (slot == ELEMENTSOF(g->sessions))
                return -EBUSY;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->gate = g;
        s->interface = interface;
        r = token_make(s->token);
        if (r == 0)
                r = token_predict(g->host->bus, PORTAL_SESSION_PATH, s->token, &s->host_path);
        if (r == 0 && asprintf(&s->gate_path, "%s/%s", PORTAL_GATE_SESSION_PATH, s->token) < 0)
                r = -ENOMEM;
        if (r < 0) {
                session_free(s);
                return r;
        }
        g->sessions[slot] = s;
        *ret = s;
        return 0;
}

struct session *session_find_gate(struct gate *g, const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(g->sessions); i++)
                if (g->sessions[i] && g->sessions[i]->open &&
                    strcmp(g->sessions[i]->gate_path, path) == 0)
                        return g->sessions[i];
        return NULL;
}

/* Or one that will have this handle. */
static struct session *find_expected(struct gate *g, const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(g->sessions); i++)
                if (g->sessions[i] && strcmp(g->sessions[i]->host_path, path) == 0)
                        return g->sessions[i];
        return NULL;
}

struct session *session_find_host(struct gate *g, const char *path) {
        struct session *s = find_expected(g, path);

        return s && s->open ? s : NULL;
}

int session_opened(struct session *s, const char *handle) {
        size_t n = strlen(s->host_path);
        char *path;

        /* Longer than predicted when the token was taken. */
        if (strncmp(handle, s->host_path, n) != 0 || (handle[n] && handle[n] != '/'))
                return SESSION_E_HANDLE;
        path = strdup(handle);
        if (!path)
                return -ENOMEM;
        free(s->host_path);
        s->host_path = path;
        s->open = true;
        return 0;
}

void session_close(struct session *s) {
        const struct host *h = s->gate->host;
        int r = 0;

        if (h->owner) /* with its portal it has ended, too */
                r = sd_bus_call_method_async(h->bus, NULL, h->owner, s->host_path,
                                             PORTAL_SESSION_IFACE, "Close", NULL, NULL, "");
        if (r < 0)
                (void)log_warning_errno(r, "cannot close a session on the host");
        session_free(s);
}

/* Tells sbportal, and frees it. */
static void session_ended(struct session *s) {
        int r = sd_bus_emit_signal(s->gate->bus, s->gate_path, PORTAL_SESSION_IFACE, "Closed",
                                   "a{sv}", 0);

        if (r < 0)
                (void)log_warning_errno(r, "gate: the end of a session could not be passed on");
        session_free(s);
}

void sessions_closed(struct gate *g, const char *host_path) {
        struct session *s = find_expected(g, host_path);

        if (s && s->open)
                session_ended(s);
        else if (s)
                s->closed = true;
}

void session_handed_over(struct session *s) {
        if (s->closed)
                session_ended(s);
}

void sessions_lost(struct gate *g) {
        for (size_t i = 0; i < ELEMENTSOF(g->sessions); i++)
                if (g->sessions[i] && g->sessions[i]->open)
                        session_ended(g->sessions[i]);
}
