/* SPDX-License-Identifier: MIT */
#include "sbportal/describe.h"

#include <errno.h>
#include <string.h>

#include "sbportal/reply.h"

static int answer(struct translator *t, sd_bus_message *m, const char *path,
                  const struct object *o) {
        const char *paths[OBJECT_PATHS];
        size_t n = object_paths(t, sd_bus_message_get_sender(m), paths);
        struct introspect what = {
                .kind = o->kind,
                .portal = o->portal,
                .service = o->service,
                .versions = t->availability.versions,
        };
        _cleanup_free_ char *xml = NULL;

        xml = introspect_xml(&what, path, paths, n);
        return xml ? reply_string(&t->vm, m, 's', xml) : -ENOMEM;
}

/* The object shows what the host's portal has. */
static bool needs_versions(struct translator *t, const struct object *o) {
        return o->kind == INTROSPECT_PORTAL && !t->availability.known;
}

int describe(struct translator *t, sd_bus_message *m, const struct object *o) {
        _cleanup_(call_freep) struct call *c = NULL;
        int r;

        if (!needs_versions(t, o))
                return answer(t, m, sd_bus_message_get_path(m), o);
        r = call_begin(t, m, NULL, &c);
        if (r < 0 || !c)
                return r;
        c->introspect = strdup(sd_bus_message_get_path(m));
        if (!c->introspect)
                return -ENOMEM;
        (void)TAKE_PTR(c); /* until describe_waiting() */
        return availability_learn(t);
}

int describe_waiting(struct translator *t) {
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(t->calls) && r == 0; i++) {
                struct call *c = t->calls[i];
                struct object o;

                if (!c || !c->introspect)
                        continue;
                o = object_find(t, c->introspect, c->client);
                r = answer(t, c->message, c->introspect, &o);
                call_free(c);
        }
        return r;
}
