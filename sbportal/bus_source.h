/* SPDX-License-Identifier: MIT */
/*
 * An sd-bus connection on an sd-event loop, for a process that can make no new
 * descriptor and no surprising system call once it is locked.
 *
 * sd_bus_attach_event() is not used: its timers read the boot id from /proc at the
 * first time-out, and an error of one message would end the connection unseen.
 * This process has no time-outs of its own: the gate answers every call or dies, and
 * the supervisor limits how long the start may take.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

enum {
        BUS_SOURCE_E_GONE = 1, /* the connection is no more; after() will say so, too */
        BUS_SOURCE_E_FULL,     /* too many descriptors are on their way: this one was not sent */
};

struct bus_source {
        const char *name; /* for log lines */
        sd_bus *bus;
        sd_event_source *io, *again;
        /* After each batch of messages; error is 0, or why the connection is no more. */
        void (*after)(void *userdata, struct bus_source *s, int error);
        void *userdata;
        bool more;  /* a batch ended before the messages did */
        bool ended; /* after() was told */
};

struct bus_source_options {
        const char *name;
        bool bus_client; /* say Hello: the other end is a bus, not a peer */
        bool fds;        /* negotiate descriptors */
        int64_t priority;
};

/*
 * Takes fd in every case (a connected stream), starts the connection and queues our first
 * bytes; nothing is read before the loop runs.  s is then fit for bus_source_done().
 * 0 or a negative errno.
 */
int bus_source_init(struct bus_source *s, sd_event *event, const struct bus_source_options *o,
                    int take_fd);
void bus_source_done(struct bus_source *s);

/*
 * Sends m.  0, also when the connection is gone: after() will say so.  A negative errno is our
 * own failure.
 */
int bus_source_send(struct bus_source *s, sd_bus_message *m);

/*
 * Sends the call m; callback gets its reply unless ret_slot is unreferenced before.  There is no
 * time-out.  0, BUS_SOURCE_E_* or a negative errno.
 */
int bus_source_call(struct bus_source *s, sd_bus_slot **ret_slot, sd_bus_message *m,
                    sd_bus_message_handler_t callback, void *userdata);
