/* SPDX-License-Identifier: MIT */
#include "sbportal/notifications.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/portal_rebuild.h"
#include "common/portal_wire.h"
#include "sbportal/call.h"
#include "sbportal/method.h"
#include "sbportal/png.h"
#include "sbportal/reply.h"
#include "sbportal/service.h"

#define INTERFACE "org.freedesktop.Notifications"
#define PATH      "/org/freedesktop/Notifications"
#define PORTAL    "org.freedesktop.portal.Notification"

/* NotificationClosed: its reasons. */
#define REASON_DISMISSED 2u
#define REASON_CLOSED    3u

#define URGENCY_NORMAL 1u
#define ID_BYTES       11 /* a number, and its NUL */
#define IMAGE_TYPE     "(iiibiiay)"

/* --- what is shown ---------------------------------------------------------------------------- */

void notifications_done(struct notifications *n) {
        for (size_t i = 0; i < ELEMENTSOF(n->shown); i++)
                free(TAKE_PTR(n->shown[i].client));
}

static struct notification *find(struct notifications *n, uint32_t number) {
        struct notification *e = &n->shown[number % LIMIT_NOTIFICATIONS_KEPT];

        return number != 0 && e->number == number ? e : NULL;
}

/* id as we write it, and in no other way. */
static struct notification *find_id(struct notifications *n, const char *id) {
        struct notification *e = find(n, (uint32_t)strtoul(id, NULL, 10));
        char expected[ID_BYTES];

        if (!e)
                return NULL;
        (void)snprintf(expected, sizeof(expected), "%u", e->number);
        return strcmp(id, expected) == 0 ? e : NULL;
}

static uint32_t next_number(struct notifications *n) {
        if (++n->last == 0) /* means: none */
                n->last = 1;
        return n->last;
}

/* In the place of the one LIMIT_NOTIFICATIONS_KEPT before, if that is still known. */
static int remember(struct notifications *n, uint32_t number, const char *client) {
        struct notification *e = &n->shown[number % LIMIT_NOTIFICATIONS_KEPT];
        char *copy = strdup(client);

        if (!copy)
                return -ENOMEM;
        free(e->client);
        e->number = number;
        e->client = copy;
        return 0;
}

static void forget(struct notification *e) {
        free(e->client);
        *e = (struct notification){0};
}

/* --- signals ---------------------------------------------------------------------------------- */

/* *ret: member for the client that e is of, its number written. */
static int new_signal(struct translator *t, const struct notification *e, const char *member,
                      sd_bus_message **ret) {
        int r = sd_bus_message_new_signal(t->vm.bus, ret, PATH, INTERFACE, member);

        if (r >= 0)
                r = sd_bus_message_set_destination(*ret, e->client);
        if (r >= 0)
                r = sd_bus_message_append_basic(*ret, 'u', &e->number);
        return r < 0 ? r : 0;
}

/* Tells e's client, and forgets it. */
static int end(struct translator *t, struct notification *e, uint32_t reason) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = new_signal(t, e, "NotificationClosed", &m);

        forget(e);
        if (r == 0)
                r = wire_done(sd_bus_message_append_basic(m, 'u', &reason));
        return r < 0 ? r : bus_source_send(&t->vm, m);
}

int notifications_invoked(struct translator *t, sd_bus_message *signal) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        struct notification *e;
        const char *id, *action;
        int r;

        r = sd_bus_message_seal(signal, 1, 0); /* to read it: it goes nowhere */
        if (r >= 0)
                r = sd_bus_message_read(signal, "ss", &id, &action);
        if (r < 0)
                return r;
        e = find_id(&t->notifications, id);
        if (!e)
                return PORTAL_REBUILD_E_VALUE;
        r = new_signal(t, e, "ActionInvoked", &m);
        if (r == 0)
                r = wire_done(sd_bus_message_append_basic(m, 's', action));
        if (r == 0)
                r = bus_source_send(&t->vm, m);
        /* A notification is gone once it was acted upon, as on a desktop. */
        return r < 0 ? r : end(t, e, REASON_DISMISSED);
}

/* --- Notify ----------------------------------------------------------------------------------- */

struct notify {
        const char *app, *icon, *summary, *body;
        uint32_t replaces;
        uint8_t urgency;
        const char *image_path;   /* a hint, or NULL */
        struct png_pixels pixels; /* a hint, of the bytes below; width 0: none */
        struct wire_bytes bytes;
};

