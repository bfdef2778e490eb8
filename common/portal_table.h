/* SPDX-License-Identifier: MIT */
/*
 * The portal table: every portal interface, method and property a guest may use.
 *
 * sbportal's engine and Introspect, the gate's allow-list in sbsupervisor, and the
 * tests' completeness checks are all made from it.  What is not in it does not
 * exist: it passes neither sbportal nor the gate.  Adding a portal method is a row.
 *
 * A value crosses three worlds.  "guest": as the program in the VM says it;
 * "gate": as sbportal and the supervisor say it to each other; "host": as
 * xdg-desktop-portal says it.  The role of a value tells what happens to it at
 * each border; a type without a special role is copied by its type, within bounds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORTAL_BUS_NAME     "org.freedesktop.portal.Desktop"
#define PORTAL_PATH         "/org/freedesktop/portal/desktop"
#define PORTAL_REQUEST      "org.freedesktop.portal.Request"
#define PORTAL_REQUEST_PATH PORTAL_PATH "/request"
#define PORTAL_SESSION_IFACE "org.freedesktop.portal.Session"
#define PORTAL_SESSION_PATH PORTAL_PATH "/session"
/* Handles on the gate: these, "/", and a token issued by the supervisor. */
#define PORTAL_GATE_REQUEST_PATH PORTAL_REQUEST_PATH "/vm"
#define PORTAL_GATE_SESSION_PATH PORTAL_SESSION_PATH "/vm"
#define DOCUMENTS_BUS_NAME  "org.freedesktop.portal.Documents"
#define DOCUMENTS_PATH      "/org/freedesktop/portal/documents"
#define PORTAL_E_INVALID    "org.freedesktop.portal.Error.InvalidArgument"
#define PORTAL_E_FAILED     "org.freedesktop.portal.Error.Failed"
#define PORTAL_E_NOT_ALLOWED "org.freedesktop.portal.Error.NotAllowed"

