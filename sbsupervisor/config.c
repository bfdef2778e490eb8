/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/options.h"
#include "sbsupervisor/ini.h"
#include "sbsupervisor/settings.h"
#include "sbsupervisor/small_file.h"

#define NOBODY 65534u /* the kernel's overflow id */
#define CONFIG_MAX_BYTES 65536 /* forty settings of a line each need 4 KiB */

/* --- the file -------------------------------------------------------------------------------------- */

static int on_key(void *self, const struct ini_line *line) {
        struct config *c = self;
        char source[PATH_MAX + 32];
        bool section_known = false;
        int r = 1;

        (void)snprintf(source, sizeof(source), "%s:%u: ", c->file, line->number);
        c->source = source;

        for (const struct settings_key *k = settings_keys; k->key && r == 1; k++) {
                if (strcmp(k->section, line->section) != 0)
                        continue;
                section_known = true;
                if (strcmp(k->key, line->key) == 0)
                        r = k->set(c, line->value);
        }
        if (r == 1 && strcmp(line->section, "Portals") == 0)
                r = settings_set_portal(c, line->key, line->value);
        c->source = NULL;
        if (r < 1)
                return r;
        if (section_known)
                log_error("%sthere is no key '%s' in section [%s]: see sidebus.conf(5)", source,
                          ESCAPED(line->key), ESCAPED(line->section));
        else
                log_error("%sthere is no section [%s]: see sidebus.conf(5)", source,
                          ESCAPED(line->section));
        return -EINVAL;
}

static int load_file(struct config *c) {
        static const char *const faults[] = {
                [INI_E_SYNTAX] = "write [Section], Key=value or # comment",
                [INI_E_SECTION] = "a key needs a [Section] above it",
                [INI_E_LENGTH] = "the line is too long",
        };
        _cleanup_free_ char *text = NULL;
        unsigned line = 0;
        size_t n = 0;
        int r = small_file_read(c->file, CONFIG_MAX_BYTES, &text, &n);

        if (r < 0)
                return log_error_errno(r, "cannot read %s", c->file);
        r = ini_parse(text, n, on_key, c, &line);
        if (r > 0)
                log_error("%s:%u: %s", c->file, line, faults[r]);
        return r > 0 ? -EINVAL : r;
}

/* --- defaults -------------------------------------------------------------------------------------- */

/* $variable/sidebus/<vm>, or ~/fallback/sidebus/<vm>. */
static int default_dir(char **field, const char *variable, const char *fallback, const char *vm) {
        const char *base = getenv(variable), *home = getenv("HOME");
        int r;

        if (*field)
                return 0;
        if (base && base[0] == '/')
                r = asprintf(field, "%s/sidebus/%s", base, vm);
        else if (fallback && home && home[0] == '/')
                r = asprintf(field, "%s/%s/sidebus/%s", home, fallback, vm);
        else
                return -ENOENT;
        return r < 0 ? -ENOMEM : 0;
}

static int default_file(struct config *c) {
        const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
        int r;

        if (c->file)
                return 0;
        if (base && base[0] == '/')
                r = asprintf(&c->file, "%s/sidebus/%s.conf", base, c->vm);
        else if (home)
                r = asprintf(&c->file, "%s/.config/sidebus/%s.conf", home, c->vm);
        else
                return 0;
        if (r < 0)
                return -ENOMEM;
        if (access(c->file, F_OK) < 0) {
                free(c->file);
                c->file = NULL;
        }
        return 0;
}

static int default_guest_documents(struct config *c) {
        if (c->guest_documents)
                return 0;
        if (!c->debug_dir)
                return settings_replace(&c->guest_documents, "/run/sidebus/doc");
        /* Tools on this host read the documents there, so it is where URIs point. */
        return asprintf(&c->guest_documents, "%s/doc", c->debug_dir) < 0 ? -ENOMEM : 0;
}

static int fill_defaults(struct config *c) {
        int r = default_dir(&c->runtime_dir, "XDG_RUNTIME_DIR", NULL, c->vm);

        if (r == -ENOENT) {
                log_error("XDG_RUNTIME_DIR is not set: start sidebus in your session "
                          "(systemctl --user start sidebus@%s), or give --runtime-dir", c->vm);
                return r;
        }
        if (r == 0)
                r = default_dir(&c->state_dir, "XDG_STATE_HOME", ".local/state", c->vm);
        if (r == -ENOENT) {
                log_error("neither XDG_STATE_HOME nor HOME is set: give --state-dir");
                return r;
        }
        if (r == 0)
                r = default_guest_documents(c);
        if (r == 0 && !c->label)
                r = settings_replace(&c->label, c->vm);
        return r < 0 ? log_error_errno(r, "configuration") : 0;
}

