/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/remembered.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "sbsupervisor/small_file.h"

#define MAX_BYTES 65536 /* of every subject a line, and a person's comments */

/* --- the file's text ------------------------------------------------------------------------ */

static size_t skip_blanks(const char *s, size_t n) {
        size_t k = 0;

        while (k < n && (s[k] == ' ' || s[k] == '\t' || s[k] == '\r'))
                k++;
        return k;
}

static size_t cut_blanks(const char *s, size_t n) {
        while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
                n--;
        return n;
}

/* The word in s[0..n) without the blanks around it, in buf; "" when it does not fit. */
static void copy_word(char buf[POLICY_MAX_NAME], const char *s, size_t n) {
        size_t k = skip_blanks(s, n);

        s += k;
        n = cut_blanks(s, n - k);
        if (n >= POLICY_MAX_NAME)
                n = 0;
        memcpy(buf, s, n);
        buf[n] = '\0';
}

static int parse_line(const char *s, size_t n, struct policy_rules *rules) {
        char name[POLICY_MAX_NAME], value[POLICY_MAX_NAME];
        const char *eq = memchr(s, '=', n);
        struct policy_subject subject;
        uint8_t rule, *there;

        if (!eq || memchr(s, '\0', n))
                return REMEMBERED_E_SYNTAX;
        copy_word(name, s, (size_t)(eq - s));
        copy_word(value, eq + 1, n - (size_t)(eq + 1 - s));
        if (policy_parse_value(value, &rule) != 0 || rule == PORTAL_ASK)
                return REMEMBERED_E_SYNTAX;
        if (policy_parse_name(name, &subject) != 0)
                return REMEMBERED_E_NAME;
        there = policy_rule(rules, &subject);
        if (*there != PORTAL_DENY)
                *there = rule;
        return 0;
}

void remembered_parse(const char *text, size_t n, struct policy_rules *rules,
                      void (*on_fault)(void *userdata, const struct remembered_fault *f),
                      void *userdata) {
        struct remembered_fault f = {0};

        for (size_t at = 0; at < n;) {
                const char *s = text + at, *end = memchr(s, '\n', n - at);
                size_t length = end ? (size_t)(end - s) : n - at;
                size_t k = skip_blanks(s, length);

                f.line++;
                at += length + 1;
                if (k == length || s[k] == '#' || s[k] == ';')
                        continue;
                f.reason = parse_line(s, length, rules);
                if (f.reason != 0)
                        on_fault(userdata, &f);
        }
}

/* --- the file ------------------------------------------------------------------------------- */

static void log_fault(void *userdata, const struct remembered_fault *f) {
        static const char *const texts[] = {
                [REMEMBERED_E_SYNTAX] = "write Portal=allow, Portal=deny or # comment",
                [REMEMBERED_E_NAME] = "there is no portal or method by this name",
        };
        const struct remembered *r = userdata;

        log_error("%s:%u: %s: the line is ignored", r->file, f->line, texts[f->reason]);
}

int remembered_open(struct remembered *r, const char *state_dir) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        int e;

        *r = (struct remembered){0};
        if (asprintf(&r->file, "%s/policy", state_dir) < 0)
                return log_error_errno(ENOMEM, "remembered answers");
        e = small_file_read(r->file, MAX_BYTES, &text, &n);
        if (e < 0 && e != -ENOENT) {
                (void)log_error_errno(e, "cannot read %s, which holds your answers to questions: "
                                         "remove it to be asked again", r->file);
                remembered_done(r);
                return e;
        }
        remembered_parse(text ?: "", n, &r->rules, log_fault, r);
        return 0;
}

/* At the end of what is there: a person's comments stay, and lines that were not understood. */
static int add_line(const char *file, const char *name) {
        _cleanup_free_ char *before = NULL, *after = NULL;
        const char *separator;
        size_t n = 0;
        int r = small_file_read(file, MAX_BYTES, &before, &n);

        if (r < 0 && r != -ENOENT)
                return r;
        separator = n > 0 && before[n - 1] != '\n' ? "\n" : "";
        after = malloc(n + 1 + POLICY_MAX_NAME + sizeof("=allow\n"));
        if (!after)
                return -ENOMEM;
        if (n > 0)
                memcpy(after, before, n);
        n += (size_t)sprintf(after + n, "%s%s=allow\n", separator, name);
        return n > MAX_BYTES ? -EFBIG : small_file_replace(file, after, n, 0600);
}

void remembered_allow(struct remembered *r, const struct policy_subject *s) {
        char name[POLICY_MAX_NAME];
        int e = add_line(r->file, policy_subject_name(s, name));

        *policy_rule(&r->rules, s) = PORTAL_ALLOW;
        if (e < 0)
                (void)log_warning_errno(e, "cannot keep your answer in %s: %s is allowed until "
                                           "this instance ends", r->file, name);
}

void remembered_done(struct remembered *r) {
        free(r->file);
        *r = (struct remembered){0};
}
