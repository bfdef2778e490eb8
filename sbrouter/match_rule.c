/* SPDX-License-Identifier: MIT */
/*
 * The grammar is the specification's, read strictly where libdbus is lax (an empty
 * key, numbers in octal): a rule that two buses understand differently is a hole in
 * whatever filters one of them.
 */
#include "sbrouter/match_rule.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sbrouter/dbus_name.h"

#define MAX_ARGS BODY_MAX_ARGS

/* --- parsing: into a draft on the stack, then into one block of the right size ------------- */

struct draft {
        uint8_t type;
        bool eavesdrop, has_eavesdrop;
        struct match_text key[MATCH_N_KEYS]; /* at: into text, from 1 */
        struct match_text arg[MAX_ARGS];
        uint8_t arg_kind[MAX_ARGS];
        size_t n_text;
        /* A value is shorter than its "key=value": NULs included, the rule's length suffices. */
        char text[1 + LIMIT_MATCH_RULE_BYTES];
};

/* A row says how the value of a key is taken; texts differ only in where they go. */
struct key {
        const char *name;
        int (*take)(struct draft *d, const struct key *k, struct match_text value);
        enum match_key text;
        bool (*is_valid)(const char *s, size_t n);
};

static int take_type(struct draft *d, const struct key *k _unused_, struct match_text value) {
        static const char *const names[] = {
                [MESSAGE_CALL] = "method_call",
                [MESSAGE_RETURN] = "method_return",
                [MESSAGE_ERROR] = "error",
                [MESSAGE_SIGNAL] = "signal",
        };

        if (d->type != 0)
                return MATCH_RULE_E_DUPLICATE;
        for (uint8_t t = MESSAGE_CALL; t <= MESSAGE_SIGNAL; t++)
                if (strcmp(d->text + value.at, names[t]) == 0)
                        d->type = t;
        d->n_text = value.at; /* not kept as text */
        return d->type == 0 ? MATCH_RULE_E_VALUE : 0;
}

static int take_eavesdrop(struct draft *d, const struct key *k _unused_, struct match_text value) {
        const char *s = d->text + value.at;

        if (d->has_eavesdrop)
                return MATCH_RULE_E_DUPLICATE;
        d->has_eavesdrop = true;
        d->eavesdrop = strcmp(s, "true") == 0;
        d->n_text = value.at;
        return d->eavesdrop || strcmp(s, "false") == 0 ? 0 : MATCH_RULE_E_VALUE;
}

static int take_text(struct draft *d, const struct key *k, struct match_text value) {
        if (d->key[k->text].at != 0)
                return MATCH_RULE_E_DUPLICATE;
        if (!k->is_valid(d->text + value.at, value.n))
                return MATCH_RULE_E_VALUE;
        d->key[k->text] = value;
        return 0;
}

static const struct key keys[] = {
        {"type", take_type, 0, NULL},
        {"eavesdrop", take_eavesdrop, 0, NULL},
        {"sender", take_text, MATCH_SENDER, dbus_name_is_bus},
        {"interface", take_text, MATCH_INTERFACE, dbus_name_is_interface},
        {"member", take_text, MATCH_MEMBER, dbus_name_is_member},
        {"path", take_text, MATCH_PATH, dbus_name_is_path},
        {"path_namespace", take_text, MATCH_PATH_NAMESPACE, dbus_name_is_path},
        {"destination", take_text, MATCH_DESTINATION, dbus_name_is_bus},
};

static bool is_word(const char *s, size_t n, const char *word) {
        return n == strlen(word) && memcmp(s, word, n) == 0;
}

