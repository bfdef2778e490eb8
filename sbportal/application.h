/* SPDX-License-Identifier: MIT */
/*
 * org.freedesktop.Application of a guest's program (Desktop Entry Specification, "D-Bus
 * Activation").  A desktop does not say by a signal that a button whose action begins with "app."
 * was pressed: it calls ActivateAction of the application (xdg-desktop-portal documentation,
 * Notification.AddNotification), which is in the guest, so that this is ours to do.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

struct translator;

/* Whether the action is one of the application's own. */
bool application_has_action(const char *action);

/*
 * Calls the action in signal, an ActionInvoked(ssav) sealed for client, on each application that
 * client is, which is asked of the bus; if it is none, it gets the signal.  0 or a negative errno.
 */
int application_invoke(struct translator *t, const char *client, sd_bus_message *signal);

/* The object of the application of that name: "/org/example/App_1".  A new string.  PURE. */
char *application_path(const char *name);
