/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/remembered.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/log.h"
#include "sbsupervisor/small_file.h"
#include "tests/test.h"

static char dir[] = "/tmp/sidebus-test-XXXXXX";
static char logged[4096];

static void to_memory(int priority _unused_, const char *line) {
        size_t n = strlen(logged);

        (void)snprintf(logged + n, sizeof(logged) - n, "%s\n", line);
}

static const char *at(const char *name) {
        static char path[256];

        (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
        return path;
}

static enum portal_policy rule(struct policy_rules *rules, const char *name) {
        struct policy_subject s;

        CHECK_EQ_INT(policy_parse_name(name, &s), 0);
        return *policy_rule(rules, &s);
}

struct faults {
        unsigned n;
        struct remembered_fault last;
};

static void count(void *userdata, const struct remembered_fault *f) {
        struct faults *faults = userdata;

        faults->n++;
        faults->last = *f;
}

static void test_lines(void) {
        static const char text[] = "# comment\n\n  ; another\nLocation=allow\r\n"
                                   "\tScreenshot.PickColor = deny \nTrash=allow";
        struct policy_rules rules = {0};
        struct faults faults = {0};

        remembered_parse(text, sizeof(text) - 1, &rules, count, &faults);
        CHECK_EQ_INT(faults.n, 0);
        CHECK_EQ_INT(rule(&rules, "Location"), PORTAL_ALLOW);
        CHECK_EQ_INT(rule(&rules, "Screenshot.PickColor"), PORTAL_DENY);
        CHECK_EQ_INT(rule(&rules, "Screenshot"), PORTAL_POLICY_INHERIT);
        CHECK_EQ_INT(rule(&rules, "Trash"), PORTAL_ALLOW);
}

static void test_bad_lines(void) {
        static const struct {
                const char *line;
                size_t n; /* 0: to its end */
                int reason;
        } rows[] = {
                {"Location", 0, REMEMBERED_E_SYNTAX},
                {"Location=", 0, REMEMBERED_E_SYNTAX},
                {"=allow", 0, REMEMBERED_E_NAME},
                {"=", 0, REMEMBERED_E_SYNTAX},
                {"Location=ask", 0, REMEMBERED_E_SYNTAX},
                {"Location=allowed", 0, REMEMBERED_E_SYNTAX},
                {"Location=allow=allow", 0, REMEMBERED_E_SYNTAX},
                {"Location=allow\0", 15, REMEMBERED_E_SYNTAX},
                {"[Portals]", 0, REMEMBERED_E_SYNTAX},
                {"Nothing=allow", 0, REMEMBERED_E_NAME},
                {"Location.Nothing=allow", 0, REMEMBERED_E_NAME},
                {"Camera=allow", 0, REMEMBERED_E_NAME},
                {"Locationnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn=allow", 0,
                 REMEMBERED_E_NAME},
        };
        static const struct policy_rules none;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct policy_rules rules = {0};
                struct faults faults = {0};
                char text[256];
                size_t n = rows[i].n ?: strlen(rows[i].line);

                memcpy(text, "\n", 1);
                memcpy(text + 1, rows[i].line, n);
                memcpy(text + 1 + n, "\nTrash=allow\n", 13);
                remembered_parse(text, n + 14, &rules, count, &faults);
                CHECK_EQ_INT(faults.n, 1);
                CHECK_EQ_INT(faults.last.line, 2);
                CHECK_EQ_INT(faults.last.reason, rows[i].reason);
                CHECK_EQ_INT(rule(&rules, "Trash"), PORTAL_ALLOW); /* the next line counts */
                rules.interfaces[portal_find_short_name("Trash") - portal_interfaces] = 0;
                CHECK(memcmp(&rules, &none, sizeof(rules)) == 0);
        }
}

/* Of two lines, whichever comes first. */
static void test_deny_wins(void) {
        static const char *const texts[] = {
                "Trash=deny\nTrash=allow\n", "Trash=allow\nTrash=deny\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                struct policy_rules rules = {0};
                struct faults faults = {0};

                remembered_parse(texts[i], strlen(texts[i]), &rules, count, &faults);
                CHECK_EQ_INT(rule(&rules, "Trash"), PORTAL_DENY);
                CHECK_EQ_INT(faults.n, 0);
        }
}