static void notify_done(struct notify *n) {
        wire_bytes_done(&n->bytes);
}

/* image-data: (iiibiiay), m being at its variant. */
static int read_image(struct notify *n, sd_bus_message *m) {
        int32_t width, height, stride, bits, channels;
        int alpha;
        int r = wire_got(sd_bus_message_enter_container(m, 'v', IMAGE_TYPE));

        if (r == 0)
                r = wire_got(sd_bus_message_enter_container(m, 'r', "iiibiiay"));
        if (r == 0)
                r = wire_got(sd_bus_message_read(m, "iiibii", &width, &height, &stride, &alpha,
                                                 &bits, &channels));
        if (r != 0)
                return r;
        wire_bytes_done(&n->bytes); /* of a key that came twice */
        n->pixels = (struct png_pixels){0};
        r = wire_read_bytes(m, LIMIT_GATE_BYTES, &n->bytes);
        if (r == 0 && bits == 8)
                n->pixels = (struct png_pixels){width,    height,        stride,
                                                channels, n->bytes.data, n->bytes.n};
        for (unsigned i = 0; i < 2 && r == 0; i++)
                r = wire_stepped(sd_bus_message_exit_container(m));
        return r;
}

/* One hint.  What is not used here is stepped over within bounds: an image has many values. */
static int read_hint(struct notify *n, struct portal_rebuild *rb, sd_bus_message *m) {
        const char *key, *contents;
        char type;
        int r = wire_got(sd_bus_message_read_basic(m, 's', &key));

        if (r == 0)
                r = wire_got(sd_bus_message_peek_type(m, &type, &contents));
        if (r != 0)
                return r;
        if (strcmp(key, "urgency") == 0 && strcmp(contents, "y") == 0)
                return wire_got(sd_bus_message_read(m, "v", "y", &n->urgency));
        if (strcmp(key, "image-path") == 0 && strcmp(contents, "s") == 0)
                return wire_got(sd_bus_message_read(m, "v", "s", &n->image_path));
        if ((strcmp(key, "image-data") == 0 || strcmp(key, "image_data") == 0) &&
            strcmp(contents, IMAGE_TYPE) == 0)
                return read_image(n, m);
        return wire_skip(rb, m);
}

static int read_hints(struct notify *n, sd_bus_message *m) {
        struct portal_rebuild rb = {.steps = LIMIT_SKIPPED_VALUES};
        unsigned hints = 0;
        int r = wire_got(sd_bus_message_enter_container(m, 'a', "{sv}"));

        if (r != 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = ++hints > LIMIT_OPTION_KEYS ? PORTAL_REBUILD_E_VALUE : read_hint(n, &rb, m);
                if (r == 0)
                        r = wire_stepped(sd_bus_message_exit_container(m));
                if (r != 0)
                        return r;
        }
        return wire_stepped(r);
}

static int append_priority(sd_bus_message *out, uint8_t urgency) {
        static const char *const priorities[] = {"low", "normal", "urgent"};

        if (urgency >= ELEMENTSOF(priorities))
                urgency = URGENCY_NORMAL;
        return sd_bus_message_append(out, "{sv}", "priority", "s", priorities[urgency]);
}

static int append_image(sd_bus_message *out, const void *png, size_t n) {
        int r = wire_done(sd_bus_message_open_container(out, 'e', "sv"));

        if (r == 0)
                r = wire_done(sd_bus_message_append_basic(out, 's', "icon"));
        if (r == 0)
                r = wire_done(sd_bus_message_open_container(out, 'v', "(sv)"));
        if (r == 0)
                r = wire_done(sd_bus_message_open_container(out, 'r', "sv"));
        if (r == 0)
                r = wire_done(sd_bus_message_append_basic(out, 's', "bytes"));
        if (r == 0)
                r = wire_done(sd_bus_message_open_container(out, 'v', "ay"));
        if (r == 0)
                r = wire_done(sd_bus_message_append_array(out, 'y', png, n));
        for (unsigned i = 0; i < 4 && r == 0; i++)
                r = wire_done(sd_bus_message_close_container(out));
        return r;
}

/*
 * The image, or a name of an icon: a path or a URI names a file of the guest's, and is left
 * out.
 */
