/* SPDX-License-Identifier: MIT */
/*
 * How the rows of a sandbox_profile.c are written.  A name is a system call's.
 */
#pragma once

#include <seccomp.h>

#include "common/sandbox.h"

/* Whatever its arguments are. */
#define ANY(name) {.nr = SCMP_SYS(name)}
/* The same for one that this libseccomp has no name for. */
#define NUMBER(number) {.nr = (number)}
/* When the bits `mask` of argument i are `value`. */
#define IF(name, i, mask, value) {.nr = SCMP_SYS(name), .n_args = 1, .args = {{(i), (mask), (value)}}}
/* When argument i, an int or shorter, is exactly value. */
#define IS(name, i, value) IF(name, i, UINT32_MAX, (uint32_t)(value))
/* When two such tests, {i, mask, value} each, hold. */
#define BOTH(name, ...) {.nr = SCMP_SYS(name), .n_args = 2, .args = {__VA_ARGS__}}
