/* SPDX-License-Identifier: MIT */
#include "common/portal_table.h"

#include <assert.h>
#include <string.h>

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

const struct portal_signal *portal_find_signal(const char *interface, const char *member) {
        for (size_t i = 0; i < portal_n_signals; i++)
                if (strcmp(portal_signals[i].member, member) == 0 &&
                    strcmp(portal_signals[i].interface, interface) == 0)
                        return &portal_signals[i];
        return NULL;
}

const struct portal_property *portal_find_property(const char *interface, const char *name) {
        for (size_t i = 0; i < portal_n_properties; i++)
                if (strcmp(portal_properties[i].name, name) == 0 &&
                    strcmp(portal_properties[i].interface, interface) == 0)
                        return &portal_properties[i];
        return NULL;
}

enum portal_policy portal_default_policy(const char *interface, const char *member) {
        const struct portal_interface *i = portal_find_interface(interface);
        const struct portal_method *m = member ? portal_find_method(interface, member) : NULL;

        if (!i || (member && !m))
                return PORTAL_DENY;
        return m && m->policy != PORTAL_POLICY_INHERIT ? m->policy : i->policy;
}

bool portal_opens_window(const struct portal_method *m) {
        return m->kind == PORTAL_IS_REQUEST || m->window;
}

bool portal_shows_notification(const struct portal_method *m) {
        return m->args[0].role == PORTAL_NOTIFICATION_ID && m->options[0].name;
}

const struct portal_interface *portal_find_short_name(const char *name) {
        for (size_t i = 0; i < portal_n_interfaces; i++)
                if (strcmp(strrchr(portal_interfaces[i].name, '.') + 1, name) == 0)
                        return &portal_interfaces[i];
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
