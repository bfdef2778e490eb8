/* SPDX-License-Identifier: MIT */
#include "common/options.h"

#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/log.h"

static void print_help(const struct option_row *table, const char *program, const char *summary) {
        printf("Usage: %s [OPTION]...\n%s\n\n", program, summary);
        for (const struct option_row *o = table; o->name; o++) {
                char left[64];

                (void)snprintf(left, sizeof(left), "--%s%s%s", o->name, o->arg ? " " : "",
                               o->arg ? o->arg : "");
                printf("  %-26s %s\n", left, o->help);
        }
        printf("  %-26s %s\n  %-26s %s\n", "--help", "show this text", "--version",
               "show the version");
}

static int usage_error(const char *program, const char *what, const char *arg) {
        log_error("%s: %s (%s --help lists the options)", ESCAPED(arg), what, program);
        return OPTIONS_E_USAGE;
}

static const struct option_row *find(const struct option_row *table, const char *name, size_t n) {
        for (const struct option_row *o = table; o->name; o++)
                if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
                        return o;
        return NULL;
}

static int parse_one(const struct option_row *table, const char *program, int *i, int argc,
                     char **argv, void *self) {
        const char *arg = argv[*i], *name = arg + 2, *value = NULL;
        const struct option_row *o;
        size_t n;

        if (strncmp(arg, "--", 2) != 0)
                return usage_error(program, "not an option", arg);
        n = strcspn(name, "=");
        o = find(table, name, n);
        if (!o)
                return usage_error(program, "unknown option", arg);
        if (name[n] == '=')
                value = name + n + 1;
        if (!o->arg && value)
                return usage_error(program, "this option takes no value", arg);
        if (o->arg && !value) {
                if (*i + 1 >= argc)
                        return usage_error(program, "this option needs a value", arg);
                value = argv[++*i];
        }
        return o->set(self, value);
}

int options_parse(const struct option_row *table, const char *program, const char *summary,
                  int argc, char **argv, void *self) {
        for (int i = 1; i < argc; i++) {
                int r;

                if (strcmp(argv[i], "--help") == 0) {
                        print_help(table, program, summary);
                        return OPTIONS_E_DONE;
                }
                if (strcmp(argv[i], "--version") == 0) {
                        printf("%s (sidebus) " SIDEBUS_VERSION "\n", program);
                        return OPTIONS_E_DONE;
                }
                r = parse_one(table, program, &i, argc, argv, self);
                if (r != 0)
                        return r;
        }
        return 0;
}
