/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/sandbox_profile.h"

#include "common/cleanup.h"

static const struct sandbox_rlimit rlimits[] = {
        {RLIMIT_CORE, 0}, /* its memory names the person's files */
};

/*
 * Dumpable, because xdg-desktop-portal opens /proc/PID/root of its callers.  No capability:
 * what it may do, it may as the person; those of the documents namespace come from owning it.
 */
const struct sandbox_profile supervisor_profile = {
        .name = "sbsupervisor",
        .dumpable = true,
        .starts_programs = true,
        .rlimits = rlimits,
        .n_rlimits = ELEMENTSOF(rlimits),
};
