/* SPDX-License-Identifier: MIT */
#include "sbrouter/match_rule.h"

#include "tests/test.h"
#include "tests/unit/sbrouter/wire.h"

static struct match_rule *rule(const char *text) {
        struct match_rule *r = NULL;
        int e = match_rule_parse(text, strlen(text), &r);

        if (e != 0)
                printf("# %s\n", text);
        CHECK_EQ_INT(e, 0);
        return r;
}

/* --- grammar --------------------------------------------------------------------------------- */

static void test_canonical(void) {
        static const struct {
                const char *text, *canonical;
        } rows[] = {
                {"", ""},
                {"  \t\n", ""},
                {"type='signal'", "type='signal'"},
                {"type=signal", "type='signal'"},
                {"type='signal',", "type='signal'"},
                {"type='signal', ", "type='signal'"},
                {"  type  ='signal'", "type='signal'"},
                {"type='sig''nal'", "type='signal'"},
                {"type=s'i'g'nal'", "type='signal'"},
                {"member='M',interface='a.b',type='error'",
                 "type='error',interface='a.b',member='M'"},
                {"type='method_call'", "type='method_call'"},
                {"type='method_return'", "type='method_return'"},
                {"sender=':1.2',destination='c.d'", "sender=':1.2',destination='c.d'"},
                {"path='/a/b'", "path='/a/b'"},
                {"path_namespace='/'", "path_namespace='/'"},
                {"arg0=''", "arg0=''"},
                {"arg0=", "arg0=''"},
                {"arg0=,arg1=x", "arg0='',arg1='x'"},
                {"arg10='x',arg2='y',arg63='z'", "arg2='y',arg10='x',arg63='z'"},
                {"arg3path='no/path at all'", "arg3path='no/path at all'"},
                {"arg0namespace='com'", "arg0namespace='com'"},
                {"arg0='a,b=c'", "arg0='a,b=c'"},
                {"arg0=' blank '", "arg0=' blank '"},
                {"arg0= bare ", "arg0=' bare '"},
                {"arg0='it'\\''s'", "arg0='it'\\''s'"},
                {"arg0=\\'", "arg0=''\\'''"},
                {"arg0='\\'", "arg0='\\'"},
                {"arg0=\\,arg1=\\\\", "arg0='\\',arg1='\\\\'"},
                {"arg0=\\\\'", "arg0='\\'\\'''"},
                {"arg0=\\", "arg0='\\'"},
                {"eavesdrop='true'", "eavesdrop='true'"},
                {"eavesdrop =true,type=signal", "type='signal',eavesdrop='true'"},
                {"eavesdrop='false'", ""},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(match_rule_freep) struct match_rule *a = rule(rows[i].text);
                _cleanup_(match_rule_freep) struct match_rule *b = rule(rows[i].canonical);
                char buf[256];

                if (!a || !b)
                        continue;
                CHECK_EQ_INT(match_rule_format(a, buf, sizeof(buf)), strlen(rows[i].canonical));
                CHECK_EQ_STR(buf, rows[i].canonical);
                CHECK(match_rule_equal(a, b));
        }
}

