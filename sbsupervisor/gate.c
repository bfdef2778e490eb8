/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/call_stub.h"
#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/portal_table.h"
#include "sbsupervisor/request.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"

/* A Properties call on its way to the host portal and back. */
struct forwarded {
        struct gate *gate;
        sd_bus_message *call;
        const struct portal_interface *interface;
        const struct portal_property *property; /* NULL: GetAll */
};

static void forwarded_free(void *p) {
        struct forwarded *f = p;

        f->gate->n_forwarded--;
        sd_bus_message_unref(f->call);
        free(f);
}

static int refuse(sd_bus_message *m, const char *error, const char *text) {
        return sd_bus_reply_method_errorf(m, error, "%s", text);
}

/* --- properties: read only, of the table only, version never above ours --------------------------- */

/* Copies "variant u" from in to out, at most max. */
static int copy_version(sd_bus_message *in, sd_bus_message *out, uint32_t max) {
        uint32_t version;
        int r = sd_bus_message_read(in, "v", "u", &version);

        if (r < 0)
                return r;
        return sd_bus_message_append(out, "v", "u", version < max ? version : max);
}

static int answer_get(struct forwarded *f, sd_bus_message *in, sd_bus_message *out) {
        return copy_version(in, out, f->interface->version);
}

static int answer_get_all(struct forwarded *f, sd_bus_message *in, sd_bus_message *out) {
        const char *name;
        int r = sd_bus_message_enter_container(in, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_open_container(out, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(in, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(in, 's', &name);
                if (r >= 0 && portal_find_property(f->interface->name, name)) {
                        r = sd_bus_message_open_container(out, 'e', "sv");
                        if (r >= 0)
                                r = sd_bus_message_append_basic(out, 's', name);
                        if (r >= 0)
                                r = copy_version(in, out, f->interface->version);
                        if (r >= 0)
                                r = sd_bus_message_close_container(out);
                } else if (r >= 0) {
                        r = sd_bus_message_skip(in, "v");
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(in);
        }
        return r < 0 ? r : sd_bus_message_close_container(out);
}

static int on_property_reply(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        struct forwarded *f = userdata;
        int r;

        if (sd_bus_message_get_error(m) || !host_answered(f->gate->host, m))
                return refuse(f->call, SD_BUS_ERROR_UNKNOWN_INTERFACE,
                              "The host's portal does not have this interface");
        r = sd_bus_message_new_method_return(f->call, &out);
        if (r < 0)
                return r;
        r = f->property ? answer_get(f, m, out) : answer_get_all(f, m, out);
        if (r < 0)
                return refuse(f->call, PORTAL_E_FAILED, "The host's portal gave no usable answer");
        return sd_bus_send(NULL, out, NULL);
}

static int forward_property(struct gate *g, sd_bus_message *call, const struct portal_interface *i,
                            const struct portal_property *p) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *stub = NULL;
        sd_bus_slot *slot = NULL;
        struct forwarded *f;
        int r;

        if (g->n_forwarded >= LIMIT_REQUESTS_VM)
                return refuse(call, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many calls at once");
        r = host_new_call(g->host, PROPERTIES, p ? "Get" : "GetAll", &m);
        if (r >= 0)
                r = p ? sd_bus_message_append(m, "ss", i->name, p->name)
                      : sd_bus_message_append(m, "s", i->name);
        if (r < 0)
                return r;
        r = call_stub_new(call, &stub);
        if (r < 0)
                return r;
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        *f = (struct forwarded){g, TAKE_PTR(stub), i, p};
        g->n_forwarded++;
        r = sd_bus_call_async(g->host->bus, &slot, m, on_property_reply, f, 0);
        if (r < 0) {
                forwarded_free(f);
                return r;
        }
        (void)sd_bus_slot_set_destroy_callback(slot, forwarded_free);
        (void)sd_bus_slot_set_floating(slot, 1);
        sd_bus_slot_unref(slot);
        return 0;
}

static int on_get(struct gate *g, sd_bus_message *m) {
        const char *interface, *name;
        const struct portal_property *p;
        int r = sd_bus_message_read(m, "ss", &interface, &name);

        if (r < 0)
                return r;
        p = portal_find_property(interface, name);
        if (!p)
                return refuse(m, SD_BUS_ERROR_UNKNOWN_PROPERTY, "No such property");
        return forward_property(g, m, portal_find_interface(interface), p);
}

static int on_get_all(struct gate *g, sd_bus_message *m) {
        const struct portal_interface *i;
        const char *interface;
        int r = sd_bus_message_read(m, "s", &interface);

        if (r < 0)
                return r;
        i = portal_find_interface(interface);
        return i ? forward_property(g, m, i, NULL)
                 : refuse(m, SD_BUS_ERROR_UNKNOWN_INTERFACE, "No such interface");
}

/* --- requests --------------------------------------------------------------------------------------- */

static int on_close(struct gate *g, sd_bus_message *m) {
        struct request *r = request_find_gate(g, sd_bus_message_get_path(m));

        if (!r)
                return refuse(m, SD_BUS_ERROR_UNKNOWN_OBJECT, "No such request");
        request_close(r);
        return sd_bus_reply_method_return(m, "");
}

/* What passes beside the portal table's rows. */
static const struct gate_method {
        const char *interface, *member, *signature;
        bool on_request; /* on a request's handle, else on the portal's path */
        int (*fn)(struct gate *g, sd_bus_message *m);
} gate_methods[] = {
        {PROPERTIES, "Get", "ss", false, on_get},
        {PROPERTIES, "GetAll", "s", false, on_get_all},
        {PORTAL_REQUEST, "Close", "", true, on_close},
};

static const struct gate_method *find_gate_method(const char *interface, const char *member) {
        for (size_t i = 0; i < ELEMENTSOF(gate_methods); i++)
                if (strcmp(gate_methods[i].interface, interface) == 0 &&
                    strcmp(gate_methods[i].member, member) == 0)
                        return &gate_methods[i];
        return NULL;
}

static int dispatch_call(struct gate *g, sd_bus_message *m) {
        const char *path = sd_bus_message_get_path(m), *interface = sd_bus_message_get_interface(m);
        const char *member = sd_bus_message_get_member(m);
        const struct portal_method *method;
        const struct gate_method *own;
        bool on_portal;

        if (!path || !interface || !member)
                return refuse(m, SD_BUS_ERROR_ACCESS_DENIED, "The gate needs path, interface and member");
        on_portal = strcmp(path, PORTAL_PATH) == 0;
        method = on_portal ? portal_find_method(interface, member) : NULL;
        if (method)
                return request_start(g, method, m);
        own = find_gate_method(interface, member);
        if (own && own->on_request != on_portal && sd_bus_message_has_signature(m, own->signature))
                return own->fn(g, m);
        log_limited(&g->budget, LOG_WARNING,
                    "gate: sbportal asked for %s.%s on %s, which is not in the table: refused",
                    ESCAPED(interface), ESCAPED(member), ESCAPED(path));
        return refuse(m, SD_BUS_ERROR_ACCESS_DENIED, "This does not pass the gate");
}

/* sbportal reads what it asks for; who does not would make us keep the answers. */
static bool is_clogged(struct gate *g) {
        uint64_t n;

        return sd_bus_get_n_queued_write(g->bus, &n) < 0 || n > LIMIT_GATE_QUEUED;
}

/* Every message of sbportal ends here: none reaches what sd-bus would answer by itself. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        struct gate *g = userdata;
        uint8_t type;
        int r;

        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected") || is_clogged(g)) {
                log_error("gate: sbportal has closed it, or does not read its answers");
                g->on_breach(g->userdata);
                return 1;
        }
        if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
                return 1;
        r = dispatch_call(g, m);
        if (r < 0) {
                log_limited(&g->budget, LOG_WARNING, "gate: a call of sbportal failed: %s", strerror(-r));
                (void)refuse(m, PORTAL_E_FAILED, "The call failed in the gate");
        }
        return 1;
}

int gate_open(struct gate *g, sd_event *event, int take_fd, struct host *host,
              struct documents *documents, const struct config *config) {
        _cleanup_close_ int fd = take_fd;
        sd_id128_t id;
        int r;

        g->host = host;
        g->documents = documents;
        g->config = config;
        r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_new(&g->bus);
        if (r >= 0)
                r = sd_bus_set_description(g->bus, "gate");
        if (r >= 0)
                r = sd_bus_set_fd(g->bus, fd, fd);
        if (r >= 0)
                fd = -1; /* the bus closes it from here on */
        if (r >= 0)
                r = sd_bus_set_server(g->bus, true, id);
        if (r >= 0)
                r = sd_bus_negotiate_fds(g->bus, false); /* no row of the table takes one yet */
        if (r >= 0)
                r = sd_bus_add_filter(g->bus, NULL, on_message, g);
        if (r >= 0)
                r = sd_bus_start(g->bus);
        if (r >= 0)
                r = sd_bus_attach_event(g->bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_set_close_on_exit(g->bus, false); /* see host_listen() */
        return r < 0 ? log_error_errno(r, "cannot open the gate") : 0;
}

void gate_host_signal(struct gate *g, sd_bus_message *m) {
        struct request *r;
        int e;

        if (!sd_bus_message_is_signal(m, PORTAL_REQUEST, "Response"))
                return;
        r = request_find_host(g, sd_bus_message_get_path(m));
        if (!r) {
                log_debug("a Response for no request of ours: ignored");
                return;
        }
        e = request_response(r, m);
        if (e < 0)
                (void)log_warning_errno(e, "gate: a Response could not be passed on");
}

void gate_portal_lost(struct gate *g) {
        for (size_t i = 0; i < ELEMENTSOF(g->requests); i++)
                if (g->requests[i])
                        (void)request_portal_lost(g->requests[i]);
}

void gate_done(struct gate *g) {
        for (size_t i = 0; i < ELEMENTSOF(g->requests); i++)
                if (g->requests[i])
                        request_end(g->requests[i]);
        g->bus = sd_bus_close_unref(g->bus);
}
