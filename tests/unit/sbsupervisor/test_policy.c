/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/policy.h"

#include "sbsupervisor/ask.h"
#include "tests/test.h"

#define PORTAL(name) "org.freedesktop.portal." name

static enum portal_policy decide(const struct policy *p, const char *interface,
                                 const char *member) {
        const struct portal_method *m = portal_find_method(interface, member);

        CHECK(m != NULL);
        return m ? policy_decide(p, m) : PORTAL_POLICY_INHERIT;
}

static int set(struct policy *p, const char *key, const char *value) {
        struct policy_subject s;

        return policy_set(p, key, value, &s);
}

static void test_defaults(void) {
        struct policy p = {0};

        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];

                if (m->args[0].role != PORTAL_SESSION)
                        CHECK_EQ_INT(policy_decide(&p, m),
                                     portal_default_policy(m->interface, m->member));
        }
        for (size_t i = 0; i < portal_n_interfaces; i++)
                CHECK_EQ_INT(policy_allows_interface(&p, portal_interfaces[i].name),
                             portal_interfaces[i].policy == PORTAL_ALLOW);
        CHECK(!policy_allows_interface(&p, PORTAL("Nothing")));
        CHECK(portal_n_interfaces <= POLICY_MAX_INTERFACES);
        CHECK(portal_n_methods <= POLICY_MAX_METHODS);
}

/* The nearest rule counts: the method's, the portal's, Default=, the table's. */
static void test_order(void) {
        struct policy p = {0};

        CHECK_EQ_INT(policy_set_fallback(&p, "ask"), 0);
        CHECK_EQ_INT(decide(&p, PORTAL("FileChooser"), "OpenFile"), PORTAL_ASK);
        CHECK_EQ_INT(decide(&p, PORTAL("Location"), "CreateSession"), PORTAL_DENY);
        CHECK(!policy_allows_interface(&p, PORTAL("Settings")));
        CHECK_EQ_INT(set(&p, "FileChooser", "allow"), 0);
        CHECK_EQ_INT(set(&p, "FileChooser.SaveFile", "deny"), 0);
        CHECK_EQ_INT(decide(&p, PORTAL("FileChooser"), "OpenFile"), PORTAL_ALLOW);
        CHECK_EQ_INT(decide(&p, PORTAL("FileChooser"), "SaveFile"), PORTAL_DENY);
        CHECK_EQ_INT(decide(&p, PORTAL("FileChooser"), "SaveFiles"), PORTAL_ALLOW);
        CHECK_EQ_INT(set(&p, "Settings", "allow"), 0);
        CHECK(policy_allows_interface(&p, PORTAL("Settings")));
        /* The key of a portal is nearer than the table's row of one of its methods. */
        CHECK_EQ_INT(set(&p, "Screenshot", "deny"), 0);
        CHECK_EQ_INT(decide(&p, PORTAL("Screenshot"), "PickColor"), PORTAL_DENY);
        CHECK_EQ_INT(set(&p, "Screenshot", "allow"), 0); /* the later line counts */
        CHECK_EQ_INT(decide(&p, PORTAL("Screenshot"), "PickColor"), PORTAL_ALLOW);
        policy_done(&p);
}

/* Default= is for all that the table allows; what it withholds has to be called by its name. */
static void test_fallback(void) {
        static const char *const values[] = {"allow", "ask", "deny"};

        for (size_t i = 0; i < ELEMENTSOF(values); i++) {
                struct policy p = {0};

                CHECK_EQ_INT(policy_set_fallback(&p, values[i]), 0);
                CHECK_EQ_INT(decide(&p, PORTAL("Secret"), "RetrieveSecret"), PORTAL_DENY);
                CHECK_EQ_INT(decide(&p, PORTAL("Screenshot"), "PickColor"),
                             i < 2 ? PORTAL_ASK : PORTAL_DENY);
                CHECK_EQ_INT(decide(&p, PORTAL("Trash"), "TrashFile"), PORTAL_DENY);
                CHECK_EQ_INT(decide(&p, PORTAL("Wallpaper"), "SetWallpaperURI"),
                             i < 2 ? PORTAL_ASK : PORTAL_DENY);
                CHECK_EQ_INT(decide(&p, PORTAL("Print"), "Print"),
                             i == 0 ? PORTAL_ALLOW : i == 1 ? PORTAL_ASK : PORTAL_DENY);
                CHECK(policy_allows_interface(&p, PORTAL("NetworkMonitor")) == (i == 0));
                CHECK(!policy_allows_interface(&p, PORTAL("Location")));
                CHECK_EQ_INT(set(&p, "Secret", "allow"), 0);
                CHECK_EQ_INT(decide(&p, PORTAL("Secret"), "RetrieveSecret"), PORTAL_ALLOW);
                policy_done(&p);
        }
}

