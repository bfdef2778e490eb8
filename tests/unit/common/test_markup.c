/* SPDX-License-Identifier: MIT */
#include "common/markup.h"

#include "tests/test.h"

static void check(const char *in, const char *expect) {
        _cleanup_free_ char *out = markup_clean(in, 64);

        CHECK_EQ_STR(out, expect);
}

static void test_kept(void) {
        check("", "");
        check("plain", "plain");
        check("<b>x</b> <i>y</i>", "<b>x</b> <i>y</i>");
        check("<b><i>x</i></b>", "<b><i>x</i></b>");
        check("&amp;&lt;&gt;&quot;&apos;", "&amp;&lt;&gt;&quot;&apos;");
        check("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
}

static void test_dropped(void) {
        check("<a href=\"http://x\">text</a>", "text");
        check("<img src='file:///etc/passwd'/>x", "x");
        check("<br>a<B>b</B><blink>c", "abc");
        check("<b class='x'>y</b>", "<b>y</b>");
        check("<b/>x<i />y", "xy");
        check("<!-- c --><?p?><![CDATA[x]]>", "");
        check("a\nb\x07" "c\xe2\x80\xae", "a bc");
}

static void test_escaped(void) {
        check("a < b & c", "a &lt; b &amp; c");
        check("<3", "&lt;3");
        check("<", "&lt;");
        check("<b", "&lt;b");
        check("&#x202e;&#60;b&#62;", "&amp;#x202e;&amp;#60;b&amp;#62;");
        check("&nbsp;&AMP;&amp", "&amp;nbsp;&amp;AMP;&amp;amp");
        check("<<b>x", "&lt;<b>x</b>");
}

static void test_nesting(void) {
        check("<b>x", "<b>x</b>");
        check("x</b>", "x");
        check("<b><i>x</b>y</i>z", "<b><i>x</i></b>yz");
        check("</i><b></b>", "<b></b>");
        check("<b><b><b><b><b><b><b><b><b>x",
              "<b><b><b><b><b><b><b><b>x</b></b></b></b></b></b></b></b>");
}

/* What does not fit is cut between characters, and what is open is closed all the same. */
static void test_cut(void) {
        static const char *const texts[] = {"<b><i>&&&&&&&&&&&&<i>xyz",
                                            "<b>\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc", "&amp;&amp;"};

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                for (size_t max = 0; max < 48; max++) {
                        _cleanup_free_ char *once = markup_clean(texts[i], max);
                        _cleanup_free_ char *twice = markup_clean(once, max);

                        CHECK(strlen(once) <= max);
                        CHECK_EQ_STR(twice, once);
                }
}

TEST_MAIN({"kept", test_kept}, {"dropped", test_dropped}, {"escaped", test_escaped},
          {"nesting", test_nesting}, {"cut", test_cut})
