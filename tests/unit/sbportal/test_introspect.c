/* SPDX-License-Identifier: MIT */
#include "sbportal/introspect.h"

#include "common/portal_table.h"
#include "tests/test.h"

static const char *const paths[] = {
        PORTAL_PATH,
        PORTAL_REQUEST_PATH "/1_42/a",
        PORTAL_REQUEST_PATH "/1_42/b",
        PORTAL_REQUEST_PATH "/1_42/a/77",
};

static unsigned count(const char *text, const char *word) {
        unsigned n = 0;

        for (; (text = strstr(text, word)); text += strlen(word))
                n++;
        return n;
}

/* Which children the node has, as "a b " in the order of the document. */
static void check_children(const char *path, const char *expect) {
        _cleanup_free_ char *xml = introspect_xml(INTROSPECT_NODE, path, paths, ELEMENTSOF(paths));
        char children[256] = "";
        const char *p = xml;

        CHECK(xml && count(xml, "<interface") == 0);
        while (p && (p = strstr(p, "<node name=\""))) {
                p += strlen("<node name=\"");
                (void)strncat(children, p, strcspn(p, "\""));
                (void)strcat(children, " ");
        }
        CHECK_EQ_STR(children, expect);
}

static void test_children(void) {
        check_children("/", "org ");
        check_children("/org", "freedesktop ");
        check_children("/org/freedesktop", "portal ");
        check_children("/org/freedesktop/portal", "desktop ");
        check_children(PORTAL_PATH, "request ");
        check_children(PORTAL_REQUEST_PATH, "1_42 ");
        check_children(PORTAL_REQUEST_PATH "/1_42", "a b ");
        check_children(PORTAL_REQUEST_PATH "/1_42/a", "77 ");
        check_children(PORTAL_REQUEST_PATH "/1_42/b", "");
        check_children(PORTAL_REQUEST_PATH "/1_4", "");
        check_children("/or", "");
        check_children("/x", "");
}

/* All of the table is said, nothing else, and what is opened is closed. */
static void test_portal(void) {
        _cleanup_free_ char *xml = introspect_xml(INTROSPECT_PORTAL, PORTAL_PATH, paths, 1);
        char line[128];

        CHECK_EQ_INT(count(xml, "<interface "), portal_n_interfaces + 3);
        CHECK_EQ_INT(count(xml, "<interface "), count(xml, "</interface>"));
        CHECK_EQ_INT(count(xml, "<node"), 1);
        for (size_t i = 0; i < portal_n_methods; i++) {
                (void)snprintf(line, sizeof(line), "<method name=\"%s\">",
                               portal_methods[i].member);
                CHECK(count(xml, line) >= 1);
        }
        for (size_t i = 0; i < portal_n_properties; i++) {
                (void)snprintf(line, sizeof(line),
                               "<property type=\"%s\" name=\"%s\" access=\"read\"/>",
                               portal_properties[i].type, portal_properties[i].name);
                CHECK(count(xml, line) >= 1);
        }
}

static void test_request(void) {
        _cleanup_free_ char *xml = introspect_xml(INTROSPECT_REQUEST, paths[1], paths, 1);

        CHECK_EQ_INT(count(xml, "<interface name=\"" PORTAL_REQUEST "\">"), 1);
        CHECK_EQ_INT(count(xml, "<method name=\"Close\"/>"), 1);
        CHECK_EQ_INT(count(xml, "<signal name=\"Response\">"), 1);
}

TEST_MAIN({"children", test_children}, {"portal object", test_portal},
          {"request object", test_request})
