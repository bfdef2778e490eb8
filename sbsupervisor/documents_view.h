/* SPDX-License-Identifier: MIT */
/*
 * What the VM's portal daemons and virtiofsd see of the host: every file that the person may pick,
 * and no socket of the person's session.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "sbsupervisor/config.h"
#include "sbsupervisor/privops.h"

struct documents_view {
        struct privop_namespaces namespaces;
        bool is_partial; /* there was too much to look through: some sockets may be seen */
};

void documents_view_init(struct documents_view *v);

/* session: the connection to the bus that they must not reach.  0, or a negative errno, logged. */
int documents_view_open(struct documents_view *v, const struct config *c, sd_bus *session);
void documents_view_close(struct documents_view *v);
