/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/quote.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST 6 /* of what one character becomes: "&quot;" */

struct replacement {
        char c;
        const char *by;
};

/*
 * Each character of the text is replaced as the list says.  around goes before and after all of it,
 * but only where a character is not in plain (NULL: never needed).
 */
static const struct syntax {
        const struct replacement *list;
        const char *around, *plain;
} syntaxes[QUOTE_N] = {
        [QUOTE_SHELL] =
                {(const struct replacement[]){{'\'', "'\\''"}, {0}}, "'",
                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_"},
        [QUOTE_COMMA] = {(const struct replacement[]){{',', ",,"}, {0}}, "", NULL},
        [QUOTE_BRACKET] =
                {(const struct replacement[]){{0}}, "\"",
                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-./:=@_"},
        [QUOTE_KEYVAL] = {(const struct replacement[]){{'"', "\\\""}, {'\\', "\\\\"}, {0}}, "\"",
                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-./:@_"},
        [QUOTE_XML] = {(const struct replacement[]){{'&', "&amp;"},
                                                    {'<', "&lt;"},
                                                    {'>', "&gt;"},
                                                    {'"', "&quot;"},
                                                    {'\'', "&apos;"},
                                                    {0}},
                       "", NULL},
        [QUOTE_STRING] = {(const struct replacement[]){{'"', "\\\""}, {'\\', "\\\\"}, {0}}, "",
                          NULL},
        [QUOTE_UNIT] = {(const struct replacement[]){
                                {'"', "\\\""}, {'\\', "\\\\"}, {'%', "%%"}, {0}},
                        "", NULL},
};

static const char *find(const struct replacement *list, char c) {
        for (; list->c; list++)
                if (list->c == c)
                        return list->by;
        return NULL;
}

char *quote_text(enum quote how, const char *text) {
        const struct syntax *s = &syntaxes[how];
        const char *around =
                s->plain && *text && text[strspn(text, s->plain)] == '\0' ? "" : s->around;
        char *result = malloc(strlen(text) * LONGEST + 2 * strlen(around) + 1), *end = result;

        if (!result)
                return NULL;
        end = stpcpy(end, around);
        for (const char *c = text; *c; c++) {
                const char *by = find(s->list, *c);

                end = by ? stpcpy(end, by) : stpncpy(end, c, 1);
        }
        (void)stpcpy(end, around);
        return result;
}
