/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/proxy_uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SCHEME "://" [LOGIN "@"] HOST: the last '@', wherever: a login may hold any character. */
char *proxy_uri_without_login(const char *uri) {
        const char *authority = strstr(uri, "://"), *at;
        char *s;

        if (!authority)
                return strdup(uri);
        authority += 3;
        at = strrchr(authority, '@');
        if (!at)
                return strdup(uri);
        return asprintf(&s, "%.*s%s", (int)(authority - uri), uri, at + 1) < 0 ? NULL : s;
}
