/* SPDX-License-Identifier: MIT */
/* The descriptors of a call, as the host's portal may have them. */
#pragma once

#include "common/portal_rebuild.h"

/* portal_rebuild's translate_fd, of argument.c's two passes; userdata is the request. */
int attachment_collect(void *userdata, const struct portal_value *v, int fd, int *ret_fd);
int attachment_to_host(void *userdata, const struct portal_value *v, int fd, int *ret_fd);
