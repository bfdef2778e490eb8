/* SPDX-License-Identifier: MIT */
#include "common/options.h"

#include "common/log.h"
#include "tests/test.h"

struct seen {
        const char *name;
        unsigned flags;
};

static char last_line[2048];

static void keep_line(int priority, const char *line) {
        (void)priority;
        (void)snprintf(last_line, sizeof(last_line), "%s", line);
}

static int set_name(void *self, const char *value) {
        ((struct seen *)self)->name = value;
        return strcmp(value, "bad") == 0 ? -EINVAL : 0;
}

static int set_flag(void *self, const char *value) {
        CHECK(!value);
        ((struct seen *)self)->flags++;
        return 0;
}

static const struct option_row table[] = {
        {"name", "NAME", "a name", set_name},
        {"flag", NULL, "a flag", set_flag},
        {0},
};

/* Arguments up to the first NULL. */
static int parse(struct seen *s, const char *a, const char *b, const char *c) {
        char *argv[] = {(char *)"prog", (char *)a, (char *)b, (char *)c, NULL};
        int argc = 1, r;

        while (argv[argc])
                argc++;
        *s = (struct seen){0};
        last_line[0] = '\0';
        log_set_sink(keep_line);
        r = options_parse(table, "prog", "Does things.", argc, argv, s);
        log_set_sink(NULL);
        return r;
}

static void test_good(void) {
        struct seen s;

        CHECK_EQ_INT(parse(&s, NULL, NULL, NULL), 0);
        CHECK_EQ_INT(parse(&s, "--name", "x", "--flag"), 0);
        CHECK_EQ_STR(s.name, "x");
        CHECK_EQ_INT(s.flags, 1);
        CHECK_EQ_INT(parse(&s, "--name=a=b", NULL, NULL), 0);
        CHECK_EQ_STR(s.name, "a=b");
        CHECK_EQ_INT(parse(&s, "--name=", NULL, NULL), 0);
        CHECK_EQ_STR(s.name, "");
        CHECK_EQ_INT(parse(&s, "--name", "--flag", NULL), 0); /* a value may look like an option */
        CHECK_EQ_STR(s.name, "--flag");
        CHECK_EQ_INT(s.flags, 0);
}

static void test_usage(void) {
        static const char *const bad[] = {"x",      "-n",       "--nam", "--names",
                                          "--name", "--flag=1", "--",    ""};
        struct seen s;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                CHECK_EQ_INT(parse(&s, bad[i], NULL, NULL), OPTIONS_E_USAGE);
                CHECK(strstr(last_line, "prog --help"));
        }
        CHECK_EQ_INT(parse(&s, "--x\n<0>y", NULL, NULL), OPTIONS_E_USAGE);
        CHECK(!strchr(last_line, '\n'));
}

static void test_setter_error(void) {
        struct seen s;

        CHECK_EQ_INT(parse(&s, "--name", "bad", "--flag"), -EINVAL);
        CHECK_EQ_INT(s.flags, 0);
}

static void test_done(void) {
        struct seen s;

        CHECK_EQ_INT(parse(&s, "--help", NULL, NULL), OPTIONS_E_DONE);
        CHECK_EQ_INT(parse(&s, "--version", NULL, NULL), OPTIONS_E_DONE);
}

TEST_MAIN({"good command lines", test_good}, {"usage errors", test_usage},
          {"a setter's error is returned", test_setter_error}, {"help and version", test_done})