static void write_policy(const char *text) {
        CHECK_EQ_INT(small_file_replace(at("policy"), text, strlen(text), 0600), 0);
}

static void allow(struct remembered *r, const char *name) {
        struct policy_subject s;

        CHECK_EQ_INT(policy_parse_name(name, &s), 0);
        remembered_allow(r, &s);
}

static void check_file(const char *expected) {
        _cleanup_free_ char *text = NULL;
        size_t n;

        CHECK_EQ_INT(small_file_read(at("policy"), 4096, &text, &n), 0);
        CHECK_EQ_STR(text, expected);
}

static void test_kept(void) {
        struct remembered r;
        struct stat st;

        CHECK(mkdtemp(dir) != NULL);
        CHECK_EQ_INT(remembered_open(&r, dir), 0); /* there is none yet */
        CHECK_EQ_INT(rule(&r.rules, "Trash"), PORTAL_POLICY_INHERIT);
        allow(&r, "Trash");
        CHECK_EQ_INT(rule(&r.rules, "Trash"), PORTAL_ALLOW);
        allow(&r, "Screenshot.PickColor");
        check_file("Trash=allow\nScreenshot.PickColor=allow\n");
        CHECK(stat(at("policy"), &st) == 0 && (st.st_mode & 07777) == 0600);
        remembered_done(&r);

        CHECK_EQ_INT(remembered_open(&r, dir), 0);
        CHECK_EQ_INT(rule(&r.rules, "Trash"), PORTAL_ALLOW);
        CHECK_EQ_INT(rule(&r.rules, "Screenshot.PickColor"), PORTAL_ALLOW);
        CHECK_EQ_INT(rule(&r.rules, "Screenshot"), PORTAL_POLICY_INHERIT);
        remembered_done(&r);
}

/* What a person wrote stays, also what they wrote wrongly; a fault is told with file and line. */
static void test_edited(void) {
        struct remembered r;
        char expected[512];

        write_policy("# mine\nTrash=yes\nWallpaper=deny");
        log_set_sink(to_memory);
        logged[0] = '\0';
        CHECK_EQ_INT(remembered_open(&r, dir), 0);
        (void)snprintf(expected, sizeof(expected),
                       "%s:2: write Portal=allow, Portal=deny or # comment: the line is ignored\n",
                       at("policy"));
        CHECK_EQ_STR(logged, expected);
        CHECK_EQ_INT(rule(&r.rules, "Trash"), PORTAL_POLICY_INHERIT);
        CHECK_EQ_INT(rule(&r.rules, "Wallpaper"), PORTAL_DENY);
        allow(&r, "Location");
        check_file("# mine\nTrash=yes\nWallpaper=deny\nLocation=allow\n");
        remembered_done(&r);
}

static void test_unreadable(void) {
        struct remembered r;

        CHECK(unlink(at("policy")) == 0 && mkdir(at("policy"), 0700) == 0);
        logged[0] = '\0';
        CHECK_EQ_INT(remembered_open(&r, dir), -EFBIG);
        CHECK(strstr(logged, at("policy")) != NULL);
        CHECK(rmdir(at("policy")) == 0);
}

/* It holds for this instance, and it is said that it will not for the next. */
static void test_not_kept(void) {
        struct remembered r;

        CHECK_EQ_INT(remembered_open(&r, dir), 0);
        CHECK(rmdir(dir) == 0);
        logged[0] = '\0';
        allow(&r, "Trash");
        CHECK_EQ_INT(rule(&r.rules, "Trash"), PORTAL_ALLOW);
        CHECK(strstr(logged, "Trash is allowed until this instance ends") != NULL);
        remembered_done(&r);
        log_set_sink(NULL);
}

TEST_MAIN({"lines", test_lines}, {"a bad line counts for nothing", test_bad_lines},
          {"a denial wins", test_deny_wins}, {"an answer is there after a restart", test_kept},
          {"a file that a person edited", test_edited},
          {"a file that cannot be read", test_unreadable},
          {"a directory that is gone", test_not_kept})
