/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A measurement that fails has no result: the client ends, and says why. */
#define fail(...)                                                                                  \
        do {                                                                                       \
                int _e = errno;                                                                    \
                (void)fprintf(stderr, __VA_ARGS__);                                                \
                (void)fprintf(stderr, " (%s)\n", strerror(_e));                                    \
                exit(1);                                                                           \
        } while (0)