/* Asked once, when the session is made, but for a method that has a key of its own. */
static void test_sessions(void) {
        struct policy p = {0};

        CHECK_EQ_INT(decide(&p, PORTAL("GlobalShortcuts"), "CreateSession"), PORTAL_ASK);
        CHECK_EQ_INT(decide(&p, PORTAL("GlobalShortcuts"), "BindShortcuts"), PORTAL_ALLOW);
        CHECK_EQ_INT(decide(&p, PORTAL("Location"), "Start"), PORTAL_DENY);
        CHECK_EQ_INT(set(&p, "Location", "ask"), 0);
        CHECK_EQ_INT(decide(&p, PORTAL("Location"), "CreateSession"), PORTAL_ASK);
        CHECK_EQ_INT(decide(&p, PORTAL("Location"), "Start"), PORTAL_ALLOW);
        CHECK_EQ_INT(set(&p, "Location", "allow"), 0);
        CHECK_EQ_INT(set(&p, "Location.Start", "ask"), 0);
        CHECK_EQ_INT(decide(&p, PORTAL("Location"), "CreateSession"), PORTAL_ALLOW);
        CHECK_EQ_INT(decide(&p, PORTAL("Location"), "Start"), PORTAL_ASK);
        CHECK_EQ_INT(set(&p, "Location", "deny"), 0);
        CHECK_EQ_INT(set(&p, "Location.Start", "deny"), 0);
        CHECK_EQ_INT(decide(&p, PORTAL("Location"), "Start"), PORTAL_DENY);
        policy_done(&p);
}

static void test_answers(void) {
        struct policy_rules answers = {0};
        struct policy p = {.answers = &answers};
        struct policy_subject s;

        /* Only where the answer would be "ask". */
        for (size_t i = 0; i < portal_n_interfaces; i++)
                answers.interfaces[i] = PORTAL_ALLOW;
        CHECK_EQ_INT(decide(&p, PORTAL("Wallpaper"), "SetWallpaperURI"), PORTAL_ALLOW);
        CHECK_EQ_INT(decide(&p, PORTAL("Location"), "Start"), PORTAL_DENY);
        CHECK_EQ_INT(decide(&p, PORTAL("Screenshot"), "Screenshot"), PORTAL_DENY);
        CHECK(policy_allows_interface(&p, PORTAL("GlobalShortcuts")));
        CHECK(!policy_allows_interface(&p, PORTAL("Location")));
        /* Of all of a portal is not of the method that the table sets apart. */
        CHECK_EQ_INT(decide(&p, PORTAL("Screenshot"), "PickColor"), PORTAL_ASK);
        CHECK_EQ_INT(policy_parse_name("Screenshot.PickColor", &s), 0);
        *policy_rule(&answers, &s) = PORTAL_ALLOW;
        CHECK_EQ_INT(decide(&p, PORTAL("Screenshot"), "PickColor"), PORTAL_ALLOW);
        CHECK_EQ_INT(decide(&p, PORTAL("Screenshot"), "Screenshot"), PORTAL_DENY);
        CHECK_EQ_INT(set(&p, "Screenshot", "deny"), 0);
        CHECK_EQ_INT(decide(&p, PORTAL("Screenshot"), "PickColor"), PORTAL_DENY);

        /* The answer about picking a colour opens no more when the person asks for more. */
        memset(&answers, 0, sizeof(answers));
        *policy_rule(&answers, &s) = PORTAL_ALLOW;
        CHECK_EQ_INT(set(&p, "Screenshot", "ask"), 0);
        CHECK_EQ_INT(decide(&p, PORTAL("Screenshot"), "PickColor"), PORTAL_ALLOW);
        CHECK_EQ_INT(decide(&p, PORTAL("Screenshot"), "Screenshot"), PORTAL_ASK);

        /* "Never", of the whole and of one method, as a person may write it. */
        memset(&answers, 0, sizeof(answers));
        CHECK_EQ_INT(policy_parse_name("Screenshot", &s), 0);
        *policy_rule(&answers, &s) = PORTAL_DENY;
        CHECK_EQ_INT(decide(&p, PORTAL("Screenshot"), "PickColor"), PORTAL_DENY);
        CHECK_EQ_INT(policy_parse_name("Wallpaper.SetWallpaperFile", &s), 0);
        *policy_rule(&answers, &s) = PORTAL_DENY;
        CHECK_EQ_INT(decide(&p, PORTAL("Wallpaper"), "SetWallpaperFile"), PORTAL_DENY);
        CHECK_EQ_INT(decide(&p, PORTAL("Wallpaper"), "SetWallpaperURI"), PORTAL_ASK);
        policy_done(&p);
}