static void test_refused(void) {
        static const struct {
                const char *text;
                int e;
        } rows[] = {
                {"type", MATCH_RULE_E_FORM},
                {"=", MATCH_RULE_E_FORM},
                {"=signal", MATCH_RULE_E_FORM},
                {"type signal", MATCH_RULE_E_FORM},
                {"type='signal", MATCH_RULE_E_FORM},
                {"arg0='", MATCH_RULE_E_FORM},
                {"arg0='a\\'", 0},
                {"arg0='a\\''", MATCH_RULE_E_FORM},
                {",", MATCH_RULE_E_FORM},
                {",type='signal'", MATCH_RULE_E_KEY},
                {"type='signal',,member='M'", MATCH_RULE_E_KEY},
                {"Type='signal'", MATCH_RULE_E_KEY},
                {"typ='signal'", MATCH_RULE_E_KEY},
                {"types='signal'", MATCH_RULE_E_KEY},
                {"type='Signal'", MATCH_RULE_E_VALUE},
                {"type=''", MATCH_RULE_E_VALUE},
                {"type='signal' ", MATCH_RULE_E_VALUE}, /* blanks belong to the value */
                {"type= signal", MATCH_RULE_E_VALUE},
                {"sender=''", MATCH_RULE_E_VALUE},
                {"sender='a'", MATCH_RULE_E_VALUE},
                {"interface='a'", MATCH_RULE_E_VALUE},
                {"member='a.b'", MATCH_RULE_E_VALUE},
                {"path='a'", MATCH_RULE_E_VALUE},
                {"path='/a/'", MATCH_RULE_E_VALUE},
                {"path_namespace='/a/'", MATCH_RULE_E_VALUE},
                {"destination='x'", MATCH_RULE_E_VALUE},
                {"eavesdrop='yes'", MATCH_RULE_E_VALUE},
                {"eavesdrop=''", MATCH_RULE_E_VALUE},
                {"eavesdrop= true", MATCH_RULE_E_VALUE},
                {"arg0namespace=''", MATCH_RULE_E_VALUE},
                {"arg0namespace='a.'", MATCH_RULE_E_VALUE},
                {"arg1namespace='a'", MATCH_RULE_E_KEY},
                {"arg='a'", MATCH_RULE_E_KEY},
                {"arg64='a'", MATCH_RULE_E_KEY},
                {"arg99='a'", MATCH_RULE_E_KEY},
                {"arg100='a'", MATCH_RULE_E_KEY},
                {"arg00='a'", MATCH_RULE_E_KEY},
                {"arg01='a'", MATCH_RULE_E_KEY},
                {"arg-1='a'", MATCH_RULE_E_KEY},
                {"arg+1='a'", MATCH_RULE_E_KEY},
                {"arg0x1='a'", MATCH_RULE_E_KEY},
                {"arg4294967296='a'", MATCH_RULE_E_KEY},
                {"argpath='a'", MATCH_RULE_E_KEY},
                {"arg0paths='a'", MATCH_RULE_E_KEY},
                {"arg0Path='a'", MATCH_RULE_E_KEY},
                {"type='signal',type='signal'", MATCH_RULE_E_DUPLICATE},
                {"member='a',member='a'", MATCH_RULE_E_DUPLICATE},
                {"eavesdrop='false',eavesdrop='true'", MATCH_RULE_E_DUPLICATE},
                {"arg7='a',arg7='a'", MATCH_RULE_E_DUPLICATE},
                {"arg7='a',arg7path='a'", MATCH_RULE_E_DUPLICATE},
                {"arg0namespace='a',arg0='a'", MATCH_RULE_E_DUPLICATE},
                {"path='/a',path_namespace='/a'", MATCH_RULE_E_DUPLICATE},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(match_rule_freep) struct match_rule *r = NULL;
                int e = match_rule_parse(rows[i].text, strlen(rows[i].text), &r);

                if (e != rows[i].e)
                        printf("# %s\n", rows[i].text);
                CHECK_EQ_INT(e, rows[i].e);
                CHECK((e == 0) == (r != NULL));
        }
}

static void test_lengths(void) {
        char text[LIMIT_MATCH_RULE_BYTES + 2], buf[LIMIT_MATCH_RULE_BYTES + 16];
        _cleanup_(match_rule_freep) struct match_rule *longest = NULL, *bare = NULL, *over = NULL;

        memset(text, 'x', sizeof(text));
        memcpy(text, "arg0='", 6);
        text[LIMIT_MATCH_RULE_BYTES - 1] = '\'';
        CHECK_EQ_INT(match_rule_parse(text, LIMIT_MATCH_RULE_BYTES, &longest), 0);
        CHECK_EQ_INT(match_rule_format(longest, buf, sizeof(buf)), LIMIT_MATCH_RULE_BYTES);
        CHECK(memcmp(buf, text, LIMIT_MATCH_RULE_BYTES) == 0);
        text[LIMIT_MATCH_RULE_BYTES] = ' ';
        CHECK_EQ_INT(match_rule_parse(text, LIMIT_MATCH_RULE_BYTES + 1, &over),
                     MATCH_RULE_E_LENGTH);
        /* The shortest pairs leave the least room for the NULs of their values. */
        size_t n = 0;
        for (unsigned i = 0; i < 64; i++)
                n += (size_t)snprintf(text + n, sizeof(text) - n, "arg%u=,", i);
        CHECK_EQ_INT(match_rule_parse(text, n, &bare), 0);
        CHECK_EQ_INT(bare->n_args, 64);
        CHECK_EQ_INT(match_rule_parse("arg0='a\0b'", 10, &over), MATCH_RULE_E_FORM);
        CHECK(!over);
}

