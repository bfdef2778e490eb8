/* SPDX-License-Identifier: MIT */
#include "sbportal/object.h"

#include <string.h>

static const struct fixed {
        const char *path;
        struct object object;
} fixed[] = {
        {PORTAL_PATH, {.kind = INTROSPECT_PORTAL, .portal = PORTAL_DESKTOP}},
        {DOCUMENTS_PATH, {.kind = INTROSPECT_PORTAL, .portal = PORTAL_DOCUMENTS}},
        {"/org/freedesktop/Notifications",
         {.kind = INTROSPECT_SERVICE, .service = &notifications_service}},
        {"/org/freedesktop/ScreenSaver",
         {.kind = INTROSPECT_SERVICE, .service = &screensaver_service}},
        {"/ScreenSaver", {.kind = INTROSPECT_SERVICE, .service = &screensaver_service}},
};
_Static_assert(ELEMENTSOF(fixed) <= OBJECT_PATHS - LIMIT_REQUESTS_VM - LIMIT_SESSIONS_VM,
               "room in paths");

struct object object_find(struct translator *t, const char *path, const char *client) {
        struct object o = {.kind = INTROSPECT_NODE};

        for (size_t i = 0; i < ELEMENTSOF(fixed); i++)
                if (strcmp(fixed[i].path, path) == 0)
                        return fixed[i].object;
        o.request = call_by_handle(t, path);
        o.session = session_by_handle(t, path);
        if (o.request && strcmp(o.request->client, client) == 0)
                o.kind = INTROSPECT_REQUEST;
        else if (o.session && strcmp(o.session->client, client) == 0)
                o.kind = INTROSPECT_SESSION;
        return o;
}

size_t object_paths(struct translator *t, const char *client, const char *paths[OBJECT_PATHS]) {
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(fixed); i++)
                paths[n++] = fixed[i].path;
        for (size_t i = 0; i < ELEMENTSOF(t->calls); i++) {
                const struct call *c = t->calls[i];

                if (c && c->handle && !c->abandoned && strcmp(c->client, client) == 0)
                        paths[n++] = c->handle;
        }
        for (size_t i = 0; i < ELEMENTSOF(t->sessions); i++) {
                const struct session *s = t->sessions[i];

                if (s && s->gate_handle && strcmp(s->client, client) == 0)
                        paths[n++] = s->handle;
        }
        return n;
}
