/* SPDX-License-Identifier: MIT */
/*
 * sbsupervisor --print: what the other side of an instance has to be told, in the words of each VMM
 * (print_vmm.c), and of systemd.  PURE: facts in, text out.
 *
 * A line of the text that is a remark says so in the target's own way ("#", or an XML or C
 * comment); for Firecracker, whose JSON has no comments, lines with "#" are to be left out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/address.h"
#include "sbsupervisor/quote.h"

#define PRINT_TAG  "sidebus" /* of the share: what the guest mounts */
#define PRINT_PORT 7000      /* where the VMM maps a port to a socket of any name */
#define PRINT_DOCUMENTS "/run/sidebus/doc" /* what the guest's own unit mounts */

struct print_facts {
        const char *vm;
        uint32_t cid; /* 0: not given */
        const struct address *listen;
        unsigned n_listen;
        const char *share_socket; /* where a VMM connects for virtio-fs */
        const char *documents;    /* where the guest is to mount them */
        uid_t guest_uid;          /* who owns bus and documents in the guest */
        gid_t guest_gid;
        bool advertise_tag; /* virtiofsd tells the VMM the share's tag */
        uid_t uid; /* the person's */
        const char *config_home,
                *state_home; /* where the person's environment moved them; or NULL */
};

/* How a VMM's guest reaches the host. */
enum print_way_kind {
        PRINT_WAY_VSOCK = 1,  /* the kernel's vsock: vsock:PORT */
        PRINT_WAY_PREFIX = 2, /* the VMM's own, on unix:PREFIX_PORT */
        PRINT_WAY_UNIX = 4,   /* the VMM's own, on a unix socket of any name */
};

struct print_way {
        enum print_way_kind kind;
        uint32_t port;
        char path[sizeof(((struct address *)0)->path)];   /* PREFIX and UNIX: of the socket */
        char prefix[sizeof(((struct address *)0)->path)]; /* PREFIX: without the _PORT */
};

struct print;

struct print_format {
        const char *name;
        unsigned ways;         /* enum print_way_kind; 0: it is not about a guest */
        bool share;            /* it can mount the documents */
        const char *forbidden; /* characters that its syntax cannot say; or NULL */
        void (*write)(struct print *p);
};

/* The last has no name. */
extern const struct print_format print_formats[];

enum {
        PRINT_E_WAY = 1, /* no address to listen on that this VMM's guest can reach */
        PRINT_E_PERSON,  /* no person's: root */
        PRINT_E_TEXT,    /* a value that this syntax cannot hold */
};

/* NULL when there is no such format. */
const struct print_format *print_find(const char *name);

/* "qemu, libvirt, …"; new, NULL when memory is out. */
char *print_names(void);

/*
 * *ret is new: the text; or with PRINT_E_* one line that says what is wrong and what to do.
 * -ENOMEM leaves it alone.
 */
int print_text(const struct print_format *format, const struct print_facts *facts, char **ret);

/* --- for the formats -------------------------------------------------------------------------- */

#define PRINT_MAX_STRINGS     64
#define PRINT_MAX_CREDENTIALS 3

struct print_credential {
        const char *name, *value;
};

struct print {
        const struct print_facts *facts;
        struct print_way way;
        struct print_credential
                credentials[PRINT_MAX_CREDENTIALS]; /* what the guest has to be told */
        unsigned n_credentials;
        const char *mount_unit; /* that the guest has to be given; NULL: it has it */
        FILE *out;
        unsigned n_options;
        char *owned[PRINT_MAX_STRINGS];
        unsigned n_owned;
        bool failed; /* memory is out: what follows does not matter */
};

void print_qemu(struct print *p);
void print_libvirt(struct print *p);
void print_cloud_hypervisor(struct print *p);
void print_crosvm(struct print *p);
void print_firecracker(struct print *p);
void print_libkrun(struct print *p);
void print_systemd_owner(struct print *p);

/* Strings that live as long as p.  "" when memory is out. */
const char *print_own(struct print *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *print_quoted(struct print *p, enum quote how, const char *text);
