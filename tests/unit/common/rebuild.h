/* SPDX-License-Identifier: MIT */
/*
 * Rows of the real table, and a message given to them: what comes out, as text.
 *
 *   check(&given, message("s", "in"), "\"~in\"");
 *   refuse(&given, message("u", 1), PORTAL_REBUILD_E_TYPE, "the argument's name");
 */
#pragma once

#include "common/portal_rebuild.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>

#include "tests/test.h"

#define P(name) "org.freedesktop.portal." name

/* One takes descriptors, the other does not. */
static sd_bus *with_fds, *without_fds;
static int others[2]; /* their other ends */

/* --- a message as text: "s", [1, 2], (1, "a"), {"k": <1>}, fd --------------------------------- */

static inline void say_value(FILE *f, sd_bus_message *m);

static inline void say_all(FILE *f, sd_bus_message *m, const char *between) {
        for (bool first = true; sd_bus_message_at_end(m, false) == 0; first = false) {
                if (!first)
                        (void)fputs(between, f);
                say_value(f, m);
        }
}

static inline void say_container(FILE *f, sd_bus_message *m, char type, const char *contents) {
        static const char marks[] = "a[]r()v<>d{}";
        const char *mark = strchr(marks, type == 'a' && *contents == '{' ? 'd' : type);

        CHECK(sd_bus_message_enter_container(m, type, contents) > 0);
        if (mark)
                (void)fputc(mark[1], f);
        say_all(f, m, type == 'e' ? ": " : ", ");
        if (mark)
                (void)fputc(mark[2], f);
        CHECK(sd_bus_message_exit_container(m) >= 0);
}

static inline void say_basic(FILE *f, sd_bus_message *m, char type) {
        union {
                const char *s;
                uint8_t y;
                int b;
                uint32_t u;
                uint64_t t;
                double d;
        } value = {0};

        CHECK(sd_bus_message_read_basic(m, type, &value) > 0);
        if (strchr("sog", type))
                (void)fprintf(f, "\"%s\"", value.s);
        else if (type == 'y')
                (void)fprintf(f, "%u", value.y);
        else if (type == 'b')
                (void)fputs(value.b ? "true" : "false", f);
        else if (type == 'd')
                (void)fprintf(f, "%g", value.d);
        else if (type == 'h')
                (void)fputs("fd", f);
        else if (strchr("iu", type))
                (void)fprintf(f, "%u", value.u);
        else
                (void)fprintf(f, "%llu", (unsigned long long)value.t);
}

static inline void say_value(FILE *f, sd_bus_message *m) {
        const char *contents;
        char type;

        CHECK(sd_bus_message_peek_type(m, &type, &contents) > 0);
        if (strchr("arev", type))
                say_container(f, m, type, contents);
        else
                say_basic(f, m, type);
}

/* --- rebuilding ------------------------------------------------------------------------------- */

/* "-x" and "_x" are left out, "!x" is refused, all others get a mark. */
static inline int translate(_unused_ void *userdata, const struct portal_value *v,
                            const char *value, char **ret) {
        const char *s = value[0] == '/' ? value + 1 : value;

        if (*s == '-' || *s == '_')
                return 0;
        if (*s == '!')
                return PORTAL_REBUILD_E_VALUE;
        return asprintf(ret, v->type[0] == 'o' ? "/t/%s" : "~%s", s) < 0 ? -ENOMEM : 0;
}

/* Regular files are left out. */
static inline int translate_fd(_unused_ void *userdata, _unused_ const struct portal_value *v,
                               int fd, int *ret_fd) {
        struct stat st;

        if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode))
                return 0;
        *ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return *ret_fd < 0 ? -errno : 0;
}

enum direction { ARGS, OUT, RESULTS };

struct given {
        const char *interface, *member;
        enum direction direction;
        uint32_t version;
        bool refuses_fds; /* the other side */
        bool knows_no_fds; /* the caller */
};

static inline sd_bus_message *message_on(sd_bus *bus) {
        sd_bus_message *m = NULL;

        CHECK(sd_bus_message_new_signal(bus, &m, "/x", "a.b", "c") >= 0);
        return m;
}

