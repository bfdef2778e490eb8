/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/sandbox.h"

extern const struct sandbox_profile supervisor_profile;

/* Of the programs that are not ours: the portal daemons and virtiofsd. */
extern const struct sandbox_profile daemon_profile;
