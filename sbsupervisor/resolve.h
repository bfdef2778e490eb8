/* SPDX-License-Identifier: MIT */
/* Guest paths, and guest files, as paths of the host: through the VM's own documents. */
#pragma once

#include "sbsupervisor/request.h"

/* Notes "<doc id>/<rest>"; anything else is ignored, and so is what goes over the limit. */
int resolve_add_path(struct request *r, const char *gate_path);
/* Notes a file that came as a descriptor (borrowed), whether or not it is a document. */
int resolve_add_file(struct request *r, int fd);

/* Whether something was noted that is to be looked up. */
bool resolve_is_needed(const struct request *r);
/* Looks it up; done is called when that is over, once, never from within. */
int resolve_start(struct request *r, int (*done)(struct request *r));

void resolve_done(struct request *r);