static void test_keys(void) {
        struct policy p = {0};
        struct policy_subject s;
        char names[1024];

        CHECK_EQ_INT(set(&p, "Nothing", "allow"), POLICY_E_PORTAL);
        CHECK_EQ_INT(set(&p, "", "allow"), POLICY_E_PORTAL);
        CHECK_EQ_INT(set(&p, ".OpenFile", "allow"), POLICY_E_PORTAL);
        CHECK_EQ_INT(set(&p, "filechooser", "allow"), POLICY_E_PORTAL);
        CHECK_EQ_INT(set(&p, PORTAL("FileChooser"), "allow"), POLICY_E_PORTAL);
        CHECK_EQ_INT(policy_set(&p, "FileChooser.Open", "allow", &s), POLICY_E_METHOD);
        CHECK_EQ_STR(policy_names(s.interface, names, sizeof(names)),
                     "OpenFile, SaveFile, SaveFiles");
        CHECK_EQ_INT(set(&p, "FileChooser.", "allow"), POLICY_E_METHOD);
        CHECK_EQ_INT(set(&p, "FileChooser.OpenFile.x", "allow"), POLICY_E_METHOD);
        CHECK_EQ_INT(set(&p, "FileChooser", "yes"), POLICY_E_VALUE);
        CHECK_EQ_INT(set(&p, "FileChooser", ""), POLICY_E_VALUE);
        CHECK_EQ_INT(set(&p, "FileChooser", "Allow"), POLICY_E_VALUE);
        CHECK_EQ_INT(policy_set_fallback(&p, "maybe"), POLICY_E_VALUE);
        CHECK_EQ_INT(set(&p, "Camera", "allow"), POLICY_E_REFUSED);
        CHECK_EQ_INT(set(&p, "RemoteDesktop.Start", "ask"), POLICY_E_REFUSED);
        CHECK_EQ_INT(set(&p, "RemoteDesktop", "deny"), 0);
        CHECK_EQ_INT(set(&p, "Background", "deny"), POLICY_E_LOCAL);
        CHECK_EQ_INT(set(&p, "Background", "allow"), 0);
        CHECK_EQ_INT(set(&p, "Documents.GetMountPoint", "ask"), POLICY_E_LOCAL);
        CHECK_EQ_INT(set(&p, "Documents", "deny"), 0);
        CHECK_EQ_INT(decide(&p, PORTAL("Documents"), "Info"), PORTAL_DENY);
        CHECK_EQ_INT(set(&p, "PowerProfileMonitor", "deny"), 0); /* it has no method */
        CHECK(!policy_allows_interface(&p, PORTAL("PowerProfileMonitor")));
        CHECK_EQ_INT(decide(&p, PORTAL("FileChooser"), "OpenFile"), PORTAL_ALLOW);

        (void)policy_names(NULL, names, sizeof(names));
        CHECK(strstr(names, "FileChooser, ") && strstr(names, ", Documents"));
        CHECK(!strstr(names, "Background") && strlen(names) < sizeof(names) - 1);
        policy_done(&p);
}

