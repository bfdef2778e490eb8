/* SPDX-License-Identifier: MIT */
#include "sbportal/bus_source.h"

#include <errno.h>

#include "common/cleanup.h"

/* Messages handled before the other connections have their turn. */
#define BATCH 16

static bool is_disconnect(int r) {
        return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE || r == -ECONNABORTED ||
               r == -ESHUTDOWN;
}

/* Tells after() once that it is over; the sources are off then. */
static void end(struct bus_source *s, int error) {
        if (s->ended)
                return;
        s->ended = true;
        (void)sd_event_source_set_enabled(s->io, SD_EVENT_OFF);
        (void)sd_event_source_set_enabled(s->again, SD_EVENT_OFF);
        s->after(s->userdata, s, error);
}

/*
 * What sd_bus_process() returns as an error concerns the stream (sd-bus drops a message it
 * cannot parse, and our handlers answer for their own), so it is the end of it.
 */
static void process(struct bus_source *s) {
        int r = 1;

        /* A connection that closes is gone through whole: each call in flight gets its error. */
        for (unsigned i = 0; r > 0 && (i < BATCH || !sd_bus_is_open(s->bus)); i++)
                r = sd_bus_process(s->bus, NULL);
        s->more = r > 0;
        if (r < 0 || !sd_bus_is_open(s->bus))
                end(s, r < 0 && !is_disconnect(r) ? r : -ECONNRESET);
        else
                s->after(s->userdata, s, 0);
}

static int on_io(_unused_ sd_event_source *source, _unused_ int fd, _unused_ uint32_t events,
                 void *userdata) {
        process(userdata);
        return 0;
}

static int on_again(_unused_ sd_event_source *source, void *userdata) {
        process(userdata);
        return 0;
}

/* Before each wait: what to wait for, and whether sd-bus has work that needs no new bytes. */
static int on_prepare(_unused_ sd_event_source *source, void *userdata) {
        struct bus_source *s = userdata;
        uint64_t when = UINT64_MAX;
        int events, r;

        if (s->ended)
                return 0;
        events = sd_bus_get_events(s->bus);
        if (events < 0) { /* closed by a failed write */
                events = 0;
                when = 0;
        } else if (sd_bus_get_timeout(s->bus, &when) < 0) {
                when = 0;
        }
        r = sd_event_source_set_io_events(s->io, (uint32_t)events);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(s->again,
                                           when == 0 || s->more ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int add_sources(struct bus_source *s, sd_event *event, int fd, int64_t priority) {
        int r;

        r = sd_event_add_io(event, &s->io, fd, 0, on_io, s);
        if (r >= 0)
                r = sd_event_source_set_prepare(s->io, on_prepare);
        if (r >= 0)
                r = sd_event_source_set_priority(s->io, priority);
        if (r >= 0)
                r = sd_event_add_defer(event, &s->again, on_again, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->again, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(s->again, priority);
        return r < 0 ? r : 0;
}

static int start(struct bus_source *s, const struct bus_source_options *o, int *fd) {
        int r;

        r = sd_bus_new(&s->bus);
        if (r >= 0)
                r = sd_bus_set_fd(s->bus, *fd, *fd);
        if (r < 0)
                return r;
        (void)TAKE_FD(*fd); /* sd-bus closes it now */
        r = sd_bus_set_bus_client(s->bus, o->bus_client);
        if (r >= 0)
                r = sd_bus_negotiate_fds(s->bus, o->fds);
        if (r >= 0)
                r = sd_bus_set_description(s->bus, o->name);
        if (r >= 0)
                r = sd_bus_start(s->bus);
        return r < 0 ? r : 0;
}

int bus_source_init(struct bus_source *s, sd_event *event, const struct bus_source_options *o,
                    int take_fd) {
        _cleanup_close_ int fd = take_fd;
        int r;

        s->name = o->name;
        r = start(s, o, &fd);
        if (r == 0)
                r = sd_bus_get_fd(s->bus);
        return r < 0 ? r : add_sources(s, event, r, o->priority);
}

void bus_source_done(struct bus_source *s) {
        s->io = sd_event_source_unref(s->io);
        s->again = sd_event_source_unref(s->again);
        sd_bus_close(s->bus);
        s->bus = sd_bus_unref(s->bus);
}

int bus_source_send(struct bus_source *s, sd_bus_message *m) {
        int r = sd_bus_send(s->bus, m, NULL);

        return r < 0 && !is_disconnect(r) ? r : 0;
}

int bus_source_call(struct bus_source *s, sd_bus_slot **ret_slot, sd_bus_message *m,
                    sd_bus_message_handler_t callback, void *userdata) {
        int r = sd_bus_call_async(s->bus, ret_slot, m, callback, userdata, UINT64_MAX);

        if (r == -ETOOMANYREFS)
                return BUS_SOURCE_E_FULL;
        if (r < 0)
                return is_disconnect(r) ? BUS_SOURCE_E_GONE : r;
        return 0;
}
