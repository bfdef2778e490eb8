/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/ini.h"

#include <stdio.h>

#include "tests/test.h"

struct seen {
        char text[512];
        int answer; /* of the callback */
};

static int on_key(void *self, const struct ini_line *l) {
        struct seen *s = self;
        size_t n = strlen(s->text);

        (void)snprintf(s->text + n, sizeof(s->text) - n, "%u[%s]%s=%s;", l->number, l->section, l->key,
                       l->value);
        return s->answer;
}

static void test_keys(void) {
        static const char text[] = "# a comment\n\n[VM]\nLabel = My VM \n; another\nCID=42\r\n"
                                   "  [Documents]  \n\tOpen\t=\tread\nEmpty=\nA=b=c";
        struct seen s = {0};
        unsigned line = 0;

        CHECK_EQ_INT(ini_parse(text, strlen(text), on_key, &s, &line), 0);
        CHECK_EQ_STR(s.text, "4[VM]Label=My VM;6[VM]CID=42;8[Documents]Open=read;"
                             "9[Documents]Empty=;10[Documents]A=b=c;");
}

static void test_faults(void) {
        static const struct {
                const char *text;
                size_t n;
                int error;
                unsigned line;
        } rows[] = {
                {"[VM]\nword\n", 10, INI_E_SYNTAX, 2},  {"[VM\n", 4, INI_E_SYNTAX, 1},
                {"[]\n", 3, INI_E_SYNTAX, 1},           {"\nA=b\n", 5, INI_E_SECTION, 2},
                {"[VM]\n=x\n", 8, INI_E_SYNTAX, 2},     {"[VM]\nA=b\0c\n", 11, INI_E_SYNTAX, 2},
        };
        char longest[INI_MAX_LINE + 8];
        struct seen s = {0};
        unsigned line;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                CHECK_EQ_INT(ini_parse(rows[i].text, rows[i].n, on_key, &s, &line), rows[i].error);
                CHECK_EQ_INT(line, rows[i].line);
        }
        CHECK_EQ_STR(s.text, "");
        memset(longest, '#', sizeof(longest));
        CHECK_EQ_INT(ini_parse(longest, INI_MAX_LINE, on_key, &s, &line), 0);
        CHECK_EQ_INT(ini_parse(longest, INI_MAX_LINE + 1, on_key, &s, &line), INI_E_LENGTH);
}

static void test_callback_stops(void) {
        struct seen s = {.answer = -22};
        unsigned line;

        CHECK_EQ_INT(ini_parse("[A]\nB=1\nC=2\n", 12, on_key, &s, &line), -22);
        CHECK_EQ_INT(line, 2);
        CHECK_EQ_STR(s.text, "2[A]B=1;");
}

TEST_MAIN({"sections, keys, comments, white space", test_keys}, {"bad lines", test_faults},
          {"the first refusal ends it", test_callback_stops})
