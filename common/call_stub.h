/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

/*
 * What answering call later needs, and no more: its body may be large, and may hold descriptors.
 * *ret can be answered as call could.
 */
int call_stub_new(sd_bus_message *call, sd_bus_message **ret);
