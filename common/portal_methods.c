/* SPDX-License-Identifier: MIT */
/*
 * The methods of the portal table: data only.  Signatures and keys are those of
 * xdg-desktop-portal 1.16 to 1.22.  What is not here on purpose, docs/PORTALS.refused.md says.
 */
#include "common/portal_table.h"

#include "common/cleanup.h"
#include "common/portal_members.h"

/* A row says what is not zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define P(name) "org.freedesktop.portal." name

/* What most requests take. */
#define WINDOW {"parent_window", "s", PORTAL_PARENT_WINDOW}
#define TITLE {"title", "s", PORTAL_TITLE}
#define OPTIONS {"options", "a{sv}", PORTAL_OPTIONS}
#define HANDLE {"handle", "o", PORTAL_PLAIN}
#define REQUEST_HANDLE {"request_handle", "o", PORTAL_PLAIN}
#define SESSION {"session_handle", "o", PORTAL_SESSION}
#define TOKEN {"handle_token", "s", PORTAL_HANDLE_TOKEN}
#define SESSION_TOKEN {"session_handle_token", "s", PORTAL_SESSION_TOKEN}
/* Of the guest's compositor: it means nothing to the host's. */
#define ACTIVATION_TOKEN {"activation_token", "s", PORTAL_NEVER}
#define MODAL {"modal", "b", PORTAL_PLAIN}
#define REASON {"reason", "s", PORTAL_TITLE}
#define ACCEPT_LABEL {"accept_label", "s", PORTAL_TEXT}

/* clang-format off */

/* --- FileChooser ------------------------------------------------------------------------------ */

#define FILTER_TYPE "(sa(us))"
#define FILTERS {"filters", "a" FILTER_TYPE, PORTAL_TEXT}
#define CURRENT_FILTER {"current_filter", FILTER_TYPE, PORTAL_TEXT}
#define CHOICES {"choices", "a(ssa(ss)s)", PORTAL_TEXT}
#define CURRENT_FOLDER {"current_folder", "ay", PORTAL_GUEST_PATH}

/* The backend's own keys ("writable") stop at the gate. */
#define CHOOSER_RESULTS {                                                                          \
        {"uris", "as", PORTAL_URIS},                                                               \
        {"choices", "a(ss)", PORTAL_PLAIN},                                                        \
        {"current_filter", FILTER_TYPE, PORTAL_PLAIN},                                             \
}

#define PRINT_FORMATS {"supported_output_file_formats", "as", PORTAL_PLAIN, .since = 3}

#define BOUND_SHORTCUTS {"shortcuts", "a(sa{sv})", PORTAL_DICT, portal_bound_shortcut}

/* --- the rows --------------------------------------------------------------------------------- */

