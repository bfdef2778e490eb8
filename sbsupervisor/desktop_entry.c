/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/desktop_entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/make_dirs.h"
#include "sbsupervisor/small_file.h"

#define OURS      "\nX-Sidebus-VM="
#define MAX_BYTES 65536 /* ours has 200 bytes; a larger one was made by somebody else */

/* As the specification of desktop entries writes a string: '\\', and what would end the line. */
static char *escape_value(const char *value) {
        static const char special[] = " \n\t\r\\", letter[] = "sntr\\";
        char *out = malloc(2 * strlen(value) + 1), *end = out;

        if (!out)
                return NULL;
        for (const char *c = value; *c; c++) {
                const char *at = strchr(special, *c);

                /* Spaces only in front, where they would be skipped. */
                if (at && (*c != ' ' || c == value)) {
                        *end++ = '\\';
                        *end++ = letter[at - special];
                } else {
                        *end++ = *c;
                }
        }
        *end = '\0';
        return out;
}

char *desktop_entry_text(const char *vm, const char *label) {
        _cleanup_free_ char *name = escape_value(label);
        char *text = NULL;

        /* Exec because the specification wants one; who "starts" a VM here gets nothing. */
        if (!name || asprintf(&text,
                              "[Desktop Entry]\n"
                              "Type=Application\n"
                              "Name=%s\n"
                              "Comment=Programs in the virtual machine %s\n"
                              "Icon=computer\n"
                              "Exec=true\n"
                              "NoDisplay=true\n"
                              "X-Sidebus-VM=%s\n",
                              name, vm, vm) < 0)
                return NULL;
        return text;
}

static int applications_dir(char **ret) {
        const char *base = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
        int n;

        if (base && base[0] == '/')
                n = asprintf(ret, "%s/applications", base);
        else if (home && home[0] == '/')
                n = asprintf(ret, "%s/.local/share/applications", home);
        else
                return -ENOENT;
        return n < 0 ? -ENOMEM : 0;
}

static int entry_path(const char *app_id, char **ret_dir, char **ret_path) {
        int r = applications_dir(ret_dir);

        if (r == 0 && asprintf(ret_path, "%s/%s.desktop", *ret_dir, app_id) < 0)
                r = -ENOMEM;
        return r;
}

int desktop_entry_install(const char *app_id, const char *vm, const char *label) {
        _cleanup_free_ char *dir = NULL, *path = NULL, *there = NULL;
        _cleanup_free_ char *text = desktop_entry_text(vm, label);
        size_t n;
        int r;

        if (!text)
                return -ENOMEM;
        r = entry_path(app_id, &dir, &path);
        if (r == 0)
                r = make_dirs(dir);
        if (r < 0)
                return r;
        r = small_file_read(path, MAX_BYTES, &there, &n);
        if (r == -EFBIG || (r == 0 && (!strstr(there, OURS) || strcmp(there, text) == 0)))
                return 0;
        return r == 0 || r == -ENOENT ? small_file_replace(path, text, strlen(text), 0644) : r;
}

int desktop_entry_remove(const char *app_id) {
        _cleanup_free_ char *dir = NULL, *path = NULL, *text = NULL;
        int r = entry_path(app_id, &dir, &path);
        size_t n;

        if (r == 0)
                r = small_file_read(path, MAX_BYTES, &text, &n);
        if (r == -ENOENT || r == -EFBIG || (r == 0 && !strstr(text, OURS)))
                return 0;
        if (r < 0)
                return r;
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}