static void test_subjects(void) {
        char name[POLICY_MAX_NAME];

        for (size_t i = 0; i < portal_n_methods; i++) {
                const struct portal_method *m = &portal_methods[i];
                struct policy_subject s = policy_subject(m), again;

                CHECK_EQ_INT(policy_parse_name(policy_subject_name(&s, name), &again), 0);
                CHECK(again.interface == s.interface && again.method == s.method);
                CHECK(strlen(name) < POLICY_MAX_NAME - 1);
                CHECK((s.method != NULL) == (m->policy != PORTAL_POLICY_INHERIT));
                /* Whatever can be asked about has words for it. */
                CHECK(m->kind == PORTAL_LOCAL || ask_wish(&s));
                s.method = m;
                CHECK_EQ_INT(policy_parse_name(policy_subject_name(&s, name), &again), 0);
                CHECK(again.method == m);
        }
}

static void test_schemes(void) {
        struct policy p = {0};

        CHECK(policy_scheme_allowed(&p, "http") && policy_scheme_allowed(&p, "HTTPS"));
        CHECK(policy_scheme_allowed(&p, "mailto") && !policy_scheme_allowed(&p, "ftp"));
        CHECK(!policy_scheme_allowed(&p, "") && !policy_scheme_allowed(&p, "http https"));
        CHECK(!policy_scheme_allowed(&p, "htt") && !policy_scheme_allowed(&p, "https:"));
        CHECK_EQ_INT(policy_set_schemes(&p, "https  magnet x-a+b.c-1 "), 0);
        CHECK(policy_scheme_allowed(&p, "X-A+B.C-1") && policy_scheme_allowed(&p, "magnet"));
        CHECK(!policy_scheme_allowed(&p, "http"));
        CHECK_EQ_INT(policy_set_schemes(&p, "https file"), POLICY_E_VALUE);
        CHECK_EQ_INT(policy_set_schemes(&p, "FILE"), POLICY_E_VALUE);
        CHECK_EQ_INT(policy_set_schemes(&p, "https: http:"), POLICY_E_VALUE);
        CHECK_EQ_INT(policy_set_schemes(&p, "1a"), POLICY_E_VALUE);
        CHECK_EQ_INT(policy_set_schemes(&p, "http,https"), POLICY_E_VALUE);
        CHECK_EQ_INT(policy_set_schemes(&p, "*"), POLICY_E_VALUE);
        CHECK(policy_scheme_allowed(&p, "magnet")); /* what is wrong changes nothing */
        CHECK_EQ_INT(policy_set_schemes(&p, ""), 0);
        CHECK(!policy_scheme_allowed(&p, "https") && !policy_uri_allowed(&p, "https://a/"));
        policy_done(&p);
}

