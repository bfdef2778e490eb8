/* SPDX-License-Identifier: MIT */
/*
 * The arguments of a call, from sbportal's words to the host's: twice over the same message, first
 * to see whether it can be passed on and what is to be looked up before, then to write it.
 */
#pragma once

#include "sbsupervisor/request.h"

/* The first: r->paths are noted.  0, a negative errno, or PORTAL_REBUILD_E_* about *ret_culprit. */
int argument_collect(struct request *r, sd_bus_message *scratch, const char **ret_culprit);
/* The second. */
int argument_write(struct request *r, sd_bus_message *out, const char **ret_culprit);
