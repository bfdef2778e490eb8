/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/ini.h"

#include <string.h>

static char *strip(char *s) {
        size_t n;

        s += strspn(s, " \t\r");
        n = strlen(s);
        while (n > 0 && strchr(" \t\r", s[n - 1]))
                s[--n] = '\0';
        return s;
}

/* One line, already stripped and terminated.  section is kept across lines. */
static int parse_line(char *s, char *section, struct ini_line *line,
                      int (*fn)(void *self, const struct ini_line *line), void *self) {
        size_t n = strlen(s);
        char *eq;

        if (n == 0 || s[0] == '#' || s[0] == ';')
                return 0;
        if (s[0] == '[') {
                if (n < 3 || s[n - 1] != ']')
                        return INI_E_SYNTAX;
                memcpy(section, s + 1, n - 2);
                section[n - 2] = '\0';
                return 0;
        }
        eq = strchr(s, '=');
        if (!eq || eq == s)
                return INI_E_SYNTAX;
        if (!section[0])
                return INI_E_SECTION;
        *eq = '\0';
        line->section = section;
        line->key = strip(s);
        line->value = strip(eq + 1);
        return fn(self, line);
}

int ini_parse(const char *text, size_t n, int (*fn)(void *self, const struct ini_line *line),
              void *self, unsigned *ret_line) {
        char buf[INI_MAX_LINE + 1], section[INI_MAX_LINE + 1] = "";
        struct ini_line line = {0};

        for (size_t at = 0; at < n;) {
                const char *end = memchr(text + at, '\n', n - at);
                size_t k = end ? (size_t)(end - text) - at : n - at;
                int r;

                *ret_line = ++line.number;
                if (k > INI_MAX_LINE)
                        return INI_E_LENGTH;
                if (memchr(text + at, '\0', k))
                        return INI_E_SYNTAX;
                memcpy(buf, text + at, k);
                buf[k] = '\0';
                r = parse_line(strip(buf), section, &line, fn, self);
                if (r != 0)
                        return r;
                at += k + 1;
        }
        return 0;
}
