/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/policy.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/escape.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"

void policy_done(struct policy *p) {
        free(p->schemes);
        free(p->namespaces);
        *p = (struct policy){0};
}

/* --- rules ---------------------------------------------------------------------------------- */

static const char *short_name(const struct portal_interface *i) {
        return strrchr(i->name, '.') + 1;
}

static size_t interface_index(const struct portal_interface *i) {
        size_t n = (size_t)(i - portal_interfaces);

        assert(n < POLICY_MAX_INTERFACES);
        return n;
}

static size_t method_index(const struct portal_method *m) {
        size_t n = (size_t)(m - portal_methods);

        assert(n < POLICY_MAX_METHODS);
        return n;
}

uint8_t *policy_rule(struct policy_rules *rules, const struct policy_subject *s) {
        return s->method ? &rules->methods[method_index(s->method)]
                         : &rules->interfaces[interface_index(s->interface)];
}

struct policy_subject policy_subject(const struct portal_method *m) {
        return (struct policy_subject){
                .interface = portal_find_interface(m->interface),
                .method = m->policy == PORTAL_POLICY_INHERIT ? NULL : m,
        };
}

const char *policy_subject_name(const struct policy_subject *s, char buf[POLICY_MAX_NAME]) {
        (void)snprintf(buf, POLICY_MAX_NAME, "%s%s%s", short_name(s->interface),
                       s->method ? "." : "", s->method ? s->method->member : "");
        return buf;
}

/* --- what is allowed ------------------------------------------------------------------------ */

/*
 * An answer stands for what was asked, and for nothing else: whoever may always pick a colour may
 * not take a picture.  "Never" goes for all below.
 */
static enum portal_policy answer_to(const struct policy_rules *answers,
                                    const struct portal_method *m,
                                    const struct portal_interface *i) {
        enum portal_policy method = answers->methods[method_index(m)];
        enum portal_policy whole = answers->interfaces[interface_index(i)];

        if (method)
                return method;
        return !m->policy || whole == PORTAL_DENY ? whole : PORTAL_POLICY_INHERIT;
}

static bool is_of_session(const struct portal_method *m) {
        for (const struct portal_value *v = m->args; v->name; v++)
                if (v->role == PORTAL_SESSION)
                        return true;
        return false;
}

/* Default= is for what nobody thought of: it does not give what the table withholds. */
static enum portal_policy stricter(enum portal_policy a, enum portal_policy b) {
        static const unsigned strictness[] = {
                [PORTAL_POLICY_INHERIT] = 0, [PORTAL_ALLOW] = 1, [PORTAL_ASK] = 2, [PORTAL_DENY] = 3,
        };

        return strictness[a] >= strictness[b] ? a : b;
}

enum portal_policy policy_decide(const struct policy *p, const struct portal_method *m) {
        const struct portal_interface *i = portal_find_interface(m->interface);
        enum portal_policy own = p->rules.methods[method_index(m)], rule, answer = 0;

        rule = own ?: p->rules.interfaces[interface_index(i)];
        rule = rule ?: stricter(p->fallback, portal_default_policy(m->interface, m->member));
        if (rule == PORTAL_ASK && p->answers)
                answer = answer_to(p->answers, m, i);
        if (answer)
                rule = answer;
        /* Who has a session was asked when it was made; a key of the method's own asks again. */
        return rule == PORTAL_ASK && !own && is_of_session(m) ? PORTAL_ALLOW : rule;
}

bool policy_allows_interface(const struct policy *p, const char *interface) {
        const struct portal_interface *i = portal_find_interface(interface);
        enum portal_policy rule;

        if (!i)
                return false;
        rule = p->rules.interfaces[interface_index(i)];
        rule = rule ?: stricter(p->fallback, i->policy);
        if (rule == PORTAL_ASK && p->answers)
                rule = p->answers->interfaces[interface_index(i)];
        return rule == PORTAL_ALLOW;
}

