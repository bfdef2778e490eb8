/* SPDX-License-Identifier: MIT */
/* What a guest may know of the host's proxies.  PURE. */
#pragma once

/* The URI without a user name and password; a new string, or NULL when memory is out. */
char *proxy_uri_without_login(const char *uri);
