/* SPDX-License-Identifier: MIT */
/*
 * What sbagent may do once it is set up.
 */
#pragma once

#include "common/sandbox.h"

extern const struct sandbox_profile sbagent_profile;