const struct portal_method portal_methods[] = {
        {
                P("FileChooser"), "OpenFile", PORTAL_IS_REQUEST, PORTAL_EXPORT_OPEN,
                .args = {WINDOW, TITLE, OPTIONS},
                .out = {HANDLE},
                .options = {
                        TOKEN, ACCEPT_LABEL, MODAL,
                        {"multiple", "b", PORTAL_PLAIN},
                        {"directory", "b", PORTAL_DIRECTORY},
                        FILTERS, CURRENT_FILTER, CHOICES, CURRENT_FOLDER,
                },
                .results = CHOOSER_RESULTS,
        },
        {
                P("FileChooser"), "SaveFile", PORTAL_IS_REQUEST, PORTAL_EXPORT_SAVE,
                .args = {WINDOW, TITLE, OPTIONS},
                .out = {HANDLE},
                .options = {
                        TOKEN, ACCEPT_LABEL, MODAL, FILTERS, CURRENT_FILTER, CHOICES,
                        {"current_name", "s", PORTAL_BASENAME},
                        CURRENT_FOLDER,
                        {"current_file", "ay", PORTAL_GUEST_PATH},
                },
                .results = CHOOSER_RESULTS,
        },
        {
                P("FileChooser"), "SaveFiles", PORTAL_IS_REQUEST, PORTAL_EXPORT_SAVE,
                .args = {WINDOW, TITLE, OPTIONS},
                .out = {HANDLE},
                .options = {
                        TOKEN, ACCEPT_LABEL, MODAL, CHOICES, CURRENT_FOLDER,
                        {"files", "aay", PORTAL_BASENAMES},
                },
                .results = CHOOSER_RESULTS,
        },

        /* "ask": the person sees what is opened, and with what, before it is. */
        {
                P("OpenURI"), "OpenURI", PORTAL_IS_REQUEST,
                .args = {WINDOW, {"uri", "s", PORTAL_OPEN_URI}, OPTIONS},
                .out = {HANDLE},
                .options = {
                        TOKEN,
                        {"writable", "b", PORTAL_NEVER}, /* of files, which this does not open */
                        {"ask", "b", PORTAL_ALWAYS_TRUE},
                        ACTIVATION_TOKEN,
                },
        },
        {
                P("OpenURI"), "OpenFile", PORTAL_IS_REQUEST, .since = 2,
                .args = {WINDOW, {"fd", "h", PORTAL_FD_FILE}, OPTIONS},
                .out = {HANDLE},
                .options = {
                        TOKEN,
                        {"writable", "b", PORTAL_PLAIN},
                        {"ask", "b", PORTAL_ALWAYS_TRUE},
                        ACTIVATION_TOKEN,
                },
        },
        {
                P("OpenURI"), "OpenDirectory", PORTAL_IS_REQUEST, .since = 3,
                .args = {WINDOW, {"fd", "h", PORTAL_FD_DOCUMENT}, OPTIONS},
                .out = {HANDLE},
                .options = {TOKEN, ACTIVATION_TOKEN},
        },
        {
                P("OpenURI"), "SchemeSupported", PORTAL_CALL, .since = 5,
                .args = {{"scheme", "s", PORTAL_OPEN_SCHEME}, OPTIONS},
                .out = {{"supported", "b", PORTAL_PLAIN}},
        },

        {
                P("Email"), "ComposeEmail", PORTAL_IS_REQUEST,
                .args = {WINDOW, OPTIONS},
                .out = {HANDLE},
                .options = {
                        TOKEN,
                        {"address", "s", PORTAL_TEXT},
                        {"addresses", "as", PORTAL_TEXT, .since = 3},
                        {"cc", "as", PORTAL_TEXT, .since = 3},
                        {"bcc", "as", PORTAL_TEXT, .since = 3},
                        {"subject", "s", PORTAL_TEXT},
                        {"body", "s", PORTAL_LINES},
                        {"attachment_fds", "ah", PORTAL_FD_FILE},
                        ACTIVATION_TOKEN,
                },
        },

        {
                P("Account"), "GetUserInformation", PORTAL_IS_REQUEST, PORTAL_EXPORT_READ,
                .args = {{"window", "s", PORTAL_PARENT_WINDOW}, OPTIONS},
                .out = {HANDLE},
                .options = {TOKEN, REASON},
                .results = {
                        {"id", "s", PORTAL_PLAIN},
                        {"name", "s", PORTAL_PLAIN},
                        {"image", "s", PORTAL_URIS},
                },
        },

        {
                P("Notification"), "AddNotification", PORTAL_CALL,
                .args = {
                        {"id", "s", PORTAL_NOTIFICATION_ID},
                        {"notification", "a{sv}", PORTAL_OPTIONS},
                },
                .options = {
                        {"title", "s", PORTAL_TITLE},
                        {"body", "s", PORTAL_BODY},
                        {"markup-body", "s", PORTAL_MARKUP, .since = 2},
                        {"icon", "v", PORTAL_ICON},
                        {"sound", "v", PORTAL_SOUND, .since = 2},
                        {"priority", "s", PORTAL_PLAIN},
                        {"default-action", "s", PORTAL_ACTION},
                        {"default-action-target", "v", PORTAL_ANY},
                        {"buttons", "aa{sv}", PORTAL_DICT, portal_button},
                        {"display-hint", "as", PORTAL_PLAIN, .since = 2},
                        {"category", "s", PORTAL_PLAIN, .since = 2},
                },
        },
        {
                P("Notification"), "RemoveNotification", PORTAL_CALL,
                .args = {{"id", "s", PORTAL_NOTIFICATION_ID}},
        },

        {
                P("Settings"), "ReadAll", PORTAL_CALL,
                .args = {{"namespaces", "as", PORTAL_NAMESPACES}},
                .out = {{"value", "a{sa{sv}}", PORTAL_SETTINGS}},
        },
        {
                P("Settings"), "Read", PORTAL_CALL,
                .args = {{"namespace", "s", PORTAL_NAMESPACE}, {"key", "s", PORTAL_PLAIN}},
                .out = {{"value", "v", PORTAL_ANY}}, /* a variant in a variant, for ever */
        },
        {
                P("Settings"), "ReadOne", PORTAL_CALL, .since = 2,
                .args = {{"namespace", "s", PORTAL_NAMESPACE}, {"key", "s", PORTAL_PLAIN}},
                .out = {{"value", "v", PORTAL_ANY}},
        },

        {
                P("Inhibit"), "Inhibit", PORTAL_LASTS,
                .args = {
                        {"window", "s", PORTAL_PARENT_WINDOW},
                        {"flags", "u", PORTAL_PLAIN},
                        OPTIONS,
                },
                .out = {HANDLE},
                .options = {TOKEN, REASON},
        },
        {
                P("Inhibit"), "CreateMonitor", PORTAL_IS_REQUEST, .since = 2,
                .args = {{"window", "s", PORTAL_PARENT_WINDOW}, OPTIONS},
                .out = {HANDLE},
                .options = {TOKEN, SESSION_TOKEN},
                .results = {{"session_handle", "s", PORTAL_SESSION}},
        },
        {
                P("Inhibit"), "QueryEndResponse", PORTAL_CALL, .since = 3,
                .args = {SESSION},
        },

        {
                P("Screenshot"), "Screenshot", PORTAL_IS_REQUEST, PORTAL_EXPORT_READ,
                .args = {WINDOW, OPTIONS},
                .out = {HANDLE},
                .options = {
                        TOKEN, MODAL,
                        {"interactive", "b", PORTAL_PLAIN, .since = 2},
                        {"target", "u", PORTAL_PLAIN, .since = 3},
                },
                .results = {{"uri", "s", PORTAL_URIS}},
        },
        {
                P("Screenshot"), "PickColor", PORTAL_IS_REQUEST, .policy = PORTAL_ASK, .since = 2,
                .args = {WINDOW, OPTIONS},
                .out = {HANDLE},
                .options = {TOKEN},
                .results = {{"color", "(ddd)", PORTAL_PLAIN}},
        },

        /* "show-preview": or the host's portal, once told yes, would set it unseen for ever. */
        {
                P("Wallpaper"), "SetWallpaperURI", PORTAL_IS_REQUEST,
                .args = {WINDOW, {"uri", "s", PORTAL_OPEN_URI}, OPTIONS},
                .out = {HANDLE},
                .options = {
                        TOKEN,
                        {"show-preview", "b", PORTAL_ALWAYS_TRUE},
                        {"set-on", "s", PORTAL_PLAIN},
                },
        },
        {
                P("Wallpaper"), "SetWallpaperFile", PORTAL_IS_REQUEST,
                .args = {WINDOW, {"fd", "h", PORTAL_FD_FILE}, OPTIONS},
                .out = {HANDLE},
                .options = {
                        TOKEN,
                        {"show-preview", "b", PORTAL_ALWAYS_TRUE},
                        {"set-on", "s", PORTAL_PLAIN},
                },
        },

        {
                P("Print"), "PreparePrint", PORTAL_IS_REQUEST,
                .args = {
                        WINDOW, TITLE,
                        {"settings", "a{sv}", PORTAL_DICT, portal_print_settings},
                        {"page_setup", "a{sv}", PORTAL_DICT, portal_page_setup},
                        OPTIONS,
                },
                .out = {HANDLE},
                .options = {
                        TOKEN, MODAL,
                        {"accept_label", "s", PORTAL_TEXT, .since = 2},
                        PRINT_FORMATS,
                        {"has_current_page", "b", PORTAL_PLAIN, .since = 4},
                        {"has_selected_pages", "b", PORTAL_PLAIN, .since = 4},
                },
                .results = {
                        {"settings", "a{sv}", PORTAL_DICT, portal_print_settings},
                        {"page-setup", "a{sv}", PORTAL_DICT, portal_page_setup},
                        {"token", "u", PORTAL_PLAIN},
                },
        },
        {
                P("Print"), "Print", PORTAL_IS_REQUEST,
                .args = {WINDOW, TITLE, {"fd", "h", PORTAL_FD_BYTES}, OPTIONS},
                .out = {HANDLE},
                .options = {TOKEN, MODAL, {"token", "u", PORTAL_PLAIN}, PRINT_FORMATS},
        },

        {
                P("GlobalShortcuts"), "CreateSession", PORTAL_IS_REQUEST,
                .args = {OPTIONS},
                .out = {HANDLE},
                .options = {TOKEN, SESSION_TOKEN},
                .results = {{"session_handle", "s", PORTAL_SESSION}},
        },
        {
                P("GlobalShortcuts"), "BindShortcuts", PORTAL_IS_REQUEST,
                .args = {
                        SESSION,
                        /* Of none, xdg-desktop-portal 1.20 dies of a failed assertion. */
                        {"shortcuts", "a(sa{sv})", PORTAL_SOME_DICTS, portal_shortcut},
                        WINDOW, OPTIONS,
                },
                .out = {REQUEST_HANDLE},
                .options = {TOKEN},
                .results = {BOUND_SHORTCUTS},
        },
        {
                P("GlobalShortcuts"), "ListShortcuts", PORTAL_IS_REQUEST,
                .args = {SESSION, OPTIONS},
                .out = {REQUEST_HANDLE},
                .options = {TOKEN},
                .results = {BOUND_SHORTCUTS},
        },
        {
                P("GlobalShortcuts"), "ConfigureShortcuts", PORTAL_CALL, .since = 2, .window = true,
                .args = {SESSION, WINDOW, OPTIONS},
                .options = {ACTIVATION_TOKEN},
        },

        /* Without CanReach: a probe of the host's networks. */
        {
                P("NetworkMonitor"), "GetAvailable", PORTAL_CALL, .since = 2,
                .out = {{"available", "b", PORTAL_PLAIN}},
        },
        {
                P("NetworkMonitor"), "GetMetered", PORTAL_CALL, .since = 2,
                .out = {{"metered", "b", PORTAL_PLAIN}},
        },
        {
                P("NetworkMonitor"), "GetConnectivity", PORTAL_CALL, .since = 2,
                .out = {{"connectivity", "u", PORTAL_PLAIN}},
        },
        {
                P("NetworkMonitor"), "GetStatus", PORTAL_CALL, .since = 3,
                .out = {{"status", "a{sv}", PORTAL_OPTIONS}},
                .results = {
                        {"available", "b", PORTAL_PLAIN},
                        {"metered", "b", PORTAL_PLAIN},
                        {"connectivity", "u", PORTAL_PLAIN},
                },
        },

        {
                P("ProxyResolver"), "Lookup", PORTAL_CALL,
                .args = {{"uri", "s", PORTAL_PLAIN}},
                .out = {{"proxies", "as", PORTAL_PROXIES}},
        },

        {
                P("Location"), "CreateSession", PORTAL_CALL,
                .args = {OPTIONS},
                .out = {{"handle", "o", PORTAL_SESSION}},
                .options = {
                        SESSION_TOKEN,
                        {"distance-threshold", "u", PORTAL_PLAIN},
                        {"time-threshold", "u", PORTAL_PLAIN},
                        {"accuracy", "u", PORTAL_PLAIN},
                },
        },
        {
                P("Location"), "Start", PORTAL_IS_REQUEST,
                .args = {SESSION, WINDOW, OPTIONS},
                .out = {HANDLE},
                .options = {TOKEN},
        },

        {
                P("Trash"), "TrashFile", PORTAL_CALL,
                .args = {{"fd", "h", PORTAL_FD_WRITABLE}},
                .out = {{"result", "u", PORTAL_PLAIN}},
        },

        {
                P("Secret"), "RetrieveSecret", PORTAL_IS_REQUEST,
                .args = {{"fd", "h", PORTAL_FD_SINK}, OPTIONS},
                .out = {HANDLE},
                .options = {TOKEN, {"token", "s", PORTAL_PLAIN}},
                .results = {{"token", "s", PORTAL_PLAIN}},
        },

        /* From the host to the guest; the other methods would let a guest name host files. */
        {
                P("FileTransfer"), "RetrieveFiles", PORTAL_CALL, PORTAL_EXPORT_OPEN,
                .args = {{"key", "s", PORTAL_PLAIN}, OPTIONS},
                .out = {{"files", "as", PORTAL_PATHS}},
        },

        /* Of the VM's own documents, in guest paths. */
        {
                P("Documents"), "GetMountPoint", PORTAL_LOCAL,
                .out = {{"path", "ay", PORTAL_PLAIN}},
        },
        {
                P("Documents"), "Lookup", PORTAL_AT_GATE,
                .args = {{"filename", "ay", PORTAL_GUEST_PATH}},
                .out = {{"doc_id", "s", PORTAL_PLAIN}},
        },
        {
                P("Documents"), "Info", PORTAL_AT_GATE,
                .args = {{"doc_id", "s", PORTAL_PLAIN}},
                .out = {
                        {"path", "ay", PORTAL_GUEST_PATH},
                        {"apps", "a{sas}", PORTAL_PLAIN}, /* the VM's own row only */
                },
        },
        {
                P("Documents"), "GrantPermissions", PORTAL_AT_GATE,
                .args = {
                        {"doc_id", "s", PORTAL_PLAIN},
                        {"app_id", "s", PORTAL_PLAIN},
                        {"permissions", "as", PORTAL_PLAIN},
                },
        },

        {
                P("Background"), "RequestBackground", PORTAL_LOCAL,
                .args = {WINDOW, OPTIONS},
                .out = {HANDLE},
                .options = {
                        TOKEN, REASON,
                        {"autostart", "b", PORTAL_PLAIN},
                        {"commandline", "as", PORTAL_PLAIN},
                        {"dbus-activatable", "b", PORTAL_PLAIN},
                },
                .results = {
                        {"background", "b", PORTAL_PLAIN},
                        {"autostart", "b", PORTAL_PLAIN},
                },
        },
        {
                P("Background"), "SetStatus", PORTAL_LOCAL, .since = 2,
                .args = {OPTIONS},
                .options = {{"message", "s", PORTAL_TEXT}},
        },

#define REALTIME(name, priority_type) {                                                            \
                P("Realtime"), name, PORTAL_LOCAL,                                                 \
                .args = {                                                                          \
                        {"process", "t", PORTAL_PLAIN},                                            \
                        {"thread", "t", PORTAL_PLAIN},                                             \
                        {"priority", priority_type, PORTAL_PLAIN},                                 \
                },                                                                                 \
        }
        REALTIME("MakeThreadRealtimeWithPID", "u"),
        REALTIME("MakeThreadHighPriorityWithPID", "i"),

