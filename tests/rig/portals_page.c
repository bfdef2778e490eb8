/* SPDX-License-Identifier: MIT */
/*
 * Prints docs/PORTALS.md from the portal table: "make portals-page" writes the page, and a
 * test compares it, so that it cannot say what the table does not.
 */
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/portal_table.h"

/* Roles that a reader has to know: what becomes of the value.  The rest is copied as it is. */
static const struct {
        const char *word, *text;
} roles[PORTAL_N_ROLES] = {
        [PORTAL_TEXT] = {"text", "shown to the person: without control and bidi characters"},
        [PORTAL_TITLE] = {"title", "text; the VM's label is put in front, also of none"},
        [PORTAL_LINES] = {"lines", "text of several lines"},
        [PORTAL_BODY] = {"body", "lines in which nothing is markup: what would be is replaced by a likeness"},
        [PORTAL_MARKUP] = {"markup", "text with `<b>` and `<i>`, made well-formed; no links"},
        [PORTAL_PARENT_WINDOW] = {"window", "empty, unless `WindowHandles=pass`"},
        [PORTAL_HANDLE_TOKEN] = {"token", "used up where it arrives; the host sees one of ours"},
        [PORTAL_SESSION_TOKEN] = {"token", NULL},
        [PORTAL_SESSION] = {"session", "one of the caller's own, by another name on the host"},
        [PORTAL_OPTIONS] = {NULL, NULL},
        [PORTAL_DICT] = {"keys", "a dictionary of known keys"},
        [PORTAL_SOME_DICTS] = {"some keys", "the same, one at least"},
        [PORTAL_ANY] = {"any", "any value but descriptors, to a depth"},
        [PORTAL_ANY_LIST] = {"any", NULL},
        [PORTAL_GUEST_PATH] = {"path", "a document of the VM, in guest paths; else left out"},
        [PORTAL_BASENAME] = {"name", "a file's name without a directory, as text"},
        [PORTAL_BASENAMES] = {"name", NULL},
        [PORTAL_URIS] = {"files", "host files, exported to the VM, in guest paths"},
        [PORTAL_PATHS] = {"files", NULL},
        [PORTAL_OPEN_URI] = {"uri", "of a scheme the policy allows"},
        [PORTAL_OPEN_SCHEME] = {"uri", NULL},
        [PORTAL_ALWAYS_TRUE] = {"true", "is sent as true whatever the guest says"},
        [PORTAL_NEVER] = {"never", "known, and never passed on"},
        [PORTAL_NOTIFICATION_ID] = {"id", "of the client's own notifications"},
        [PORTAL_ICON] = {"icon", "a name, or a PNG or JPEG of at most 512x512 pixels"},
        [PORTAL_SOUND] = {"sound", "`default`, `silent`, or a file's bytes"},
        [PORTAL_ACTION] = {"action", "on the host of letters, digits and dots; it comes back as it was"},
        [PORTAL_NAMESPACE] = {"settings", "namespaces the policy lists, no others"},
        [PORTAL_NAMESPACES] = {"settings", NULL},
        [PORTAL_SETTINGS] = {"settings", NULL},
        [PORTAL_PROXIES] = {"proxies", "without user names and passwords"},
        [PORTAL_FD_BYTES] = {"fd", "a descriptor, for its bytes"},
        [PORTAL_FD_SINK] = {"fd", NULL},
        [PORTAL_FD_FILE] = {"file", "a descriptor: the document's own file, or a copy of it"},
        [PORTAL_FD_DOCUMENT] = {"document", "a descriptor of a document of the VM, never a copy"},
        [PORTAL_FD_WRITABLE] = {"own", "likewise, of one that the VM may write, in no directory that any VM may"},
};

static const char *const kinds[] = {
        [PORTAL_CALL] = "call",
        [PORTAL_IS_REQUEST] = "request",
        [PORTAL_LASTS] = "request, until closed",
        [PORTAL_LOCAL] = "answered in the VM's sbportal",
        [PORTAL_AT_GATE] = "answered by the gate",
};