static int append_icon(sd_bus_message *out, const struct notify *n) {
        const char *path = n->image_path;
        const char *name = path && !strchr(path, '/') ? path : n->icon;
        _cleanup_free_ void *png = NULL;
        size_t size;
        int r = n->pixels.width ? png_from_pixels(&n->pixels, &png, &size) : PNG_E_FORM;

        if (r < 0)
                return r;
        if (r == 0)
                return append_image(out, png, size);
        if (!*name || strchr(name, '/'))
                return 0;
        return sd_bus_message_append(out, "{sv}", "icon", "(sv)", "themed", "as", 1, name);
}

static int append_button(sd_bus_message *out, const char *action, const char *label) {
        return sd_bus_message_append(out, "a{sv}", 2, "label", "s", label, "action", "s", action);
}

/* The pairs of an action and its label, as buttons; "default" is what a click does. */
static int append_actions(sd_bus_message *out, sd_bus_message *m) {
        const char *action, *label;
        bool has_default = false;
        int r = wire_done(sd_bus_message_open_container(out, 'e', "sv"));

        if (r == 0)
                r = wire_done(sd_bus_message_append_basic(out, 's', "buttons"));
        if (r == 0)
                r = wire_done(sd_bus_message_open_container(out, 'v', "aa{sv}"));
        if (r == 0)
                r = wire_done(sd_bus_message_open_container(out, 'a', "a{sv}"));
        if (r == 0)
                r = wire_got(sd_bus_message_enter_container(m, 'a', "s"));
        while (r == 0 && sd_bus_message_read_basic(m, 's', &action) > 0 &&
               sd_bus_message_read_basic(m, 's', &label) > 0) {
                if (strcmp(action, "default") == 0)
                        has_default = true;
                else
                        r = wire_done(append_button(out, action, label));
        }
        if (r == 0)
                r = wire_stepped(sd_bus_message_exit_container(m));
        for (unsigned i = 0; i < 3 && r == 0; i++)
                r = wire_done(sd_bus_message_close_container(out));
        if (r == 0 && has_default)
                r = wire_done(sd_bus_message_append(out, "{sv}", "default-action", "s", "default"));
        return r;
}

/* The body of AddNotification from that of Notify.  0, PORTAL_REBUILD_E_* or a negative errno. */
static int convert(struct notify *n, sd_bus_message *m, uint32_t number, sd_bus_message *out) {
        char id[ID_BYTES];
        int r;

        (void)snprintf(id, sizeof(id), "%u", number);
        r = wire_done(sd_bus_message_append_basic(out, 's', id));
        if (r == 0)
                r = wire_done(sd_bus_message_open_container(out, 'a', "{sv}"));
        if (r == 0)
                r = append_actions(out, m);
        if (r == 0)
                r = read_hints(n, m);
        if (r == 0)
                r = wire_done(append_priority(out, n->urgency));
        if (r == 0)
                r = wire_done(append_icon(out, n));
        if (r == 0)
                r = wire_done(sd_bus_message_append(out, "{sv}", "title", "s",
                                                    *n->summary ? n->summary : n->app));
        if (r == 0)
                r = wire_done(sd_bus_message_append(out, "{sv}", "body", "s", n->body));
        if (r == 0)
                r = wire_done(sd_bus_message_close_container(out));
        return r != 0 ? r : wire_done(sd_bus_message_seal(out, 1, 0));
}

static int on_notified(struct call *take_c, sd_bus_message *answer) {
        _cleanup_(call_freep) struct call *c = take_c;
        int r;

        if (sd_bus_message_is_method_error(answer, NULL))
                return call_reply_gate_error(c, answer);
        r = remember(&c->t->notifications, c->number, c->client);
        return r < 0 ? r : reply_u32(&c->t->vm, c->message, c->number);
}

/* A call of a row of the portal for the guest's m.  *ret NULL: it has its answer. */
static int begin(struct translator *t, sd_bus_message *m, const char *member, struct call **ret) {
        return call_begin(t, m, portal_find_method(PORTAL, member), ret);
}

/* The one of that number, if it is the client's own: others' are theirs. */
static struct notification *find_own(struct translator *t, uint32_t number, const char *client) {
        struct notification *e = find(&t->notifications, number);

        return e && strcmp(e->client, client) == 0 ? e : NULL;
}

