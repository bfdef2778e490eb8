/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/sandbox_layer.h"
#include "sbsupervisor/config.h"

/* --- setters: value is what the person wrote --------------------------------------------------- */

static int bad_value(const struct config *c, const char *what, const char *value,
                     const char *expected) {
        log_error("%s%s '%s': %s", c->source ?: "", what, ESCAPED(value), expected);
        return -EINVAL;
}

int settings_replace(char **field, const char *value) {
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
        return settings_replace(field, value);
}

static int set_vm(void *self, const char *value) {
        const char *fault = vm_name_fault(value);

        if (fault) {
                log_error("VM name '%s' %s: write 1 to 64 of A-Z a-z 0-9 _ . - "
                          "(Label= in [VM] takes any text for dialogs)", ESCAPED(value), fault);
                return -EINVAL;
        }
        return settings_replace(&((struct config *)self)->vm, value);
}

static int set_label(void *self, const char *value) {
        _cleanup_free_ char *shown = escape_display(value, 64);

        if (!shown || strcmp(shown, value) != 0 || !*value)
                return bad_value(self, "label", value, "write 1 to 64 bytes of plain text");
        return settings_replace(&((struct config *)self)->label, value);
}

static int set_config(void *self, const char *value) {
        return settings_replace(&((struct config *)self)->file, value);
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

static int set_descriptors(void *self, const char *value) {
        return set_yes_no(self, &((struct config *)self)->descriptors, "Descriptors=", value);
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

/* --- [Limits]: how often a person may be bothered -------------------------------------------- */

static int set_limit(const struct config *c, unsigned *field, const char *what, const char *value,
                     unsigned max) {
        char expected[64];
        unsigned n;
        int end = 0;

        (void)snprintf(expected, sizeof(expected), "write a number from 1 to %u", max);
        if (strspn(value, "0123456789") != strlen(value) || sscanf(value, "%9u%n", &n, &end) != 1 ||
            value[end] || n == 0 || n > max)
                return bad_value(c, what, value, expected);
        *field = n;
        return 0;
}

static int set_dialogs(void *self, const char *value) {
        return set_limit(self, &((struct config *)self)->dialogs, "Dialogs=", value,
                         LIMIT_DIALOGS_VM);
}

static int set_dialogs_per_minute(void *self, const char *value) {
        return set_limit(self, &((struct config *)self)->dialogs_per_minute, "DialogsPerMinute=",
                         value, LIMIT_DIALOGS_MINUTE_MAX);
}

static int set_notifications(void *self, const char *value) {
        return set_limit(self, &((struct config *)self)->notifications_per_minute,
                         "NotificationsPerMinute=", value, LIMIT_NOTIFICATIONS_VM);
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
                [POLICY_E_NO_CALL] = "it is only read, and there is no call to ask about: write allow or "
                                     "deny",
                [POLICY_E_VALUE] = "write allow, deny or ask",
        };
        char names[1024] = ""; /* all portals take a third */

        if (fault == POLICY_E_PORTAL || fault == POLICY_E_METHOD)
                (void)policy_names(s->interface, names, sizeof(names));
        log_error("%s%s=: %s%s", c->source, ESCAPED(key), texts[fault], names);
        return -EINVAL;
}

/* A key that is none of the table's: a portal's or a method's name. */
int settings_set_portal(struct config *c, const char *key, const char *value) {
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

const struct option_row settings_options[] = {
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

const struct settings_key settings_keys[] = {
        {"VM", "Label", set_label},
        {"VM", "Listen", set_listen},
        {"VM", "CID", set_cid},
        {"VM", "Descriptors", set_descriptors},
        {"VM", "Disposable", set_disposable},
        {"Documents", "GuestPath", set_guest_documents},
        {"Documents", "GuestUser", set_guest_user},
        {"Documents", "Open", set_open},
        {"Documents", "AdvertiseTag", set_advertise_tag},
        {"Portals", "Default", set_default_policy},
        {"Portals", "OpenURISchemes", set_schemes},
        {"Portals", "SettingsNamespaces", set_namespaces},
        {"Portals", "WindowHandles", set_windows},
        {"Limits", "Dialogs", set_dialogs},
        {"Limits", "DialogsPerMinute", set_dialogs_per_minute},
        {"Limits", "NotificationsPerMinute", set_notifications},
        {"Sandbox", "Waive", set_waive},
        {"Log", "Level", set_log_level},
        {NULL, NULL, NULL},
};
