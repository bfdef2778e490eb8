/* SPDX-License-Identifier: MIT */
/*
 * A connection to the session bus whose peer is a process in a scope of its own.
 *
 * xdg-desktop-portal before 1.19.4 knows a program by the systemd unit of the process that
 * connected, and only by that; we never leave our own unit.  So a child connects in our place,
 * the session's systemd puts it, alone, into app-sidebus-<app id>-<random>.scope, and there it
 * stays as long as we: a portal that is restarted asks again who is behind the connection.
 */
#pragma once

#include <sys/types.h>
#include <systemd/sd-bus.h>

enum {
        CONNECTOR_E_BUS = 1, /* the session bus is not behind a unix socket */
        CONNECTOR_E_MANAGER, /* no systemd user manager is on it, or it did not make the scope */
};

struct connector {
        pid_t pid; /* 0: none */
        int pidfd;
        int hold; /* it lives until this is closed */
};

/* The scope's name.  PURE.  New, or NULL. */
char *connector_scope(const char *app_id, unsigned number);

/*
 * A new connection to the bus that session is connected to, before its first byte: *ret_fd, the
 * caller's.  Blocks for systemd's answers.  CONNECTOR_E_* (logged at debug), or a negative errno.
 */
int connector_open(struct connector *c, sd_bus *session, const char *app_id, int *ret_fd);
/* Kills it, and leaves it to orphans.c to reap. */
void connector_close(struct connector *c);
/* It ended by itself. */
void connector_forget(struct connector *c);