#define GAME(name, ...) {                                                                          \
                P("GameMode"), name, PORTAL_LOCAL,                                                 \
                .args = {__VA_ARGS__},                                                             \
                .out = {{"result", "i", PORTAL_PLAIN}},                                            \
        }
#define GAME_PID {"pid", "i", PORTAL_PLAIN}
#define GAME_PIDS {"target", "i", PORTAL_PLAIN}, {"requester", "i", PORTAL_PLAIN}
#define GAME_PIDFDS {"target", "h", PORTAL_FD_BYTES}, {"requester", "h", PORTAL_FD_BYTES}
        GAME("QueryStatus", GAME_PID),
        GAME("RegisterGame", GAME_PID),
        GAME("UnregisterGame", GAME_PID),
        GAME("QueryStatusByPid", GAME_PIDS),
        GAME("RegisterGameByPid", GAME_PIDS),
        GAME("UnregisterGameByPid", GAME_PIDS),
        GAME("QueryStatusByPIDFd", GAME_PIDFDS),
        GAME("RegisterGameByPIDFd", GAME_PIDFDS),
        GAME("UnregisterGameByPIDFd", GAME_PIDFDS),

        {
                "org.freedesktop.host.portal.Registry", "Register", PORTAL_LOCAL,
                .args = {{"app_id", "s", PORTAL_PLAIN}, OPTIONS},
        },
};
const size_t portal_n_methods = ELEMENTSOF(portal_methods);
