/* SPDX-License-Identifier: MIT */
/*
 * One call through the gate, from sbportal's message to the last answer.
 *
 *   learning    which version of the interface the host has
 *   asking      the person is asked whether the VM may; a request's handle is given first
 *   resolving   guest paths and files among the arguments are looked up in the document portal
 *   calling     the call is with the host portal
 *   open        a request's handle is known on both sides; the dialog is up
 *   answering   the answer came; what the person picked is being exported
 *   lasting     answered, and in force until it is closed (PORTAL_LASTS)
 *
 * The handle that sbportal knows and the token that the host portal gets are both ours
 * and unguessable; neither side ever sees the other's.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "common/limits.h"
#include "common/portal_table.h"
#include "sbsupervisor/spool.h"
#include "sbsupervisor/token.h"

struct ask;
struct export;
struct gate;
struct session;

enum request_stage {
        REQUEST_LEARNING,
        REQUEST_ASKING,
        REQUEST_RESOLVING,
        REQUEST_CALLING,
        REQUEST_OPEN,
        REQUEST_ANSWERING,
        REQUEST_LASTING,
};

/* A guest path or a guest's file among the arguments, and what it is on the host. */
struct path_ref {
        struct request *request;
        char *gate;               /* "<doc id>/<rest>"; NULL: a file that is no document */
        char *host;               /* once resolved; NULL if it is no document of this VM */
        bool may_write;           /* the VM may */
        bool is_file;             /* it came as a descriptor, in this order */
        struct spool_file *spool; /* its copy */
        sd_bus_slot *slot;
};

#define REQUEST_MAX_PATHS (4 + LIMIT_MESSAGE_FDS) /* no row has more than two paths */

struct request {
        struct gate *gate;
        const struct portal_method *method;
        enum request_stage stage;
        sd_bus_message *call; /* sbportal's; a stub of it once the host has the arguments */
        bool answered;        /* sbportal has its answer: of a request, the handle */
        char token[TOKEN_SIZE];
        char *gate_path, *host_path;
        uint32_t version; /* of the host's interface */
        const char *refusal; /* an error: an argument is of its form, but not for this VM or now */
        const char *why;     /* in words for the guest; NULL: the usual ones */
        struct path_ref paths[REQUEST_MAX_PATHS];
        unsigned n_paths, n_resolving, next_file;
        int (*resolved)(struct request *r); /* called when the last of them is */
        char *notification;                 /* the id that it is about, on the gate */
        struct session *session;            /* that this makes, until sbportal knows it */
        struct ask *ask;
        sd_bus_slot *slot;        /* the call to the host portal */
        sd_bus_message *response; /* parked until the call is answered, then being exported */
        bool directory;           /* the dialog is for directories */
        bool cut;                 /* more was picked than LIMIT_URIS */
        bool closed; /* sbportal wants no answer any more; what is under way comes to its end */
        struct export *export;
        char **uris; /* of the answer: what the person picked */
        size_t n_uris, next_uri;
};

/*
 * Starts call (a method call of row method).  Everything that goes wrong is answered to sbportal.
 */
int request_start(struct gate *g, const struct portal_method *method, sd_bus_message *call);
struct request *request_free(struct request *r);

/* Whether it has a handle; a plain call has not. */
bool request_has_handle(const struct request *r);

/* The request whose handle path is, on our side of the gate or on the host's; or NULL. */
struct request *request_find_gate(struct gate *g, const char *path);
struct request *request_find_host(struct gate *g, const char *path);

/* Ends it with an error, or with Response(2) where that is all that can be said any more. */
int request_fail(struct request *r, const char *error, const char *text);

/* The host portal answered: m is Response(u, a{sv}) on this request's handle. */
int request_response(struct request *r, sd_bus_message *m);
/* The host portal went away. */
int request_portal_lost(struct request *r);
/* sbportal wants no answer any more: closes it on the host; it is freed now or when it can be. */
void request_close(struct request *r);
/* The gate ends: closes it on the host and frees it. */
void request_end(struct request *r);
