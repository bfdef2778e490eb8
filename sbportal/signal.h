/* SPDX-License-Identifier: MIT */
/* Signals of the table, from the gate to those in the guest whom they are for. */
#pragma once

#include "common/portal_table.h"
#include "sbportal/translator.h"

/* The path, on the VM's bus, of the object that has this interface. */
const char *portal_path(const char *interface);

/* 0, PORTAL_REBUILD_E_* (the gate is at fault, or nobody is there for it) or a negative errno. */
int signal_pass(struct translator *t, sd_bus_message *m, const struct portal_signal *s);