/* Calls match for each word of a list; whether one of them did. */
static bool any_word(const char *list, bool (*match)(const char *word, size_t n, const char *what),
                     const char *what) {
        for (const char *s = list + strspn(list, " "); *s; s += strspn(s, " ")) {
                size_t n = strcspn(s, " ");

                if (match(s, n, what))
                        return true;
                s += n;
        }
        return false;
}

static bool is_scheme(const char *word, size_t n, const char *scheme) {
        return strlen(scheme) == n && strncasecmp(word, scheme, n) == 0;
}

bool policy_scheme_allowed(const struct policy *p, const char *scheme) {
        return any_word(p->schemes ?: POLICY_SCHEMES, is_scheme, scheme);
}

/*
 * Mail programs of the host take more in a mailto: URI than RFC 6068 has: "attach=" and "insert="
 * name a file that goes into the mail.  The keys that are only text pass.  Some split at '&' before
 * they look for '?', or at ';' too; so there is none among the recipients, and what looks like a key
 * after one has to be a harmless one.
 */
static bool is_mail_of_text(const char *uri) {
        static const char *const keys = "to cc bcc subject body keywords in-reply-to references";
        const char *s = uri + strcspn(uri, "?");
        _cleanup_free_ char *to = uri_unescape(uri, (size_t)(s - uri));

        if (!to || strpbrk(to, "?&;"))
                return false;
        while (*s) {
                char separator = *s++;
                size_t n = strcspn(s, "=&;");
                _cleanup_free_ char *key = uri_unescape(s, n);

                if (!key || (*key && (separator != ';' || s[n] == '=') &&
                             !any_word(keys, is_scheme, key)))
                        return false;
                s += strcspn(s, "&;");
        }
        return true;
}

/* Controls, bidirectional ones too, and line separators make a URI look like another. */
static bool is_as_it_looks(const char *uri) {
        _cleanup_free_ char *shown = escape_display(uri, strlen(uri));

        return shown && strcmp(shown, uri) == 0;
}

bool policy_uri_allowed(const struct policy *p, const char *uri) {
        size_t n = strcspn(uri, ":");
        _cleanup_free_ char *scheme = strndup(uri, n);

        if (!scheme || !uri[n] || !policy_scheme_allowed(p, scheme) || !is_as_it_looks(uri))
                return false;
        return strcasecmp(scheme, "mailto") != 0 || is_mail_of_text(uri);
}

/* "*": any; "a.b.*": what is below; else the namespace itself. */
static bool is_namespace(const char *word, size_t n, const char *ns) {
        if (word[n - 1] == '*')
                return strncmp(word, ns, n - 1) == 0 && ns[n - 1];
        return strlen(ns) == n && strncmp(word, ns, n) == 0;
}

bool policy_namespace_allowed(const struct policy *p, const char *ns) {
        return any_word(p->namespaces ?: POLICY_NAMESPACES, is_namespace, ns);
}

/* --- what the person writes ----------------------------------------------------------------- */

/* docs/PORTALS.refused.md says why of each. */
static const char *const refused[] = {
        "RemoteDesktop", "InputCapture", "Clipboard", "Usb", "DynamicLauncher", "Camera",
        "ScreenCast", "Device",
};

static bool is_refused(const char *name) {
        size_t n = strcspn(name, ".");

        for (size_t i = 0; i < ELEMENTSOF(refused); i++)
                if (strlen(refused[i]) == n && strncmp(refused[i], name, n) == 0)
                        return true;
        return false;
}

int policy_parse_name(const char *name, struct policy_subject *ret) {
        size_t n = strcspn(name, ".");
        _cleanup_free_ char *portal = strndup(name, n);

        *ret = (struct policy_subject){0};
        if (!portal)
                return -ENOMEM;
        if (is_refused(name))
                return POLICY_E_REFUSED;
        ret->interface = portal_find_short_name(portal);
        if (!ret->interface)
                return POLICY_E_PORTAL;
        if (!name[n])
                return 0;
        ret->method = portal_find_method(ret->interface->name, name + n + 1);
        return ret->method ? 0 : POLICY_E_METHOD;
}

