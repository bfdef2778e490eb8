/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/print.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"

const struct print_format print_formats[] = {
        {"qemu", PRINT_WAY_VSOCK | PRINT_WAY_PREFIX, true, NULL, print_qemu},
        {"libvirt", PRINT_WAY_VSOCK | PRINT_WAY_PREFIX, true, NULL, print_libvirt},
        {"cloud-hypervisor", PRINT_WAY_PREFIX, true, "\"", print_cloud_hypervisor},
        {"crosvm", PRINT_WAY_VSOCK, true, NULL, print_crosvm},
        {"firecracker", PRINT_WAY_PREFIX, false, NULL, print_firecracker},
        {"libkrun", PRINT_WAY_PREFIX | PRINT_WAY_UNIX, false, NULL, print_libkrun},
        {"systemd-owner", 0, false, NULL, print_systemd_owner},
        {NULL, 0, false, NULL, NULL},
};

const struct print_format *print_find(const char *name) {
        for (const struct print_format *f = print_formats; f->name; f++)
                if (strcmp(f->name, name) == 0)
                        return f;
        return NULL;
}

char *print_names(void) {
        char *names = NULL;
        size_t n;
        FILE *out = open_memstream(&names, &n);

        if (!out)
                return NULL;
        for (const struct print_format *f = print_formats; f->name; f++)
                (void)fprintf(out, "%s%s", f == print_formats ? "" : ", ", f->name);
        if (fclose(out) == 0)
                return names;
        free(names);
        return NULL;
}

/* --- what a format is given ------------------------------------------------------------------- */

static const char *keep(struct print *p, char *take_s) {
        assert(p->n_owned < PRINT_MAX_STRINGS);
        if (!take_s) {
                p->failed = true;
                return "";
        }
        return p->owned[p->n_owned++] = take_s;
}

const char *print_own(struct print *p, const char *fmt, ...) {
        char *s = NULL;
        va_list ap;

        va_start(ap, fmt);
        if (vasprintf(&s, fmt, ap) < 0)
                s = NULL;
        va_end(ap);
        return keep(p, s);
}

const char *print_quoted(struct print *p, enum quote how, const char *text) {
        return keep(p, quote_text(how, text));
}

/* PREFIX_PORT, as VMMs with a vsock of their own name the sockets; the port as they write it. */
static bool split_path(const char *path, struct print_way *ret) {
        const char *underscore = strrchr(path, '_');
        char canonical[64];
        struct address a;

        if (!underscore || underscore == path || underscore[-1] == '/')
                return false;
        (void)snprintf(canonical, sizeof(canonical), "vsock:%.20s", underscore + 1);
        if (underscore[1] == '0' || strchr(underscore, ':') || address_parse(canonical, &a) != 0)
                return false;
        ret->port = a.port;
        (void)memcpy(ret->prefix, path, (size_t)(underscore - path));
        ret->prefix[underscore - path] = '\0';
        return true;
}

static bool fits(unsigned ways, const struct address *a, struct print_way *ret) {
        *ret = (struct print_way){0};
        if (a->kind == ADDRESS_VSOCK) {
                ret->kind = PRINT_WAY_VSOCK;
                ret->port = a->port;
        } else {
                ret->kind = split_path(a->path, ret) ? PRINT_WAY_PREFIX : PRINT_WAY_UNIX;
                (void)strcpy(ret->path, a->path);
        }
        return ways & ret->kind;
}

/* The first that fits. */
static bool find_way(unsigned ways, const struct print_facts *f, struct print_way *ret) {
        for (unsigned i = 0; i < f->n_listen; i++)
                if (fits(ways, &f->listen[i], ret))
                        return true;
        return ways == 0;
}

static void add_credential(struct print *p, const char *name, const char *value) {
        assert(p->n_credentials < PRINT_MAX_CREDENTIALS);
        p->credentials[p->n_credentials++] = (struct print_credential){name, value};
}

static void add_credentials(struct print *p, bool share) {
        const struct print_facts *f = p->facts;

        add_credential(p, "sidebus.port", print_own(p, "%u", p->way.port ?: PRINT_PORT));
        if (share)
                add_credential(p, "sidebus.tag", PRINT_TAG);
        if (f->guest_uid != 1000 || f->guest_gid != 1000)
                add_credential(p, "sidebus.user",
                               print_own(p, "%u:%u", f->guest_uid, f->guest_gid));
}

