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
        const struct introspect node = {.kind = INTROSPECT_NODE};
        _cleanup_free_ char *xml = introspect_xml(&node, path, paths, ELEMENTSOF(paths));
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

#define MAX_INTERFACES 64

/* Of each interface, cut to the version the host has: 0 is none. */
static char *portal_xml(enum portal_object object, uint32_t version) {
        uint32_t versions[MAX_INTERFACES];
        const struct introspect what = {
                .kind = INTROSPECT_PORTAL,
                .portal = object,
                .versions = versions,
        };

        CHECK(portal_n_interfaces <= MAX_INTERFACES);
        for (size_t i = 0; i < portal_n_interfaces; i++)
                versions[i] = version;
        return introspect_xml(&what, PORTAL_PATH, paths, 1);
}

/* All of the table is said, each at its object, nothing else, and what is opened is closed. */
static void test_portal(void) {
        _cleanup_free_ char *desktop = portal_xml(PORTAL_DESKTOP, 99);
        _cleanup_free_ char *documents = portal_xml(PORTAL_DOCUMENTS, 99);
        char line[160];

        CHECK_EQ_INT(count(desktop, "<interface ") + count(documents, "<interface "),
                     portal_n_interfaces + 3 + 3);
        CHECK_EQ_INT(count(desktop, "<interface "), count(desktop, "</interface>"));
        CHECK_EQ_INT(count(desktop, "<node"), 1);
        for (size_t i = 0; i < portal_n_methods; i++) {
                (void)snprintf(line, sizeof(line), "<method name=\"%s\">",
                               portal_methods[i].member);
                CHECK(count(desktop, line) + count(documents, line) >= 1);
        }
        for (size_t i = 0; i < portal_n_signals; i++) {
                (void)snprintf(line, sizeof(line), "<signal name=\"%s\">",
                               portal_signals[i].member);
                CHECK(count(desktop, line) >= 1);
        }
        for (size_t i = 0; i < portal_n_properties; i++) {
                (void)snprintf(line, sizeof(line),
                               "<property type=\"%s\" name=\"%s\" access=\"read\"/>",
                               portal_properties[i].type, portal_properties[i].name);
                CHECK(count(desktop, line) + count(documents, line) >= 1);
        }
        CHECK_EQ_INT(count(documents, "<method name=\"RetrieveFiles\">"), 1);
        CHECK_EQ_INT(count(desktop, "<method name=\"RetrieveFiles\">"), 0);
}

/* What the host's version lacks is not there; nor is an interface that the host lacks. */
static void test_versions(void) {
        _cleanup_free_ char *first = portal_xml(PORTAL_DESKTOP, 1);
        _cleanup_free_ char *none = portal_xml(PORTAL_DESKTOP, 0);

        CHECK_EQ_INT(count(first, "<method name=\"ReadAll\">"), 1);
        CHECK_EQ_INT(count(first, "<method name=\"ReadOne\">"), 0);
        CHECK_EQ_INT(count(first, "name=\"SupportedOptions\""), 0);
        CHECK_EQ_INT(count(none, "<interface "), 3);
}

static unsigned count_in(const struct introspect *what, const char *word) {
        _cleanup_free_ char *xml = introspect_xml(what, "/x", paths, ELEMENTSOF(paths));

        CHECK_EQ_INT(count(xml, "<interface "), 4);
        CHECK_EQ_INT(count(xml, "<interface "), count(xml, "</interface>"));
        return count(xml, word);
}

static void test_others(void) {
        const struct introspect request = {.kind = INTROSPECT_REQUEST},
                                session = {.kind = INTROSPECT_SESSION},
                                notifications = {.kind = INTROSPECT_SERVICE,
                                                 .service = &notifications_service},
                                screensaver = {.kind = INTROSPECT_SERVICE,
                                               .service = &screensaver_service};

        CHECK_EQ_INT(count_in(&request, "<interface name=\"" PORTAL_REQUEST "\">"), 1);
        CHECK_EQ_INT(count_in(&request, "<method name=\"Close\"/>"), 1);
        CHECK_EQ_INT(count_in(&request, "<signal name=\"Response\">"), 1);
        CHECK_EQ_INT(count_in(&session, "<interface name=\"" PORTAL_SESSION_IFACE "\">"), 1);
        CHECK_EQ_INT(count_in(&session, "<method name=\"Close\"/>"), 1);
        CHECK_EQ_INT(count_in(&session, "<signal name=\"Closed\">"), 1);
        CHECK_EQ_INT(count_in(&notifications, "<method name=\"Notify\">"), 1);
        CHECK_EQ_INT(count_in(&notifications, "<signal name=\"ActionInvoked\">"), 1);
        CHECK_EQ_INT(count_in(&screensaver, "<method name=\"UnInhibit\">"), 1);
}

TEST_MAIN({"children", test_children}, {"portal objects", test_portal}, {"versions", test_versions},
          {"other objects", test_others})
