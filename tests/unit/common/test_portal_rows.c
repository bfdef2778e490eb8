/* SPDX-License-Identifier: MIT */
/* Every row of the real table, with every key, of its type and of others. */
#include "tests/unit/common/rebuild.h"

/* A value of the type that no role but PORTAL_BASENAME minds. */
static void append_something(sd_bus_message *m, const char *type) {
        if (type[0] == 'a') {
                CHECK(sd_bus_message_open_container(m, 'a', type + 1) >= 0);
                if (strcmp(type, "ay") == 0)
                        CHECK(sd_bus_message_append(m, "y", 0) >= 0);
                if (strcmp(type, "a(sa{sv})") == 0)
                        CHECK(sd_bus_message_append(m, "(sa{sv})", "x", 0) >= 0);
                CHECK(sd_bus_message_close_container(m) >= 0);
        } else if (strcmp(type, "v") == 0 || type[0] == '(') {
                bool filter = strcmp(type, "(sa(us))") == 0;

                if (filter)
                        CHECK(sd_bus_message_append(m, type, "x", 0) >= 0);
                else if (type[0] == '(')
                        CHECK(sd_bus_message_append(m, type, 1., 1., 1.) >= 0);
                else
                        CHECK(sd_bus_message_append(m, "v", "s", "default") >= 0);
        } else if (type[0] == 'h') {
                CHECK(sd_bus_message_append(m, "h", others[0]) >= 0);
        } else if (strchr("so", type[0])) {
                CHECK(sd_bus_message_append(m, type, type[0] == 'o' ? "/x" : "x") >= 0);
        } else if (type[0] == 'd') {
                CHECK(sd_bus_message_append(m, "d", 1.) >= 0);
        } else {
                CHECK(sd_bus_message_append(m, type, UINT64_C(1)) >= 0);
        }
}

static void append_key(sd_bus_message *m, const char *key, const char *type) {
        CHECK(sd_bus_message_open_container(m, 'e', "sv") >= 0);
        CHECK(sd_bus_message_append(m, "s", key) >= 0);
        if (strcmp(type, "v") == 0) {
                append_something(m, type);
        } else {
                CHECK(sd_bus_message_open_container(m, 'v', type) >= 0);
                append_something(m, type);
                CHECK(sd_bus_message_close_container(m) >= 0);
        }
        CHECK(sd_bus_message_close_container(m) >= 0);
}

/* The arguments of values; the dictionary with those keys, twice each, and others. */
static sd_bus_message *body_of(const struct portal_value *values, const struct portal_value *keys) {
        sd_bus_message *m = message_on(with_fds);

        for (const struct portal_value *v = values; v->name; v++) {
                if (v->role != PORTAL_OPTIONS) {
                        append_something(m, v->type);
                        continue;
                }
                CHECK(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
                for (const struct portal_value *k = keys; k->name; k++) {
                        append_key(m, k->name, k->type);
                        append_key(m, k->name, strcmp(k->type, "u") == 0 ? "s" : "u");
                        append_key(m, "unknown", "aaaas");
                }
                CHECK(sd_bus_message_close_container(m) >= 0);
        }
        return m;
}

static unsigned count(const char *text, const char *what) {
        unsigned n = 0;

        for (; (text = strstr(text, what)); text += strlen(what))
                n++;
        return n;
}

/* All keys of a row, of their types, pass: each once, and nothing but them. */
static void check_row(const struct given *g, const struct portal_value *values,
                      const struct portal_value *keys) {
        const char *culprit = NULL;
        int e;
        _cleanup_free_ char *text = rebuild(g, body_of(values, keys), &e, &culprit);

        if (e != 0) {
                printf("# %s.%s: %d for %s\n", g->interface, g->member, e, culprit ?: "(null)");
                test_failures++;
                return;
        }
        CHECK(!strstr(text, "unknown"));
        for (const struct portal_value *k = keys; k->name; k++) {
                char quoted[64];

                (void)snprintf(quoted, sizeof(quoted), "\"%s\": <", k->name);
                CHECK_EQ_INT(count(text, quoted), k->role != PORTAL_NEVER);
        }
}

static void test_every_row(void) {
        static const struct portal_value results[] = {
                {.name = "results", .type = "a{sv}", .role = PORTAL_OPTIONS}, {.name = NULL}};
        static const struct portal_value none[] = {{.name = NULL}};

        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];
                struct given g = {.interface = m->interface, .member = m->member};

                check_row(&g, m->args, m->options);
                g.direction = OUT;
                check_row(&g, m->out, none);
                g.direction = RESULTS;
                check_row(&g, results, m->results);
        }
        for (size_t i = 0; i < portal_n_signals; i++) {
                const struct portal_signal *s = &portal_signals[i];
                struct given g = {.interface = s->interface, .member = s->member};

                check_row(&g, s->args, s->options);
        }
}