static inline void seal(sd_bus_message *m) {
        CHECK(sd_bus_message_seal(m, 1, 0) >= 0);
        CHECK(sd_bus_message_rewind(m, true) >= 0);
}

/* in is freed.  The text, or NULL and the error; *ret_culprit may be NULL. */
static inline char *rebuild(const struct given *g, sd_bus_message *in, int *ret_e,
                            const char **culprit) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *owned _unused_ = in;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        const struct portal_signal *signal = portal_find_signal(g->interface, g->member);
        struct portal_rebuild rb = {
                .method = portal_find_method(g->interface, g->member),
                .translate = translate,
                .translate_fd = g->knows_no_fds ? NULL : translate_fd,
                .handle_token = "ours",
                .session_token = "ours_too",
                .version = g->version,
        };
        char *text = NULL;
        size_t size;
        FILE *f;

        seal(in);
        out = message_on(g->refuses_fds ? without_fds : with_fds);
        if (signal)
                *ret_e = portal_rebuild_values(&rb, signal->args, signal->options, in, out);
        else if (g->direction == ARGS)
                *ret_e = portal_rebuild_args(&rb, in, out);
        else
                *ret_e = g->direction == OUT ? portal_rebuild_out(&rb, in, out)
                                             : portal_rebuild_results(&rb, in, out);
        if (culprit)
                *culprit = rb.culprit;
        if (*ret_e != 0)
                return NULL;
        seal(out);
        f = open_memstream(&text, &size);
        say_all(f, out, " ");
        fclose(f);
        return text;
}

static inline sd_bus_message *message(const char *types, ...) {
        sd_bus_message *m = message_on(with_fds);
        va_list ap;

        va_start(ap, types);
        CHECK(sd_bus_message_appendv(m, types, ap) >= 0);
        va_end(ap);
        return m;
}

static inline void check(const struct given *g, sd_bus_message *in, const char *expect) {
        const char *culprit = NULL;
        int e;
        _cleanup_free_ char *text = rebuild(g, in, &e, &culprit);

        if (e != 0)
                printf("# %s: error %d for %s\n", g->member, e, culprit ?: "(null)");
        CHECK_EQ_INT(e, 0);
        CHECK_EQ_STR(text ?: "", expect);
}

static inline void refuse(const struct given *g, sd_bus_message *in, int e, const char *culprit) {
        const char *who = NULL;
        int got;

        free(rebuild(g, in, &got, &who));
        CHECK_EQ_INT(got, e);
        CHECK_EQ_STR(who ?: "", culprit);
}

/* --- the program ------------------------------------------------------------------------------ */

static inline sd_bus *new_bus(bool takes_fds, int *ret_other) {
        static const char ok[] = "OK 0123456789abcdef0123456789abcdef\r\n";
        static const char agree[] = "AGREE_UNIX_FD\r\n";
        sd_bus *bus = NULL;
        int fds[2];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        CHECK(sd_bus_new(&bus) >= 0);
        CHECK(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0 && sd_bus_set_anonymous(bus, 1) >= 0);
        CHECK(sd_bus_negotiate_fds(bus, takes_fds) >= 0 && sd_bus_start(bus) >= 0);
        CHECK(write(fds[1], ok, sizeof(ok) - 1) > 0);
        CHECK(!takes_fds || write(fds[1], agree, sizeof(agree) - 1) > 0);
        while (sd_bus_is_ready(bus) == 0)
                CHECK(sd_bus_process(bus, NULL) >= 0);
        *ret_other = fds[1];
        return bus;
}

static inline int rebuild_test_run(const struct test *tests, size_t n) {
        int r;

        with_fds = new_bus(true, &others[0]);
        without_fds = new_bus(false, &others[1]);
        r = test_run(tests, n);
        sd_bus_unref(with_fds);
        sd_bus_unref(without_fds);
        close(others[0]);
        close(others[1]);
        return r;
}

#define REBUILD_TEST_MAIN(...)                                                                     \
        int main(void) {                                                                           \
                static const struct test tests[] = {__VA_ARGS__};                                  \
                                                                                                   \
                return rebuild_test_run(tests, ELEMENTSOF(tests));                                 \
        }
