/* SPDX-License-Identifier: MIT */
#include "sbportal/guest_path.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/limits.h"

#define HEX        "0123456789abcdef"
#define DOC_ID_MAX 16 /* the document portal prints a random 32-bit number; room to grow */

/* Steps to the next component that means something; its length, 0 at the end. */
static size_t next_component(const char **p) {
        size_t n;

        for (;;) {
                *p += strspn(*p, "/");
                n = strcspn(*p, "/");
                if (n != 1 || **p != '.')
                        return n;
                *p += n;
        }
}

static bool is_dotdot(const char *p, size_t n) {
        return n == 2 && p[0] == '.' && p[1] == '.';
}

bool guest_path_dir_is_valid(const char *dir) {
        if (dir[0] != '/' || strlen(dir) > LIMIT_STRING_BYTES)
                return false;
        for (const char *p = dir;;) {
                size_t n = strcspn(p += strspn(p, "/"), "/");

                if (n == 0)
                        return true;
                if (is_dotdot(p, n) || (n == 1 && *p == '.'))
                        return false;
                p += n;
        }
}

static bool is_doc_id(const char *p, size_t n) {
        return n > 0 && n <= DOC_ID_MAX && strspn(p, HEX) >= n;
}

/* Steps over dir's components at the start of path; NULL when path is not below dir. */
static const char *skip_dir(const char *dir, const char *path) {
        if (path[0] != '/')
                return NULL;
        for (;;) {
                size_t n = next_component(&dir);

                if (n == 0)
                        return path;
                if (next_component(&path) != n || memcmp(dir, path, n) != 0)
                        return NULL;
                dir += n;
                path += n;
        }
}

int guest_path_to_gate(const char *dir, const char *path, char **ret) {
        _cleanup_free_ char *out = NULL;
        const char *p = skip_dir(dir, path);
        size_t n, o = 0;

        assert(guest_path_dir_is_valid(dir));

        if (!p)
                return GUEST_PATH_E_FOREIGN;
        n = next_component(&p);
        if (!is_doc_id(p, n))
                return GUEST_PATH_E_FOREIGN;
        out = malloc(strlen(p) + 2);
        if (!out)
                return -ENOMEM;
        memcpy(out, p, n);
        o += n;
        out[o++] = '/';
        p += n;
        while ((n = next_component(&p)) > 0) {
                if (is_dotdot(p, n))
                        return GUEST_PATH_E_FOREIGN;
                if (out[o - 1] != '/')
                        out[o++] = '/';
                memcpy(out + o, p, n);
                o += n;
                p += n;
        }
        out[o] = '\0';
        *ret = TAKE_PTR(out);
        return 0;
}

/* Every component of s is a name: not empty, not ".", not "..". */
static bool has_plain_components(const char *s) {
        for (;;) {
                size_t n = strcspn(s, "/");

                if (n == 0 || (n == 1 && *s == '.') || is_dotdot(s, n))
                        return false;
                if (s[n] == '\0')
                        return true;
                s += n + 1;
        }
}

/* 0 if s is escaped as the gate must escape it. */
static int check_escaped(const char *s) {
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-._~/%";
        _cleanup_free_ char *plain = NULL;

        if (strspn(s, allowed) != strlen(s) || strcasestr(s, "%2f") || strstr(s, "%00"))
                return GUEST_PATH_E_FORM;
        for (const char *p = s; (p = strchr(p, '%')); p++)
                if (strspn(p + 1, HEX "ABCDEF") < 2)
                        return GUEST_PATH_E_FORM;
        plain = uri_unescape(s, strlen(s)); /* nothing is left that it could refuse */
        if (!plain)
                return -ENOMEM;
        return has_plain_components(plain) ? 0 : GUEST_PATH_E_FORM;
}

/* *ret: what follows "doc:".  0, or GUEST_PATH_E_FORM when item is not as the header says. */
static int check_item(const char *item, const char **ret) {
        const char *id, *rest;

        if (strncmp(item, "doc:", 4) != 0)
                return GUEST_PATH_E_FORM;
        id = item + 4;
        rest = strchr(id, '/');
        if (!rest || !is_doc_id(id, (size_t)(rest - id)))
                return GUEST_PATH_E_FORM;
        *ret = id;
        return check_escaped(rest + 1);
}

static size_t trimmed(const char *dir) {
        size_t n = strlen(dir);

        while (n > 0 && dir[n - 1] == '/')
                n--;
        return n;
}

int guest_path_uri(const char *dir, const char *item, char **ret) {
        _cleanup_free_ char *escaped = NULL;
        const char *name;
        int r = check_item(item, &name);

        if (r != 0)
                return r;
        escaped = uri_escape_path(dir);
        if (!escaped)
                return -ENOMEM;
        r = asprintf(ret, "file://%.*s/%s", (int)trimmed(escaped), escaped, name);
        return r < 0 ? -ENOMEM : 0;
}

int guest_path_of_item(const char *dir, const char *item, char **ret) {
        _cleanup_free_ char *plain = NULL;
        const char *name;
        int r = check_item(item, &name);

        if (r != 0)
                return r;
        plain = uri_unescape(name, strlen(name));
        if (!plain)
                return -ENOMEM;
        return asprintf(ret, "%.*s/%s", (int)trimmed(dir), dir, plain) < 0 ? -ENOMEM : 0;
}

int guest_path_from_gate(const char *dir, const char *path, char **ret) {
        const char *rest = strchr(path, '/');

        if (!rest || !is_doc_id(path, (size_t)(rest - path)) ||
            (rest[1] && !has_plain_components(rest + 1)))
                return GUEST_PATH_E_FORM;
        return asprintf(ret, "%.*s/%.*s", (int)trimmed(dir), dir,
                        (int)(rest[1] ? strlen(path) : (size_t)(rest - path)), path) < 0
                       ? -ENOMEM
                       : 0;
}