enum portal_role {
        PORTAL_PLAIN,         /* copied: type and bounds checked */
        PORTAL_TEXT,          /* strings inside are shown to the person: escape_display() */
        PORTAL_TITLE,         /* PORTAL_TEXT; the gate adds the VM's label */
        PORTAL_LINES,         /* s: PORTAL_TEXT of several lines, LIMIT_LINES_BYTES long */
        PORTAL_BODY,          /* s: the same, in which nothing is taken for markup: of what shows a
                                 notification some take all bodies for it */
        PORTAL_MARKUP,        /* s: text with the few tags of Notification's markup-body; anything
                                 else in it is escaped, links are dropped */
        PORTAL_PARENT_WINDOW, /* "" unless the configuration passes window handles */
        PORTAL_HANDLE_TOKEN,  /* consumed where it arrives: each border makes its own */
        PORTAL_SESSION_TOKEN, /* the same, of a session this method makes */
        PORTAL_SESSION,       /* o, or s where the portal has it so.  guest: PORTAL_SESSION_PATH
                                 "/SENDER/TOKEN"; gate: PORTAL_GATE_SESSION_PATH "/<token>"; host:
                                 the portal's.  As an argument: of the caller's own, or an error */
        PORTAL_OPTIONS,       /* a{sv}: rebuilt from the method's option rows */
        PORTAL_DICT,          /* a{sv}, aa{sv} or a(sa{sv}): each a{sv} rebuilt from .members */
        PORTAL_SOME_DICTS,    /* a(sa{sv}), argument: the same, of at least one */
        PORTAL_ANY,           /* v: any value without descriptors, LIMIT_VARIANT_DEPTH deep */
        PORTAL_ANY_LIST,      /* av: likewise, without activation tokens (ActionInvoked) */
        PORTAL_GUEST_PATH,    /* ay, NUL-terminated.  guest: absolute path; gate: "<doc id>/<rel>";
                                 host: absolute path.  Left out when it is no document of the VM */
        PORTAL_BASENAME,      /* s: a file's name, no '/' */
        PORTAL_BASENAMES,     /* aay, each NUL-terminated: likewise */
        PORTAL_DIRECTORY,     /* b: the URIs of the Response are directories, else they are files */
        PORTAL_URIS,          /* s or as, result.  host: file URIs; gate: "doc:<id>/<escaped name>";
                                 guest: file URIs below the documents directory */
        PORTAL_PATHS,         /* as, result: the same, as absolute paths on host and in the guest */
        PORTAL_OPEN_URI,      /* s: a URI that the host opens: of the schemes the policy allows */
        PORTAL_OPEN_SCHEME,   /* s: such a scheme alone */
        PORTAL_ALWAYS_TRUE,   /* b, option: the gate writes true, given or not (OpenURI's "ask") */
        PORTAL_NEVER,         /* option that is known and never passes (an activation token) */
        PORTAL_NOTIFICATION_ID, /* s.  guest: its own id; gate: "<client>/<id>"; host: with the VM's
                                 name in front.  Back: only for one that was issued */
        PORTAL_ICON,          /* v: a serialised GIcon, re-validated; ("file-descriptor", h) too */
        PORTAL_SOUND,         /* v: likewise */
        PORTAL_ACTION,        /* s: a button's action.  host: with a prefix of the gate's, as a desktop
                                 calls one that begins with "app." on a bus name, not by signal */
        PORTAL_NAMESPACE,     /* s: a Settings namespace; the policy lists those a guest may see */
        PORTAL_NAMESPACES,    /* as: patterns of them, as ReadAll has it */
        PORTAL_SETTINGS,      /* a{sa{sv}}, result: those namespaces that the policy lists */
        PORTAL_PROXIES,       /* as, result: proxy URIs, without user names and passwords */
        PORTAL_FD_BYTES,      /* h: a stream or a file's bytes, passed on as a descriptor: it is read */
        PORTAL_FD_SINK,       /* h: likewise, but written */
        PORTAL_FD_FILE,       /* h or ah: a file that the host portal wants to know the path of: a
                                 document's own file, or a copy in the VM's spool directory */
        PORTAL_FD_DOCUMENT,   /* h: likewise, but a document's own file or directory, never a copy */
        PORTAL_FD_WRITABLE,   /* h: PORTAL_FD_DOCUMENT, of one that the VM may write */
        PORTAL_N_ROLES,
};

struct portal_value {
        const char *name; /* of an argument (for Introspect) or the key of an option; NULL ends */
        /*
         * One complete D-Bus type.  "v" as the type of a key says that the entry's own variant
         * may hold any type that the role knows: as GVariant's "{sv}" with a value put in.
         */
        const char *type;
        enum portal_role role;
        const struct portal_value *members; /* of a dictionary, or of each: its keys */
        uint32_t since; /* a key: the interface's version that has it first; 0: all */
};

enum portal_kind {
        PORTAL_CALL = 1,   /* an answer to the call itself: out[] */
        PORTAL_IS_REQUEST, /* answers a handle, later Response(u, a{sv}): results[] */
        PORTAL_LASTS,      /* a request in force after its Response, until Close (Inhibit) */
        PORTAL_LOCAL,      /* answered by sbportal with what is true in a VM; never at the gate */
        PORTAL_AT_GATE,    /* a plain call, answered by the gate from the VM's own documents; never
                              on the host's session bus */
};

/* What the gate makes of the file URIs or paths in an answer. */
enum portal_export {
        PORTAL_EXPORT_NONE,
        PORTAL_EXPORT_OPEN, /* the file or directory itself: AddFull */
        PORTAL_EXPORT_SAVE, /* a name in its parent directory: AddNamedFull */
        PORTAL_EXPORT_READ, /* AddFull, for reading only, whatever the configuration says */
};