static void test_format_cut(void) {
        _cleanup_(match_rule_freep) struct match_rule *r = rule("type='signal',member='Foo'");
        char buf[32] = "unchanged";

        CHECK_EQ_INT(match_rule_format(r, buf, 0), 26);
        CHECK_EQ_STR(buf, "unchanged");
        CHECK_EQ_INT(match_rule_format(r, buf, 1), 26);
        CHECK_EQ_STR(buf, "");
        CHECK_EQ_INT(match_rule_format(r, buf, 5), 26);
        CHECK_EQ_STR(buf, "type");
        CHECK_EQ_INT(match_rule_format(r, buf, 26), 26);
        CHECK_EQ_STR(buf, "type='signal',member='Foo");
        CHECK_EQ_INT(match_rule_format(r, buf, 27), 26);
        CHECK_EQ_STR(buf, "type='signal',member='Foo'");
}

static void test_equal(void) {
        static const char *const rules[] = {
                "",
                "type='signal'",
                "type='error'",
                "eavesdrop='true'",
                "member='M'",
                "member='N'",
                "interface='a.b'",
                "sender='a.b'",
                "destination='a.b'",
                "path='/a'",
                "path='/b'",
                "path_namespace='/a'",
                "arg0='a'",
                "arg0path='a'",
                "arg0namespace='a'",
                "arg1='a'",
                "arg0='b'",
                "arg0=''",
                "arg0='a',arg1='a'",
                "arg0='a',arg2='a'",
                "member='M',arg0='a'",
        };

        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                for (size_t k = 0; k < ELEMENTSOF(rules); k++) {
                        _cleanup_(match_rule_freep) struct match_rule *a = rule(rules[i]);
                        _cleanup_(match_rule_freep) struct match_rule *b = rule(rules[k]);

                        CHECK_EQ_INT(match_rule_equal(a, b), i == k);
                }
}

static void test_get(void) {
        _cleanup_(match_rule_freep) struct match_rule *r =
                rule("sender='a.b',arg3='x',arg1path='/y'");

        CHECK_EQ_STR(match_rule_get(r, MATCH_SENDER), "a.b");
        CHECK_EQ_INT(r->key[MATCH_SENDER].n, 3);
        for (enum match_key k = MATCH_INTERFACE; k < MATCH_N_KEYS; k++)
                CHECK(!match_rule_get(r, k));
        CHECK_EQ_INT(r->n_args, 2);
        CHECK_EQ_INT(r->args[0].index, 1);
        CHECK_EQ_INT(r->args[0].kind, MATCH_ARG_PATH);
        CHECK_EQ_STR(match_rule_arg(r, 0), "/y");
        CHECK_EQ_INT(r->args[1].index, 3);
        CHECK_EQ_STR(match_rule_arg(r, 1), "x");
        CHECK_EQ_INT(r->type, 0);
}

/* --- matching -----------------------------------------------------------------------------------
 */

/* A signal M of a.b at path, with string arguments s0 and s1 and an object path argument. */
static void subject(struct wire *w, const char *path, const char *s0, const char *s1,
                    const char *object, struct message *m) {
        struct wire body = {0};

        wire_string(&body, s0);
        wire_string(&body, s1);
        wire_string(&body, object);
        wire_number(&body, 7);
        wire_begin(w, false, MESSAGE_SIGNAL, 0);
        wire_text(w, MESSAGE_FIELD_PATH, "o", path);
        wire_text(w, MESSAGE_FIELD_INTERFACE, "s", "a.b");
        wire_text(w, MESSAGE_FIELD_MEMBER, "s", "M");
        wire_text(w, MESSAGE_FIELD_SIGNATURE, "g", "ssou");
        wire_end(w, body.b, body.n);
        CHECK_EQ_INT(message_parse(w->b, w->n, m), 0);
        CHECK_EQ_INT(message_check_body(m), 0);
}

static bool fits(const char *text, const struct message *m) {
        _cleanup_(match_rule_freep) struct match_rule *r = rule(text);
        struct body_args args;

        message_args(m, &args);
        return r && match_rule_fits(r, m, &args);
}