/* "arg" is behind us: 0..63, in decimal without leading zeros, and a suffix. */
static int arg_key(const char *s, size_t n, unsigned *ret_index, enum match_arg_kind *ret_kind) {
        unsigned index = 0;
        size_t i = 0;

        while (i < n && i < 2 && s[i] >= '0' && s[i] <= '9' && !(i == 1 && s[0] == '0'))
                index = index * 10 + (unsigned)(s[i++] - '0');
        if (i == 0 || index >= MAX_ARGS)
                return MATCH_RULE_E_KEY;
        s += i, n -= i;
        *ret_index = index;
        if (n == 0)
                *ret_kind = MATCH_ARG_STRING;
        else if (is_word(s, n, "path"))
                *ret_kind = MATCH_ARG_PATH;
        else if (is_word(s, n, "namespace") && index == 0)
                *ret_kind = MATCH_ARG_NAMESPACE;
        else
                return MATCH_RULE_E_KEY;
        return 0;
}

static int take_arg(struct draft *d, const char *s, size_t n, struct match_text value) {
        enum match_arg_kind kind;
        unsigned i;
        int r;

        r = arg_key(s, n, &i, &kind);
        if (r != 0)
                return r;
        if (d->arg[i].at != 0)
                return MATCH_RULE_E_DUPLICATE;
        if (kind == MATCH_ARG_NAMESPACE && !dbus_name_is_namespace(d->text + value.at, value.n))
                return MATCH_RULE_E_VALUE;
        d->arg[i] = value;
        d->arg_kind[i] = (uint8_t)kind;
        return 0;
}

static int take_pair(struct draft *d, const char *name, size_t n, struct match_text value) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (is_word(name, n, keys[i].name))
                        return keys[i].take(d, &keys[i], value);
        if (n > 3 && memcmp(name, "arg", 3) == 0)
                return take_arg(d, name + 3, n - 3, value);
        return MATCH_RULE_E_KEY;
}

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/*
 * The value at s, up to a comma outside quotes: appended to d's text without its
 * quotes.  A backslash means itself, but before a quote outside quotes it makes
 * the quote mean itself; inside quotes it has no meaning.
 */
static int take_value(struct draft *d, const char **s, const char *end, struct match_text *ret) {
        size_t start = d->n_text;
        bool quoted = false;
        const char *p = *s;

        for (; p < end && (quoted || *p != ','); p++) {
                if (!quoted && *p == '\\' && end - p > 1 && p[1] == '\'')
                        d->text[d->n_text++] = *++p;
                else if (*p == '\'')
                        quoted = !quoted;
                else
                        d->text[d->n_text++] = *p;
        }
        if (quoted)
                return MATCH_RULE_E_FORM;
        ret->at = (uint16_t)start;
        ret->n = (uint16_t)(d->n_text - start);
        d->text[d->n_text++] = 0;
        *s = p < end ? p + 1 : p;
        return 0;
}

/* The next "key=value" of the rule; blanks are allowed around the key. */
static int take_next(struct draft *d, const char **s, const char *end) {
        struct match_text value;
        const char *name, *name_end;
        int r;

        while (*s < end && is_blank(**s))
                (*s)++;
        if (*s == end)
                return 0;
        name = *s;
        while (*s < end && **s != '=' && !is_blank(**s))
                (*s)++;
        name_end = *s;
        while (*s < end && is_blank(**s))
                (*s)++;
        if (*s == end || **s != '=' || name == name_end)
                return MATCH_RULE_E_FORM;
        (*s)++;
        r = take_value(d, s, end, &value);
        return r != 0 ? r : take_pair(d, name, (size_t)(name_end - name), value);
}

static struct match_text moved(struct match_text t, size_t by) {
        return t.at == 0 ? t : (struct match_text){(uint16_t)(t.at + by), t.n};
}

