/* SPDX-License-Identifier: MIT */
/*
 * The messages between our own host processes: THE list.
 *
 * A row is a message: who sends it, who may receive it, its fixed body, the
 * longest variable tail in bytes and the exact number of descriptors.  Nothing
 * else in the tree states these facts; the enum, the names, the checks, the
 * typed send functions and docs/PROTOCOL.ipc.md come from here.
 *
 * Bodies hold fixed-width integers and byte arrays only, multiples of 8 bytes,
 * padding named "zero" and checked.  A tail is bytes; if it is text its handler
 * checks it.  Changing a row needs no compatibility (all the processes come from
 * one build) but a new IPC_ABI, which the first message of a channel carries.
 */
#pragma once

#include <stdint.h>

#define IPC_ABI 1u

enum ipc_role {
        IPC_SUPERVISOR,
        IPC_ROUTER,
        IPC_PORTAL,
        IPC_N_ROLES
};

/* Which of the two buses a router process carries. */
enum {
        IPC_BUS_VM = 1,      /* the guest's programs and sbportal */
        IPC_BUS_PRIVATE = 2, /* the document portal's daemons and the supervisor */
};

/* What an accepted stream of a listening socket may do. */
enum {
        IPC_LISTEN_GUEST = 1,  /* first bytes may be SIDEBUS/1; host credentials mean nothing */
        IPC_LISTEN_CID = 2,    /* AF_VSOCK: peers other than cid are closed before a byte is read */
        IPC_LISTEN_OWNER = 4,  /* SO_PEERCRED must be our own uid (tools of the person, daemons) */
        IPC_LISTEN_FDS = 8,    /* descriptors may be negotiated (AF_UNIX only) */
        IPC_LISTEN_DEBUG = 16, /* its clients may watch all messages, and ask for statistics */
        IPC_LISTEN_ALL = 31,
};

/* Whose end of a socketpair a ROUTER_PEER descriptor is. */
enum {
        IPC_PEER_PORTAL = 1,     /* sbportal: alone may own org.freedesktop.portal.* on the VM bus */
        IPC_PEER_SUPERVISOR = 2, /* the supervisor's own connection to the private bus */
};

struct ipc_router_config {
        uint32_t abi;
        uint32_t bus; /* IPC_BUS_* */
        uint8_t machine_id[16];
};

struct ipc_router_listen {
        uint32_t flags; /* IPC_LISTEN_* */
        uint32_t cid;   /* with IPC_LISTEN_CID, else 0 */
};

struct ipc_router_peer {
        uint32_t kind; /* IPC_PEER_* */
        uint32_t zero;
};

/*
 * The private bus answers GetConnectionUnixProcessID with this pid for every
 * connection: the document portal opens /proc/PID/root of each caller, and only
 * its own is certain to open from inside its namespace.  0: not known, such
 * calls wait.
 */
struct ipc_router_pid {
        uint32_t pid;
        uint32_t zero;
};

struct ipc_portal_config {
        uint32_t abi;
        uint32_t flags; /* IPC_PORTAL_* */
        uint8_t machine_id[16];
};

enum {
        IPC_PORTAL_PASS_WINDOWS = 1, /* parent_window goes through: the VM's windows are host windows */
        IPC_PORTAL_ALL = 1,
};

struct ipc_ready {
        uint32_t abi;
        uint32_t zero;
};

#define IPC_MESSAGES(X)                                                                            \
        /* name         from        to          body                      tail  fds */             \
        X(ROUTER_CONFIG, SUPERVISOR, ROUTER,     struct ipc_router_config,    0, 0)                \
        X(ROUTER_LISTEN, SUPERVISOR, ROUTER,     struct ipc_router_listen,    0, 1)                \
        X(ROUTER_PEER,   SUPERVISOR, ROUTER,     struct ipc_router_peer,      0, 1)                \
        X(ROUTER_PID,    SUPERVISOR, ROUTER,     struct ipc_router_pid,       0, 0)                \
        X(ROUTER_READY,  ROUTER,     SUPERVISOR, struct ipc_ready,            0, 0)                \
        /* tail: the guest's documents directory, no NUL; fds: VM bus, gate */                     \
        X(PORTAL_CONFIG, SUPERVISOR, PORTAL,     struct ipc_portal_config, 4096, 2)                \
        X(PORTAL_READY,  PORTAL,     SUPERVISOR, struct ipc_ready,            0, 0)

enum ipc_type {
        IPC_NONE, /* zeroed memory is never a valid message */
#define X(name, from, to, body, tail, fds) IPC_##name,
        IPC_MESSAGES(X)
#undef X
        IPC_N_TYPES
};