/*
 * systemd.unit(5): the name of a path's mount unit.  Such a name can stand in a comment of any
 * format: it holds neither "--" nor a slash.
 */
static const char *mount_unit(struct print *p, const char *path) {
        char *name = malloc(4 * strlen(path) + sizeof(".mount")), *to = name;

        for (const char *at = path + 1; name && *at; at++) {
                bool first = at == path + 1;

                if (*at == '/')
                        *to++ = '-';
                else if (isalnum((unsigned char)*at) || strchr("_:", *at) || (*at == '.' && !first))
                        *to++ = *at;
                else
                        to += sprintf(to, "\\x%02x", (unsigned char)*at);
        }
        if (name)
                (void)strcpy(to, ".mount");
        return keep(p, name);
}

/* --- what is wrong ---------------------------------------------------------------------------- */

static char *no_way(const struct print_format *format, const struct print_facts *f) {
        bool kernel = format->ways & PRINT_WAY_VSOCK, prefix = format->ways & PRINT_WAY_PREFIX;
        const char *socket = format->ways & PRINT_WAY_UNIX
                                     ? "Listen=unix:/DIRECTORY/vsock (any path in a directory of "
                                       "your own with mode 0700)"
                                     : "Listen=unix:/DIRECTORY/vsock_7000 (any path that ends in "
                                       "_PORT, in a directory of your own with mode 0700)";
        char *text;
        int n = asprintf(&text,
                         "a guest of %s cannot reach what VM '%s' listens on: write %s%s%s in [VM] "
                         "of its configuration, or give it with --listen",
                         format->name, f->vm, kernel ? "Listen=vsock:PORT" : "",
                         kernel && prefix ? " or " : "", prefix ? socket : "");

        return n < 0 ? NULL : text;
}

/* Printable, and without what the format cannot hold. */
static bool is_sayable(const struct print_format *format, const char *text) {
        _cleanup_free_ char *shown = escape_display(text, strlen(text));

        return shown && strcmp(shown, text) == 0 &&
               !(format->forbidden && strpbrk(text, format->forbidden));
}

static const char *unsayable(const struct print_format *format, const struct print *p) {
        const struct print_facts *f = p->facts;
        const char *const texts[] = {f->share_socket, p->way.path, f->config_home, f->state_home};

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (texts[i] && !is_sayable(format, texts[i]))
                        return texts[i];
        return NULL;
}

static int check(const struct print_format *format, const struct print *p, char **ret) {
        const char *text = unsayable(format, p);

        if (text && asprintf(ret,
                             "the path '%s' has a character that cannot be written for %s: choose "
                             "another",
                             ESCAPED(text), format->name) >= 0)
                return PRINT_E_TEXT;
        if (text)
                return -ENOMEM;
        if (format->ways != 0 || p->facts->uid != 0)
                return 0;
        *ret = strdup(
                "root has no session to serve a VM in: run this as the person whose VM it is");
        return *ret ? PRINT_E_PERSON : -ENOMEM;
}

/* --- the whole -------------------------------------------------------------------------------- */

static int write_text(const struct print_format *format, struct print *p, char **ret) {
        char *text = NULL;
        size_t n;

        p->out = open_memstream(&text, &n);
        if (!p->out)
                return -ENOMEM;
        if (format->share && strcmp(p->facts->documents, PRINT_DOCUMENTS) != 0)
                p->mount_unit = mount_unit(p, p->facts->documents);
        add_credentials(p, format->share && !p->mount_unit);
        format->write(p);
        if (fclose(p->out) != 0 || p->failed) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}

int print_text(const struct print_format *format, const struct print_facts *facts, char **ret) {
        struct print p = {.facts = facts};
        int r;

        if (!find_way(format->ways, facts, &p.way)) {
                *ret = no_way(format, facts);
                return *ret ? PRINT_E_WAY : -ENOMEM;
        }
        r = check(format, &p, ret);
        if (r == 0)
                r = write_text(format, &p, ret);
        for (unsigned i = 0; i < p.n_owned; i++)
                free(p.owned[i]);
        return r;
}
