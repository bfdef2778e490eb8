/* SPDX-License-Identifier: MIT */
/* The interfaces of the portal table, their properties and their signals: data only. */
#include "common/portal_table.h"

#include "common/cleanup.h"
#include "common/portal_members.h"

/* A row says what is not zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define P(name) "org.freedesktop.portal." name

/* clang-format off */

/*
 * The policies: what the host's portal asks the person about is allowed; what it would give a
 * program of the host without asking, and what is of this one person, is not.
 */
const struct portal_interface portal_interfaces[] = {
        {P("FileChooser"), 4, PORTAL_ALLOW},
        {P("OpenURI"), 5, PORTAL_ALLOW},
        {P("Email"), 4, PORTAL_ALLOW},
        {P("Account"), 1, PORTAL_ALLOW},
        {P("Notification"), 2, PORTAL_ALLOW},
        {P("Settings"), 2, PORTAL_ALLOW},
        {P("Inhibit"), 3, PORTAL_ALLOW},
        {P("Screenshot"), 3, PORTAL_DENY}, /* of the host's screen */
        {P("Wallpaper"), 1, PORTAL_ASK},
        {P("Print"), 4, PORTAL_ALLOW},
        {P("GlobalShortcuts"), 2, PORTAL_ASK}, /* keys pressed in other windows */
        {P("NetworkMonitor"), 3, PORTAL_ALLOW},
        {P("PowerProfileMonitor"), 1, PORTAL_ALLOW},
        {P("ProxyResolver"), 1, PORTAL_ALLOW},
        {P("Location"), 1, PORTAL_DENY}, /* exact, and without a question */
        {P("Trash"), 1, PORTAL_DENY}, /* by path: before 1.20.4, of any file of the host */
        {P("Secret"), 1, PORTAL_DENY}, /* one secret for all programs of the VM */
        {P("FileTransfer"), 1, PORTAL_ALLOW, PORTAL_DOCUMENTS},
        /* Version 1 has all we answer; later ones add methods that make documents. */
        {P("Documents"), 1, PORTAL_ALLOW, PORTAL_DOCUMENTS, .local = true},
        {P("Background"), 2, PORTAL_ALLOW, .local = true},
        {P("Realtime"), 1, PORTAL_ALLOW, .local = true},
        {P("MemoryMonitor"), 1, PORTAL_ALLOW, .local = true},
        {P("GameMode"), 4, PORTAL_ALLOW, .local = true},
        {"org.freedesktop.host.portal.Registry", 1, PORTAL_ALLOW, .local = true},
};
const size_t portal_n_interfaces = ELEMENTSOF(portal_interfaces);

const struct portal_property portal_properties[] = {
        {P("FileChooser"), "version", "u"},
        {P("OpenURI"), "version", "u"},
        {P("Email"), "version", "u"},
        {P("Account"), "version", "u"},
        {P("Notification"), "version", "u"},
        {P("Notification"), "SupportedOptions", "a{sv}", .since = 2},
        {P("Settings"), "version", "u"},
        {P("Inhibit"), "version", "u"},
        {P("Screenshot"), "version", "u"},
        {P("Screenshot"), "AvailableTargets", "u", .since = 3},
        {P("Wallpaper"), "version", "u"},
        {P("Print"), "version", "u"},
        {P("GlobalShortcuts"), "version", "u"},
        {P("NetworkMonitor"), "version", "u"},
        {P("PowerProfileMonitor"), "version", "u"},
        {P("PowerProfileMonitor"), "power-saver-enabled", "b", .changes = true},
        {P("ProxyResolver"), "version", "u"},
        {P("Location"), "version", "u"},
        {P("Trash"), "version", "u"},
        {P("Secret"), "version", "u"},
        {P("FileTransfer"), "version", "u"},
        {P("Documents"), "version", "u"},
        {P("Background"), "version", "u"},
        {P("Realtime"), "version", "u"},
        {P("Realtime"), "MaxRealtimePriority", "i"},
        {P("Realtime"), "MinNiceLevel", "i"},
        {P("Realtime"), "RTTimeUSecMax", "x"},
        {P("MemoryMonitor"), "version", "u"},
        {P("GameMode"), "version", "u"},
        {P("GameMode"), "Active", "b"},
        {"org.freedesktop.host.portal.Registry", "version", "u"},
};
const size_t portal_n_properties = ELEMENTSOF(portal_properties);

#define SESSION {"session_handle", "o", PORTAL_SESSION}
/* Of the host's compositor: no business of the guest's. */
#define ACTIVATION_TOKEN {"activation_token", "s", PORTAL_NEVER}

#define SHORTCUT(name) {                                                                           \
                P("GlobalShortcuts"), name, PORTAL_TO_SESSION,                                     \
                .args = {                                                                          \
                        SESSION,                                                                   \
                        {"shortcut_id", "s", PORTAL_PLAIN},                                        \
                        {"timestamp", "t", PORTAL_PLAIN},                                          \
                        {"options", "a{sv}", PORTAL_OPTIONS},                                      \
                },                                                                                 \
                .options = {ACTIVATION_TOKEN},                                                     \
        }

const struct portal_signal portal_signals[] = {
        {
                P("Notification"), "ActionInvoked", PORTAL_TO_NOTIFIER,
                .args = {
                        {"id", "s", PORTAL_NOTIFICATION_ID},
                        {"action", "s", PORTAL_ACTION},
                        {"parameter", "av", PORTAL_ANY_LIST},
                },
        },
        {
                P("Settings"), "SettingChanged", PORTAL_TO_ALL,
                .args = {
                        {"namespace", "s", PORTAL_NAMESPACE},
                        {"key", "s", PORTAL_PLAIN},
                        {"value", "v", PORTAL_ANY},
                },
        },
        {
                P("Inhibit"), "StateChanged", PORTAL_TO_SESSION,
                .args = {SESSION, {"state", "a{sv}", PORTAL_OPTIONS}},
                .options = {
                        {"screensaver-active", "b", PORTAL_PLAIN},
                        {"session-state", "u", PORTAL_PLAIN},
                },
        },
        SHORTCUT("Activated"),
        SHORTCUT("Deactivated"),
        {
                P("GlobalShortcuts"), "ShortcutsChanged", PORTAL_TO_SESSION,
                .args = {
                        SESSION,
                        {"shortcuts", "a(sa{sv})", PORTAL_DICT, portal_bound_shortcut},
                },
        },
        {P("NetworkMonitor"), "changed", PORTAL_TO_ALL},
        {
                P("Location"), "LocationUpdated", PORTAL_TO_SESSION,
                .args = {SESSION, {"location", "a{sv}", PORTAL_OPTIONS}},
                .options = {
                        {"Latitude", "d", PORTAL_PLAIN},
                        {"Longitude", "d", PORTAL_PLAIN},
                        {"Altitude", "d", PORTAL_PLAIN},
                        {"Accuracy", "d", PORTAL_PLAIN},
                        {"Speed", "d", PORTAL_PLAIN},
                        {"Heading", "d", PORTAL_PLAIN},
                        {"Timestamp", "(tt)", PORTAL_PLAIN},
                },
        },
        /* Declared, as GLib looks for it, and never sent: the guest has memory of its own. */
        {
                P("MemoryMonitor"), "LowMemoryWarning", PORTAL_TO_ALL,
                .args = {{"level", "y", PORTAL_PLAIN}},
        },
};
const size_t portal_n_signals = ELEMENTSOF(portal_signals);
