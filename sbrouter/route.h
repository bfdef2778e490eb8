/* SPDX-License-Identifier: MIT */
/*
 * The way of one message through the bus: validated, stamped with its sender,
 * given to the driver, to the owner of its destination, or to the subscribers.
 */
#pragma once

#include "sbrouter/message.h"
#include "sbrouter/queue.h"

struct connection;
struct router;

/*
 * One whole message from c, frame.n bytes at data, is checked, charged and passed on.  blob:
 * data is its first byte, it may be kept by reference, and the body was found valid; else NULL.
 * 0 or a negative errno.
 */
int route_message(struct router *r, struct connection *c, const uint8_t *data,
                  const struct message_frame *frame, struct blob *blob);

/*
 * A valid signal, from sender or (NULL) from the driver, to all whose rules fit.
 * blob: m lies in it, or NULL; fds may be NULL.  0 or a negative errno.
 */
int route_broadcast(struct router *r, struct connection *sender, const struct message *m,
                    struct blob *blob, struct fd_list *fds);

/* m, from sender or (NULL) from the driver, to those of r->watchers that may see it.  The same. */
int route_to_watchers(struct router *r, struct connection *sender, const struct message *m,
                      struct blob *blob, struct fd_list *fds);

/* m, as it was queued for receiver, is lost for its descriptors.  Who waits for it learns it. */
int route_undelivered(struct router *r, struct connection *receiver, const struct message *m);
