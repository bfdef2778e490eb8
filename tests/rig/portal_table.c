/* SPDX-License-Identifier: MIT */
/*
 * Prints the portal table as JSON, with the limits of its values: what the tests make their
 * inputs from, so that a new row has its own.
 */
#include <stdio.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/portal_table.h"

#define NAME(word) [PORTAL_##word] = #word

static const char *const roles[PORTAL_N_ROLES] = {
        NAME(PLAIN),
        NAME(TEXT),
        NAME(TITLE),
        NAME(LINES),
        NAME(BODY),
        NAME(MARKUP),
        NAME(PARENT_WINDOW),
        NAME(HANDLE_TOKEN),
        NAME(SESSION_TOKEN),
        NAME(SESSION),
        NAME(OPTIONS),
        NAME(DICT),
        NAME(SOME_DICTS),
        NAME(ANY),
        NAME(ANY_LIST),
        NAME(GUEST_PATH),
        NAME(BASENAME),
        NAME(BASENAMES),
        NAME(DIRECTORY),
        NAME(URIS),
        NAME(PATHS),
        NAME(OPEN_URI),
        NAME(OPEN_SCHEME),
        NAME(ALWAYS_TRUE),
        NAME(NEVER),
        NAME(NOTIFICATION_ID),
        NAME(ICON),
        NAME(SOUND),
        NAME(ACTION),
        NAME(NAMESPACE),
        NAME(NAMESPACES),
        NAME(SETTINGS),
        NAME(PROXIES),
        NAME(FD_BYTES),
        NAME(FD_SINK),
        NAME(FD_FILE),
        NAME(FD_DOCUMENT),
        NAME(FD_WRITABLE),
};

static const char *const kinds[] = {
        NAME(CALL), NAME(IS_REQUEST), NAME(LASTS), NAME(LOCAL), NAME(AT_GATE),
};

static const char *const routes[] = {
        NAME(TO_ALL),
        NAME(TO_SESSION),
        NAME(TO_NOTIFIER),
};

#define LIMIT(word)                                                                                \
        { #word, LIMIT_##word }

static const struct {
        const char *name;
        unsigned n;
} limits[] = {
        LIMIT(TOKEN_BYTES),  LIMIT(TEXT_BYTES),      LIMIT(LINES_BYTES),
        LIMIT(STRING_BYTES), LIMIT(ARRAY_ITEMS),     LIMIT(VARIANT_DEPTH),
        LIMIT(OPTION_KEYS),  LIMIT(SKIPPED_VALUES),  LIMIT(GATE_BYTES),
        LIMIT(MESSAGE_FDS),  LIMIT(REQUESTS_CLIENT), LIMIT(NOTIFICATIONS_CLIENT),
};

static const char *comma(size_t i) {
        return i > 0 ? ",\n" : "";
}

/* Members have none themselves. */
static void print_value(const struct portal_value *v) {
        printf("{\"name\": \"%s\", \"type\": \"%s\", \"role\": \"%s\", \"since\": %u, "
               "\"members\": [",
               v->name, v->type, roles[v->role], v->since);
        for (const struct portal_value *m = v->members; m && m->name; m++)
                printf("%s{\"name\": \"%s\", \"type\": \"%s\", \"role\": \"%s\", \"since\": %u, "
                       "\"members\": []}",
                       comma((size_t)(m - v->members)), m->name, m->type, roles[m->role], m->since);
        printf("]}");
}

static void print_values(const char *name, const struct portal_value *values) {
        printf(", \"%s\": [", name);
        for (const struct portal_value *v = values; v->name; v++) {
                printf("%s", comma((size_t)(v - values)));
                print_value(v);
        }
        printf("]");
}

static void print_methods(void) {
        printf("\"methods\": [");
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];

                printf("%s{\"interface\": \"%s\", \"member\": \"%s\", \"kind\": \"%s\", "
                       "\"since\": %u",
                       comma(i), m->interface, m->member, kinds[m->kind], m->since);
                print_values("args", m->args);
                print_values("options", m->options);
                print_values("results", m->results);
                printf("}");
        }
        printf("]");
}

static void print_signals(void) {
        printf("\"signals\": [");
        for (size_t i = 0; i < portal_n_signals; i++) {
                const struct portal_signal *s = &portal_signals[i];

                printf("%s{\"interface\": \"%s\", \"member\": \"%s\", \"route\": \"%s\"", comma(i),
                       s->interface, s->member, routes[s->route]);
                print_values("args", s->args);
                print_values("options", s->options);
                printf("}");
        }
        printf("]");
}

static void print_interfaces(void) {
        printf("\"interfaces\": {");
        for (size_t i = 0; i < portal_n_interfaces; i++) {
                const struct portal_interface *of = &portal_interfaces[i];

                printf("%s\"%s\": {\"version\": %u, \"documents\": %s, \"local\": %s}", comma(i),
                       of->name, of->version, of->object == PORTAL_DOCUMENTS ? "true" : "false",
                       of->local ? "true" : "false");
        }
        printf("}");
}

int main(void) {
        printf("{\"limits\": {");
        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                printf("%s\"%s\": %u", comma(i), limits[i].name, limits[i].n);
        printf("},\n");
        print_interfaces();
        printf(",\n");
        print_methods();
        printf(",\n");
        print_signals();
        puts("}");
        return 0;
}