static int on_notify(struct translator *t, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *portal_call = NULL;
        _cleanup_(call_freep) struct call *c = NULL;
        _cleanup_(notify_done) struct notify n = {.urgency = URGENCY_NORMAL};
        int r = begin(t, m, "AddNotification", &c);

        if (r < 0 || !c)
                return r;
        r = wire_got(
                sd_bus_message_read(m, "susss", &n.app, &n.replaces, &n.icon, &n.summary, &n.body));
        if (r == 0)
                r = service_new_portal_call(t, c->method, &portal_call);
        c->number =
                find_own(t, n.replaces, c->client) ? n.replaces : next_number(&t->notifications);
        if (r == 0)
                r = convert(&n, m, c->number, portal_call);
        if (r > 0)
                return reply_error(&t->vm, m, SD_BUS_ERROR_INVALID_ARGS, "Invalid notification");
        return r < 0 ? r : method_send(TAKE_PTR(c), portal_call, on_notified);
}

/* --- the others ------------------------------------------------------------------------------- */

static int on_removed(struct call *take_c, sd_bus_message *answer) {
        _cleanup_(call_freep) struct call *c = take_c;
        struct notification *e = find(&c->t->notifications, c->number);
        int r = 0;

        if (sd_bus_message_is_method_error(answer, NULL))
                return call_reply_gate_error(c, answer);
        if (e)
                r = end(c->t, e, REASON_CLOSED);
        return r < 0 ? r : reply_empty(&c->t->vm, c->message);
}

static int on_close(struct translator *t, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *portal_call = NULL;
        _cleanup_(call_freep) struct call *c = NULL;
        char id[ID_BYTES];
        uint32_t number;
        int r;

        if (sd_bus_message_read_basic(m, 'u', &number) <= 0)
                return reply_wrong_type(&t->vm, m, "u");
        if (!find_own(t, number, sd_bus_message_get_sender(m))) /* an error, by the specification */
                return reply_error(&t->vm, m, SD_BUS_ERROR_FAILED, "No such notification");
        r = begin(t, m, "RemoveNotification", &c);
        if (r < 0 || !c)
                return r;
        c->number = number;
        (void)snprintf(id, sizeof(id), "%u", number);
        r = service_new_portal_call(t, c->method, &portal_call);
        if (r == 0)
                r = wire_done(sd_bus_message_append_basic(portal_call, 's', id));
        if (r == 0)
                r = wire_done(sd_bus_message_seal(portal_call, 1, 0));
        return r < 0 ? r : method_send(TAKE_PTR(c), portal_call, on_removed);
}

static int on_capabilities(struct translator *t, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        int r = sd_bus_message_new_method_return(m, &out);

        if (r >= 0)
                r = sd_bus_message_append(out, "as", 2, "actions", "body");
        return r < 0 ? r : bus_source_send(&t->vm, out);
}

static int on_server_information(struct translator *t, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *out = NULL;
        int r = sd_bus_message_new_method_return(m, &out);

        if (r >= 0)
                r = sd_bus_message_append(out, "ssss", "sidebus", "sidebus", SIDEBUS_VERSION,
                                          "1.2");
        return r < 0 ? r : bus_source_send(&t->vm, out);
}

/* A row says what is not zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static const struct service_method methods[] = {
        {
                "Notify",
                {{"app_name", "s"},
                 {"replaces_id", "u"},
                 {"app_icon", "s"},
                 {"summary", "s"},
                 {"body", "s"},
                 {"actions", "as"},
                 {"hints", "a{sv}"},
                 {"expire_timeout", "i"}},
                {{"id", "u"}},
                on_notify,
        },
        {"CloseNotification", {{"id", "u"}}, {{0}}, on_close},
        {"GetCapabilities", {{0}}, {{"capabilities", "as"}}, on_capabilities},
        {
                "GetServerInformation",
                {{0}},
                {{"name", "s"}, {"vendor", "s"}, {"version", "s"}, {"spec_version", "s"}},
                on_server_information,
        },
        {0},
};

static const struct service_signal signals[] = {
        {"NotificationClosed", {{"id", "u"}, {"reason", "u"}}},
        {"ActionInvoked", {{"id", "u"}, {"action_key", "s"}}},
        {0},
};

const struct service notifications_service = {INTERFACE, methods, signals};
