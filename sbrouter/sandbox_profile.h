/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/sandbox.h"

/* What sbrouter may do once it runs: see sandbox_profile.c. */
extern const struct sandbox_profile router_profile;
