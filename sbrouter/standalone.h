/* SPDX-License-Identifier: MIT */
/*
 * The router alone, as an ordinary bus with descriptor passing, for tests,
 * benchmarks and debugging.  Clients must be of our own user, or root.
 */
#pragma once

struct router;
struct router_limits;

/*
 * Before the sandbox closes: reads the machine id and binds each address.  Of limits,
 * those that are not 0 take the place of the router's own.  Every failure is logged.
 * 0 or a negative errno.
 */
int standalone_start(struct router *r, const char *const *addresses, unsigned n,
                     const struct router_limits *limits);
