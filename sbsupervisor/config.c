/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/options.h"
#include "common/sandbox_layer.h"
#include "sbsupervisor/ini.h"
#include "sbsupervisor/small_file.h"

#define NOBODY 65534u /* the kernel's overflow id */
#define CONFIG_MAX_BYTES 65536 /* forty settings of a line each need 4 KiB */

/* --- setters: value is what the person wrote --------------------------------------------------- */

static int bad_value(const struct config *c, const char *what, const char *value,
                     const char *expected) {
        log_error("%s%s '%s': %s", c->source ?: "", what, ESCAPED(value), expected);
        return -EINVAL;
}

static int replace(char **field, const char *value) {
        char *s = strdup(value);

        if (!s)
                return log_error_errno(ENOMEM, "configuration");
        free(*field);
        *field = s;
        return 0;
}

static int set_path(const struct config *c, char **field, const char *what, const char *value) {
        if (value[0] != '/')
                return bad_value(c, what, value, "write an absolute path");
        return replace(field, value);
}

static int set_vm(void *self, const char *value) {
        const char *fault = vm_name_fault(value);

        if (fault) {
                log_error("VM name '%s' %s: write 1 to 64 of A-Z a-z 0-9 _ . - "
                          "(Label= in [VM] takes any text for dialogs)", ESCAPED(value), fault);
                return -EINVAL;
        }
        return replace(&((struct config *)self)->vm, value);
}

static int set_label(void *self, const char *value) {
        _cleanup_free_ char *shown = escape_display(value, 64);

        if (!shown || strcmp(shown, value) != 0 || !*value)
                return bad_value(self, "label", value, "write 1 to 64 bytes of plain text");
        return replace(&((struct config *)self)->label, value);
}

static int set_config(void *self, const char *value) {
        return replace(&((struct config *)self)->file, value);
}

static int add_listen(struct config *c, const char *value) {
        struct address a;
        int r = address_parse(value, &a);

        if (r != 0)
                return bad_value(c, "listen address", value, address_strerror(r));
        if (a.kind == ADDRESS_VSOCK && a.cid != VMADDR_CID_ANY)
                return bad_value(c, "listen address", value, "write vsock:PORT; the VM's CID is --cid");
        if (c->n_listen == CONFIG_MAX_LISTEN)
                return bad_value(c, "listen address", value, "at most 8 addresses");
        c->listen[c->n_listen++] = a;
        return 0;
}

static int set_listen(void *self, const char *value) {
        return add_listen(self, value);
}

static int set_vsock_port(void *self, const char *value) {
        char address[64];

        (void)snprintf(address, sizeof(address), "vsock:%.40s", value);
        return add_listen(self, address);
}

static int set_cid(void *self, const char *value) {
        struct config *c = self;
        char *end;
        unsigned long n;

        errno = 0;
        n = strtoul(value, &end, 10);
        if (errno || *end || value[0] < '0' || value[0] > '9' || n < 3 || n >= VMADDR_CID_ANY)
                return bad_value(c, "CID", value, "write a number from 3 to 4294967294 (0 to 2 are "
                                           "the hypervisor, the loopback and the host)");
        c->cid = (uint32_t)n;
        return 0;
}

static int set_runtime_dir(void *self, const char *value) {
        return set_path(self, &((struct config *)self)->runtime_dir, "runtime directory", value);
}

static int set_state_dir(void *self, const char *value) {
        return set_path(self, &((struct config *)self)->state_dir, "state directory", value);
}

static int set_debug_dir(void *self, const char *value) {
        return set_path(self, &((struct config *)self)->debug_dir, "debug directory", value);
}

/* The guest's path is sent back to it in every URI: normalise once, so that it compares later. */
static int set_guest_documents(void *self, const char *value) {
        struct config *c = self;
        size_t n;
        int r = set_path(c, &c->guest_documents, "guest documents directory", value);

        if (r < 0)
                return r;
        if (strstr(value, "//") || strstr(value, "/../") || strstr(value, "/./"))
                return bad_value(c, "guest documents directory", value, "write it without //, . and ..");
        n = strlen(c->guest_documents);
        while (n > 1 && c->guest_documents[n - 1] == '/')
                c->guest_documents[--n] = '\0';
        return n > 1 ? 0 : bad_value(c, "guest documents directory", value, "'/' cannot be it");
}

