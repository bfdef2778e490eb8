/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/sandbox.h"

extern const struct sandbox_profile supervisor_profile;
