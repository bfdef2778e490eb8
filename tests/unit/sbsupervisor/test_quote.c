/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/quote.h"

#include "tests/test.h"

#define ODD "/a b,c=d'e\"f\\g[h]&<i>%u$(j)`k`~\xc3\xa4"

static void check(enum quote how, const char *text, const char *expected) {
        _cleanup_free_ char *quoted = quote_text(how, text);

        CHECK_EQ_STR(quoted, expected);
}

/* What needs nothing stays as it is, so that the usual output is easy to read. */
static void test_plain(void) {
        for (enum quote how = 0; how < QUOTE_N; how++)
                check(how, "/run/user/1000/web-1_x.sock", "/run/user/1000/web-1_x.sock");
}

static void test_odd(void) {
        check(QUOTE_SHELL, ODD, "'/a b,c=d'\\''e\"f\\g[h]&<i>%u$(j)`k`~\xc3\xa4'");
        check(QUOTE_COMMA, ODD, "/a b,,c=d'e\"f\\g[h]&<i>%u$(j)`k`~\xc3\xa4");
        check(QUOTE_BRACKET, "/a b,c[d]", "\"/a b,c[d]\"");
        check(QUOTE_KEYVAL, ODD, "\"/a b,c=d'e\\\"f\\\\g[h]&<i>%u$(j)`k`~\xc3\xa4\"");
        check(QUOTE_XML, ODD, "/a b,c=d&apos;e&quot;f\\g[h]&amp;&lt;i&gt;%u$(j)`k`~\xc3\xa4");
        check(QUOTE_STRING, ODD, "/a b,c=d'e\\\"f\\\\g[h]&<i>%u$(j)`k`~\xc3\xa4");
        check(QUOTE_UNIT, ODD, "/a b,c=d'e\\\"f\\\\g[h]&<i>%%u$(j)`k`~\xc3\xa4");
}

static void test_empty(void) {
        check(QUOTE_SHELL, "", "''");
        check(QUOTE_KEYVAL, "", "\"\"");
        check(QUOTE_BRACKET, "", "\"\"");
        check(QUOTE_COMMA, "", "");
}

TEST_MAIN({"what is plain stays so", test_plain}, {"odd characters", test_odd},
          {"nothing at all", test_empty})