/* UID or UID:GID; the group is the user's number if it is not given, as Debian's useradd does it. */
static int set_guest_user(void *self, const char *value) {
        struct config *c = self;
        unsigned uid, gid;
        int n = 0;

        if (strspn(value, "0123456789:") != strlen(value) || value[0] == ':')
                return bad_value(c, "guest user", value, "write UID or UID:GID");
        if (sscanf(value, "%9u%n", &uid, &n) == 1 && !value[n])
                gid = uid;
        else if (sscanf(value, "%9u:%9u%n", &uid, &gid, &n) != 2 || value[n])
                return bad_value(c, "guest user", value, "write UID or UID:GID");
        c->guest_uid = uid;
        c->guest_gid = gid;
        return 0;
}

static int set_yes_no(const struct config *c, bool *field, const char *what, const char *value) {
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
                return bad_value(c, what, value, "write yes or no");
        *field = strcmp(value, "yes") == 0;
        return 0;
}

static int set_disposable(void *self, const char *value) {
        return set_yes_no(self, &((struct config *)self)->disposable, "Disposable=", value);
}

static int set_advertise_tag(void *self, const char *value) {
        return set_yes_no(self, &((struct config *)self)->advertise_tag, "AdvertiseTag=", value);
}

static int set_open(void *self, const char *value) {
        struct config *c = self;

        if (strcmp(value, "read") != 0 && strcmp(value, "read-write") != 0)
                return bad_value(c, "Open=", value, "write read or read-write");
        c->read_only = strcmp(value, "read") == 0;
        return 0;
}

static int set_windows(void *self, const char *value) {
        struct config *c = self;

        if (strcmp(value, "drop") != 0 && strcmp(value, "pass") != 0)
                return bad_value(c, "WindowHandles=", value, "write drop or pass");
        c->pass_windows = strcmp(value, "pass") == 0;
        return 0;
}

static int set_waive(void *self, const char *value) {
        return sandbox_layer_parse(value, &((struct config *)self)->waived) == 0
                       ? 0
                       : bad_value(self, "Waive=", value, SANDBOX_LAYER_CHOICE);
}

/* --- [Portals]: what the VM may use --------------------------------------------------------- */

/* What is wrong with "Portal=" or "Portal.Method=", and what would be right. */
static int bad_portal(const struct config *c, const char *key, int fault,
                      const struct policy_subject *s) {
        static const char *const texts[] = {
                [POLICY_E_PORTAL] = "there is no such portal, nor setting; the portals are ",
                [POLICY_E_METHOD] = "the portal has no such method; it has ",
                [POLICY_E_REFUSED] = "no VM gets this portal, whatever is set: "
                                     "docs/PORTALS.refused.md says why",
                [POLICY_E_LOCAL] = "the host has no part in it: there is nothing to deny or to ask",
                [POLICY_E_VALUE] = "write allow, deny or ask",
        };
        char names[1024] = ""; /* all portals take a third */

        if (fault == POLICY_E_PORTAL || fault == POLICY_E_METHOD)
                (void)policy_names(s->interface, names, sizeof(names));
        log_error("%s%s=: %s%s", c->source, ESCAPED(key), texts[fault], names);
        return -EINVAL;
}

/* A key that is none of the table's: a portal's or a method's name. */
static int set_portal(struct config *c, const char *key, const char *value) {
        struct policy_subject s;
        int r = policy_set(&c->policy, key, value, &s);

        return r > 0 ? bad_portal(c, key, r, &s) : r;
}

static int set_default_policy(void *self, const char *value) {
        struct config *c = self;

        return policy_set_fallback(&c->policy, value) == 0
                       ? 0
                       : bad_value(c, "Default=", value, "write allow, deny or ask");
}

static int set_schemes(void *self, const char *value) {
        struct config *c = self;
        int r = policy_set_schemes(&c->policy, value);

        return r > 0 ? bad_value(c, "OpenURISchemes=", value,
                                 "write schemes such as https and mailto, separated by spaces; "
                                 "files are opened by another way than file:")
                     : r;
}

static int set_namespaces(void *self, const char *value) {
        struct config *c = self;
        int r = policy_set_namespaces(&c->policy, value);

        return r > 0 ? bad_value(c, "SettingsNamespaces=", value,
                                 "write namespaces such as org.freedesktop.appearance or "
                                 "org.gnome.desktop.*, separated by spaces")
                     : r;
}