static int draft_finish(const struct draft *d, struct match_rule **ret) {
        size_t n_args = 0, text, n;
        struct match_rule *r;

        for (unsigned i = 0; i < MAX_ARGS; i++)
                n_args += d->arg[i].at != 0;
        text = sizeof(*r) + n_args * sizeof(r->args[0]);
        n = text + d->n_text;
        r = calloc(1, n);
        if (!r)
                return -ENOMEM;
        r->n = (uint16_t)n;
        r->type = d->type;
        r->eavesdrop = d->eavesdrop;
        memcpy((char *)r + text, d->text, d->n_text);
        for (unsigned k = 0; k < MATCH_N_KEYS; k++)
                r->key[k] = moved(d->key[k], text);
        for (unsigned i = 0; i < MAX_ARGS; i++)
                if (d->arg[i].at != 0)
                        r->args[r->n_args++] = (struct match_arg){
                                .index = (uint8_t)i,
                                .kind = d->arg_kind[i],
                                .value = moved(d->arg[i], text),
                        };
        *ret = r;
        return 0;
}

int match_rule_parse(const char *text, size_t n, struct match_rule **ret) {
        const char *s = text, *end = text + n;
        struct draft d = {.n_text = 1};

        if (n > LIMIT_MATCH_RULE_BYTES)
                return MATCH_RULE_E_LENGTH;
        if (memchr(text, 0, n))
                return MATCH_RULE_E_FORM;
        while (s < end) {
                int r = take_next(&d, &s, end);

                if (r != 0)
                        return r;
        }
        if (d.key[MATCH_PATH].at != 0 && d.key[MATCH_PATH_NAMESPACE].at != 0)
                return MATCH_RULE_E_DUPLICATE;
        return draft_finish(&d, ret);
}

struct match_rule *match_rule_free(struct match_rule *r) {
        free(r);
        return NULL;
}

const char *match_rule_strerror(int e) {
        static const char *const texts[MATCH_RULE_N_E] = {
                [MATCH_RULE_E_LENGTH] = "Match rule is too long",
                [MATCH_RULE_E_FORM] = "Match rule is not a list of key='value'",
                [MATCH_RULE_E_KEY] = "Unknown key in match rule",
                [MATCH_RULE_E_DUPLICATE] = "Key specified twice in match rule",
                [MATCH_RULE_E_VALUE] = "Invalid value in match rule",
        };

        return e > 0 && e < MATCH_RULE_N_E ? texts[e] : "Invalid match rule";
}

/* --- comparing ----------------------------------------------------------------------------- */

static bool text_equal(const struct match_rule *a, struct match_text t, const struct match_rule *b,
                       struct match_text u) {
        if (t.at == 0 || u.at == 0)
                return t.at == u.at;
        return t.n == u.n && memcmp((const char *)a + t.at, (const char *)b + u.at, t.n) == 0;
}

unsigned match_rule_weight(const struct match_rule *r) {
        return 1 + r->n_args / LIMIT_MATCH_ARGS;
}

bool match_rule_equal(const struct match_rule *a, const struct match_rule *b) {
        if (a->n != b->n || a->type != b->type || a->eavesdrop != b->eavesdrop ||
            a->n_args != b->n_args)
                return false;
        for (unsigned k = 0; k < MATCH_N_KEYS; k++)
                if (!text_equal(a, a->key[k], b, b->key[k]))
                        return false;
        for (unsigned i = 0; i < a->n_args; i++)
                if (a->args[i].index != b->args[i].index || a->args[i].kind != b->args[i].kind ||
                    !text_equal(a, a->args[i].value, b, b->args[i].value))
                        return false;
        return true;
}

/* Whether s is text, or (with separator != 0) goes on behind text with that separator. */
static bool is_or_below(const char *s, size_t n, const char *text, size_t n_text, char separator) {
        if (n < n_text || memcmp(s, text, n_text) != 0)
                return false;
        return n == n_text || (separator != 0 && s[n_text] == separator);
}

static bool key_fits(const struct match_rule *r, enum match_key k, const struct message_string *s) {
        const char *text = match_rule_get(r, k);

        return !text || (s->s && is_or_below(s->s, s->n, text, r->key[k].n, 0));
}