static void test_fits(void) {
        static const struct {
                const char *rule;
                bool fits;
        } rows[] = {
                {"", true},
                {"type='signal'", true},
                {"type='method_call'", false},
                {"type='error'", false},
                {"interface='a.b'", true},
                {"interface='a.b.c'", false},
                {"interface='a.bb'", false},
                {"member='M'", true},
                {"member='MM'", false},
                {"member='m'", false},
                {"path='/x/y'", true},
                {"path='/x'", false},
                {"path='/x/y/z'", false},
                {"path='/'", false},
                {"path_namespace='/'", true},
                {"path_namespace='/x'", true},
                {"path_namespace='/x/y'", true},
                {"path_namespace='/x/y/z'", false},
                {"path_namespace='/x/yy'", false},
                {"path_namespace='/xx'", false},
                {"arg0='com.example.App'", true},
                {"arg0='com.example'", false},
                {"arg0='com.example.App2'", false},
                {"arg0=''", false},
                {"arg0namespace='com.example.App'", true},
                {"arg0namespace='com.example'", true},
                {"arg0namespace='com'", true},
                {"arg0namespace='com.exam'", false},
                {"arg0namespace='com.example.App.x'", false},
                {"arg1='/dir/'", true},
                {"arg1path='/dir/'", true},
                {"arg1path='/dir/file'", true},
                {"arg1path='/dir'", false},
                {"arg1path='/'", true},
                {"arg1path='/di'", false},
                {"arg1path='/other'", false},
                {"arg2path='/o/p'", true},
                {"arg2path='/o/'", true},
                {"arg2path='/o/p/q'", false},
                {"arg2path='/o/p/'", false},
                {"arg2='/o/p'", false}, /* argN sees strings only */
                {"arg3='7'", false},
                {"arg4=''", false},
                {"arg63='x'", false},
                {"eavesdrop='true'", true},
                {"type='signal',interface='a.b',member='M',path='/x/y',arg0='com.example.App'",
                 true},
                {"type='signal',interface='a.b',member='M',path='/x/y',arg0='com.example.Ap'",
                 false},
                {"sender='not.checked',destination='not.checked'",
                 true}, /* the caller's to check */
        };
        struct message m;
        struct wire w;

        subject(&w, "/x/y", "com.example.App", "/dir/", "/o/p", &m);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                if (fits(rows[i].rule, &m) != rows[i].fits)
                        printf("# %s\n", rows[i].rule);
                CHECK_EQ_INT(fits(rows[i].rule, &m), rows[i].fits);
        }
}

static void test_fits_empty(void) {
        struct message m;
        struct wire w;

        subject(&w, "/", "", "", "/", &m);
        CHECK(fits("path='/'", &m));
        CHECK(fits("path_namespace='/'", &m));
        CHECK(!fits("path_namespace='/a'", &m));
        CHECK(fits("arg0=''", &m));
        CHECK(fits("arg0path=''", &m));
        CHECK(!fits("arg0path='/'", &m)); /* the empty string does not end in a slash */
        CHECK(fits("arg2path='/any/thing'", &m));
        CHECK(!fits("arg0namespace='a'", &m));

        wire_begin(&w, false, MESSAGE_RETURN, 0);
        wire_u(&w, MESSAGE_FIELD_REPLY_SERIAL, 1);
        wire_end(&w, "", 0);
        CHECK_EQ_INT(message_parse(w.b, w.n, &m), 0);
        CHECK(fits("", &m) && fits("type='method_return'", &m));
        CHECK(!fits("member='M'", &m) && !fits("interface='a.b'", &m) && !fits("path='/'", &m));
        CHECK(!fits("path_namespace='/'", &m) && !fits("arg0=''", &m));
}

static void test_texts(void) {
        for (int e = 1; e < MATCH_RULE_N_E; e++)
                CHECK(strcmp(match_rule_strerror(e), "Invalid match rule") != 0);
        CHECK_EQ_STR(match_rule_strerror(-1), "Invalid match rule");
        CHECK(!match_rule_free(NULL));
}

TEST_MAIN({"text to canonical text", test_canonical}, {"refused", test_refused},
          {"lengths", test_lengths}, {"format into too little room", test_format_cut},
          {"equal only to itself", test_equal}, {"reading a rule", test_get},
          {"matching", test_fits}, {"matching what is empty or absent", test_fits_empty},
          {"every verdict has a text", test_texts})