/* Until the configuration says otherwise. */
enum portal_policy {
        PORTAL_POLICY_INHERIT, /* a method: its interface's */
        PORTAL_ALLOW,
        PORTAL_DENY,
        PORTAL_ASK, /* a notification on the host asks the person */
};

#define PORTAL_MAX_ARGS    6
#define PORTAL_MAX_OPTIONS 16
#define PORTAL_MAX_RESULTS 8
#define PORTAL_MAX_MEMBERS 48 /* keys of a PORTAL_DICT */

struct portal_method {
        const char *interface, *member;
        enum portal_kind kind;
        enum portal_export export;
        enum portal_policy policy;
        uint32_t since; /* the interface's version that has it first; 0: all */
        bool window;    /* opens one, though it is no request */
        struct portal_value args[PORTAL_MAX_ARGS + 1];
        struct portal_value out[PORTAL_MAX_ARGS + 1];
        struct portal_value options[PORTAL_MAX_OPTIONS + 1];
        struct portal_value results[PORTAL_MAX_RESULTS + 1];
};

/* Whom a signal of the host portal is for, in the guest. */
enum portal_route {
        PORTAL_TO_ALL = 1,  /* a broadcast */
        PORTAL_TO_SESSION,  /* the owner of the session that the first argument names */
        PORTAL_TO_NOTIFIER, /* the client whose notification the first argument names */
};

struct portal_signal {
        const char *interface, *member;
        enum portal_route route;
        struct portal_value args[PORTAL_MAX_ARGS + 1];
        struct portal_value options[PORTAL_MAX_OPTIONS + 1]; /* of the PORTAL_OPTIONS argument */
};

struct portal_property {
        const char *interface, *name, *type; /* a basic type, or a{sv} (rebuilt as PORTAL_ANY) */
        bool changes;   /* PropertiesChanged is passed on */
        uint32_t since; /* the interface's version that has it first; 0: all */
};

/* A bus name and the one object below it that a guest calls. */
enum portal_object {
        PORTAL_DESKTOP = 0, /* PORTAL_BUS_NAME, PORTAL_PATH */
        PORTAL_DOCUMENTS,   /* DOCUMENTS_BUS_NAME, DOCUMENTS_PATH */
};

struct portal_interface {
        const char *name;
        uint32_t version; /* what we implement; guests see min(host's, this) */
        enum portal_policy policy;
        enum portal_object object;
        bool local;      /* there whether or not the host has it; version is ours */
        bool no_version; /* has no version property */
};

extern const struct portal_interface portal_interfaces[];
extern const size_t portal_n_interfaces;
extern const struct portal_method portal_methods[];
extern const size_t portal_n_methods;
extern const struct portal_signal portal_signals[];
extern const size_t portal_n_signals;
extern const struct portal_property portal_properties[];
extern const size_t portal_n_properties;

/* Whether the person gets a window by it. */
bool portal_opens_window(const struct portal_method *m);
/* Or a notification: its id is given, and what it says. */
bool portal_shows_notification(const struct portal_method *m);

/* NULL when it is not in the table. */
const struct portal_interface *portal_find_interface(const char *interface);
const struct portal_method *portal_find_method(const char *interface, const char *member);
const struct portal_signal *portal_find_signal(const char *interface, const char *member);
const struct portal_property *portal_find_property(const char *interface, const char *name);
/* The policy of a method or, with member NULL, of an interface, before the configuration. */
enum portal_policy portal_default_policy(const char *interface, const char *member);
/* The short name a person uses in the configuration, "Location"; NULL when there is none. */
const struct portal_interface *portal_find_short_name(const char *name);
const struct portal_value *portal_find_value(const struct portal_value *values, const char *name);

/* The signature of values, joined, in buf; returns buf. */
#define PORTAL_MAX_SIGNATURE 64
const char *portal_signature(const struct portal_value *values, char buf[PORTAL_MAX_SIGNATURE]);
