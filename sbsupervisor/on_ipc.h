/* SPDX-License-Identifier: MIT */
#pragma once

#include "ipc/ipc.h"

/* What our children may tell us; self is the struct proc it came from. */
extern const struct ipc_handler on_ipc_handlers[];
extern const size_t on_ipc_n_handlers;