int policy_parse_value(const char *value, uint8_t *ret) {
        static const char *const words[] = {
                [PORTAL_ALLOW] = "allow", [PORTAL_DENY] = "deny", [PORTAL_ASK] = "ask",
        };

        for (uint8_t i = PORTAL_ALLOW; i < ELEMENTSOF(words); i++)
                if (strcmp(words[i], value) == 0) {
                        *ret = i;
                        return 0;
                }
        return POLICY_E_VALUE;
}

/* Whether anything of it comes to the gate. */
static bool is_local(const struct policy_subject *s) {
        if (s->method)
                return s->method->kind == PORTAL_LOCAL;
        for (size_t i = 0; i < portal_n_methods; i++)
                if (strcmp(portal_methods[i].interface, s->interface->name) == 0 &&
                    portal_methods[i].kind != PORTAL_LOCAL)
                        return false;
        /* One that only has properties and signals of the host's is not local, either. */
        return s->interface->local;
}

/* The person is asked when a call comes, and no call of it comes to the gate. */
static bool is_without_calls(const struct policy_subject *s) {
        for (size_t i = 0; i < portal_n_methods; i++)
                if (strcmp(portal_methods[i].interface, s->interface->name) == 0)
                        return false;
        return true;
}

int policy_set(struct policy *p, const char *key, const char *value, struct policy_subject *ret) {
        uint8_t rule = 0;
        int bad = policy_parse_value(value, &rule), r = policy_parse_name(key, ret);

        /* What is so anyway may be said. */
        if (r == POLICY_E_REFUSED && rule == PORTAL_DENY)
                return 0;
        if (r != 0 || bad)
                return r ?: bad;
        if (is_local(ret))
                return rule == PORTAL_ALLOW ? 0 : POLICY_E_LOCAL;
        if (rule == PORTAL_ASK && is_without_calls(ret))
                return POLICY_E_NO_CALL;
        *policy_rule(&p->rules, ret) = rule;
        return 0;
}

int policy_set_fallback(struct policy *p, const char *value) {
        return policy_parse_value(value, &p->fallback);
}

static int set_list(char **field, const char *value,
                    bool (*is_bad)(const char *word, size_t n, const char *what)) {
        char *s;

        if (any_word(value, is_bad, NULL))
                return POLICY_E_VALUE;
        s = strdup(value);
        if (!s)
                return -ENOMEM;
        free(*field);
        *field = s;
        return 0;
}

/* RFC 3986, section 3.1.  A file is opened by descriptor, so that it is one of the VM's. */
static bool is_bad_scheme(const char *word, size_t n, const char *what _unused_) {
        return !strchr(LETTERS, word[0]) || strspn(word, LETTERS DIGITS "+-.") != n ||
               is_scheme(word, n, "file");
}

static bool is_bad_namespace(const char *word, size_t n, const char *what _unused_) {
        size_t k = strspn(word, LETTERS DIGITS "_-.");

        if (k + 1 == n && word[k] == '*')
                return k > 0 && word[k - 1] != '.';
        return k != n;
}

int policy_set_schemes(struct policy *p, const char *value) {
        return set_list(&p->schemes, value, is_bad_scheme);
}

int policy_set_namespaces(struct policy *p, const char *value) {
        return set_list(&p->namespaces, value, is_bad_namespace);
}

static void add_name(char *buf, size_t size, const char *name) {
        size_t n = strlen(buf);

        (void)snprintf(buf + n, size - n, "%s%s", n > 0 ? ", " : "", name);
}

const char *policy_names(const struct portal_interface *i, char *buf, size_t size) {
        buf[0] = '\0';
        for (size_t k = 0; !i && k < portal_n_interfaces; k++) {
                struct policy_subject s = {&portal_interfaces[k], NULL};

                if (!is_local(&s))
                        add_name(buf, size, short_name(&portal_interfaces[k]));
        }
        for (size_t k = 0; i && k < portal_n_methods; k++)
                if (strcmp(portal_methods[k].interface, i->name) == 0)
                        add_name(buf, size, portal_methods[k].member);
        return buf;
}
