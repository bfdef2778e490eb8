/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/gate.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/portal_table.h"
#include "sbsupervisor/ask.h"
#include "sbsupervisor/property.h"
#include "sbsupervisor/request.h"
#include "sbsupervisor/session.h"
#include "sbsupervisor/signal.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define GATE       "org.freedesktop.portal.Gate"

static int refuse(sd_bus_message *m, const char *error, const char *text) {
        return sd_bus_reply_method_errorf(m, error, "%s", text);
}

/* --- what sbportal asks for ------------------------------------------------------------------ */

static int on_close(struct gate *g, sd_bus_message *m) {
        struct request *r = request_find_gate(g, sd_bus_message_get_path(m));

        if (!r)
                return refuse(m, SD_BUS_ERROR_UNKNOWN_OBJECT, "No such request");
        request_close(r);
        return sd_bus_reply_method_return(m, "");
}

static int on_close_session(struct gate *g, sd_bus_message *m) {
        struct session *s = session_find_gate(g, sd_bus_message_get_path(m));

        if (!s)
                return refuse(m, SD_BUS_ERROR_UNKNOWN_OBJECT, "No such session");
        session_close(s);
        return sd_bus_reply_method_return(m, "");
}

/* What passes beside the portal table's rows. */
static const struct gate_method {
        const char *interface, *member, *signature;
        bool on_handle; /* of a request or a session, else on the portal's path */
        int (*fn)(struct gate *g, sd_bus_message *m);
} gate_methods[] = {
        {PROPERTIES, "Get", "ss", false, property_get},
        {PROPERTIES, "GetAll", "s", false, property_get_all},
        {PORTAL_REQUEST, "Close", "", true, on_close},
        {PORTAL_SESSION_IFACE, "Close", "", true, on_close_session},
};

static const struct gate_method *find_gate_method(const char *interface, const char *member) {
        for (size_t i = 0; i < ELEMENTSOF(gate_methods); i++)
                if (strcmp(gate_methods[i].interface, interface) == 0 &&
                    strcmp(gate_methods[i].member, member) == 0)
                        return &gate_methods[i];
        return NULL;
}

static int start(struct gate *g, const struct portal_method *method, sd_bus_message *m) {
        if (method->kind == PORTAL_LOCAL)
                return refuse(m, SD_BUS_ERROR_ACCESS_DENIED, "This is not answered at the gate");
        return request_start(g, method, m);
}

static int dispatch_call(struct gate *g, sd_bus_message *m) {
        const char *path = sd_bus_message_get_path(m), *interface = sd_bus_message_get_interface(m);
        const char *member = sd_bus_message_get_member(m);
        const struct portal_method *method;
        const struct gate_method *own;
        bool on_portal;

        if (!path || !interface || !member)
                return refuse(m, SD_BUS_ERROR_ACCESS_DENIED,
                              "The gate needs path, interface and member");
        on_portal = strcmp(path, PORTAL_PATH) == 0;
        method = on_portal ? portal_find_method(interface, member) : NULL;
        if (method)
                return start(g, method, m);
        own = find_gate_method(interface, member);
        if (own && own->on_handle != on_portal && sd_bus_message_has_signature(m, own->signature))
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

        inlet_delivered(&g->inlet);
        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected") ||
            is_clogged(g)) {
                log_error("gate: sbportal has closed it, or does not read its answers");
                g->on_breach(g->userdata, false);
                return 1;
        }
        if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
                return 1;
        r = dispatch_call(g, m);
        if (r < 0) {
                log_limited(&g->budget, LOG_WARNING, "gate: a call of sbportal failed: %s",
                            strerror(-r));
                (void)refuse(m, PORTAL_E_FAILED, "The call failed in the gate");
        }
        return 1;
}

static void on_inlet_breach(void *userdata, int error, const char *why) {
        struct gate *g = userdata;

        log_error(error ? "gate: cannot read on: %s" : "gate: sbportal has sent %s", why);
        g->on_breach(g->userdata, true);
}

int gate_open(struct gate *g, sd_event *event, int take_fd, const struct gate_world *world) {
        _cleanup_close_ int fd = take_fd, in = -1;
        sd_id128_t id;
        int r;

        g->host = world->host;
        g->documents = world->documents;
        g->config = world->config;
        g->policy = world->policy;
        g->asks = world->asks;
        r = spool_init(&g->spool, g->config->runtime_dir);
        if (r >= 0)
                r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_new(&g->bus);
        if (r >= 0)
                r = sd_bus_set_description(g->bus, "gate");
        if (r >= 0)
                r = inlet_open(&g->inlet, event, fd, INLET_FROM_CLIENT, true, on_inlet_breach, g,
                               &in);
        if (r >= 0)
                r = sd_bus_set_fd(g->bus, in, fd);
        if (r >= 0)
                in = fd = -1; /* the bus closes them from here on */
        if (r >= 0)
                r = sd_bus_set_server(g->bus, true, id);
        if (r >= 0)
                r = sd_bus_negotiate_fds(g->bus, true);
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

/* --- what the host's portal tells ------------------------------------------------------------ */

static int on_response(struct gate *g, sd_bus_message *m) {
        struct request *r = request_find_host(g, sd_bus_message_get_path(m));

        if (r)
                return request_response(r, m);
        log_debug("a Response for no request of ours: ignored");
        return 0;
}

/* On the portal's own object; to us, or to all. */
static int on_portal_signal(struct gate *g, sd_bus_message *m) {
        if (strcmp(sd_bus_message_get_path(m), PORTAL_PATH) != 0)
                return 0;
        if (is_clogged(g)) {
                g->on_breach(g->userdata, false);
                return 0;
        }
        if (asks_signal(g->asks, m))
                return 0;
        return sd_bus_message_is_signal(m, PROPERTIES, "PropertiesChanged") ? property_changed(g, m)
                                                                            : signal_forward(g, m);
}

static void complain(int r) {
        if (r < 0)
                (void)log_warning_errno(
                        r, "gate: a signal of the host's portal could not be passed on");
}

void gate_host_signal(struct gate *g, sd_bus_message *m) {
        if (sd_bus_message_is_signal(m, PORTAL_REQUEST, "Response"))
                complain(on_response(g, m));
        else
                gate_host_broadcast(g, m);
}

void gate_host_broadcast(struct gate *g, sd_bus_message *m) {
        if (sd_bus_message_is_signal(m, PORTAL_SESSION_IFACE, "Closed"))
                sessions_closed(g, sd_bus_message_get_path(m)); /* sent to all, by 1.16 */
        else
                complain(on_portal_signal(g, m));
}

/* --- ends ------------------------------------------------------------------------------------ */

void gate_portal_lost(struct gate *g) {
        asks_portal_lost(g->asks);
        sessions_lost(g);
        for (size_t i = 0; i < ELEMENTSOF(g->requests); i++)
                if (g->requests[i])
                        (void)request_portal_lost(g->requests[i]);
        host_versions_forget(&g->versions);
        complain(sd_bus_emit_signal(g->bus, PORTAL_PATH, GATE, "PortalRestarted", ""));
}

void gate_done(struct gate *g) {
        for (size_t i = 0; i < ELEMENTSOF(g->requests); i++)
                if (g->requests[i])
                        request_end(g->requests[i]);
        for (size_t i = 0; i < ELEMENTSOF(g->sessions); i++)
                if (g->sessions[i])
                        session_close(g->sessions[i]);
        notifications_done(&g->notifications);
        spool_done(&g->spool);
        g->bus = sd_bus_close_unref(g->bus);
        inlet_close(&g->inlet);
}
