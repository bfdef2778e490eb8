/* SPDX-License-Identifier: MIT */
#include "common/portal_table.h"

#include <assert.h>
#include <string.h>

#include "common/cleanup.h"

#define FILE_CHOOSER "org.freedesktop.portal.FileChooser"

/* What every request's dialog takes. */
#define WINDOW {"parent_window", "s", PORTAL_PARENT_WINDOW}
#define TITLE {"title", "s", PORTAL_TITLE}
#define OPTIONS {"options", "a{sv}", PORTAL_OPTIONS}
#define HANDLE {"handle", "o", PORTAL_PLAIN}
#define TOKEN {"handle_token", "s", PORTAL_HANDLE_TOKEN}

#define FILTER_TYPE "(sa(us))"
#define CHOICES {"choices", "a(ssa(ss)s)", PORTAL_TEXT}
#define FILTERS {"filters", "a" FILTER_TYPE, PORTAL_TEXT}
#define CURRENT_FILTER {"current_filter", FILTER_TYPE, PORTAL_TEXT}
#define CURRENT_FOLDER {"current_folder", "ay", PORTAL_GUEST_PATH}

/* What every FileChooser Response carries; the backend's own keys ("writable") stop at the gate. */
#define CHOOSER_RESULTS                                                                            \
        {                                                                                          \
                {"uris", "as", PORTAL_URIS}, {"choices", "a(ss)", PORTAL_PLAIN},                   \
                        {"current_filter", FILTER_TYPE, PORTAL_PLAIN},                             \
        }

const struct portal_interface portal_interfaces[] = {
        {FILE_CHOOSER, 4},
};
const size_t portal_n_interfaces = ELEMENTSOF(portal_interfaces);

const struct portal_property portal_properties[] = {
        {FILE_CHOOSER, "version", "u"},
};
const size_t portal_n_properties = ELEMENTSOF(portal_properties);

const struct portal_method portal_methods[] = {
        {
                .interface = FILE_CHOOSER,
                .member = "OpenFile",
                .kind = PORTAL_IS_REQUEST,
                .export = PORTAL_EXPORT_OPEN,
                .args = {WINDOW, TITLE, OPTIONS},
                .out = {HANDLE},
                .options =
                        {
                                TOKEN,
                                {"accept_label", "s", PORTAL_TEXT},
                                {"modal", "b", PORTAL_PLAIN},
                                {"multiple", "b", PORTAL_PLAIN},
                                {"directory", "b", PORTAL_DIRECTORY},
                                FILTERS,
                                CURRENT_FILTER,
                                CHOICES,
                                CURRENT_FOLDER,
                        },
                .results = CHOOSER_RESULTS,
        },
        {
                .interface = FILE_CHOOSER,
                .member = "SaveFile",
                .kind = PORTAL_IS_REQUEST,
                .export = PORTAL_EXPORT_SAVE,
                .args = {WINDOW, TITLE, OPTIONS},
                .out = {HANDLE},
                .options =
                        {
                                TOKEN,
                                {"accept_label", "s", PORTAL_TEXT},
                                {"modal", "b", PORTAL_PLAIN},
                                FILTERS,
                                CURRENT_FILTER,
                                CHOICES,
                                {"current_name", "s", PORTAL_BASENAME},
                                CURRENT_FOLDER,
                                {"current_file", "ay", PORTAL_GUEST_PATH},
                        },
                .results = CHOOSER_RESULTS,
        },
        {
                .interface = FILE_CHOOSER,
                .member = "SaveFiles",
                .kind = PORTAL_IS_REQUEST,
                .export = PORTAL_EXPORT_SAVE,
                .args = {WINDOW, TITLE, OPTIONS},
                .out = {HANDLE},
                .options =
                        {
                                TOKEN,
                                {"accept_label", "s", PORTAL_TEXT},
                                {"modal", "b", PORTAL_PLAIN},
                                CHOICES,
                                CURRENT_FOLDER,
                                {"files", "aay", PORTAL_BASENAMES},
                        },
                .results = CHOOSER_RESULTS,
        },
};
const size_t portal_n_methods = ELEMENTSOF(portal_methods);

const struct portal_interface *portal_find_interface(const char *interface) {
        for (size_t i = 0; i < portal_n_interfaces; i++)
                if (strcmp(portal_interfaces[i].name, interface) == 0)
                        return &portal_interfaces[i];
        return NULL;
}

const struct portal_method *portal_find_method(const char *interface, const char *member) {
        for (size_t i = 0; i < portal_n_methods; i++)
                if (strcmp(portal_methods[i].member, member) == 0 &&
                    strcmp(portal_methods[i].interface, interface) == 0)
                        return &portal_methods[i];
        return NULL;
}

const struct portal_property *portal_find_property(const char *interface, const char *name) {
        for (size_t i = 0; i < portal_n_properties; i++)
                if (strcmp(portal_properties[i].name, name) == 0 &&
                    strcmp(portal_properties[i].interface, interface) == 0)
                        return &portal_properties[i];
        return NULL;
}

const struct portal_value *portal_find_value(const struct portal_value *values, const char *name) {
        for (; values->name; values++)
                if (strcmp(values->name, name) == 0)
                        return values;
        return NULL;
}

const char *portal_signature(const struct portal_value *values, char buf[PORTAL_MAX_SIGNATURE]) {
        size_t n = 0;

        for (; values->name; values++) {
                size_t k = strlen(values->type);

                assert(n + k < PORTAL_MAX_SIGNATURE);
                memcpy(buf + n, values->type, k);
                n += k;
        }
        buf[n] = '\0';
        return buf;
}
