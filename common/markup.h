/* SPDX-License-Identifier: MIT */
/*
 * The markup of a notification's body: <b>, <i> and <a href="…">, as the Notification
 * portal has it.  PURE.
 */
#pragma once

#include <stddef.h>

/*
 * What a guest sent, made well-formed and plain: <b> and <i> stay, properly nested and
 * closed; other tags are dropped, a link's text stays without its target; "&" and "<" that
 * start neither a tag nor one of XML's five entities are escaped.  Then as escape_display():
 * nothing that deceives; of in, at most max bytes are looked at.  NULL when memory is out.
 */
char *markup_clean(const char *in, size_t max);
