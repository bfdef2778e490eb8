/* SPDX-License-Identifier: MIT */
/*
 * The VM's name and the application id made of it.  PURE.
 */
#pragma once

#include <stddef.h>
#include <stdbool.h>

#define VM_NAME_MAX 64 /* libvirt takes more; a unit's instance and a socket path must hold it too */
#define APP_ID_MAX  255 /* xdp_is_valid_app_id() */

/* NULL if name can name a VM: 1..64 of [A-Za-z0-9_.-], not starting with '.' or '-'.  Else why not. */
const char *vm_name_fault(const char *name);

/*
 * "org.sidebus.vm.<name>": every byte of name that is not a letter or a digit, and a
 * digit in front, becomes _xx (hex), so two names never share an id and the id is one
 * that xdg-desktop-portal takes.  name must be free of fault.
 */
void vm_app_id(const char *name, char ret[APP_ID_MAX + 1]);

/* An id as vm_app_id() writes it: checked when it is read back from the state directory. */
bool vm_app_id_is_valid(const char *id);
