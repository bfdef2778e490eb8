/* SPDX-License-Identifier: MIT */
/*
 * Rebuilds serialised icons and sounds, as the Notification portal has them.  What the
 * host's loaders would open by name, or should not see, is left out.
 */
#pragma once

#include "common/portal_wire.h"

/* The role PORTAL_ICON: a name, ("themed", as), ("bytes", ay) or ("file-descriptor", h). */
int portal_icon(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                struct wire_place *p);

/* The role PORTAL_SOUND: "default", "silent" or ("file-descriptor", h). */
int portal_icon_sound(struct portal_rebuild *rb, const struct portal_value *v, sd_bus_message *in,
                      struct wire_place *p);
