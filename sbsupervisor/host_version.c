/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/host_version.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "sbsupervisor/host.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"

static size_t index_of(const char *interface) {
        const struct portal_interface *i = portal_find_interface(interface);

        assert(i && portal_n_interfaces <= HOST_VERSION_MAX);
        return (size_t)(i - portal_interfaces);
}

const struct host_version *host_version_find(const struct host_versions *v, const char *interface) {
        const struct host_version *found = &v->of[index_of(interface)];

        return found->known ? found : NULL;
}

int host_version_new_call(struct host *h, const struct portal_interface *i, const char *interface,
                          const char *member, sd_bus_message **ret) {
        return i->object == PORTAL_DOCUMENTS ? host_new_documents_call(h, interface, member, ret)
                                             : host_new_call(h, interface, member, ret);
}

int host_version_ask(struct host *h, const char *interface, sd_bus_message_handler_t reply,
                     void *userdata, sd_bus_slot **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = host_version_new_call(h, portal_find_interface(interface), PROPERTIES, "Get", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "ss", interface, "version");
        if (r >= 0)
                r = sd_bus_call_async(h->bus, ret, m, reply, userdata, 0);
        return r < 0 ? r : 0;
}

bool host_version_is_absent(const sd_bus_error *e) {
        /* GDBus says the third of an interface that an object lacks. */
        static const char *const names[] = {
                SD_BUS_ERROR_UNKNOWN_INTERFACE, SD_BUS_ERROR_UNKNOWN_PROPERTY,
                SD_BUS_ERROR_INVALID_ARGS,      SD_BUS_ERROR_UNKNOWN_OBJECT,
                SD_BUS_ERROR_UNKNOWN_METHOD,
        };

        for (size_t k = 0; k < ELEMENTSOF(names); k++)
                if (sd_bus_error_has_name(e, names[k]))
                        return true;
        return false;
}

bool host_version_reply(struct host_versions *v, const struct host *h, const char *interface,
                        sd_bus_message *m) {
        struct host_version *known = &v->of[index_of(interface)];
        const sd_bus_error *e = sd_bus_message_get_error(m);
        uint32_t version = 0;

        if (!host_answered(h, m) || (e && !host_version_is_absent(e)))
                return false;
        if (!e && sd_bus_message_read(m, "v", "u", &version) < 0)
                return false;
        *known = (struct host_version){true, version};
        return true;
}

void host_versions_forget(struct host_versions *v) {
        *v = (struct host_versions){0};
}
