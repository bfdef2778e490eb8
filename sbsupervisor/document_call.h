/* SPDX-License-Identifier: MIT */
/*
 * The guest's calls about documents (PORTAL_AT_GATE): answered from the VM's own document portal,
 * in guest paths, and only about what the VM has.  None of them changes anything.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "common/portal_table.h"

struct gate;

/* Everything that goes wrong is answered to sbportal. */
int document_call_start(struct gate *g, const struct portal_method *method, sd_bus_message *call);