/* One key of the row, of a type that is not the row's. */
static void check_wrong(const struct portal_method *m, const struct portal_value *key) {
        static const char *const types[] = {"s",  "b",   "u",     "ay", "as",          "ah",
                                            "aay", "o",   "a{sv}", "x",  "a(ssa(ss)s)", "aa{sv}"};
        struct given g = {.interface = m->interface, .member = m->member};

        for (size_t k = 0; k < ELEMENTSOF(types); k++) {
                const struct portal_value wrong[] = {
                        {.name = key->name, .type = types[k]}, {.name = NULL}};

                if (strcmp(types[k], key->type) != 0 && strcmp(key->type, "v") != 0)
                        refuse(&g, body_of(m->args, wrong), PORTAL_REBUILD_E_TYPE, key->name);
        }
}

static void test_wrong_types(void) {
        for (size_t i = 0; i < portal_n_methods; i++)
                for (const struct portal_value *v = portal_methods[i].options; v->name; v++)
                        if (v->role != PORTAL_NEVER)
                                check_wrong(&portal_methods[i], v);
}

/* More arguments than the row has, or fewer. */
static void test_signatures(void) {
        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];
                struct given g = {.interface = m->interface, .member = m->member};
                sd_bus_message *more = body_of(m->args, m->options);

                CHECK(sd_bus_message_append(more, "s", "more") >= 0);
                refuse(&g, more, PORTAL_REBUILD_E_TYPE, "");
                if (m->args[0].name)
                        refuse(&g, body_of(m->args + 1, m->options), PORTAL_REBUILD_E_TYPE, "");
        }
}

static int rebuild_property(const char *interface, const char *name, sd_bus_message *in,
                            char **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *owned _unused_ = in;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = message_on(without_fds);
        struct portal_rebuild rb = {0};
        size_t size;
        FILE *f;
        int r;

        seal(in);
        r = portal_rebuild_property(&rb, portal_find_property(interface, name), in, out);
        if (r != 0)
                return r;
        seal(out);
        f = open_memstream(ret, &size);
        say_all(f, out, " ");
        fclose(f);
        return 0;
}

static void test_properties(void) {
        _cleanup_free_ char *targets = NULL, *supported = NULL;

        CHECK_EQ_INT(rebuild_property(P("Screenshot"), "AvailableTargets", message("v", "u", 3),
                                      &targets),
                     0);
        CHECK_EQ_STR(targets ?: "", "<3>");
        CHECK_EQ_INT(rebuild_property(P("Notification"), "SupportedOptions",
                                      message("v", "a{sv}", 1, "category", "as", 1, "im"),
                                      &supported),
                     0);
        CHECK_EQ_STR(supported ?: "", "<{\"category\": <[\"im\"]>}>");
        CHECK_EQ_INT(rebuild_property(P("Screenshot"), "version", message("v", "s", "3"), NULL),
                     PORTAL_REBUILD_E_TYPE);
        CHECK_EQ_INT(rebuild_property(P("Screenshot"), "version", message("u", 3), NULL),
                     PORTAL_REBUILD_E_TYPE);
        CHECK_EQ_INT(rebuild_property(P("Notification"), "SupportedOptions",
                                      message("v", "a{sv}", 1, "x", "h", 2), NULL),
                     PORTAL_REBUILD_E_TYPE);
}

REBUILD_TEST_MAIN({"every key of every row", test_every_row},
                  {"every key of every other type", test_wrong_types},
                  {"other signatures", test_signatures},
                  {"properties", test_properties})
