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

/*
 * Text that is not meant as markup, and is no markup to who takes it for some: a "<" that would start
 * a tag, and a "&" that would start an entity, are each a character that looks like it.  Then as
 * escape_lines().  NULL when memory is out.
 */
char *markup_none(const char *in, size_t max);