static void test_uris(void) {
        static const struct {
                const char *uri;
                bool allowed;
        } rows[] = {
                {"http://example.org/", true},
                {"HTTPS://example.org/?a=b&attach=c#d", true},
                {"https:", true},
                {"https://example.org/\xc3\xa4", true},
                {"https", false},
                {"", false},
                {":", false},
                {"//example.org", false},
                {"file:///etc/passwd", false},
                {"FILE:///etc/passwd", false},
                {"javascript:alert(1)", false},
                {"ftp://example.org/", false},
                {" https://example.org/", false},
                {"https://example.org/\n", false},
                {"https://example.org/\t", false},
                {"https://example.org/\x7f", false},
                {"https://example.org/\xe2\x80\xaegpj.exe", false}, /* right-to-left override */
                {"https://example.org/\xe2\x80\xa8", false},        /* line separator */
                {"mailto:a@example.org", true},
                {"mailto:", true},
                {"mailto:?", true},
                {"mailto:a@example.org?subject=S&body=attach=it&cc=b%40c&Bcc=d", true},
                {"mailto:a?In-Reply-To=%3Cx%3E", true},
                {"mailto:a?attach=/home/a/.ssh/id_rsa", false},
                {"mailto:a?subject=x&attach=/etc/passwd", false},
                {"mailto:a?attachment=/etc/passwd", false},
                {"MAILTO:a?ATTACH=/etc/passwd", false},
                {"mailto:a?%61ttach=/etc/passwd", false},
                {"mailto:a?subject=x&amp;attach=/etc/passwd", false},
                {"mailto:a@example.org&attach=/etc/passwd", false},
                {"mailto:a@example.org;attach=/etc/passwd", false},
                {"mailto:a@example.org%3Fattach=/etc/passwd", false},
                {"mailto:a@example.org%26attach=/etc/passwd?subject=x", false},
                {"mailto:a?subject=x;attach=/etc/passwd", false},
                {"mailto:a?body=one;two;%20three&subject=x", true},
                {"mailto:a?insert=/etc/passwd", false},
                {"mailto:a?subject=x&%zz=y", false},
                {"mailto:a?%00=y", false},
                {"mailto:a?x-header=y", false},
        };
        struct policy p = {0};

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                if (policy_uri_allowed(&p, rows[i].uri) != rows[i].allowed)
                        printf("# %s\n", rows[i].uri);
                CHECK_EQ_INT(policy_uri_allowed(&p, rows[i].uri), rows[i].allowed);
        }
}

static void test_namespaces(void) {
        struct policy p = {0};

        CHECK(policy_namespace_allowed(&p, "org.freedesktop.appearance"));
        CHECK(policy_namespace_allowed(&p, "org.gnome.desktop.interface"));
        CHECK(!policy_namespace_allowed(&p, "org.gnome.desktop.privacy"));
        CHECK(!policy_namespace_allowed(&p, "org.freedesktop"));
        CHECK(!policy_namespace_allowed(&p, ""));
        CHECK(!policy_namespace_allowed(&p, "org.freedesktop.appearance.x"));
        CHECK_EQ_INT(policy_set_namespaces(&p, "org.kde.kdeglobals org.gnome.*"), 0);
        CHECK(policy_namespace_allowed(&p, "org.gnome.desktop.privacy"));
        CHECK(policy_namespace_allowed(&p, "org.kde.kdeglobals"));
        CHECK(!policy_namespace_allowed(&p, "org.gnome"));
        CHECK(!policy_namespace_allowed(&p, "org.gnome."));
        CHECK(!policy_namespace_allowed(&p, "org.gnomes.a"));
        CHECK(!policy_namespace_allowed(&p, "org"));
        CHECK(!policy_namespace_allowed(&p, "org.freedesktop.appearance"));
        CHECK_EQ_INT(policy_set_namespaces(&p, "org.gn*"), POLICY_E_VALUE);
        CHECK_EQ_INT(policy_set_namespaces(&p, "a.*.b"), POLICY_E_VALUE);
        CHECK_EQ_INT(policy_set_namespaces(&p, "a,b"), POLICY_E_VALUE);
        CHECK_EQ_INT(policy_set_namespaces(&p, "**"), POLICY_E_VALUE);
        CHECK_EQ_INT(policy_set_namespaces(&p, "*"), 0);
        CHECK(policy_namespace_allowed(&p, "anything") && !policy_namespace_allowed(&p, ""));
        CHECK_EQ_INT(policy_set_namespaces(&p, ""), 0);
        CHECK(!policy_namespace_allowed(&p, "org.freedesktop.appearance"));
        policy_done(&p);
}

TEST_MAIN({"the table's policies, until something is set", test_defaults},
          {"the nearest rule counts", test_order},
          {"Default= makes nothing looser", test_fallback},
          {"who has a session was asked", test_sessions},
          {"an answer stands for its question only", test_answers},
          {"keys a person may write, and others", test_keys},
          {"every subject has a name and words", test_subjects},
          {"schemes", test_schemes}, {"URIs that the host may open", test_uris},
          {"namespaces of settings", test_namespaces})