static int check_complete(const struct config *c) {
        bool vsock = false;

        for (unsigned i = 0; i < c->n_listen; i++)
                vsock = vsock || c->listen[i].kind == ADDRESS_VSOCK;
        if (c->n_listen == 0 && !c->debug_dir) {
                log_error("nothing to listen on: give --listen unix:PATH or vsock:PORT, "
                          "or Listen= in [VM] of the configuration file");
                return -EINVAL;
        }
        if (vsock && c->cid == 0) {
                log_error("a vsock port is open to every VM and every user of this host: "
                          "give the VM's address with --cid, or CID= in [VM]");
                return -EINVAL;
        }
        return 0;
}

/* Setters say -EINVAL; whose fault that is depends on who gave the value. */
static int blame(int r, int culprit) {
        return r < 0 && r != -ENOMEM ? culprit : r;
}

/* The system's sidebus@.service without its drop-in comes here, too. */
static int check_person(const struct config *c) {
        if (geteuid() == NOBODY) {
                log_error("sbsupervisor does not serve user %u, as whom everybody else appears in the "
                          "namespaces of its processes", NOBODY);
                return CONFIG_E_INVALID;
        }
        if (geteuid() != 0)
                return 0;
        log_error("sbsupervisor acts for a person and does not run as root: start it in a session "
                  "(systemctl --user start sidebus@%s), or name the owner of the system's "
                  "sidebus@%s in its drop-in owner.conf, which that person's "
                  "'sbsupervisor --vm %s --print systemd-owner' prints", c->vm, c->vm, c->vm);
        return CONFIG_E_INVALID;
}

/* The system's unit gives --vm, and the drop-in says who and in which session: all else is lost. */
static int check_owner(const struct config *c) {
        const struct {
                const char *name;
                bool given;
        } lost[] = {
                {"config", c->file},
                {"listen and --vsock-port", c->n_listen > 0},
                {"cid", c->cid != 0},
                {"guest-documents", c->guest_documents},
                {"guest-user", c->guest_uid != 0 || c->guest_gid != 0},
                {"runtime-dir", c->runtime_dir},
                {"state-dir", c->state_dir},
                {"debug-access", c->debug_dir},
        };

        for (size_t i = 0; i < ELEMENTSOF(lost); i++)
                if (lost[i].given) {
                        log_error("the system's sidebus@%s starts with --vm alone, so --%s cannot "
                                  "be given with --print %s: write it in the VM's configuration, "
                                  "or set XDG_CONFIG_HOME or XDG_STATE_HOME for this command",
                                  c->vm, lost[i].name, c->print->name);
                        return OPTIONS_E_USAGE;
                }
        return 0;
}

static void discard(int priority _unused_, const char *line _unused_) {
}

/*
 * For --cleanup.  A configuration that is wrong was complained of at the start, and must not keep
 * what that instance left.  Where it is wrong it does not say either that documents are forgotten.
 */
static int load_file_for_cleanup(struct config *c) {
        log_sink_t sink = log_set_sink(discard);
        int r = load_file(c);

        log_set_sink(sink);
        if (r == -ENOMEM)
                return log_error_errno(r, "configuration");
        if (r < 0) {
                c->disposable = false;
                log_debug("the configuration %s is wrong: taken as far as it goes", c->file);
        }
        return 0;
}

int config_load(struct config *c, int argc, char **argv) {
        /* The command line wins: it is read first for the file's name, then over the file. */
        struct config first = {0};
        int r = blame(options_parse(settings_options, "sbsupervisor",
                                    "XDG Desktop Portals for the programs in a VM.", argc, argv, &first),
                      OPTIONS_E_USAGE);

        if (r == 0 && !first.vm) {
                log_error("no VM is named: give --vm NAME");
                r = OPTIONS_E_USAGE;
        }
        if (r == 0 && first.print && first.print->ways == 0)
                r = check_owner(&first);
        if (r != 0) {
                config_done(&first);
                return r;
        }
        c->vm = TAKE_PTR(first.vm);
        c->guest_uid = c->guest_gid = 1000; /* the first user of nearly every distribution */
        c->dialogs = LIMIT_DIALOGS_VM;
        c->dialogs_per_minute = LIMIT_DIALOGS_MINUTE;
        c->notifications_per_minute = LIMIT_NOTIFICATIONS_VM;
        c->file = TAKE_PTR(first.file);
        r = default_file(c);
        if (r == 0 && c->file)
                r = first.cleanup ? load_file_for_cleanup(c)
                                  : blame(load_file(c), CONFIG_E_INVALID);
        if (r == 0 && first.n_listen > 0)
                c->n_listen = 0; /* --listen replaces Listen=, it does not add to it */
        config_done(&first);
        if (r == 0)
                r = options_parse(settings_options, "sbsupervisor", "", argc, argv, c);
        if (r == 0 && !c->print)
                r = check_person(c);
        if (r == 0)
                r = fill_defaults(c);
        if (r == 0 && !c->cleanup)
                r = blame(check_complete(c), CONFIG_E_INVALID);
        return r;
}

void config_done(struct config *c) {
        free(c->vm);
        free(c->label);
        free(c->file);
        free(c->runtime_dir);
        free(c->state_dir);
        free(c->debug_dir);
        free(c->guest_documents);
        policy_done(&c->policy);
        *c = (struct config){0};
}