static const char *const policies[] = {
        [PORTAL_ALLOW] = "allow",
        [PORTAL_DENY] = "deny",
        [PORTAL_ASK] = "ask",
};

static const char *const routes[] = {
        [PORTAL_TO_ALL] = "to all",
        [PORTAL_TO_SESSION] = "to the session's client",
        [PORTAL_TO_NOTIFIER] = "to the notification's client",
};

/* "`name` word, …": names with what becomes of them; plain ones by their name alone. */
static void print_values(const struct portal_value *values, const char *before) {
        for (const struct portal_value *v = values; v->name; v++) {
                printf("%s`%s`", v == values ? before : ", ", v->name);
                if (roles[v->role].word)
                        printf(" *%s*", roles[v->role].word);
        }
}

static void print_method(const struct portal_method *m) {
        char in[PORTAL_MAX_SIGNATURE], out[PORTAL_MAX_SIGNATURE];
        bool is_request = m->kind == PORTAL_IS_REQUEST || m->kind == PORTAL_LASTS;

        printf("| %s(%s)", m->member, portal_signature(m->args, in));
        if (*portal_signature(m->out, out))
                printf(" → %s", out);
        printf(" | %u | %s | %s | ", m->since ?: 1, kinds[m->kind],
               policies[portal_default_policy(m->interface, m->member)]);
        print_values(m->args, "");
        print_values(m->options, m->args[0].name ? "; keys " : "keys ");
        if (!is_request)
                print_values(m->out, " → ");
        print_values(m->results, is_request ? " → " : ": ");
        puts(" |");
}

static void print_signal(const struct portal_signal *s) {
        char args[PORTAL_MAX_SIGNATURE];

        printf("| signal %s(%s) | 1 | %s | | ", s->member, portal_signature(s->args, args),
               routes[s->route]);
        print_values(s->args, "");
        print_values(s->options, "; keys ");
        puts(" |");
}

static void print_interface(const struct portal_interface *of) {
        printf("\n## %s\n\nVersion %u%s. Default policy: %s.%s\n\n"
               "| member | since | kind | policy | values |\n|---|---|---|---|---|\n",
               of->name, of->version, of->local ? "" : ", or the host's when it is less",
               policies[of->policy],
               of->object == PORTAL_DOCUMENTS
                       ? " At `" DOCUMENTS_BUS_NAME "`, `" DOCUMENTS_PATH "`."
                       : "");
        for (size_t i = 0; i < portal_n_methods; i++)
                if (strcmp(portal_methods[i].interface, of->name) == 0)
                        print_method(&portal_methods[i]);
        for (size_t i = 0; i < portal_n_signals; i++)
                if (strcmp(portal_signals[i].interface, of->name) == 0)
                        print_signal(&portal_signals[i]);
        for (size_t i = 0; i < portal_n_properties; i++) {
                const struct portal_property *p = &portal_properties[i];

                if (strcmp(p->interface, of->name) == 0 && strcmp(p->name, "version") != 0)
                        printf("| property %s: %s | %u | %s | | |\n", p->name, p->type,
                               p->since ?: 1, p->changes ? "changes are told" : "read");
        }
}

int main(void) {
        puts("# The portals a guest can use\n\n"
             "Made from the portal table (`common/portal_methods.c`, `portal_interfaces.c`) by "
             "`make portals-page`: change it there.\n"
             "What is not on this page does not exist for a guest; `PORTALS.refused.md` says why.\n"
             "\n"
             "Values are rebuilt, never copied as they came: a key that is not listed is dropped, "
             "one of another type is an error.\n"
             "The policy is the default; `sidebus.conf(5)` tells how to change it.\n");
        for (size_t i = 0; i < PORTAL_N_ROLES; i++)
                if (roles[i].text)
                        printf("- *%s*: %s\n", roles[i].word, roles[i].text);
        for (size_t i = 0; i < portal_n_interfaces; i++)
                print_interface(&portal_interfaces[i]);
        return 0;
}
