/* SPDX-License-Identifier: MIT */
/*
 * The application that a VM is to the host's desktop: <app id>.desktop, in the person's data
 * directory.  xdg-desktop-portal lets a connection be an application only if that has one, and
 * desktops take the VM's name and icon from it.  It starts nothing, and no menu shows it.
 *
 * It stays after a stop, as what the person decided about that application does.
 */
#pragma once

/* The file's text.  PURE.  New, or NULL when memory is out. */
char *desktop_entry_text(const char *vm, const char *label);

/*
 * Writes it where it is not there or says something else; a file that somebody made their own, by
 * removing its X-Sidebus-VM line, stays.  0, or a negative errno (not logged).
 */
int desktop_entry_install(const char *app_id, const char *vm, const char *label);

/* For a VM that leaves nothing behind.  0 also when there is none of ours; or a negative errno. */
int desktop_entry_remove(const char *app_id);