static bool namespace_fits(const struct match_rule *r, const struct message_string *path) {
        const char *text = match_rule_get(r, MATCH_PATH_NAMESPACE);
        size_t n = r->key[MATCH_PATH_NAMESPACE].n;

        if (!text)
                return true;
        return path->s && (n == 1 || is_or_below(path->s, path->n, text, n, '/'));
}

/* Equal, or the shorter ends in '/' and starts the longer. */
static bool path_arg_fits(const char *a, size_t n, const char *b, size_t m) {
        if (n > m)
                return path_arg_fits(b, m, a, n);
        return memcmp(a, b, n) == 0 && (n == m || (n > 0 && a[n - 1] == '/'));
}

static bool arg_fits(const struct match_arg *a, const char *text, const struct body_arg *arg) {
        size_t n = a->value.n;

        if (arg->type != 's' && !(arg->type == 'o' && a->kind == MATCH_ARG_PATH))
                return false;
        if (a->kind == MATCH_ARG_PATH)
                return path_arg_fits(arg->s, arg->n, text, n);
        return is_or_below(arg->s, arg->n, text, n, a->kind == MATCH_ARG_NAMESPACE ? '.' : 0);
}

bool match_rule_fits(const struct match_rule *r, const struct message *m, struct body_args *args) {
        if (r->type != 0 && r->type != m->type)
                return false;
        /* What tells signals apart most often comes first, the walk over the body last. */
        if (!key_fits(r, MATCH_MEMBER, &m->member) ||
            !key_fits(r, MATCH_INTERFACE, &m->interface) || !key_fits(r, MATCH_PATH, &m->path) ||
            !namespace_fits(r, &m->path))
                return false;
        for (unsigned i = 0; i < r->n_args; i++)
                if (!arg_fits(&r->args[i], match_rule_arg(r, i),
                              body_args_get(args, r->args[i].index)))
                        return false;
        return true;
}

/* --- canonical text ------------------------------------------------------------------------ */

struct writer {
        char *buf;
        size_t size, n;
};

static void put(struct writer *w, const char *s, size_t n) {
        for (size_t i = 0; i < n; i++, w->n++)
                if (w->n + 1 < w->size)
                        w->buf[w->n] = s[i];
}

static void put_pair(struct writer *w, const char *key, const char *value, size_t n) {
        if (w->n > 0)
                put(w, ",", 1);
        put(w, key, strlen(key));
        put(w, "='", 2);
        for (size_t i = 0; i < n; i++)
                if (value[i] == '\'')
                        put(w, "'\\''", 4);
                else
                        put(w, value + i, 1);
        put(w, "'", 1);
}

static void put_args(struct writer *w, const struct match_rule *r) {
        static const char *const suffixes[] = {
                [MATCH_ARG_STRING] = "",
                [MATCH_ARG_PATH] = "path",
                [MATCH_ARG_NAMESPACE] = "namespace",
        };

        for (unsigned i = 0; i < r->n_args; i++) {
                char key[24];

                (void)snprintf(key, sizeof(key), "arg%u%s", r->args[i].index,
                               suffixes[r->args[i].kind]);
                put_pair(w, key, match_rule_arg(r, i), r->args[i].value.n);
        }
}

size_t match_rule_format(const struct match_rule *r, char *buf, size_t size) {
        static const char *const types[] = {"", "method_call", "method_return", "error", "signal"};
        struct writer w = {buf, size, 0};

        if (r->type != 0)
                put_pair(&w, "type", types[r->type], strlen(types[r->type]));
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (keys[i].take == take_text && r->key[keys[i].text].at != 0)
                        put_pair(&w, keys[i].name, match_rule_get(r, keys[i].text),
                                 r->key[keys[i].text].n);
        put_args(&w, r);
        if (r->eavesdrop)
                put_pair(&w, "eavesdrop", "true", 4);
        if (size > 0)
                buf[w.n < size ? w.n : size - 1] = 0;
        return w.n;
}
