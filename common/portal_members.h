/* SPDX-License-Identifier: MIT */
/* The portal table's dictionaries: the keys of each PORTAL_DICT. */
#pragma once

#include "common/portal_table.h"

extern const struct portal_value portal_button[];         /* of a notification */
extern const struct portal_value portal_print_settings[];
extern const struct portal_value portal_page_setup[];
extern const struct portal_value portal_shortcut[];       /* as a client asks for it */
extern const struct portal_value portal_bound_shortcut[]; /* as the host tells of it */