static int set_cleanup(void *self, const char *value _unused_) {
        ((struct config *)self)->cleanup = true;
        return 0;
}

static int set_print(void *self, const char *value) {
        struct config *c = self;
        _cleanup_free_ char *names = print_names();

        c->print = print_find(value);
        if (c->print)
                return 0;
        log_error("there is no format '%s' to print: write one of %s", ESCAPED(value), names ?: "those of --help");
        return -EINVAL;
}

static int set_log_level(void *self, const char *value) {
        int level = log_level_from_string(value);

        if (level < 0)
                return bad_value(self, "log level", value, "write err, warning, notice, info or debug");
        log_set_level(level);
        return 0;
}

static const struct option_row options[] = {
        {"vm", "NAME", "the VM this instance serves (required)", set_vm},
        {"config", "FILE", "settings (default: ~/.config/sidebus/NAME.conf if it exists)", set_config},
        {"listen", "ADDRESS", "unix:PATH or vsock:PORT, where sbagent connects; may be repeated", set_listen},
        {"vsock-port", "PORT", "the same as --listen vsock:PORT", set_vsock_port},
        {"cid", "CID", "the VM's vsock address; other peers are refused", set_cid},
        {"guest-documents", "DIR", "where the guest mounts its documents (default: /run/sidebus/doc)", set_guest_documents},
        {"guest-user", "UID[:GID]", "who owns the documents in the guest (default: 1000)", set_guest_user},
        {"runtime-dir", "DIR", "sockets (default: $XDG_RUNTIME_DIR/sidebus/NAME)", set_runtime_dir},
        {"state-dir", "DIR", "what is kept between runs (default: $XDG_STATE_HOME/sidebus/NAME)", set_state_dir},
        {"debug-access", "DIR", "vm.sock, private.sock and doc in DIR, for tools on this host", set_debug_dir},
        {"log-level", "LEVEL", "err, warning, notice, info or debug", set_log_level},
        {"print", "FORMAT", "say how the VMM is started for it, and exit: qemu, libvirt, ...", set_print},
        {"cleanup", NULL, "remove what a killed instance left behind, and exit", set_cleanup},
        {NULL, NULL, NULL, NULL},
};

static const struct {
        const char *section, *key;
        int (*set)(void *self, const char *value);
} keys[] = {
        {"VM", "Label", set_label},
        {"VM", "Listen", set_listen},
        {"VM", "CID", set_cid},
        {"VM", "Disposable", set_disposable},
        {"Documents", "GuestPath", set_guest_documents},
        {"Documents", "GuestUser", set_guest_user},
        {"Documents", "Open", set_open},
        {"Documents", "AdvertiseTag", set_advertise_tag},
        {"Portals", "Default", set_default_policy},
        {"Portals", "OpenURISchemes", set_schemes},
        {"Portals", "SettingsNamespaces", set_namespaces},
        {"Portals", "WindowHandles", set_windows},
        {"Sandbox", "Waive", set_waive},
        {"Log", "Level", set_log_level},
};

/* --- the file -------------------------------------------------------------------------------------- */

static int on_key(void *self, const struct ini_line *line) {
        struct config *c = self;
        char source[PATH_MAX + 32];
        bool section_known = false;
        int r = 1;

        (void)snprintf(source, sizeof(source), "%s:%u: ", c->file, line->number);
        c->source = source;

        for (size_t i = 0; i < ELEMENTSOF(keys) && r == 1; i++) {
                if (strcmp(keys[i].section, line->section) != 0)
                        continue;
                section_known = true;
                if (strcmp(keys[i].key, line->key) == 0)
                        r = keys[i].set(c, line->value);
        }
        if (r == 1 && strcmp(line->section, "Portals") == 0)
                r = set_portal(c, line->key, line->value);
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
                return replace(&c->guest_documents, "/run/sidebus/doc");
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
                r = replace(&c->label, c->vm);
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
        int r = blame(options_parse(options, "sbsupervisor",
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
        c->file = TAKE_PTR(first.file);
        r = default_file(c);
        if (r == 0 && c->file)
                r = first.cleanup ? load_file_for_cleanup(c)
                                  : blame(load_file(c), CONFIG_E_INVALID);
        if (r == 0 && first.n_listen > 0)
                c->n_listen = 0; /* --listen replaces Listen=, it does not add to it */
        config_done(&first);
        if (r == 0)
                r = options_parse(options, "sbsupervisor", "", argc, argv, c);
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
