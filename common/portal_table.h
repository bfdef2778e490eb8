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

#include <stddef.h>
#include <stdint.h>

#define PORTAL_BUS_NAME     "org.freedesktop.portal.Desktop"
#define PORTAL_PATH         "/org/freedesktop/portal/desktop"
#define PORTAL_REQUEST      "org.freedesktop.portal.Request"
#define PORTAL_REQUEST_PATH PORTAL_PATH "/request"
/* Handles on the gate: PORTAL_GATE_REQUEST_PATH "/<token>", issued by the supervisor. */
#define PORTAL_GATE_REQUEST_PATH PORTAL_REQUEST_PATH "/vm"
#define PORTAL_E_INVALID    "org.freedesktop.portal.Error.InvalidArgument"
#define PORTAL_E_FAILED     "org.freedesktop.portal.Error.Failed"
#define PORTAL_E_NOT_ALLOWED "org.freedesktop.portal.Error.NotAllowed"

enum portal_role {
        PORTAL_PLAIN,         /* copied: type and bounds checked */
        PORTAL_TEXT,          /* strings inside are shown to the person: escape_display() */
        PORTAL_TITLE,         /* PORTAL_TEXT; the gate adds the VM's label */
        PORTAL_PARENT_WINDOW, /* "" unless the configuration passes window handles */
        PORTAL_HANDLE_TOKEN,  /* consumed where it arrives: each border makes its own */
        PORTAL_OPTIONS,       /* a{sv}: rebuilt from the method's option rows */
        PORTAL_GUEST_PATH,    /* ay, NUL-terminated.  guest: absolute path; gate: "<doc id>/<rel>";
                                 host: absolute path.  Left out when it is no document of the VM */
        PORTAL_BASENAME,      /* s: a file's name, no '/' */
        PORTAL_BASENAMES,     /* aay, each NUL-terminated: likewise */
        PORTAL_DIRECTORY,     /* b: the URIs of the Response are directories, else they are files */
        PORTAL_URIS,          /* as, result.  host: file URIs; gate: "doc:<id>/<escaped name>";
                                 guest: file URIs below the documents directory */
};

struct portal_value {
        const char *name; /* of an argument (for Introspect) or the key of an option; NULL ends */
        const char *type; /* one complete D-Bus type */
        enum portal_role role;
};

enum portal_kind {
        PORTAL_CALL = 1, /* an answer to the call itself: out[] */
        PORTAL_IS_REQUEST, /* answers a handle, later Response(u, a{sv}): results[] */
};

/* What the gate makes of the file URIs in a Response. */
enum portal_export {
        PORTAL_EXPORT_NONE,
        PORTAL_EXPORT_OPEN, /* the file or directory itself: AddFull */
        PORTAL_EXPORT_SAVE, /* a name in its parent directory: AddNamedFull */
};

#define PORTAL_MAX_ARGS    6
#define PORTAL_MAX_OPTIONS 16
#define PORTAL_MAX_RESULTS 8

struct portal_method {
        const char *interface, *member;
        enum portal_kind kind;
        enum portal_export export;
        struct portal_value args[PORTAL_MAX_ARGS + 1];
        struct portal_value out[PORTAL_MAX_ARGS + 1];
        struct portal_value options[PORTAL_MAX_OPTIONS + 1];
        struct portal_value results[PORTAL_MAX_RESULTS + 1];
};

struct portal_property {
        const char *interface, *name, *type;
};

struct portal_interface {
        const char *name;
        uint32_t version; /* what we implement; guests see min(host's, this) */
};

extern const struct portal_interface portal_interfaces[];
extern const size_t portal_n_interfaces;
extern const struct portal_method portal_methods[];
extern const size_t portal_n_methods;
extern const struct portal_property portal_properties[];
extern const size_t portal_n_properties;

/* NULL when it is not in the table. */
const struct portal_interface *portal_find_interface(const char *interface);
const struct portal_method *portal_find_method(const char *interface, const char *member);
const struct portal_property *portal_find_property(const char *interface, const char *name);
const struct portal_value *portal_find_value(const struct portal_value *values, const char *name);

/* The signature of values, joined, in buf; returns buf. */
#define PORTAL_MAX_SIGNATURE 64
const char *portal_signature(const struct portal_value *values, char buf[PORTAL_MAX_SIGNATURE]);
