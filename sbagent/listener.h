/* SPDX-License-Identifier: MIT */
/*
 * The sockets on which programs of the guest arrive: systemd's, or one of our own.
 */
#pragma once

#include <stddef.h>

#include "common/limits.h"
#include "sbagent/config.h"

struct listeners {
        int fds[LIMIT_AGENT_LISTENERS]; /* owned */
        size_t n;
        const char *own_path; /* a socket file that we made; borrowed from the config */
};

/*
 * Sockets passed by systemd (sd_listen_fds(3)) if there are any, else config->listen.
 * explicit_listen: --listen was on the command line, which then contradicts systemd's.
 * 0 or a negative errno; failures are logged.
 */
int listeners_open(struct listeners *l, const struct config *config, bool explicit_listen);
/* Closes them, and removes the socket file that we made. */
void listeners_done(struct listeners *l);
