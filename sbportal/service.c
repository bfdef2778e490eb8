/* SPDX-License-Identifier: MIT */
#include "sbportal/service.h"

#include <string.h>

#include "sbportal/reply.h"
#include "sbportal/translator.h"

int service_call(struct translator *t, sd_bus_message *m, const struct service *s) {
        const struct service_method *method = s->methods;
        char signature[PORTAL_MAX_SIGNATURE];

        while (method->member && strcmp(method->member, sd_bus_message_get_member(m)) != 0)
                method++;
        if (!method->member)
                return reply_no_method(&t->vm, m);
        (void)portal_signature(method->args, signature);
        if (!sd_bus_message_has_signature(m, signature))
                return reply_wrong_type(&t->vm, m, signature);
        return method->fn(t, m);
}

int service_new_portal_call(struct translator *t, const struct portal_method *method,
                            sd_bus_message **ret) {
        int r = sd_bus_message_new_method_call(t->vm.bus, ret, NULL, PORTAL_PATH, method->interface,
                                               method->member);

        return r < 0 ? r : 0;
}
